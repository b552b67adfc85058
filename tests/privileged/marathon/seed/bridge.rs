//! Bridged networking.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::{Place, Task, both, docker, http, native, printed, snippet};
use crate::support::netns::inside;

fn variables(task: &Task) -> Vec<String> {
    let all = fs::read_to_string(format!("/proc/{}/environ", task.pid())).unwrap();
    all.split('\0').map(str::to_owned).collect()
}

/// A datagram to a port of the host's arrives at a server inside, and the answer comes back.
fn assert_forwards_udp(task: &Task, host: u16, container: u16) {
    let namespace = File::open(format!("/proc/{}/ns/net", task.pid())).unwrap();
    let limit = Some(Duration::from_secs(10));
    let server = inside(&namespace, || {
        UdpSocket::bind(("0.0.0.0", container)).unwrap()
    });
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", host)).unwrap();
    let mut buffer = [0; 100];
    for socket in [&server, &client] {
        socket.set_read_timeout(limit).unwrap();
    }
    client.send(b"question").unwrap();
    let (length, peer) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"question");
    server.send_to(b"answer", peer).unwrap();
    let length = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"answer");
}

/// All that the seed says about its web application.
fn assert_is_the_webapp(place: &Place, task: &Task, begin: Instant) {
    let warnings = task.stderr();
    assert_eq!(warnings.matches("W:one-instance").count(), 1, "{warnings}");
    let ports = task.ports();
    let hosts = [task.host_port(0), task.host_port(1)];
    assert!(
        hosts.iter().all(|port| (31000..=32000).contains(port)),
        "{hosts:?}"
    );
    assert_ne!(hosts[0], hosts[1]);
    assert_eq!(ports.len(), 2);
    for (port, (protocol, inside)) in ports.iter().zip([("tcp", 8080), ("udp", 161)]) {
        assert_eq!(
            (&port["protocol"], &port["container_port"]),
            (&json!(protocol), &json!(inside))
        );
    }
    assert_eq!(ports[0]["service_port"], 9000);
    let other = ports[1]["service_port"].as_u64().unwrap();
    assert!((10000..=20000).contains(&other), "{other}");
    for port in [9000, u16::try_from(other).unwrap()] {
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "{port} is only recorded"
        );
    }
    let answer = http(hosts[0], "/");
    assert!(
        answer.contains("200 OK") && answer.ends_with("served\n"),
        "{answer}"
    );
    assert_forwards_udp(task, hosts[1], 161);
    let refused = TcpStream::connect(("127.0.0.1", hosts[1]));
    assert!(
        refused.is_err(),
        "a mapping for datagrams takes connections"
    );
    let variables = variables(task);
    for (name, value) in [
        ("PORT", hosts[0].to_string()),
        ("PORT0", hosts[0].to_string()),
        ("PORT_8080", hosts[0].to_string()),
        ("PORT1", hosts[1].to_string()),
        ("PORT_161", hosts[1].to_string()),
        ("PORTS", format!("{},{}", hosts[0], hosts[1])),
    ] {
        let expected = format!("{name}={value}");
        assert!(variables.contains(&expected), "{expected}: {variables:?}");
    }
    let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let its = fs::read_link(format!("/proc/{}/ns/net", task.pid())).unwrap();
    assert_ne!(own, its);
    task.wait_for("healthy", |it| {
        it["event"] == "health" && it["status"] == "healthy"
    });
    // The first probe is after five seconds: the interval is longer.
    assert!(
        begin.elapsed() >= Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    if !place.is_docker() {
        assert_eq!(task.inspect()["health"]["status"], "healthy");
    }
}

#[test]
fn the_webapp_as_printed() {
    docker(|place| {
        let begin = Instant::now();
        let task = place.start_text(&[], &printed("bridged-webapp.json"));
        assert_is_the_webapp(place, &task, begin);
        task.end();
    });
}

#[test]
fn the_webapp_of_our_own() {
    native(|place| {
        let begin = Instant::now();
        let task = place.start(&[], &place.typed(&snippet("bridged-webapp.json")));
        assert_is_the_webapp(place, &task, begin);
        task.end();
        place.assert_nothing_runs("bridged-webapp");
    });
}

/// With other mappings and no check.
fn webapp(place: &Place, mappings: Value) -> Value {
    let mut app = place.typed(&snippet("bridged-webapp.json"));
    app["container"]["portMappings"] = mappings;
    app["taskKillGracePeriodSeconds"] = json!(0);
    let app_keys = app.as_object_mut().unwrap();
    app_keys.remove("healthChecks");
    app_keys.remove("instances");
    app
}

/// More than three failures in a row: the snippet's check, each second.
#[test]
fn a_failing_check_kills() {
    both(|place| {
        let mut app = place.typed(&snippet("bridged-webapp.json"));
        app["cmd"] = json!("exec sleep 1000");
        app["healthChecks"][0]["intervalSeconds"] = json!(1);
        app["healthChecks"][0]["gracePeriodSeconds"] = json!(0);
        app["healthChecks"][0]["timeoutSeconds"] = json!(1);
        app["taskKillGracePeriodSeconds"] = json!(1);
        let task = place.start(&[], &app);
        task.wait_for("killed", |it| it["event"] == "killed");
        let events = task.events();
        let killed = events.iter().find(|it| it["event"] == "killed").unwrap();
        let reason = killed["reason"].as_str().unwrap();
        assert!(reason.contains("health check 0 failed 4 times"), "{reason}");
        let done = task.finish();
        assert!([137, 143].contains(&done.code), "{done:?}");
        assert!(done.stderr.contains("killed: health check 0"), "{done:?}");
    });
}

/// A mapping that says nothing: a free port, which is the same inside and outside.
#[test]
fn ports_by_default() {
    both(|place| {
        let mut app = webapp(place, json!([{}]));
        app["cmd"] =
            json!("mkdir -p /srv && cd /srv && echo $PORT0 >index.html && exec httpd -f -p $PORT0");
        let task = place.start(&[], &app);
        let port = task.host_port(0);
        assert_eq!(task.ports()[0]["container_port"], port);
        assert_eq!(task.ports()[0]["protocol"], "tcp");
        let answer = http(port, "/");
        assert!(answer.ends_with(&format!("{port}\n")), "{answer}");
        task.end();
    });
}

/// Of a range that can be said, each once on this machine, and never listened at.
#[test]
fn service_ports() {
    both(|place| {
        let app = webapp(place, json!([{"containerPort": 8080}]));
        let flags = ["--service-ports", "15000-15001"];
        let tasks = [place.start(&flags, &app), place.start(&flags, &app)];
        let ports = tasks
            .each_ref()
            .map(|task| task.ports()[0]["service_port"].clone());
        assert_eq!(ports, [15000, 15001]);
        place
            .app(&flags, &app)
            .run()
            .refused(&["15000-15001", "E:ports-exhausted"]);
        TcpListener::bind("127.0.0.1:15000").unwrap();
        for task in tasks {
            task.end();
        }
    });
}

#[test]
fn protocols() {
    both(|place| {
        for wrong in ["sctp", "http", "udp, tcp"] {
            let app = webapp(place, json!([{"containerPort": 80, "protocol": wrong}]));
            place.app(&[], &app).run().refused(&["E:protocol"]);
        }
        let mapping = json!([{"containerPort": 8080, "protocol": "udp,tcp"}]);
        let task = place.start(&[], &webapp(place, mapping));
        let port = task.host_port(0);
        assert!(http(port, "/").ends_with("served\n"));
        assert_forwards_udp(&task, port, 8080);
        task.end();
    });
}

#[test]
fn static_ports() {
    both(|place| {
        let theirs = TcpListener::bind("0.0.0.0:18080").unwrap();
        let app = webapp(place, json!([{"containerPort": 8080, "hostPort": 18080}]));
        place
            .app(&[], &app)
            .run()
            .refused(&["18080", "E:port-in-use"]);
        drop(theirs);
        let task = place.start(&[], &app);
        assert_eq!(task.host_port(0), 18080);
        assert!(http(18080, "/").ends_with("served\n"));
        task.end();
    });
}

/// In the words of the agent's option.
#[test]
fn offered_ports() {
    both(|place| {
        let app = webapp(
            place,
            json!([{"containerPort": 8080}, {"containerPort": 81}]),
        );
        let task = place.start(&["--ports", "ports(*):[8000-8000, 31000-31000]"], &app);
        let mut hosts = [task.host_port(0), task.host_port(1)];
        hosts.sort_unstable();
        assert_eq!(hosts, [8000, 31000]);
        assert!(http(task.host_port(0), "/").ends_with("served\n"));
        task.end();
        let said = "ports(*):[8000-9000, 31000-32000]";
        let app = webapp(place, json!([{"containerPort": 8080, "hostPort": 9001}]));
        let done = place.app(&["--ports", said], &app).run();
        done.refused(&["9001", "E:port-not-offered"]);
        let app = webapp(place, json!([{"containerPort": 8080, "hostPort": 9000}]));
        let task = place.start(&["--ports", said], &app);
        assert_eq!(task.host_port(0), 9000);
        task.end();
    });
}
