use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket as StdUdp};

use simple_dns::rdata::{A, AAAA};
use simple_dns::{ResourceRecord, header_buffer};

use super::*;

/// A name server on loopback that knows `known.test`, `big.test` (too big for UDP) and
/// `app.corp.test`; it forges an answer before every real one.
fn serve() -> u16 {
    let udp = StdUdp::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let answer = reply(&buffer[..length], true);
            let mut forged = reply(&buffer[..length], true);
            forged[0] ^= 0xff;
            *forged.last_mut().unwrap() ^= 0xff;
            udp.send_to(&forged, from).unwrap();
            udp.send_to(&answer, from).unwrap();
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut query).unwrap();
            let answer = reply(&query, false);
            let length = u16::try_from(answer.len()).unwrap();
            stream.write_all(&length.to_be_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    address.port()
}

fn reply(query: &[u8], udp: bool) -> Vec<u8> {
    let query = Packet::parse(query).unwrap();
    let question = query.questions[0].clone();
    let name = question.qname.to_string().to_ascii_lowercase();
    let mut packet = Packet::new_reply(query.id());
    let v4 = |last: u8| RData::A(A::from(Ipv4Addr::new(192, 0, 2, last)));
    let private = RData::A(A::from(Ipv4Addr::new(10, 0, 0, 1)));
    let link_local = RData::A(A::from(Ipv4Addr::new(169, 254, 169, 254)));
    let v6 = RData::AAAA(AAAA::from("2001:db8::1".parse::<Ipv6Addr>().unwrap()));
    let is_v4 = question.qtype == TYPE::A.into();
    let mut records = Vec::new();
    match name.as_str() {
        "known.test" => records.push(if is_v4 { v4(1) } else { v6 }),
        "inside.test" if is_v4 => records.extend([v4(1), private]),
        "metadata.test" if is_v4 => records.push(link_local),
        "app.corp.test" if is_v4 => records.push(v4(2)),
        "big.test" if udp => packet.set_flags(PacketFlag::TRUNCATION),
        "big.test" if is_v4 => records.extend((1..=200).map(v4)),
        "broken.test" => *packet.rcode_mut() = RCODE::ServerFailure,
        "v4only.test" if is_v4 => records.push(v4(3)),
        "v4only.test" | "big.test" | "app.corp.test" | "inside.test" | "metadata.test" => {}
        _ => *packet.rcode_mut() = RCODE::NameError,
    }
    for data in records {
        let owner = question.qname.clone();
        packet
            .answers
            .push(ResourceRecord::new(owner, CLASS::IN, 1, data));
    }
    packet.questions.push(question.clone());
    let bytes = packet.build_bytes_vec().unwrap();
    assert!(header_buffer::has_flags(&bytes, PacketFlag::RESPONSE).unwrap());
    bytes
}

fn lookup(port: u16, conf: &str, host: &str) -> Result<Vec<IpAddr>, String> {
    find(port, conf, host, Reach::LinkLocal)
}

fn find(port: u16, conf: &str, host: &str, within: Reach) -> Result<Vec<IpAddr>, String> {
    let dir = tempfile::tempdir().unwrap();
    let (hosts, conf_file) = (dir.path().join("hosts"), dir.path().join("resolv.conf"));
    fs::write(
        &hosts,
        "# none\n192.0.2.9 Other fixed.test # me\n::1 fixed.test\n",
    )
    .unwrap();
    fs::write(&conf_file, conf).unwrap();
    let resolver = Resolver {
        hosts,
        conf: conf_file,
        port,
        patience: Duration::from_millis(1500),
        within,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(resolver.find(host))
}

#[test]
fn names_are_found() {
    let port = serve();
    let conf = "search corp.test\nnameserver 127.0.0.1\noptions timeout:2 attempts:1\n";
    let rows: [(&str, &[&str]); 9] = [
        ("192.0.2.77", &["192.0.2.77"]),
        ("[2001:db8::7]", &["2001:db8::7"]),
        ("localhost", &["127.0.0.1", "::1"]),
        ("x.localhost", &["127.0.0.1", "::1"]),
        ("FIXED.test", &["192.0.2.9", "::1"]),
        ("known.test", &["192.0.2.1", "2001:db8::1"]),
        ("KNOWN.test.", &["192.0.2.1", "2001:db8::1"]),
        ("v4only.test", &["192.0.2.3"]),
        ("app", &["192.0.2.2"]),
    ];
    for (host, expected) in rows {
        let expected: Vec<IpAddr> = expected.iter().map(|a| a.parse().unwrap()).collect();
        assert_eq!(lookup(port, conf, host).as_ref(), Ok(&expected), "{host}");
    }
    assert_eq!(lookup(port, conf, "big.test").unwrap().len(), 200);
}

/// What a server sends us to is a public name, and then the name is of something inside.
#[test]
fn a_name_leads_no_further_than_it_may() {
    let port = serve();
    let conf = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    let rows = [
        ("known.test", Reach::Public, None),
        ("inside.test", Reach::Private, None),
        ("inside.test", Reach::Public, Some("10.0.0.1")),
        ("metadata.test", Reach::LinkLocal, None),
        ("metadata.test", Reach::Loopback, Some("169.254.169.254")),
        ("localhost", Reach::Loopback, None),
        ("localhost", Reach::Public, Some("127.0.0.1")),
        ("fixed.test", Reach::Public, Some("::1")),
    ];
    for (host, within, refused) in rows {
        match (find(port, conf, host, within), refused) {
            (Ok(_), None) => {}
            (Err(why), Some(address)) => {
                let expected = format!("host {host} is at {address}, where it may not lead");
                assert_eq!(why, expected);
            }
            (found, _) => panic!("{host} within {within:?}: {found:?}"),
        }
    }
}

/// However many servers and suffixes there are, and however long each may take.
#[test]
fn silent_name_servers_are_given_up() {
    let silent = StdUdp::bind("127.0.0.1:0").unwrap();
    let conf = "search a.test b.test c.test d.test\nnameserver 127.0.0.1\n\
        nameserver 127.0.0.1\noptions timeout:1 attempts:5\n";
    let begin = std::time::Instant::now();
    let why = lookup(silent.local_addr().unwrap().port(), conf, "x").unwrap_err();
    assert!(
        why.contains("host x: name server 127.0.0.1: no answer"),
        "{why}"
    );
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn failures_name_the_host() {
    let port = serve();
    let conf = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    let rows = [
        (conf, "absent.test", "host absent.test does not exist"),
        (
            conf,
            "broken.test",
            "broken.test: name server 127.0.0.1: it answers ServerFailure",
        ),
        ("", "known.test", "known.test: no name server in"),
    ];
    for (conf, host, why) in rows {
        let found = lookup(port, conf, host).unwrap_err();
        assert!(found.contains(why), "{found}");
    }
    // Nobody listens there.
    let closed = StdUdp::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let found = lookup(closed, conf, "known.test").unwrap_err();
    assert!(
        found.contains("known.test: name server 127.0.0.1"),
        "{found}"
    );
}

#[test]
fn a_missing_resolv_conf_is_named() {
    let resolver = Resolver {
        hosts: "/nonexistent/hosts".into(),
        conf: "/nonexistent/resolv.conf".into(),
        ..Resolver::system()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let found = runtime.block_on(resolver.lookup("r.io")).unwrap_err();
    assert!(
        found.contains("host r.io: /nonexistent/resolv.conf"),
        "{found}"
    );
}

#[test]
fn resolv_conf_is_read_as_the_c_library_does() {
    let text = "# comment\n;nameserver 9.9.9.9\ndomain old.test\nnameserver 192.0.2.1\n\
        nameserver bogus\nnameserver 2001:db8::1\nsearch a.test b.test.\n\
        options ndots:2 timeout:99 attempts:0 rotate junk:x\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
    let conf = Conf::parse(text);
    let servers: Vec<String> = conf.servers.iter().map(IpAddr::to_string).collect();
    assert_eq!(servers, ["192.0.2.1", "2001:db8::1", "192.0.2.3"]);
    assert_eq!(
        (conf.ndots, conf.timeout.as_secs(), conf.attempts),
        (2, 30, 1)
    );
    assert_eq!(conf.candidates("x.y"), ["x.y.a.test", "x.y.b.test", "x.y"]);
    assert_eq!(
        conf.candidates("x.y.z"),
        ["x.y.z", "x.y.z.a.test", "x.y.z.b.test"]
    );
    assert_eq!(conf.candidates("x."), ["x"]);
}
