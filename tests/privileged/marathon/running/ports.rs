//! Ports that apps get: C40 to C44, P1 to P19 of section 2.3, and those that somebody has.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::field::{ENVIRONMENT, Field, LIMIT, bare, boxed, merged, port_variables, small};
use super::{WAITS, end, end_by_force, field, loopback, mapped, variable};
use crate::lan::{alone, eventually, inside};
use crate::support::engine::Engine;
use crate::support::process::Running;

/// One row of section 2.3: what the app says, and its variables without `PORT`; `{n}` is the n-th of
/// `PORTS`.
type Row = (&'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        "P1",
        r#"{"networks":[{"mode":"container/bridge"}],
            "container":{"portMappings":[{"containerPort":8080,"hostPort":0,"servicePort":9000},{"containerPort":161,"hostPort":0,"protocol":"udp"}]}}"#,
        "={0} 0={0} _8080={0} 1={1} _161={1} S={0},{1}",
    ),
    (
        "P2",
        r#"{"networks":[{"mode":"container/bridge"}],
            "container":{"portMappings":[{}]}}"#,
        "={0} 0={0} _{0}={0} S={0}",
    ),
    (
        "P3",
        r#"{"networks":[{"mode":"container/bridge"}],
            "container":{"portMappings":[{"containerPort":80}]}}"#,
        "={0} 0={0} _80={0} S={0}",
    ),
    (
        "P4",
        r#"{"networks":[{"mode":"container/bridge"}],
            "container":{"portMappings":[{"containerPort":80,"hostPort":8080}]}}"#,
        "=8080 0=8080 _80=8080 S=8080",
    ),
    (
        "P5",
        r#"{"networks":[{"mode":"container","name":"n1"}],
            "container":{"portMappings":[{"containerPort":5432,"name":"db"}]}}"#,
        "0=5432 _5432=5432 _DB=5432 S=",
    ),
    (
        "P6",
        r#"{"networks":[{"mode":"container","name":"n1"}],
            "container":{"portMappings":[{"containerPort":0}]}}"#,
        "={0} 0={0} _{0}={0} S={0}",
    ),
    (
        "P7",
        r#"{"networks":[{"mode":"container","name":"n1"}],
            "container":{"portMappings":[{"containerPort":5000},{"containerPort":6000,"hostPort":0}]}}"#,
        "={0} 0=5000 _5000=5000 1={0} _6000={0} S={0}",
    ),
    ("P8", r#"{}"#, "={0} 0={0} _{0}={0} _DEFAULT={0} S={0}"),
    (
        "P9",
        r#"{"portDefinitions":[{"port":8080,"name":"http"},{"port":8081}]}"#,
        "={0} 0={0} _8080={0} _HTTP={0} _{0}={0} 1={1} _8081={1} _{1}={1} S={0},{1}",
    ),
    (
        "P10",
        r#"{"portDefinitions":[{"port":8080,"name":"http"},{"port":8081}],"requirePorts":true}"#,
        "=8080 0=8080 _8080=8080 _HTTP=8080 1=8081 _8081=8081 S=8080,8081",
    ),
    ("P11", r#"{"portDefinitions":[]}"#, ""),
    (
        "P12",
        r#"{"ports":[0,0,0]}"#,
        "={0} 0={0} _{0}={0} 1={1} _{1}={1} 2={2} _{2}={2} S={0},{1},{2}",
    ),
    (
        "P13",
        r#"{"networks":[{"mode":"container/bridge"}],
            "container":{"portMappings":[{"containerPort":53,"hostPort":5353,"protocol":"udp,tcp"}]}}"#,
        "=5353 0=5353 _53=5353 S=5353",
    ),
    (
        "P14",
        r#"{"networks":[{"mode":"container/bridge"}],
            "container":{"portMappings":[{"containerPort":80,"hostPort":31000},{"containerPort":81,"hostPort":0}]}}"#,
        "=31000 0=31000 _80=31000 1={1} _81={1} S=31000,{1}",
    ),
    (
        "P15",
        r#"{"env":{"PORT0":"7"}}"#,
        "={0} 0=7 _{0}={0} _DEFAULT={0} S={0}",
    ),
    (
        "P16",
        r#"{"container":{"portMappings":[{"containerPort":80,"hostPort":0}]}}"#,
        "={0} 0={0} _{0}={0} _DEFAULT={0} S={0}",
    ),
    (
        "P17",
        r#"{"networks":[{"mode":"container/bridge"}]}"#,
        "={0} 0={0} _{0}={0} _DEFAULT={0} S={0}",
    ),
    (
        "P18",
        r#"{"networks":[{"mode":"container/bridge"}],
            "container":{"portMappings":[]}}"#,
        "",
    ),
];

#[track_caller]
fn assert_ports(name: &str, printed: &str, expected: &str) {
    let hosts: Vec<&str> = variable(printed, "PORTS")
        .unwrap_or_default()
        .split(',')
        .collect();
    let fill = |rest: &str| {
        let numbers = hosts.iter().enumerate();
        numbers.fold(format!("PORT{rest}"), |line, (index, port)| {
            line.replace(&format!("{{{index}}}"), port)
        })
    };
    let mut expected: Vec<String> = expected.split_whitespace().map(fill).collect();
    expected.sort();
    assert_eq!(port_variables(printed), expected, "{name}");
    let distinct: HashSet<&&str> = hosts.iter().collect();
    assert_eq!(distinct.len(), hosts.len(), "{name}: {hosts:?}");
}

#[test]
fn p_natively() {
    alone(|| {
        let field = field();
        field.cmd(&["network", "create", "n1"]).run().ok();
        for (name, says, expected) in ROWS {
            let more = serde_json::from_str(says).unwrap();
            let app = boxed(merged(&json!({ "cmd": ENVIRONMENT }), more));
            // Of two, the first is the app's own.
            let flags = match *name {
                "P14" => &["--ports=31000-31001"][..],
                _ => &[],
            };
            let done = field.run_app(flags, &app).ok();
            assert_ports(name, &done.stdout, expected);
            let is_warned = done.stderr.contains("W:portmappings-host");
            assert_eq!(is_warned, *name == "P16", "{name}: {}", done.stderr);
            if *name == "P14" {
                assert_eq!(variable(&done.stdout, "PORT1"), Some("31001"));
            }
            field.assert_clean();
        }
    });
}

#[test]
fn p_in_docker() {
    let engine = Engine::shared();
    engine.on_its_machine(|| {
        let field = Field::beside(engine);
        let image = "example/ports:1";
        field.tag(engine, image, &small());
        let network = format!("n1-{}", std::process::id());
        engine.ask(["network", "create", &network]);
        let docker = json!({
            "cmd": ENVIRONMENT,
            "container": { "type": "DOCKER", "docker": { "image": image } },
        });
        for (name, says, expected) in ROWS {
            let mut more: Value = serde_json::from_str(says).unwrap();
            // Others listen there.
            if matches!(*name, "P4" | "P10" | "P14") {
                continue;
            }
            if more["networks"][0]["name"].is_string() {
                more["networks"][0]["name"] = network.as_str().into();
            }
            let app = boxed(merged(&docker, more));
            let done = field.run_app(&[], &app).ok();
            assert_ports(name, &done.stdout, expected);
        }
        field.assert_clean();
        engine.ask(["network", "rm", &network]);
    });
}

#[test]
fn p19_only_a_shell_expands() {
    alone(|| {
        let field = field();
        let shell = bare("echo serve $PORT0", json!({ "env": { "PORT0": "7" } }));
        assert_eq!(field.run_app(&[], &shell).ok().stdout, "serve 7\n");
        let args = json!({ "id": "/t", "args": ["echo", "serve", "$PORT0"] });
        assert_eq!(field.run_app(&[], &args).ok().stdout, "serve $PORT0\n");
        let args = boxed(json!({ "args": ["echo", "serve", "$PORT0"] }));
        assert_eq!(field.run_app(&[], &args).ok().stdout, "serve $PORT0\n");
        field.assert_clean();
    });
}

/// C40, C42, C43: from the host's side.
#[test]
fn c40_ports_on_a_bridge() {
    alone(|| {
        let field = field();
        let serves = "env | grep ^PORT; echo ready; exec nc -ll -p 8080 -e echo hello";
        let dynamic = field.app(&mapped(serves, json!([{ "containerPort": 8080 }])));
        let running = field.start(&[], &dynamic, "ready");
        let seen = running.stdout_so_far();
        let port: u16 = variable(&seen, "PORT0").unwrap().parse().unwrap();
        assert!((31000..=32000).contains(&port));
        assert_eq!(variable(&seen, "PORT_8080"), variable(&seen, "PORT0"));
        answers(port);
        assert!(TcpStream::connect(loopback(8080)).is_err());
        end_by_force(running);
        let fixed = field.app(&mapped(
            serves,
            json!([{ "containerPort": 8080, "hostPort": 18080 }]),
        ));
        let running = field.start(&[], &fixed, "ready");
        answers(18080);
        field.run(&[], &fixed).refused(&["E:port-in-use", "18080"]);
        end_by_force(running);
        let _other = TcpListener::bind("0.0.0.0:18080").unwrap();
        field.run(&[], &fixed).refused(&["E:port-in-use", "18080"]);
        field.assert_clean();
    });
}

#[track_caller]
fn answers(port: u16) {
    eventually("it answers", || {
        let mut text = String::new();
        let stream = TcpStream::connect(loopback(port));
        stream.is_ok_and(|mut stream| stream.read_to_string(&mut text).is_ok()) && text == "hello\n"
    });
}

#[test]
fn c44_protocols() {
    alone(|| {
        let field = field();
        let serves = "echo ready; exec nc -ll -p 53 -e echo hello";
        for (protocol, tcp, udp) in [
            ("udp", false, true),
            ("tcp", true, false),
            ("udp,tcp", true, true),
            ("tcp,udp", true, true),
        ] {
            let mappings = json!([{ "containerPort": 53, "hostPort": 5353, "protocol": protocol }]);
            let app = mapped(serves, mappings);
            let running = field.start(&[], &field.app(&app), "ready");
            if tcp {
                answers(5353);
            } else {
                assert!(TcpStream::connect(loopback(5353)).is_err(), "{protocol}");
            }
            let inner = File::open(format!("/proc/{}/ns/net", field.only()["pid"])).unwrap();
            let server = inside(&inner, || UdpSocket::bind("0.0.0.0:53").unwrap());
            server.set_nonblocking(true).unwrap();
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            let got = || {
                let _ = client.send_to(b"datagram", loopback(5353));
                std::thread::sleep(Duration::from_millis(50));
                server.recv(&mut [0; 16]).is_ok()
            };
            if udp {
                eventually("a datagram comes", got);
            } else {
                assert!(!got(), "{protocol}");
            }
            end_by_force(running);
        }
        field
            .run_app(&[], &mapped(serves, json!([{ "protocol": "sctp" }])))
            .refused(&["E:protocol"]);
        field.assert_clean();
    });
}

#[test]
fn many_at_once_have_ports_of_their_own() {
    const COUNT: usize = 20;
    alone(|| {
        let field = Field::new();
        let app = bare(&format!("echo port $PORT0; {WAITS}"), json!({}));
        let file = field.app(&app);
        let flags = ["--ports", "ports(*):[31100-31109, 31200-31209]"];
        let spawn = |_| field.command(&flags, &file).spawn();
        let all: Vec<Running> = (0..COUNT).map(spawn).collect();
        let mut ports = HashSet::new();
        for running in &all {
            running.wait_until("ready", LIMIT, || running.stdout_so_far().contains("ready"));
            let seen = running.stdout_so_far();
            let port = seen.lines().next().unwrap().strip_prefix("port ").unwrap();
            let port: u16 = port.parse().unwrap();
            assert!((31100..=31109).contains(&port) || (31200..=31209).contains(&port));
            assert!(ports.insert(port), "{port} twice");
        }
        field
            .run(&flags, &file)
            .refused(&["E:ports-exhausted", "31100-31109,31200-31209"]);
        for running in all {
            end(running);
        }
        field.assert_clean();
    });
}

#[test]
fn fixed_ports_and_ranges() {
    alone(|| {
        let field = Field::new();
        let fixed = |port: u16| {
            bare(
                "echo $PORT0",
                json!({ "portDefinitions": [{ "port": port }], "requirePorts": true }),
            )
        };
        let flags = ["--ports", "8000-9000"];
        field
            .run_app(&flags, &fixed(18081))
            .refused(&["E:port-not-offered", "18081", "8000-9000"]);
        assert_eq!(field.run_app(&flags, &fixed(8500)).ok().stdout, "8500\n");
        assert_eq!(field.run_app(&[], &fixed(18081)).ok().stdout, "18081\n");
        let _taken = TcpListener::bind("[::]:31300").unwrap();
        let one = bare("echo $PORT0", json!({}));
        let only = ["--ports", "31300"];
        field
            .run_app(&only, &one)
            .refused(&["E:ports-exhausted", "31300"]);
        let next = ["--ports", "31300-31301"];
        assert_eq!(field.run_app(&next, &one).ok().stdout, "31301\n");
        field.run_app(&["--ports", "9-8"], &one).expect_code(125);
        field.assert_clean();
    });
}
