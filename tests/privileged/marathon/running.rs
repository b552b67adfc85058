//! The cases of marathon.md that need something to run (C08 to C74 of its section 7, P1 to P19 of
//! 2.3), and what is left behind.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::field::{ENVIRONMENT, Field, LIMIT, bare, boxed, merged, port_variables, small};
use crate::lan::{alone, eventually, inside};
use crate::support::engine::Engine;
use crate::support::process::{Running, tool};
use crate::support::ucr::children;

const WAITS: &str = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";

/// A world with an image for type MESOS.
fn field() -> Field {
    let field = Field::new();
    field.push("library/busybox:1", &small());
    field
}

fn bridged(cmd: &str, more: Value) -> Value {
    let bridge = json!({ "cmd": cmd, "networks": [{ "mode": "container/bridge" }] });
    boxed(merged(&bridge, more))
}

fn mapped(cmd: &str, mappings: Value) -> Value {
    bridged(cmd, json!({ "container": { "portMappings": mappings } }))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// What a program printed as `NAME=value`.
#[track_caller]
fn variable<'a>(printed: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = printed.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[track_caller]
fn end(running: Running) {
    running.signal(Signal::SIGTERM);
    running.finish(LIMIT).ok();
}

#[test]
fn c08_nothing_to_run() {
    alone(|| {
        let field = field();
        let empty =
            crate::support::image::Image::new().layer(crate::support::samples::busybox_layer());
        field.push("library/empty:1", &empty);
        let printing = small().cmd(&["echo", "default"]);
        field.push("library/printing:1", &printing);
        let of = |name: &str| boxed(json!({ "container": { "docker": { "image": name } } }));
        let refused = field.run_app(&[], &of("empty:1"));
        refused.refused(&["E:no-command"]);
        assert_eq!(
            field.run_app(&[], &of("printing:1")).ok().stdout,
            "default\n"
        );
        let with_args = merged(&of("empty:1"), json!({ "args": ["echo", "args"] }));
        assert_eq!(field.run_app(&[], &with_args).ok().stdout, "args\n");
        field.assert_clean();
    });
}

/// One row of section 2.3: what the app says, and its variables of ports; `{n}` is the n-th of
/// `PORTS`.
type Row = (&'static str, Value, &'static [&'static str]);

fn rows() -> Vec<Row> {
    let bridge = |mappings: Value| {
        json!({
            "networks": [{ "mode": "container/bridge" }],
            "container": { "portMappings": mappings },
        })
    };
    let network = |mappings: Value| {
        json!({
            "networks": [{ "mode": "container", "name": "n1" }],
            "container": { "portMappings": mappings },
        })
    };
    vec![
        (
            "P1",
            bridge(json!([
                { "containerPort": 8080, "hostPort": 0, "servicePort": 9000 },
                { "containerPort": 161, "hostPort": 0, "protocol": "udp" },
            ])),
            &[
                "PORT={0}",
                "PORT0={0}",
                "PORT_8080={0}",
                "PORT1={1}",
                "PORT_161={1}",
                "PORTS={0},{1}",
            ],
        ),
        (
            "P2",
            bridge(json!([{}])),
            &["PORT={0}", "PORT0={0}", "PORT_{0}={0}", "PORTS={0}"],
        ),
        (
            "P3",
            bridge(json!([{ "containerPort": 80 }])),
            &["PORT={0}", "PORT0={0}", "PORT_80={0}", "PORTS={0}"],
        ),
        (
            "P4",
            bridge(json!([{ "containerPort": 80, "hostPort": 8080 }])),
            &["PORT=8080", "PORT0=8080", "PORT_80=8080", "PORTS=8080"],
        ),
        (
            "P5",
            network(json!([{ "containerPort": 5432, "name": "db" }])),
            &["PORT0=5432", "PORT_5432=5432", "PORT_DB=5432", "PORTS="],
        ),
        (
            "P6",
            network(json!([{ "containerPort": 0 }])),
            &["PORT={0}", "PORT0={0}", "PORT_{0}={0}", "PORTS={0}"],
        ),
        (
            "P7",
            network(json!([{ "containerPort": 5000 }, { "containerPort": 6000, "hostPort": 0 }])),
            &[
                "PORT={0}",
                "PORT0=5000",
                "PORT_5000=5000",
                "PORT1={0}",
                "PORT_6000={0}",
                "PORTS={0}",
            ],
        ),
        (
            "P8",
            json!({}),
            &[
                "PORT={0}",
                "PORT0={0}",
                "PORT_{0}={0}",
                "PORT_DEFAULT={0}",
                "PORTS={0}",
            ],
        ),
        (
            "P9",
            json!({ "portDefinitions": [{ "port": 8080, "name": "http" }, { "port": 8081 }] }),
            &[
                "PORT={0}",
                "PORT0={0}",
                "PORT_8080={0}",
                "PORT_HTTP={0}",
                "PORT_{0}={0}",
                "PORT1={1}",
                "PORT_8081={1}",
                "PORT_{1}={1}",
                "PORTS={0},{1}",
            ],
        ),
        (
            "P10",
            json!({
                "portDefinitions": [{ "port": 8080, "name": "http" }, { "port": 8081 }],
                "requirePorts": true,
            }),
            &[
                "PORT=8080",
                "PORT0=8080",
                "PORT_8080=8080",
                "PORT_HTTP=8080",
                "PORT1=8081",
                "PORT_8081=8081",
                "PORTS=8080,8081",
            ],
        ),
        ("P11", json!({ "portDefinitions": [] }), &[]),
        (
            "P12",
            json!({ "ports": [0, 0, 0] }),
            &[
                "PORT={0}",
                "PORT0={0}",
                "PORT_{0}={0}",
                "PORT1={1}",
                "PORT_{1}={1}",
                "PORT2={2}",
                "PORT_{2}={2}",
                "PORTS={0},{1},{2}",
            ],
        ),
        (
            "P13",
            bridge(json!([{ "containerPort": 53, "hostPort": 5353, "protocol": "udp,tcp" }])),
            &["PORT=5353", "PORT0=5353", "PORT_53=5353", "PORTS=5353"],
        ),
        (
            "P14",
            bridge(json!([
                { "containerPort": 80, "hostPort": 31000 },
                { "containerPort": 81, "hostPort": 0 },
            ])),
            &[
                "PORT=31000",
                "PORT0=31000",
                "PORT_80=31000",
                "PORT1={1}",
                "PORT_81={1}",
                "PORTS=31000,{1}",
            ],
        ),
        (
            "P15",
            json!({ "env": { "PORT0": "7" } }),
            &[
                "PORT={0}",
                "PORT0=7",
                "PORT_{0}={0}",
                "PORT_DEFAULT={0}",
                "PORTS={0}",
            ],
        ),
        (
            "P16",
            json!({ "container": { "portMappings": [{ "containerPort": 80, "hostPort": 0 }] } }),
            &[
                "PORT={0}",
                "PORT0={0}",
                "PORT_{0}={0}",
                "PORT_DEFAULT={0}",
                "PORTS={0}",
            ],
        ),
        (
            "P17",
            json!({ "networks": [{ "mode": "container/bridge" }] }),
            &[
                "PORT={0}",
                "PORT0={0}",
                "PORT_{0}={0}",
                "PORT_DEFAULT={0}",
                "PORTS={0}",
            ],
        ),
        ("P18", bridge(json!([])), &[]),
    ]
}

#[track_caller]
fn assert_ports(name: &str, printed: &str, expected: &[&str]) {
    let hosts: Vec<&str> = variable(printed, "PORTS")
        .unwrap_or_default()
        .split(',')
        .collect();
    let fill = |line: &&str| {
        let numbers = hosts.iter().enumerate();
        numbers.fold((*line).to_owned(), |line, (index, port)| {
            line.replace(&format!("{{{index}}}"), port)
        })
    };
    let mut expected: Vec<String> = expected.iter().map(fill).collect();
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
        for (name, more, expected) in rows() {
            let app = boxed(merged(&json!({ "cmd": ENVIRONMENT }), more));
            // Of two, the first is the app's own.
            let flags = match name {
                "P14" => &["--ports=31000-31001"][..],
                _ => &[],
            };
            let done = field.run_app(flags, &app).ok();
            assert_ports(name, &done.stdout, expected);
            let is_warned = done.stderr.contains("W:portmappings-host");
            assert_eq!(is_warned, name == "P16", "{name}: {}", done.stderr);
            if name == "P14" {
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
        for (name, mut more, expected) in rows() {
            // Others listen there.
            if matches!(name, "P4" | "P10" | "P14") {
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

/// A command that is a namespace's first hears no SIGTERM that it does not handle: the app's grace
/// ends it.
#[track_caller]
fn end_by_force(running: Running) {
    running.signal(Signal::SIGTERM);
    running.finish(LIMIT).expect_code(137);
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

/// C48, C49 and C52 to C54: the environment.
#[test]
fn c48_environment() {
    alone(|| {
        let field = field();
        let definitions = json!({ "portDefinitions": [{ "port": 8080, "name": "http-api" }] });
        let app = bare(ENVIRONMENT, definitions.clone());
        let seen = field.run_app(&[], &app).ok().stdout;
        let port = variable(&seen, "PORT0").unwrap();
        assert_ne!(port, "8080");
        for name in [
            "PORT",
            "PORT_8080",
            "PORT_HTTP-API",
            "PORT_HTTP_API",
            "PORTS",
        ] {
            assert_eq!(variable(&seen, name), Some(port), "{name}");
        }
        let required = merged(&app, json!({ "requirePorts": true }));
        let seen = field.run_app(&[], &required).ok().stdout;
        assert_eq!(variable(&seen, "PORT0"), Some("8080"));
        let more = json!({
            "env": { "PORT0": "9", "MESOS_TASK_ID": "mine" },
            "labels": { "my-key": "v" },
            "cpus": 0.2,
            "mem": 16,
        });
        let seen = field.run_app(&[], &bare(ENVIRONMENT, more)).ok().stdout;
        for (name, value) in [
            ("PORT0", "9"),
            ("MESOS_TASK_ID", "mine"),
            ("MARATHON_APP_ID", "/t"),
            ("MARATHON_APP_LABELS", "MY_KEY"),
            ("MARATHON_APP_LABEL_MY_KEY", "v"),
            ("MARATHON_APP_RESOURCE_CPUS", "0.2"),
            ("MARATHON_APP_RESOURCE_MEM", "16.0"),
            ("MARATHON_APP_RESOURCE_DISK", "0.0"),
            ("MARATHON_APP_RESOURCE_GPUS", "0"),
            ("HOST", tool(&mut Command::new("hostname")).trim()),
        ] {
            assert_eq!(variable(&seen, name), Some(value), "{name}");
        }
        assert_eq!(variable(&seen, "MARATHON_APP_DOCKER_IMAGE"), None);
        let sandbox = variable(&seen, "MESOS_SANDBOX").unwrap();
        assert!(
            sandbox.starts_with(field.ucr.root().to_str().unwrap()),
            "{sandbox}"
        );
        let boxed = boxed(json!({ "cmd": ENVIRONMENT }));
        let seen = field.run_app(&[], &boxed).ok().stdout;
        assert_eq!(
            variable(&seen, "MARATHON_APP_DOCKER_IMAGE"),
            Some("busybox:1")
        );
        assert_eq!(variable(&seen, "MESOS_SANDBOX"), Some("/mnt/mesos/sandbox"));
        field.assert_clean();
    });
}

/// C56 and C57, C58: values of secrets.
#[test]
fn c56_secrets() {
    alone(|| {
        let field = field();
        let directory = field.ucr.scratch().dir("secrets/a");
        let flags = [
            "--secrets-dir",
            directory.parent().unwrap().to_str().unwrap(),
        ];
        let reads = |source: &str, value: Value| {
            bare(
                "printf %s \"$A\"",
                json!({ "env": { "A": value }, "secrets": { "s": { "source": source } } }),
            )
        };
        let secret = json!({ "secret": "s" });
        let declared = reads("/a/b", secret.clone());
        let missing = ["E:secret-unresolved", "'s'", "a/b"];
        field.run_app(&flags, &declared).refused(&missing);
        fs::write(directory.join("b"), "sesame 7\n").unwrap();
        assert_eq!(field.run_app(&flags, &declared).ok().stdout, "sesame 7\n");
        let inspected = field
            .cmd(&["inspect", "--app"])
            .arg(field.app(&declared))
            .run()
            .ok();
        assert!(!inspected.stdout.contains("sesame"), "{}", inspected.stdout);
        let climbs = field.run_app(&flags, &reads("../x", secret.clone()));
        climbs.expect_code(125);
        let undeclared = bare("true", json!({ "env": { "A": secret } }));
        field
            .run_app(&flags, &undeclared)
            .refused(&["E:env-secret-undefined"]);
        let volume = json!({
            "cmd": "cat creds/pw; stat -c %a creds/pw; grep creds/pw /proc/mounts; touch creds/pw || echo refused; pwd",
            "secrets": { "s": { "source": "a/b" } },
            "container": { "volumes": [{ "containerPath": "creds/pw", "secret": "s" }] },
        });
        let seen = field.run_app(&flags, &boxed(volume)).ok().stdout;
        let lines: Vec<&str> = seen.lines().collect();
        assert_eq!(lines[..2], ["sesame 7", "400"], "{seen}");
        assert!(
            lines[2].contains(" tmpfs ro,") && lines[2].contains("/mnt/mesos/sandbox/creds/pw"),
            "{seen}"
        );
        assert_eq!(lines[3..], ["refused", "/mnt/mesos/sandbox"], "{seen}");
        field.assert_clean();
    });
}

/// C59: what is no configuration of docker's is not shown.
#[test]
fn c59_a_bad_pull_secret() {
    alone(|| {
        let field = field();
        let directory = field.ucr.scratch().dir("secrets");
        fs::write(directory.join("login"), "sesame 7").unwrap();
        let app = boxed(json!({
            "cmd": "true",
            "secrets": { "s": { "source": "login" } },
            "container": { "docker": { "pullConfig": { "secret": "s" } } },
        }));
        let done = field.run_app(&["--secrets-dir", directory.to_str().unwrap()], &app);
        assert!(!done.stderr.contains("sesame"), "{}", done.stderr);
        done.refused(&["E:pullconfig-format"]);
    });
}

/// C60, C62 and C63 beyond the samples: what is missing, and data of a persistent volume.
#[test]
fn c60_volumes() {
    alone(|| {
        let field = field();
        let srv = field.ucr.scratch().dir("srv");
        let volume = |path: &Path, mode: &str| {
            json!({ "container": { "volumes": [
                { "containerPath": "/data", "hostPath": path, "mode": mode },
            ] } })
        };
        let app = |cmd: &str, mode: &str| boxed(merged(&json!({ "cmd": cmd }), volume(&srv, mode)));
        let done = field.run_app(&[], &app("touch /data/x", "RO"));
        assert!(
            done.stderr.contains("Read-only file system"),
            "{}",
            done.stderr
        );
        field.run_app(&[], &app("touch /data/x", "RW")).ok();
        assert!(srv.join("x").exists());
        let nowhere = boxed(merged(
            &json!({ "cmd": "true" }),
            volume(&srv.join("no"), "RO"),
        ));
        field
            .run_app(&[], &nowhere)
            .refused(&["E:host-path-missing", "srv/no"]);
        let kept = boxed(json!({
            "cmd": "echo x >>data/x; wc -l <data/x",
            "container": { "volumes": [
                { "containerPath": "data", "mode": "RW", "persistent": { "size": 1 } },
            ] },
        }));
        for count in ["1\n", "2\n"] {
            assert_eq!(field.run_app(&[], &kept).ok().stdout, count);
        }
        let relative = json!({ "container": { "type": "DOCKER", "volumes": [
            { "containerPath": "a", "hostPath": "b", "mode": "RW" },
        ] } });
        field
            .run_app(&[], &boxed(relative))
            .refused(&["E:volume-both-relative"]);
        field.assert_clean();
    });
}

fn checked(cmd: &str, check: Value) -> Value {
    let usual = json!({
        "gracePeriodSeconds": 0,
        "delaySeconds": 0,
        "intervalSeconds": 1,
        "timeoutSeconds": 1,
        "portIndex": 0,
    });
    bare(cmd, json!({ "healthChecks": [merged(&usual, check)] }))
}

#[test]
fn c70_failures_until_it_is_killed() {
    alone(|| {
        let field = Field::new();
        for (protocol, most, failures) in [
            ("MESOS_TCP", 2, "failed 2 times"),
            ("TCP", 2, "failed 3 times"),
            ("MESOS_TCP", 0, "failed 1 time:"),
        ] {
            let check = json!({ "protocol": protocol, "maxConsecutiveFailures": most });
            let done = field.run_app(&[], &checked(WAITS, check));
            // It returns 0, but it has failed.
            let done = done.expect_code(143);
            assert!(
                done.stderr.contains(failures),
                "{protocol} {most}: {}",
                done.stderr
            );
        }
        let never = json!({ "protocol": "TCP", "maxConsecutiveFailures": 0 });
        let done = field.run_app(&[], &checked("sleep 3; exit 7", never));
        done.expect_code(7);
        field.assert_clean();
    });
}

/// Failures before the first success are forgiven, those after it are not.
#[test]
fn c71_grace_ends_with_the_first_success() {
    alone(|| {
        let field = Field::new();
        let begin = Instant::now();
        let check = json!({
            "protocol": "MESOS_TCP",
            "gracePeriodSeconds": 60,
            "maxConsecutiveFailures": 2,
        });
        let dies = format!("sleep 2.5; busybox nc -l -p $PORT0 >/dev/null; {WAITS}");
        let done = field.run_app(&[], &checked(&dies, check)).expect_code(143);
        assert!(done.stderr.contains("failed 2 times"), "{}", done.stderr);
        assert_eq!(done.stdout, "ready\n");
        let time = begin.elapsed();
        assert!(
            time > Duration::from_secs(3) && time < Duration::from_secs(30),
            "{time:?}"
        );
        field.assert_clean();
    });
}

/// By `ucr stop` and by a signal to the ucr that is with it.
#[test]
fn c73_the_grace_of_a_kill() {
    alone(|| {
        let field = field();
        let deaf = json!({ "taskKillGracePeriodSeconds": 1 });
        for app in [
            bare(DEAF, deaf.clone()),
            boxed(merged(&json!({ "cmd": DEAF }), deaf)),
        ] {
            for by_signal in [true, false] {
                let running = field.start(&[], &field.app(&app), "ready");
                let begin = Instant::now();
                if by_signal {
                    running.signal(Signal::SIGTERM);
                } else {
                    let id = field.only()["id"].as_str().unwrap().to_owned();
                    field.cmd(&["stop", &id]).run().ok();
                }
                running.finish(LIMIT).expect_code(137);
                let time = begin.elapsed();
                assert!(time > Duration::from_millis(900), "{time:?}");
                assert!(time < Duration::from_secs(10), "{time:?}");
            }
        }
        field.assert_clean();
    });
}

#[test]
fn c73_in_docker() {
    let engine = Engine::shared();
    engine.on_its_machine(|| {
        let field = Field::beside(engine);
        field.tag(engine, "example/deaf:1", &small());
        let app = boxed(json!({
            "cmd": DEAF,
            "taskKillGracePeriodSeconds": 1,
            "container": { "type": "DOCKER", "docker": { "image": "example/deaf:1" } },
        }));
        let running = field.start(&[], &field.app(&app), "ready");
        let begin = Instant::now();
        running.signal(Signal::SIGTERM);
        running.finish(LIMIT).expect_code(137);
        assert!(begin.elapsed() > Duration::from_millis(900));
        field.assert_clean();
    });
}

#[test]
fn c74_instances() {
    alone(|| {
        let field = Field::new();
        let three = bare("echo one", json!({ "instances": 3 }));
        let done = field.run_app(&[], &three).ok();
        assert_eq!(done.stdout, "one\n");
        assert!(done.stderr.contains("W:one-instance"), "{}", done.stderr);
        let none = bare("echo one", json!({ "instances": 0 }));
        let done = field.run_app(&[], &none).ok();
        assert_eq!(done.stdout, "");
        assert!(
            done.stderr.contains("nothing was started"),
            "{}",
            done.stderr
        );
        assert_eq!(field.run_app(&["--force"], &none).ok().stdout, "one\n");
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

/// Every way in which an app ends leaves nothing.
#[test]
fn nothing_is_left_of_what_ended() {
    alone(|| {
        let field = field();
        let ports = json!([{ "containerPort": 80, "hostPort": 0 }]);
        for cmd in ["true", "exit 3", "kill -9 $$", "no-such-program"] {
            field.run_app(&[], &mapped(cmd, ports.clone()));
            field.assert_clean();
            field.run_app(&[], &bare(cmd, json!({})));
            field.assert_clean();
        }
        let missing = boxed(json!({ "container": { "docker": { "image": "missing:1" } } }));
        field.run_app(&[], &missing).refused(&["missing"]);
        field.assert_clean();
        let no_artifact = json!({ "fetch": [{ "uri": "file:///nowhere/x" }] });
        field
            .run_app(&[], &bare("true", no_artifact))
            .refused(&["nothing was started"]);
        field.assert_clean();
    });
}

/// The processes that have this in their command line, the oldest first.
fn processes_with(text: &str) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Ok(pid) = name.to_string_lossy().parse::<i32>() else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after.split_whitespace().collect();
        if String::from_utf8_lossy(&line).contains(text) && fields.first() != Some(&"Z") {
            found.push((fields[19].parse::<u64>().unwrap(), pid));
        }
    }
    found.sort_unstable();
    found
        .into_iter()
        .map(|(_, pid)| Pid::from_raw(pid))
        .collect()
}

/// The mark of a task, in its command.
fn task_of(mark: &str) -> String {
    format!("{WAITS} # {mark}")
}

/// The task ends with it, and the next command puts away what it had.
#[test]
fn a_supervisor_that_is_killed_in_front() {
    alone(|| {
        let field = field();
        let mark = format!("mark-{}-front", std::process::id());
        let cmd = task_of(&mark);
        for app in [
            bare(&cmd, json!({})),
            mapped(&cmd, json!([{ "containerPort": 80, "hostPort": 18080 }])),
        ] {
            let running = field.start(&[], &field.app(&app), "ready");
            assert!(!processes_with(&mark).is_empty());
            running.signal(Signal::SIGKILL);
            running.finish(LIMIT);
            eventually("the task ends", || processes_with(&mark).is_empty());
            field.cmd(&["ps"]).run().ok();
            field.assert_clean();
            drop(TcpListener::bind("0.0.0.0:18080").unwrap());
        }
    });
}

/// In the background: whoever of ucr's processes is killed, the next commands know what there is,
/// give its port to nobody, and leave nothing when it is gone.
#[test]
fn a_supervisor_that_is_killed_in_the_background() {
    alone(|| {
        let field = field();
        let own = field.ucr.state().to_str().unwrap().to_owned();
        for number in 0..2 {
            let mark = format!("mark-{}-back", std::process::id());
            let app = mapped(
                &task_of(&mark),
                json!([{ "containerPort": 80, "hostPort": 18080 }]),
            );
            let file = field.app(&app);
            let id = field.run(&["-d"], &file).ok().text().to_owned();
            let ours = processes_with(&own);
            assert!(!ours.is_empty());
            let victim = ours[number.min(ours.len() - 1)];
            kill(victim, Signal::SIGKILL).unwrap();
            eventually("it is gone", || !processes_with(&own).contains(&victim));
            // Either the task has ended with it, or it is there as any other.
            std::thread::sleep(Duration::from_millis(300));
            if field.listed().is_empty() {
                eventually("the task ends", || processes_with(&mark).is_empty());
            } else {
                field.run(&[], &file).refused(&["18080"]);
                assert_eq!(field.listed().len(), 1);
            }
            field.cmd(&["rm", "-f", &id]).run().ok();
            eventually("the task ends", || processes_with(&mark).is_empty());
            eventually("ucr's processes end", || processes_with(&own).is_empty());
            field.cmd(&["ps"]).run().ok();
            field.assert_clean();
        }
        assert!(children(&field.ucr.state().join("ports")).is_empty());
    });
}

/// In the background it ends as in front.
#[test]
fn in_the_background() {
    alone(|| {
        let field = field();
        let own = field.ucr.state().to_str().unwrap().to_owned();
        let app = mapped(WAITS, json!([{ "containerPort": 80, "hostPort": 18080 }]));
        let id = field.run(&["-d"], &field.app(&app)).ok().text().to_owned();
        assert_eq!(field.only()["id"], id.as_str());
        field
            .run_app(&[], &app)
            .refused(&["E:port-in-use", "18080"]);
        field.cmd(&["stop", &id]).run().ok();
        eventually("ucr's processes end", || processes_with(&own).is_empty());
        // It is kept, as any that ran in the background, with what it printed.
        assert_eq!(field.cmd(&["logs", &id]).run().ok().stdout, "ready\n");
        field.cmd(&["rm", &id]).run().ok();
        field.assert_clean();
    });
}
