//! Where the credential of a pull is, and where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::stand_in::{LIMIT, Verbs, World};
use crate::support::process::Finished;

const PASSWORD: &str = "p4ss+w0rd:x";
const IMAGE: &str = "r.example/app/x:1";

/// Of the environment.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// What docker is to get for `me` and the password.
fn encoded() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"))
}

/// A configuration with that credential.
fn auths() -> String {
    json!({"auths": {"r.example": {"auth": encoded()}}}).to_string()
}

/// A user with a configuration of his own.
fn world(verbs: Verbs) -> World {
    let world = World::new(verbs);
    let scratch = world.ucr.scratch();
    scratch.dir("home/.docker/contexts/here");
    let config = json!({
        "currentContext": "far",
        "auths": {"other.example": {"auth": "b3RoZXI6c2VjcmV0"}},
        "credHelpers": {"helped.example": "fault"},
        "proxies": {"default": {"httpProxy": "http://me:proxy-secret@p"}},
        "psFormat": "x",
    });
    scratch.file("home/.docker/config.json", config.to_string());
    world
}

/// The only file that had it was docker's configuration, which nobody else could read.
#[track_caller]
fn assert_private(world: &World, done: &Finished) {
    let config: Value = serde_json::from_str(&world.text("config.pull")).expect("one pull");
    let expected = json!({
        "currentContext": "far",
        "auths": {"r.example": {"auth": encoded()}},
    });
    assert_eq!(config, expected);
    let modes = world.text("modes");
    assert!(
        modes
            .split_whitespace()
            .all(|mode| matches!(mode, "700" | "600")),
        "{modes}"
    );
    assert!(modes.contains("700 700 600 600"), "{modes}");
    assert!(world.text("contexts").contains("pull\n"));
    let shown = [
        &done.stdout,
        &done.stderr,
        &world.text("argv"),
        &world.text("env"),
    ];
    let others = ["config.version", "config.image"].map(|name| world.text(name));
    for text in shown.into_iter().chain(&others) {
        for secret in [PASSWORD, &encoded(), "proxy-secret", "b3RoZXI6c2VjcmV0"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert_gone(world);
}

#[track_caller]
fn assert_gone(world: &World) {
    let left = world.private();
    assert!(left.is_empty(), "{left:?}");
    world.assert_no_process();
}

#[test]
fn every_source_of_them() {
    let helper = format!(
        r#"#!/bin/sh
echo '{{"ServerURL":"r.example","Username":"me","Secret":"{PASSWORD}"}}'
"#
    );
    let creds = format!("me:{PASSWORD}");
    let rows: &[(&[&str], Variables)] = &[
        (&["--creds", &creds], &[]),
        (&["--pull-secret", "auth.json"], &[]),
        (&["--auth-file", "auth.json"], &[]),
        (&[], &[("DOCKER_AUTH_CONFIG", &auths())]),
        (&[], &[("DOCKER_CONFIG", "helped")]),
    ];
    for (flags, variables) in rows {
        let world = world(&[]);
        let scratch = world.ucr.scratch();
        scratch.file("auth.json", auths());
        let file = scratch.file("bin/docker-credential-own", &helper);
        fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
        scratch.dir("helped/contexts/here");
        let config = json!({"credsStore": "own", "currentContext": "far"});
        scratch.file("helped/config.json", config.to_string());
        let pull = world.cmd(&[&["pull", "-v"], *flags, &[IMAGE]].concat());
        let pull = variables
            .iter()
            .fold(pull, |pull, (name, value)| match *name {
                "DOCKER_CONFIG" => pull.env(name, scratch.join(value)),
                _ => pull.env(name, value),
            });
        let done = pull.run().ok();
        assert_private(&world, &done);
    }
}

/// Not even where docker, or the registry through it, repeats it.
#[test]
fn gone_after_a_failure() {
    let script = "cat $DOCKER_CONFIG/config.json >&2; echo 'me:p4ss+w0rd:x' >&2; \
                  echo \"Error response from daemon: unauthorized: p4ss+w0rd:x \
                  $(cat $DOCKER_CONFIG/config.json)\" >&2; exit 1";
    let world = world(&[("pull", script)]);
    world.ucr.scratch().file("auth.json", auths());
    let pull = world
        .cmd(&["pull", "--auth-file", "auth.json", IMAGE])
        .run();
    let pull = pull.refused(&["unauthorized: ***", "--creds"]);
    assert_private(&world, &pull);
}

#[test]
fn gone_after_a_time_out_and_a_signal() {
    let creds = format!("me:{PASSWORD}");
    let world = world(&[("pull", "exec sleep 1000")]);
    let pull = ["pull", "--pull-timeout", "1s", "--creds", &creds, IMAGE];
    let done = world.cmd(&pull).run().refused(&["within 1s"]);
    assert_private(&world, &done);
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        fs::remove_file(world.ucr.scratch().join("config.pull")).unwrap();
        let pull = world.cmd(&["pull", "--creds", &creds, IMAGE]).spawn();
        pull.wait_until("pull", LIMIT, || !world.text("config.pull").is_empty());
        pull.signal(signal);
        let done = pull.finish(LIMIT).expect_code(-(signal as i32));
        assert_private(&world, &done);
    }
}

#[test]
fn gone_at_the_next_command_after_a_kill() {
    let creds = format!("me:{PASSWORD}");
    let world = world(&[("pull", "exec sleep 1000")]);
    let pull = world.cmd(&["pull", "--creds", &creds, IMAGE]).spawn();
    pull.wait_until("pull", LIMIT, || !world.text("config.pull").is_empty());
    pull.signal(Signal::SIGKILL);
    let done = pull.finish(LIMIT).expect_code(-9);
    world.cmd(&["ps"]).run().ok();
    assert_private(&world, &done);
}

/// The CLI would look for certificates where its configuration is, which is ours.
#[test]
fn certificates_are_the_users() {
    let world = world(&[]);
    let ps = world.cmd(&["ps"]).env("DOCKER_TLS_VERIFY", "1");
    ps.env("DOCKER_HOST", "tcp://127.0.0.1:2376").run().ok();
    let home = world.ucr.home().join(".docker").display().to_string();
    let env = world.text("env");
    assert!(env.contains(&format!("DOCKER_CERT_PATH={home}\n")), "{env}");
    assert!(env.contains("DOCKER_TLS_VERIFY=1\n"), "{env}");
    assert_gone(&world);
}
