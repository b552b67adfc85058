//! Published ports, by real clients: on the host, outside, and in containers.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use super::lan::{HOST, LIMIT, Waiting, alone, assert_no_traces, inside, outside};
use super::world::World;

const BOTH: [bool; 2] = [true, false];
const SHORT: Duration = Duration::from_millis(300);

pub fn own_namespace() -> File {
    File::open("/proc/thread-self/ns/net").unwrap()
}

/// Servers on port 80 of a container, of version 4 where it is said to be so, else 6.
pub fn serve_tcp(container: &Waiting, versions: &[bool]) -> Vec<TcpListener> {
    let bind = |v4: &bool| {
        let address = SocketAddr::new(container.ip(*v4), 80);
        inside(&container.namespace(), || {
            TcpListener::bind(address).unwrap()
        })
    };
    versions.iter().map(bind).collect()
}

pub fn serve_udp(container: &Waiting, versions: &[bool]) -> Vec<UdpSocket> {
    let bind = |v4: &bool| {
        let address = SocketAddr::new(container.ip(*v4), 80);
        let socket = inside(&container.namespace(), || UdpSocket::bind(address).unwrap());
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket
    };
    versions.iter().map(bind).collect()
}

/// Says something to a port from somewhere, and gives the server's view of who it was.
pub fn tcp(from: &File, to: SocketAddr, server: &TcpListener) -> IpAddr {
    let mut client = inside(from, || TcpStream::connect_timeout(&to, LIMIT))
        .unwrap_or_else(|error| panic!("{to}: {error}"));
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (mut accepted, peer) = server.accept().unwrap();
    let mut heard = String::new();
    accepted.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "question");
    accepted.write_all(b"answer").unwrap();
    drop(accepted);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
    peer.ip()
}

pub fn udp(from: &File, to: SocketAddr, server: &UdpSocket) -> IpAddr {
    let any: IpAddr = if to.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
    let client = inside(from, || UdpSocket::bind((any, 0)).unwrap());
    // Only answers from where it sent to get through to a connected one.
    client.connect(to).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let (mut buffer, long) = ([0; 70_000], vec![7; 60_000]);
    let mut seen = None;
    for said in [&b"question"[..], b"", &long] {
        client.send(said).unwrap();
        let (length, peer) = server
            .recv_from(&mut buffer)
            .unwrap_or_else(|e| panic!("{to}: {e}"));
        assert!(&buffer[..length] == said);
        server.send_to(b"answer", peer).unwrap();
        let length = client
            .recv(&mut buffer)
            .unwrap_or_else(|error| panic!("{to}: {error}"));
        assert_eq!(&buffer[..length], b"answer");
        seen = Some(peer.ip());
    }
    seen.unwrap()
}

/// Every client, both protocols, both versions.
#[test]
fn published_ports_are_reached() {
    alone(|| {
        let world = World::small();
        let (here, outside) = (own_namespace(), outside());
        let server = Waiting::start(&world, &["-p", "8080:80", "-p", "8080:80/udp"]);
        let neighbour = Waiting::start(&world, &["--network=bridge"]);
        world.ucr.run(["network", "create", "--ipv6", "far"]).ok();
        let far = Waiting::start(&world, &["--network=far"]);
        let (by_tcp, by_udp) = (serve_tcp(&server, &BOTH), serve_udp(&server, &BOTH));
        let to = |address: &str| SocketAddr::new(address.parse().unwrap(), 8080);
        let gateways = [["10.87.0.1", "fd75:6372::1"]];
        for (name, from, addresses) in [
            (
                "host",
                &here,
                [
                    &["127.0.0.1", "::1"][..],
                    &["127.0.0.2"],
                    &HOST,
                    &gateways[0],
                ]
                .concat(),
            ),
            ("outside", &outside, HOST.to_vec()),
            (
                "itself",
                &server.namespace(),
                [&HOST[..], &gateways[0]].concat(),
            ),
            (
                "neighbour",
                &neighbour.namespace(),
                [&HOST[..], &gateways[0]].concat(),
            ),
            ("far", &far.namespace(), HOST.to_vec()),
        ] {
            for address in addresses.into_iter().map(to) {
                let place = usize::from(address.is_ipv6());
                let seen = tcp(from, address, &by_tcp[place]);
                assert_eq!(udp(from, address, &by_udp[place]), seen, "{name} {address}");
                // Who comes from outside is seen as who it is.
                let is_client = seen.to_string() == super::lan::CLIENT[place];
                assert_eq!(is_client, name == "outside", "{name} {address}: {seen}");
            }
        }
        // A socket keeps the network that it is in.
        drop((by_tcp, by_udp));
        for waiting in [server, neighbour, far] {
            waiting.end();
        }
        assert_no_traces(&world);
    });
}

/// A server that has one version is reached by clients of the other on the host.
#[test]
fn a_server_of_one_version() {
    alone(|| {
        let world = World::small();
        let here = own_namespace();
        let waiting = Waiting::start(&world, &["-p", "8080:80"]);
        let address = SocketAddr::new(waiting.ip(true), 80);
        let only = inside(&waiting.namespace(), || TcpListener::bind(address).unwrap());
        tcp(&here, "[::1]:8080".parse().unwrap(), &only);
        waiting.end();
    });
}

#[test]
fn the_address_that_was_said_and_no_other() {
    alone(|| {
        let world = World::small();
        let (here, outside) = (own_namespace(), outside());
        let flags = [
            "-p",
            "127.0.0.2:8080:80",
            "-p",
            "[::1]:8080:80",
            "-p",
            "198.51.100.1:8081:80",
        ];
        let waiting = Waiting::start(&world, &flags);
        let servers = serve_tcp(&waiting, &BOTH);
        let reached = |from: &File, to: &str| {
            let to = to.parse().unwrap();
            inside(from, || TcpStream::connect_timeout(&to, SHORT).is_ok())
        };
        tcp(&here, "127.0.0.2:8080".parse().unwrap(), &servers[0]);
        tcp(&here, "[::1]:8080".parse().unwrap(), &servers[1]);
        tcp(&outside, "198.51.100.1:8081".parse().unwrap(), &servers[0]);
        for (from, to) in [
            (&here, "127.0.0.1:8080"),
            (&here, "127.0.0.1:8081"),
            (&outside, "198.51.100.1:8080"),
            (&outside, "[2001:db8:5::1]:8080"),
            (&outside, "[2001:db8:5::1]:8081"),
        ] {
            assert!(!reached(from, to), "{to}");
        }
        waiting.end();
        world
            .run(&["-p", "192.0.2.1:80:80"], &["true"])
            .refused(&["192.0.2.1", "no address"]);
    });
}

#[test]
fn ports_that_are_taken_and_ports_that_are_free() {
    alone(|| {
        let world = World::small();
        let theirs = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = theirs.local_addr().unwrap().port();
        let taken = format!("{port}:80");
        world
            .run(&["-p", &taken], &["true"])
            .refused(&[&format!("port {port}/tcp"), "taken"]);
        let range = format!("127.0.0.1:{port}-{}:80", port + 5);
        let waiting = Waiting::start(&world, &["-p", &range]);
        let found = waiting.document["connection"]["ports"][0]["host"]
            .as_str()
            .unwrap();
        assert_ne!(found, format!("127.0.0.1:{port}"));
        let again = found.replace("127.0.0.1:", "");
        world
            .run(&["-p", &format!("{again}:80")], &["true"])
            .refused(&[&again, "taken"]);
        waiting.end();
        let waiting = Waiting::start(&world, &["-p", "9000-9002:80-82", "-p", "53/udp"]);
        let ports = waiting.document["connection"]["ports"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(ports.len(), 8);
        let has = |host: &str, container: u64| {
            ports
                .iter()
                .any(|it| it["host"] == host && it["container"] == container)
        };
        assert!(has("0.0.0.0:9002", 82) && has("[::]:9000", 80), "{ports:?}");
        waiting.end();
        // What the dead one had is free at once.
        Waiting::start(&world, &["-p", "9000:80"]).kill();
        Waiting::start(&world, &["-p", "9000:80"]).end();
        assert_no_traces(&world);
    });
}

#[test]
fn all_exposed_ports() {
    alone(|| {
        let world = World::small();
        let waiting = Waiting::start(
            &world,
            &[
                "-P", "--expose", "70-71", "--expose", "53/udp", "-p", "9000:70",
            ],
        );
        let ports = waiting.document["connection"]["ports"]
            .as_array()
            .unwrap()
            .clone();
        let mut inside: Vec<_> = ports
            .iter()
            .map(|it| format!("{}/{}", it["container"], it["protocol"].as_str().unwrap()))
            .collect();
        inside.sort();
        inside.dedup();
        assert_eq!(inside, ["53/udp", "70/tcp", "71/tcp"]);
        waiting.end();
    });
}

/// Much in both directions at once, through ucr and past it; each end closes by itself.
#[test]
fn nothing_is_lost() {
    alone(|| {
        let world = World::small();
        let (here, outside) = (own_namespace(), outside());
        let waiting = Waiting::start(&world, &["-p", "8080:80"]);
        let servers = serve_tcp(&waiting, &BOTH);
        let data: Vec<u8> = (0..8_u32 << 20)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for (from, to) in [(&here, "127.0.0.1:8080"), (&outside, "198.51.100.1:8080")] {
            let to: SocketAddr = to.parse().unwrap();
            let client = inside(from, || TcpStream::connect_timeout(&to, LIMIT).unwrap());
            let (server, _) = servers[0].accept().unwrap();
            thread::scope(|scope| {
                for writer in [&client, &server] {
                    let (mut writer, data) = (writer, &data);
                    scope.spawn(move || {
                        writer.write_all(data).unwrap();
                        writer.shutdown(Shutdown::Write).unwrap();
                    });
                }
                for mut reader in [&client, &server] {
                    let mut read = Vec::new();
                    reader.set_read_timeout(Some(LIMIT)).unwrap();
                    reader.read_to_end(&mut read).unwrap();
                    assert!(read == data, "{} bytes", read.len());
                }
            });
        }
        waiting.end();
    });
}

/// More clients than are passed on at once wait for their turn.
#[test]
fn many_clients_at_once() {
    alone(|| {
        let world = World::small();
        let waiting = Waiting::start(&world, &["-p", "8080:80"]);
        let servers = serve_tcp(&waiting, &BOTH);
        let clients: Vec<_> = (0..300)
            .map(|_| TcpStream::connect_timeout(&"127.0.0.1:8080".parse().unwrap(), LIMIT).unwrap())
            .collect();
        let answering = thread::spawn(move || {
            for _ in 0..300 {
                servers[0].accept().unwrap().0.write_all(b"x").unwrap();
            }
        });
        for mut client in clients {
            let mut answer = String::new();
            client.set_read_timeout(Some(LIMIT)).unwrap();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "x");
        }
        answering.join().unwrap();
        waiting.end();
    });
}

/// Nobody serves inside: the client hears of it, and is not kept waiting.
#[test]
fn a_port_that_nobody_serves() {
    alone(|| {
        let world = World::small();
        let waiting = Waiting::start(&world, &["-p", "8080:80"]);
        let address = "127.0.0.1:8080".parse().unwrap();
        let read = |mut client: TcpStream| {
            client.set_read_timeout(Some(LIMIT))?;
            client.read(&mut [0])
        };
        let error = TcpStream::connect_timeout(&address, LIMIT)
            .and_then(read)
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        waiting.end();
    });
}
