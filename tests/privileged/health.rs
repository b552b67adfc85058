//! Checks of a container's health: who makes them, where, how often, and who hears of it.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::life::{LIMIT, wait_for};
use super::world::World;
use crate::support::samples;

/// Waits until the checks say so.
#[track_caller]
fn wait_until(world: &World, name: &str, status: &str) -> Value {
    let mut found = Value::Null;
    wait_for(status, || {
        found = world.inspect(name)["health"].take();
        found["status"] == status
    });
    found
}

#[track_caller]
fn remove(world: &World, name: &str) {
    world.ucr.run(["rm", "-f", name]).ok();
    world.assert_clean();
}

/// What ps says in its column.
fn shown(world: &World, filter: &str) -> String {
    world.ucr.run(["ps", "-a", "--filter", filter]).ok().stdout
}

/// As the container's user, in its namespaces, with its environment and directory.
#[test]
fn flags() {
    let world = World::small();
    let check = "echo $A $(id -u) $(pwd) $(hostname); test -e /tmp/ok";
    let flags = [
        "--name",
        "box",
        "-u",
        "1000",
        "-e",
        "A=b",
        "-w",
        "/var",
        "--network",
        "none",
        "--hostname",
        "here",
        "--health-cmd",
        check,
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
        "--health-timeout",
        "10s",
    ];
    world.background(
        &flags,
        &["sh", "-c", "touch /tmp/mark; chmod 777 /tmp; sleep 1000"],
    );
    let health = wait_until(&world, "box", "unhealthy");
    assert!(health["failing_streak"].as_u64().unwrap() >= 2, "{health}");
    let result = &health["log"][0];
    assert_eq!(result["exit_code"], 1);
    let output = result["output"].as_str().unwrap();
    assert_eq!(output, "b 1000 /var here\n");
    assert!(shown(&world, "name=box").contains("running (unhealthy)"));
    world.ucr.run(["exec", "box", "touch", "/tmp/ok"]).ok();
    let health = wait_until(&world, "box", "healthy");
    assert_eq!(health["failing_streak"], 0);
    assert!(shown(&world, "health=healthy").contains("running (healthy)"));
    assert!(!shown(&world, "health=unhealthy").contains("box"));
    // The last results, and no more.
    wait_for("five results", || {
        let log = world.inspect("box")["health"]["log"].take();
        let log = log.as_array().unwrap();
        log.len() == 5 && log.iter().all(|it| it["exit_code"] == 0)
    });
    remove(&world, "box");
    // Nothing is left that says so.
    let image = samples::small().set("Healthcheck", json!({"Test": ["CMD", "true"]}));
    let world = World::of(&image);
    world.background(&["--name", "box", "--no-healthcheck"], &["sleep", "1000"]);
    assert_eq!(world.inspect("box")["health"], Value::Null);
    assert!(!shown(&world, "name=box").contains('('));
    remove(&world, "box");
    world
        .run(&["--no-healthcheck", "--health-retries", "2"], &["true"])
        .refused(&["--health-retries"]);
    World::small()
        .run(&["--health-retries", "2"], &["true"])
        .refused(&["the image has none"]);
}

/// Failures do not count until then, but a success ends it; the interval is another.
#[test]
fn time_of_grace() {
    let world = World::small();
    let flags = [
        "--name",
        "box",
        "--health-cmd",
        "test -e /tmp/ok",
        "--health-interval",
        "100ms",
        "--health-retries",
        "1",
        "--health-start-period",
        "1h",
        "--health-start-interval",
        "20ms",
    ];
    world.background(&flags, &["sleep", "1000"]);
    wait_for("five failures", || {
        world.inspect("box")["health"]["log"]
            .as_array()
            .is_some_and(|log| log.len() == 5)
    });
    let health = world.inspect("box")["health"].take();
    assert_eq!(
        (&health["status"], &health["failing_streak"]),
        (&json!("starting"), &json!(0))
    );
    assert!(shown(&world, "name=box").contains("running (starting)"));
    world.ucr.run(["exec", "box", "touch", "/tmp/ok"]).ok();
    wait_until(&world, "box", "healthy");
    world.ucr.run(["exec", "box", "rm", "/tmp/ok"]).ok();
    wait_until(&world, "box", "unhealthy");
    remove(&world, "box");
    // With an interval that never comes, it is the other one that counts at first.
    let flags = [
        "--name",
        "box",
        "--health-cmd",
        "true",
        "--health-interval",
        "1h",
        "--health-start-period",
        "1h",
        "--health-start-interval",
        "20ms",
    ];
    world.background(&flags, &["sleep", "1000"]);
    wait_until(&world, "box", "healthy");
    remove(&world, "box");
}

/// Its own form, its own shell, its own times; what it says wrong is a reason.
#[test]
fn the_images_own() {
    let health = json!({"Test": ["CMD-SHELL", "echo own"], "Interval": 50_000_000});
    let image = samples::small().set("Healthcheck", health);
    let world = World::of(&image.set("Shell", json!(["/bin/sh", "-xc"])));
    world.background(&["--name", "box"], &["sleep", "1000"]);
    let health = wait_until(&world, "box", "healthy");
    assert_eq!(health["log"][0]["output"], "+ echo own\nown\n");
    remove(&world, "box");
    let image = samples::small().set(
        "Healthcheck",
        json!({"Test": ["CMD", "/none"], "Retries": 1}),
    );
    let world = World::of(&image);
    world.background(
        &["--name", "box", "--health-interval", "50ms"],
        &["sleep", "1000"],
    );
    let health = wait_until(&world, "box", "unhealthy");
    assert_eq!(health["log"][0]["exit_code"], 127);
    remove(&world, "box");
    let world = World::of(&samples::small().set("Healthcheck", json!({"Test": ["ping"]})));
    world
        .run(&[], &["true"])
        .refused(&["health check", "--no-healthcheck"]);
    world.run(&["--no-healthcheck"], &["true"]).ok();
}

/// Killed with what it started; what it printed until then is kept, up to a bound.
#[test]
fn a_check_that_takes_too_long() {
    let world = World::small();
    let mark = format!("4{:07}", std::process::id());
    let check = format!("echo waiting; sleep {mark}; echo never");
    let flags = [
        "--name",
        "box",
        "--health-cmd",
        &check,
        "--health-interval",
        "50ms",
        "--health-timeout",
        "200ms",
        "--health-retries",
        "1",
    ];
    let start = Instant::now();
    world.background(&flags, &["sleep", "1000"]);
    let health = wait_until(&world, "box", "unhealthy");
    assert!(start.elapsed() >= Duration::from_millis(250));
    let result = &health["log"][0];
    assert_eq!(result["exit_code"], -1);
    let output = result["output"].as_str().unwrap();
    assert_eq!(output, "health check exceeded timeout (200ms): waiting\n");
    world.ucr.run(["stop", "-t", "0", "box"]).ok();
    let left = world.ucr.run(["ps", "-q"]).ok();
    assert_eq!(left.text(), "");
    remove(&world, "box");
    let lines = fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let kept = lines
        .filter(|line| String::from_utf8_lossy(line).contains(&mark))
        .count();
    assert_eq!(kept, 0, "sleep {mark} is still there");
    // While it runs, too: between two checks there is only the command.
    let flags = [
        "--name",
        "box",
        "--health-cmd",
        &check,
        "--health-interval",
        "1h",
        "--health-timeout",
        "100ms",
        "--health-start-period",
        "1h",
        "--health-start-interval",
        "50ms",
        "--health-retries",
        "1",
    ];
    world.background(&flags, &["sleep", "1000"]);
    wait_for("a result", || {
        world.inspect("box")["health"]["log"][0].is_object()
    });
    wait_for("one process", || {
        let found = world
            .ucr
            .run(["top", "box", "--format", "json"])
            .ok()
            .json();
        found.as_array().unwrap().len() == 1
    });
    remove(&world, "box");
}

#[test]
fn output_has_a_bound() {
    let world = World::small();
    let check = "head -c 300000 /bin/busybox | tr -c x x";
    let flags = [
        "--name",
        "box",
        "--health-cmd",
        check,
        "--health-interval",
        "50ms",
    ];
    world.background(&flags, &["sleep", "1000"]);
    let health = wait_until(&world, "box", "healthy");
    let output = health["log"][0]["output"].as_str().unwrap().to_owned();
    assert_eq!(output, "x".repeat(4096) + "...");
    // What many checks leave is no more than what few do.
    let size = || {
        let files = crate::support::ucr::children(&world.ucr.state().join("containers"));
        fs::metadata(&files[0]).unwrap().len()
    };
    let before = size();
    wait_for("more results", || {
        let log = world.inspect("box")["health"]["log"].take();
        log[0]["started_at"].as_str() > health["log"][0]["ended_at"].as_str()
    });
    assert_eq!(size(), before);
    remove(&world, "box");
}

/// In the foreground, where nobody has a console; whoever asked hears of it.
#[test]
fn in_the_foreground_with_events() {
    let world = World::small();
    let events = fs::File::create(world.ucr.scratch().join("events")).unwrap();
    let mut command = world.ucr.by_shell(r#"exec "$@" 3>events"#);
    drop(events);
    let script = "while ! [ -e /tmp/go ]; do sleep 0.02; done; exit 7";
    command
        .args([
            "run",
            "--name",
            "box",
            "--status-fd",
            "3",
            "--health-interval",
            "50ms",
        ])
        .args([
            "--health-cmd",
            "echo $PPID",
            "--rm",
            &world.image,
            "sh",
            "-c",
            script,
        ])
        .current_dir(world.ucr.scratch().path());
    let running = crate::support::process::spawn(&mut command, b"");
    wait_for("the container", || {
        shown(&world, "name=box").contains("running")
    });
    wait_until(&world, "box", "healthy");
    // The container may be quicker to end than this command, and then kills it.
    world.ucr.run(["exec", "box", "touch", "/tmp/go"]);
    running.finish(LIMIT).expect_code(7);
    let text = fs::read_to_string(world.ucr.scratch().join("events")).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = events
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["created", "started", "health", "exited"], "{text}");
    assert_eq!(events[2]["status"], "healthy");
    assert_eq!(events[2]["id"], events[0]["id"]);
    world.assert_clean();
}

/// A container whose end comes during a check ends at once, and the check says nothing about it;
/// one that is started again is checked again, from the beginning, and keeps its last state.
#[test]
fn ends_and_restarts() {
    let world = World::small();
    let flags = [
        "--name",
        "box",
        "--health-cmd",
        "echo begun >>/tmp/log; sleep 1000",
        "--health-interval",
        "20ms",
        "--init",
    ];
    world.background(&flags, &["sleep", "1000"]);
    let begun = || world.ucr.run(["exec", "box", "cat", "/tmp/log"]).code == 0;
    wait_for("a check", begun);
    let start = Instant::now();
    world.ucr.run(["stop", "box"]).ok();
    assert!(start.elapsed() < Duration::from_secs(8));
    let found = world.inspect("box");
    assert_eq!(
        (&found["status"], &found["ended"]["exit_code"]),
        (&json!("exited"), &json!(143))
    );
    assert_eq!(
        found["health"],
        json!({"status": "starting", "failing_streak": 0, "log": []})
    );
    remove(&world, "box");
    let flags = [
        "--name",
        "box",
        "--health-cmd",
        "true",
        "--health-interval",
        "20ms",
        "--restart",
        "on-failure:1",
    ];
    let script = "while ! [ -e /tmp/go ]; do sleep 0.02; done; rm /tmp/go; exit 3";
    world.background(&flags, &["sh", "-c", script]);
    wait_until(&world, "box", "healthy");
    world.ucr.run(["exec", "box", "touch", "/tmp/go"]);
    wait_for("another start", || world.inspect("box")["restarts"] == 1);
    wait_until(&world, "box", "healthy");
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    let children = fs::read_link(format!(
        "/proc/{}/ns/pid_for_children",
        world.watcher("box")
    ));
    assert_eq!(children.unwrap(), own);
    world.ucr.run(["exec", "box", "touch", "/tmp/go"]);
    assert_eq!(world.ucr.run(["wait", "box"]).ok().text(), "3");
    assert_eq!(world.inspect("box")["health"]["status"], "healthy");
    assert!(!shown(&world, "name=box").contains("healthy"));
    remove(&world, "box");
}

/// What a killed ucr leaves of it, the next command removes.
#[test]
fn a_killed_watcher_leaves_nothing() {
    let world = World::small();
    let flags = [
        "--rm",
        "--name",
        "box",
        "--health-cmd",
        "true",
        "--health-interval",
        "20ms",
    ];
    world.background(&flags, &["sleep", "1000"]);
    wait_until(&world, "box", "healthy");
    nix::sys::signal::kill(world.watcher("box"), Signal::SIGKILL).unwrap();
    wait_for("its end", || {
        let found = world.ucr.run(["ps", "-a", "--format", "json"]).ok();
        found.text() == "[]"
    });
    world.ucr.run(["prune"]).ok();
    world.assert_clean();
}

/// No descriptor of the watching process gets into a check, and none stays behind after it.
#[test]
fn nothing_leaks() {
    let world = World::small();
    let flags = [
        "--name",
        "box",
        "--health-cmd",
        "echo /proc/self/fd/*; readlink /proc/self/fd/0",
        "--health-interval",
        "20ms",
    ];
    world.background(&flags, &["sleep", "1000"]);
    let health = wait_until(&world, "box", "healthy");
    let output = health["log"][0]["output"].as_str().unwrap().to_owned();
    // The last is that of the directory which the shell reads.
    let expected = "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n/dev/null\n";
    assert_eq!(output, expected);
    let watcher = world.watcher("box");
    let count = || fs::read_dir(format!("/proc/{watcher}/fd")).unwrap().count();
    let least = |rounds: usize| {
        (0..rounds)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(7));
                count()
            })
            .min()
            .unwrap()
    };
    let before = least(20);
    assert_eq!(least(40), before);
    remove(&world, "box");
}
