//! `--runtime docker` where docker or its Engine does what it should not: bounded, in words, exit
//! code 125, and nothing is left.

mod credentials;
mod environment;
mod stand_in;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::process::Finished;
use stand_in::{LIMIT, Verbs, World};

/// What a shell does for ever, as the same process.
const HANGS: &str = "exec sleep 1000";
/// Larger than what is read.
const ENDLESS: &str = "exec head -c 100000000 /dev/zero";
/// What the Engine says of a container that ended, but for its exit code.
const ENDED: &str = r#""Status":"exited","StartedAt":"2026-01-01T00:00:00Z""#;

/// Refused in one line and a hint.
#[track_caller]
fn refused(world: &World, words: &[&str], parts: &[&str]) -> Finished {
    let begin = Instant::now();
    let done = world.cmd(words).run().refused(parts);
    let lines: Vec<&str> = done.stderr.lines().collect();
    let is_house = lines.len() == 2 && lines[1].starts_with("hint: ");
    assert!(is_house, "one line and a hint:\n{}", done.stderr);
    assert!(!done.stderr.contains('\x1b'), "{}", done.stderr);
    assert!(begin.elapsed() < Duration::from_secs(25), "{}", done.line);
    done
}

/// Whatever is asked first is asked of a docker that is none.
#[test]
fn no_engine_that_can_be_used() {
    let server = |text: &str| format!(r#"echo '{{"Server":{text}}}'"#);
    let old = server(r#"{"Version":"17.06","ApiVersion":"1.30","Os":"linux"}"#);
    let podman = server(r#"{"Version":"4.3.1","APIVersion":"4.3.1","ApiVersion":"4.3.1"}"#);
    let windows = server(r#"{"Version":"28","ApiVersion":"1.48","Os":"windows"}"#);
    let rows: &[(&str, &[&str])] = &[
        (HANGS, &["no answer to 'docker version' within 1s", "hang"]),
        ("exec >&- 2>&-; exec sleep 1000", &["within 1s"]),
        (
            "echo hello",
            &["the answer to 'docker version'", "Docker's own CLI"],
        ),
        ("true", &["the answer to 'docker version'"]),
        ("echo '[1, 2'", &["the answer to 'docker version'"]),
        (&server("5"), &["the answer to 'docker version'"]),
        (
            &server(r#"{"Version":1}"#),
            &["the answer to 'docker version'"],
        ),
        (ENDLESS, &["the answer to 'docker version' has no end"]),
        ("head -c 100000000 /dev/zero >&2; exit 1", &["has no end"]),
        (&server("null"), &["names no Engine", "podman"]),
        (
            r#"echo '{"Client":{"Version":"4.3.1"}}'"#,
            &["names no Engine", "podman"],
        ),
        (&podman, &["version '4.3.1'", "podman"]),
        (&old, &["17.06 (API 1.30) is too old", "20.10"]),
        (&windows, &["runs containers for windows"]),
        (
            "cannot_connect",
            &["Docker Engine does not answer", "systemctl start docker"],
        ),
        ("exit 77", &["docker version: it failed without a word"]),
        ("kill -9 $$", &["docker version: it failed without a word"]),
        (
            r"printf 'Cannot connect to the Docker daemon at \033[2J\a\n' >&2; exit 1",
            &[r"at \u{1b}[2J\u{7}"],
        ),
    ];
    for (version, parts) in rows {
        let world = World::new(&[("version", version)]);
        refused(&world, &["run", "x:1"], parts);
        world.assert_nothing_is_left(version);
    }
}

#[test]
fn no_docker_at_all() {
    let world = World::new(&[]);
    let program = world.program();
    let ps = || {
        let only = program.parent().unwrap();
        world.cmd(&["ps"]).env("PATH", only).run()
    };
    let mode = |mode| fs::set_permissions(&program, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    ps().refused(&["bin/docker is not executable", "hint: ", "docker.io"]);
    fs::write(&program, b"#!/nowhere/interpreter\n").unwrap();
    mode(0o755);
    ps().refused(&["bin/docker cannot be executed: No such file", "docker.io"]);
    fs::remove_file(&program).unwrap();
    ps().refused(&["there is no program 'docker' in PATH", "docker.io"]);
    assert_eq!(world.private().len(), 0);
}

/// The container that was made is removed where that can be.
#[test]
fn what_goes_wrong_in_a_run() {
    let inspect = |code: &str| format!(r#"echo '{{{ENDED},"ExitCode":{code}}}'"#);
    let away = "Docker Engine went away while it ran";
    let rows: &[(Verbs, &[&str])] = &[
        (
            &[("image", "echo nonsense")],
            &["image docker.io/library/x:1 as Docker Engine describes it"],
        ),
        (&[("image", "true")], &["as Docker Engine describes it"]),
        (
            &[("image", "echo '[]'")],
            &["as Docker Engine describes it"],
        ),
        (&[("image", ENDLESS)], &["has no end"]),
        (
            &[("image", HANGS)],
            &["no answer to 'docker image' within 1s"],
        ),
        (
            &[("create", "default create >/dev/null")],
            &["the answer to 'docker create' is no ID"],
        ),
        (
            &[("create", "default create >/dev/null; echo --force")],
            &["is no ID"],
        ),
        (
            &[("create", "default create; exit 3")],
            &["docker create: it failed without a word"],
        ),
        (
            &[(
                "create",
                "default create; echo 'WARNING: memory limit. Limitation discarded.' >&2",
            )],
            &["docker create: memory limit", "best-effort"],
        ),
        (
            &[("start", "be running"), ("inspect", "echo nonsense")],
            &[away, "'docker inspect'"],
        ),
        (&[("inspect", "true")], &[away]),
        (&[("inspect", "echo 5")], &[away]),
        (&[("inspect", ENDLESS)], &[away, "has no end"]),
        (
            &[("inspect", HANGS)],
            &[away, "no answer to 'docker inspect' within 1s"],
        ),
        (&[("inspect", &inspect("1e30"))], &[away]),
        (&[("inspect", &inspect("\"0\""))], &[away]),
        (
            &[("inspect", "echo 'Error: No such container: x' >&2; exit 1")],
            &[away],
        ),
        (
            &[("start", HANGS)],
            &["nothing was started within 6s", "--engine-timeout"],
        ),
    ];
    for (verbs, parts) in rows {
        let world = World::new(verbs);
        let run = world.cmd(&["run", "x:1"]).run();
        let run = match run.stdout.as_str() {
            "printed\n" => Finished {
                stdout: String::new(),
                ..run
            },
            _ => run,
        };
        let stderr = run.refused(parts).stderr;
        assert!(stderr.lines().count() <= 2, "{verbs:?}: {stderr}");
        world.assert_nothing_is_left(&format!("{verbs:?}"));
    }
}

#[test]
fn exit_codes_are_bytes() {
    for (engines, ours) in [("99999", 159), ("-1", 255), ("256", 0), ("255", 255)] {
        let inspect = format!(r#"echo '{{{ENDED},"ExitCode":{engines}}}'"#);
        let world = World::new(&[("inspect", &inspect)]);
        world.cmd(&["run", "x:1"]).run().expect_code(ours);
        world.assert_nothing_is_left(engines);
    }
}

/// The Engine goes on when nobody listens.
#[test]
fn a_container_that_appears_late() {
    let world = World::new(&[("create", HANGS)]);
    refused(
        &world,
        &["run", "x:1"],
        &["no answer to 'docker create' within 6s"],
    );
    world.assert_no_process();
    assert_eq!(world.private().len(), 1, "it is noted");
    world.become_another(&[]);
    world.cmd(&["ps"]).run().ok();
    assert_eq!(world.private().len(), 1, "it may still come");
    fs::create_dir(world.ucr.scratch().join("box")).unwrap();
    world.ucr.scratch().file("box/state", "created");
    world.cmd(&["ps"]).run().ok();
    world.assert_nothing_is_left("the next command");
}

/// A note of what never came is not kept for ever.
#[test]
fn a_container_that_never_appears() {
    let world = World::new(&[("create", "cannot_connect")]);
    refused(&world, &["run", "x:1"], &["Docker Engine does not answer"]);
    let note = world.private()[0].join("note.json");
    let mut old: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    old["at"] = (old["at"].as_u64().unwrap() - 601).into();
    fs::write(&note, old.to_string()).unwrap();
    world.cmd(&["ps"]).run().ok();
    world.assert_nothing_is_left("ten minutes later");
}

#[test]
fn a_signal_before_the_start() {
    for verbs in [[("create", HANGS)], [("start", HANGS)]] {
        let world = World::new(&verbs);
        let run = world.cmd(&["run", "--engine-timeout", "9s", "x:1"]).spawn();
        let begun = || world.text("argv").contains(&format!("\n{} ", verbs[0].0));
        run.wait_until("docker", LIMIT, begun);
        run.signal(Signal::SIGTERM);
        run.finish(Duration::from_secs(5)).refused(&[]);
        world.assert_no_process();
        assert!(!world.has_box());
    }
}

/// Also an Engine that hangs in mid-run is left at the first signal.
#[test]
fn a_signal_while_the_engine_hangs() {
    let world = World::new(&[("start", "be running; exec sleep 1000"), ("inspect", HANGS)]);
    let run = world.cmd(&["run", "x:1"]).spawn();
    run.wait_until("start", LIMIT, || {
        world.has_box() && world.text("argv").contains("\nstart ")
    });
    run.signal(Signal::SIGTERM);
    run.finish(Duration::from_secs(9))
        .refused(&["no answer to 'docker inspect'"]);
    world.assert_nothing_is_left("a signal");
}

/// What cannot be removed now is removed by the next command that can.
#[test]
fn the_engine_goes_away() {
    let down = "if [ -e $HERE/down ]; then cannot_connect; fi; default \"$@\"";
    let start = "be running; touch $HERE/down; echo 'error waiting: unexpected EOF' >&2; exit 1";
    let verbs = [("start", start), ("version | ps | inspect | rm", down)];
    let world = World::new(&verbs);
    let run = world.cmd(&["run", "x:1"]).run();
    let parts = [
        "container 0123456789ab: Docker Engine went away while it ran",
        "hint: ",
    ];
    run.refused(&parts);
    assert!(world.has_box());
    assert_eq!(world.private().len(), 1, "it is noted");
    refused(&world, &["ps"], &["Docker Engine does not answer"]);
    assert_eq!(world.private().len(), 1, "it stays noted");
    fs::remove_file(world.ucr.scratch().join("down")).unwrap();
    let ps = world.cmd(&["ps", "--all", "--quiet"]).run().ok();
    assert_eq!(ps.stdout, "");
    world.assert_nothing_is_left("the next command");
}

#[test]
fn the_client_goes_away() {
    let world = World::new(&[("start", "be running; kill -9 $$")]);
    let run = world.cmd(&["run", "x:1"]).run().expect_code(137);
    assert!(
        run.stderr
            .contains("its client ended while the container ran"),
        "{}",
        run.stderr
    );
    world.assert_nothing_is_left("no client");
    let rows: [&[&str]; 3] = [
        &["logs", "box"],
        &["attach", "box"],
        &["exec", "box", "true"],
    ];
    for words in rows {
        let verb = words[0];
        let world = World::new(&[(verb, "kill -9 $$")]);
        world.ucr.scratch().dir("box");
        world.ucr.scratch().file("box/state", "running");
        refused(
            &world,
            words,
            &[&format!("docker {verb}: signal 9 ended it")],
        );
    }
}

#[test]
fn removing_fails() {
    let world = World::new(&[("rm", "echo 'Error response from daemon: busy' >&2; exit 1")]);
    let run = world.cmd(&["run", "x:1"]).run().ok();
    assert!(
        run.stderr
            .contains("the next ucr command removes its container: docker rm: busy")
    );
    assert_eq!(world.private().len(), 1, "it is noted");
    world.become_another(&[]);
    world.cmd(&["ps"]).run().ok();
    world.assert_nothing_is_left("the next command");
}

#[test]
fn stopping_what_lives_on() {
    let world = World::new(&[("stop", "true"), ("logs", "cannot_connect")]);
    world.ucr.scratch().dir("box");
    world.ucr.scratch().file("box/state", "running");
    refused(&world, &["stop", "box"], &["container box runs on"]);
    refused(&world, &["logs", "box"], &["Docker Engine does not answer"]);
    world.become_another(&[("stop", HANGS), ("rm", HANGS)]);
    refused(
        &world,
        &["stop", "-t", "1", "box"],
        &["no answer to 'docker stop' within 7s"],
    );
    refused(
        &world,
        &["rm", "-f", "box"],
        &["no answer to 'docker rm' within 6s"],
    );
    world.assert_no_process();
    assert_eq!(world.private().len(), 0);
}

#[test]
fn a_pull_that_talks_too_much() {
    let talks =
        "head -c 30000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2";
    let fails =
        format!("{talks}; echo >&2; echo 'Error response from daemon: it broke' >&2; exit 1");
    let world = World::new(&[("pull", &fails)]);
    let pull = world
        .cmd(&["pull", "x:1"])
        .run()
        .refused(&["docker pull: it broke"]);
    assert!(pull.stderr.len() < 1000, "{}", pull.stderr.len());
    world.become_another(&[("pull", HANGS)]);
    let pull = ["pull", "--pull-timeout", "1s", "x:1"];
    refused(&world, &pull, &["no answer to 'docker pull' within 1s"]);
    world.assert_nothing_is_left("a pull");
}
