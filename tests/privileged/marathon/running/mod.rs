//! The cases of marathon.md that need something to run (C08 to C74 of its section 7, P1 to P19 of
//! 2.3), and what is left behind.

mod ends;
mod ports;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::field::{ENVIRONMENT, Field, LIMIT, bare, boxed, merged, small};
use crate::lan::alone;
use crate::support::process::{Running, tool};

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

/// A command that is a namespace's first hears no SIGTERM that it does not handle: the app's grace
/// ends it.
#[track_caller]
fn end_by_force(running: Running) {
    running.signal(Signal::SIGTERM);
    running.finish(LIMIT).expect_code(137);
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
