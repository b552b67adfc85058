//! `ucr top` and `ucr stats`: what is seen of a container from outside.

use std::fs;

use serde_json::Value;

use super::life::{LIMIT, wait_for};
use super::world::World;

fn top(world: &World) -> Vec<Value> {
    let found = world
        .ucr
        .run(["top", "box", "--format", "json"])
        .ok()
        .json();
    found.as_array().unwrap().clone()
}

fn stats(world: &World) -> Value {
    let words = ["stats", "--no-stream", "--format", "json", "box"];
    let printed = world.ucr.run(words).ok().stdout;
    let mut lines = printed.lines();
    let line = lines.next().unwrap();
    assert_eq!(lines.next(), None);
    serde_json::from_str(line).unwrap()
}

#[track_caller]
fn remove(world: &World) {
    world.ucr.run(["rm", "-f", "box"]).ok();
    world.assert_clean();
}

/// Of the container and no other, with the host's numbers and the container's names.
#[test]
fn processes() {
    for flags in [
        &[][..],
        &["--userns", "auto"],
        &["--pids-limit", "-1", "--init"],
    ] {
        let world = World::small();
        let script = "echo 'odd:x:4242:0::/:/bin/sh' >>/etc/passwd; chmod 644 /etc/passwd; \
                      sleep 1001 & sleep 1002";
        let flags = [&["--name", "box"], flags].concat();
        world.background(&flags, &["sh", "-c", script]);
        let user = ["exec", "-d", "-u", "4242", "box", "sleep", "1003"];
        wait_for("the user", || {
            world
                .ucr
                .run(["exec", "box", "grep", "odd", "/etc/passwd"])
                .code
                == 0
        });
        world.ucr.run(user).ok();
        world
            .ucr
            .run(["exec", "-d", "-u", "777", "box", "sleep", "1004"])
            .ok();
        let command = |words: &str| {
            let found = top(&world);
            found.into_iter().find(|it| it["command"] == words)
        };
        wait_for("the last", || command("sleep 1004").is_some());
        let first = world.inspect("box")["pid"].clone();
        let all = top(&world);
        let init = usize::from(flags.contains(&"--init"));
        assert_eq!(all.len(), 4 + init, "{all:#?}");
        assert!(all.iter().any(|it| it["pid"] == first));
        let odd = command("sleep 1003").unwrap();
        assert_eq!(
            (odd["user"].as_str(), odd["uid"].as_u64()),
            (Some("odd"), Some(4242))
        );
        let nobody = command("sleep 1004").unwrap();
        assert_eq!(
            (nobody["user"].as_str(), nobody["uid"].as_u64()),
            (None, Some(777))
        );
        let child = command("sleep 1001").unwrap();
        assert_eq!(child["user"], "root");
        let line = fs::read(format!("/proc/{}/cmdline", child["pid"])).unwrap();
        assert_eq!(line, b"sleep\x001001\0");
        let text = world.ucr.run(["top", "box"]).ok().stdout;
        assert!(
            text.starts_with("PID") && text.contains("777   00:00:00  sleep 1004"),
            "{text}"
        );
        remove(&world);
    }
    let world = World::small();
    world.background(&["--name", "box"], &["sleep", "1000"]);
    world
        .ucr
        .run(["top", "box", "aux"])
        .refused(&["'aux'", "options of ps"]);
    world.ucr.run(["top", "box", "-ef"]).refused(&["'-ef'"]);
    world.ucr.run(["stop", "-t", "0", "box"]).ok();
    world.ucr.run(["top", "box"]).expect_code(125);
    remove(&world);
}

/// Names of processes and files of the container are its own affair.
#[test]
fn a_hostile_container_is_only_text() {
    let world = World::small();
    let script = "rm /etc/passwd; ln -s /dev/zero /etc/passwd; \
                  exec sh -c 'sleep 1000; :' \"$(printf 'x\\033[2J)')\"";
    world.background(&["--name", "box"], &["sh", "-c", script]);
    wait_for("the name", || {
        top(&world)[0]["command"].as_str().unwrap().contains("1000")
    });
    assert_eq!(top(&world)[0]["user"], Value::Null);
    let text = world.ucr.run(["top", "box"]).ok().stdout;
    assert!(!text.contains('\u{1b}'), "{text:?}");
    remove(&world);
}

#[test]
fn what_is_used() {
    let world = World::small();
    let script = "cat /bin/busybox >/dev/null; while :; do :; done";
    let flags = [
        "--name",
        "box",
        "--memory",
        "50m",
        "--pids-limit",
        "77",
        "--network",
        "none",
        "--blkio-weight",
        "500",
    ];
    world.background(&flags, &["sh", "-c", script]);
    wait_for("work", || {
        stats(&world)["cpu_percent"]
            .as_f64()
            .is_some_and(|it| it > 5.0)
    });
    let found = stats(&world);
    let number = |key: &str| found[key].as_u64();
    assert!(found["cpu_percent"].as_f64().unwrap() < 250.0, "{found}");
    assert_eq!(number("memory_limit"), Some(50 << 20));
    assert!(
        (1..50 << 20).contains(&number("memory_bytes").unwrap()),
        "{found}"
    );
    assert!(found["memory_percent"].as_f64().unwrap() > 0.0);
    assert_eq!((number("pids"), number("pids_limit")), (Some(1), Some(77)));
    assert_eq!(
        (number("network_received"), number("network_sent")),
        (Some(0), Some(0))
    );
    assert!(number("block_read").is_some(), "{found}");
    remove(&world);
}

/// Files that were read long ago are not what it uses.
#[test]
fn memory_without_the_cache() {
    let world = World::small();
    let script = "i=0; while [ $i -lt 40 ]; do cat /bin/busybox; i=$((i+1)); done >/tmp/big; \
                  touch /tmp/done; sleep 1000";
    world.background(
        &["--name", "box", "--memory", "200m"],
        &["sh", "-c", script],
    );
    wait_for("the file", || {
        world
            .ucr
            .run(["exec", "box", "test", "-e", "/tmp/done"])
            .code
            == 0
    });
    let pid = world.inspect("box")["pid"].clone();
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = groups
        .lines()
        .find_map(|line| line.split_once(":memory:"))
        .unwrap()
        .1;
    let file = format!("/sys/fs/cgroup/memory{group}/memory.usage_in_bytes");
    let whole: u64 = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let used = stats(&world)["memory_bytes"].as_u64().unwrap();
    assert!(whole > 30 << 20, "{whole}");
    assert!(used < whole / 2, "{used} of {whole}");
    remove(&world);
}

/// What nothing counts is unknown, and a note says why.
#[test]
fn what_is_not_counted() {
    let world = World::small();
    world.background(&["--name", "box"], &["sleep", "1000"]);
    let found = stats(&world);
    for key in [
        "memory_bytes",
        "memory_percent",
        "network_sent",
        "block_read",
    ] {
        assert_eq!(found[key], Value::Null, "{key}");
    }
    let notes = found["notes"].to_string();
    for word in ["memory", "--memory", "network", "disk accesses"] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    let printed = world.ucr.run(["stats", "--no-stream"]).ok();
    assert!(printed.stdout.contains(" --"), "{}", printed.stdout);
    assert!(printed.stderr.contains("box: memory"), "{}", printed.stderr);
    remove(&world);
}

/// A line a second, until those that were named have ended.
#[test]
fn a_stream_ends_with_its_container() {
    let world = World::small();
    world.background(&["--name", "box"], &["sleep", "1000"]);
    let running = world.ucr.cmd(["stats", "--format", "json", "box"]).spawn();
    running.wait_until("two lines", LIMIT, || {
        running.stdout_so_far().lines().count() >= 2
    });
    world.ucr.run(["rm", "-f", "box"]).ok();
    running.finish(LIMIT).ok();
    world
        .ucr
        .run(["stats", "--no-stream", "box"])
        .expect_code(125);
    world.assert_clean();
}
