//! Containers in the background: who watches them, what is kept of them, and their ends.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::world::World;
use crate::support::ucr::Ucr;

pub const LIMIT: Duration = Duration::from_secs(30);

impl World {
    /// `ucr run -d FLAGS IMAGE WORDS`; its ID.
    #[track_caller]
    pub fn background(&self, flags: &[&str], words: &[&str]) -> String {
        let flags = [&["-d"], flags].concat();
        self.run(&flags, words).ok().text().to_owned()
    }

    /// What `ucr inspect` says.
    #[track_caller]
    pub fn inspect(&self, name: &str) -> Value {
        self.ucr.run(["inspect", name]).ok().json()
    }

    /// The process that watches a container in the background: the parent of its first process.
    #[track_caller]
    pub fn watcher(&self, name: &str) -> Pid {
        let pid = self.inspect(name)["pid"].as_i64().expect("it runs");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        Pid::from_raw(rest.split_whitespace().nth(1).unwrap().parse().unwrap())
    }
}

/// Waits for something that happens soon.
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Binary output and parts of lines, both streams, from its first byte to its last.
#[test]
fn logs_are_what_was_printed() {
    let world = World::small();
    let script = r"printf 'a\000\377\r\nno end'; printf 'err\n' >&2; printf ' of line'";
    world.background(&["--name", "box"], &["sh", "-c", script]);
    assert_eq!(world.ucr.run(["wait", "box"]).ok().text(), "0");
    let logs = world.ucr.scratch().join("logs");
    let mut command = world.ucr.command();
    let status = command
        .args(["logs", "box"])
        .stdout(fs::File::create(&logs).unwrap())
        .stderr(fs::File::create(world.ucr.scratch().join("err")).unwrap())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(fs::read(&logs).unwrap(), b"a\0\xff\r\nno end of line");
    let err = fs::read(world.ucr.scratch().join("err")).unwrap();
    assert_eq!(err, b"err\n");
    world.ucr.run(["rm", "box"]).ok();
    world.assert_clean();
}

#[test]
fn logs_are_followed_and_chosen() {
    let world = World::small();
    let script =
        "for i in 1 2 3; do echo $i; done; while ! [ -e /tmp/go ]; do sleep 0.05; done; echo 4";
    world.background(&["--name", "box"], &["sh", "-c", script]);
    let logs = |flags: &[&str]| {
        let words = [&["logs"], flags, &["box"]].concat();
        world.ucr.run(words).ok().stdout
    };
    wait_for("line 3", || logs(&[]) == "1\n2\n3\n");
    assert_eq!(logs(&["--tail", "2"]), "2\n3\n");
    assert_eq!(logs(&["-n", "0"]), "");
    assert_eq!(logs(&["--since", "1h"]), "1\n2\n3\n");
    assert_eq!(logs(&["--until", "1h"]), "");
    let stamped = logs(&["-t", "--tail", "1"]);
    assert!(
        stamped.starts_with("20") && stamped.ends_with("Z 3\n"),
        "{stamped}"
    );
    let following = world.ucr.cmd(["logs", "-f", "--tail", "1", "box"]).spawn();
    following.wait_until("line 3", LIMIT, || following.stdout_so_far() == "3\n");
    world.ucr.run(["exec", "box", "touch", "/tmp/go"]);
    assert_eq!(following.finish(LIMIT).ok().stdout, "3\n4\n");
    world.ucr.run(["logs", "-n", "x", "box"]).refused(&["'x'"]);
    world.ucr.run(["rm", "-f", "box"]).ok();
}

/// What a container prints while nobody takes it waits, and nothing of it is lost.
#[test]
fn much_output_is_complete() {
    let world = World::small();
    let script =
        "i=0; while [ $i -lt 64 ]; do cat /bin/busybox; i=$((i+1)); done | head -c 50000000";
    world.background(&["--name", "box"], &["sh", "-c", script]);
    let count = world.ucr.by_shell(r#""$@" | { sleep 0.3; wc -c; }"#);
    let mut count = count;
    let counted = count.args(["logs", "-f", "box"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&counted.stdout).trim(), "50000000");
    world.ucr.run(["rm", "-f", "box"]).ok();
}

#[test]
fn stopping_has_a_limit_and_says_why() {
    let world = World::small();
    world.background(
        &["--name", "deaf", "--stop-timeout", "1"],
        &["sleep", "100"],
    );
    let start = Instant::now();
    let stopped = world.ucr.run(["stop", "deaf"]).ok();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(stopped.stderr.contains("--init"), "{}", stopped.stderr);
    assert_eq!(world.inspect("deaf")["ended"]["exit_code"], 137);
    assert_eq!(world.inspect("deaf")["ended"]["signal"], 9);
    // What has ended is stopped already.
    world.ucr.run(["stop", "deaf"]).ok();
    world.background(&["--init", "--name", "good"], &["sleep", "100"]);
    let start = Instant::now();
    world.ucr.run(["stop", "good"]).ok();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(world.inspect("good")["ended"]["exit_code"], 143);
    world.ucr.run(["rm", "deaf", "good"]).ok();
    world.assert_clean();
}

#[test]
fn signals_by_name_and_number() {
    let world = World::small();
    let script =
        "trap 'echo usr2' USR2; trap 'exit 5' HUP; echo ready; while :; do sleep 0.05; done";
    world.background(&["--name", "box"], &["sh", "-c", script]);
    let logs = || world.ucr.run(["logs", "box"]).ok().stdout;
    wait_for("ready", || logs().contains("ready"));
    world.ucr.run(["kill", "-s", "SIGUSR2", "box"]).ok();
    wait_for("usr2", || logs().contains("usr2"));
    world.ucr.run(["kill", "--signal", "1", "box"]).ok();
    assert_eq!(world.ucr.run(["wait", "box"]).ok().text(), "5");
    world.ucr.run(["kill", "box"]).refused(&["not running"]);
    world
        .ucr
        .run(["kill", "-s", "NONE", "box"])
        .refused(&["'NONE'"]);
    world.ucr.run(["rm", "box"]).ok();
}

/// One that removes itself can be waited for all the same.
#[test]
fn a_removed_one_is_waited_for() {
    let world = World::small();
    world.background(
        &["--rm", "--name", "box"],
        &["sh", "-c", "sleep 0.5; exit 6"],
    );
    assert_eq!(world.ucr.run(["wait", "box"]).ok().text(), "6");
    world.ucr.run(["wait", "box"]).refused(&["'box'"]);
    world.assert_clean();
}

#[test]
fn of_two_with_one_name_one_is_refused() {
    let world = World::small();
    let all: Vec<_> = (0..8)
        .map(|_| {
            world
                .command(&["-d", "--name", "same"], &["sleep", "100"])
                .spawn()
        })
        .collect();
    let done: Vec<_> = all.into_iter().map(|one| one.finish(LIMIT)).collect();
    let started = done.iter().filter(|one| one.code == 0).count();
    assert_eq!(started, 1, "{done:#?}");
    for refused in done.iter().filter(|one| one.code != 0) {
        assert!(refused.stderr.contains("'same' is taken"), "{refused:?}");
    }
    world.ucr.run(["rm", "-f", "same"]).ok();
    world.assert_clean();
}

/// A start that fails is an error of the command that started it, and nothing stays.
#[test]
fn what_cannot_start_is_not_there() {
    let world = World::small();
    for (words, code) in [(&["nosuch"][..], 127), (&["/etc"], 126)] {
        let done = world.run(&["-d", "--name", "box"], words).expect_code(code);
        assert_eq!(done.stdout, "");
        assert!(done.stderr.contains("command"), "{}", done.stderr);
        world.assert_clean();
    }
}

#[test]
fn a_killed_watcher_takes_the_container_along() {
    let world = World::small();
    for flags in [
        &["--name", "box"][..],
        &["--name", "box", "--rm", "--restart=no"],
    ] {
        world.background(flags, &["sh", "-c", "echo before; sleep 987654"]);
        wait_for("output", || {
            world.ucr.run(["logs", "box"]).ok().stdout == "before\n"
        });
        let pid = world.inspect("box")["pid"].as_i64().unwrap();
        kill(world.watcher("box"), Signal::SIGKILL).unwrap();
        wait_for("end", || !fs::exists(format!("/proc/{pid}/ns")).unwrap());
        if flags.contains(&"--rm") {
            world.ucr.run(["inspect", "box"]).refused(&["'box'"]);
        } else {
            assert_eq!(world.inspect("box")["status"], "dead");
            assert_eq!(world.ucr.run(["logs", "box"]).ok().stdout, "before\n");
            assert_eq!(world.ucr.run(["wait", "box"]).ok().text(), "137");
            world.ucr.run(["rm", "box"]).ok();
        }
        world.assert_clean();
    }
}

/// As after a reboot: the state is gone, what was kept is not.
#[test]
fn a_reboot_leaves_dead_ones() {
    let world = World::small();
    world.background(&["--name", "box"], &["true"]);
    world.ucr.run(["wait", "box"]).ok();
    world.background(&["--name", "other"], &["sleep", "100"]);
    kill(world.watcher("other"), Signal::SIGKILL).unwrap();
    fs::remove_dir_all(world.ucr.state()).unwrap();
    let listed = world.ucr.run(["ps", "-a", "--format", "json"]).ok().json();
    let mut status: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["status"].as_str().unwrap(),
            )
        })
        .collect();
    status.sort_unstable();
    assert_eq!(status, [("box", "exited"), ("other", "dead")]);
    world.ucr.run(["rm", "box", "other"]).ok();
    world.assert_clean();
}

/// It is there with each container, so it has to be small.
#[test]
fn a_watcher_is_small() {
    let world = World::small();
    world.background(&["--name", "box"], &["sleep", "100"]);
    let pid = world.watcher("box");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap().trim().trim_end_matches(" kB");
        value.parse().unwrap()
    };
    println!(
        "RSS {} KiB, anonymous {} KiB",
        field("VmRSS:"),
        field("RssAnon:")
    );
    assert!(field("RssAnon:") <= 2048, "{status}");
    // The program's own pages are shared by all; only those of the release binary are few.
    let is_release = Ucr::binary().metadata().unwrap().len() < 16 << 20;
    assert!(!is_release || field("VmRSS:") <= 4096, "{status}");
    world.ucr.run(["rm", "-f", "box"]).ok();
}

/// What is said of it makes sense from before its start to after its end.
#[test]
fn it_is_inspected_in_every_phase() {
    let world = World::small();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let flags = ["-d", "--name", "box"];
        let starting = world.command(&flags, &["sh", "-c", "sleep 0.05"]).spawn();
        let deadline = Instant::now() + LIMIT;
        loop {
            let done = world.ucr.run(["inspect", "box"]);
            if done.code != 0 {
                done.refused(&["'box'"]);
                continue;
            }
            let status = done.json()["status"].as_str().unwrap().to_owned();
            seen.insert(status.clone());
            if status == "exited" {
                break;
            }
            assert!(Instant::now() < deadline, "it never ends");
        }
        starting.finish(LIMIT).ok();
        world.ucr.run(["rm", "box"]).ok();
    }
    assert!(seen.contains("running"), "{seen:?}");
    let known = ["created", "exited", "running"];
    assert!(
        seen.iter().all(|one| known.contains(&one.as_str())),
        "{seen:?}"
    );
}

#[test]
fn a_stopped_one_is_not_started_again() {
    let world = World::small();
    let flags = ["--name", "box", "--restart", "always", "--init"];
    world.background(&flags, &["sh", "-c", "echo start; sleep 100"]);
    world.ucr.run(["exec", "box", "kill", "-KILL", "2"]);
    wait_for("a second start", || world.inspect("box")["restarts"] == 1);
    world.ucr.run(["stop", "box"]).ok();
    let found = world.inspect("box");
    assert_eq!(found["status"], "exited");
    assert_eq!(found["restarts"], 1);
    world.ucr.run(["rm", "box"]).ok();
    world.assert_clean();
}

/// Whatever it is doing when somebody wants it to end: it ends, and is not started again.
#[test]
fn stopping_at_any_moment() {
    let world = World::small();
    for pause in [0, 1, 2, 3, 5, 8, 12, 20, 40, 80] {
        let flags = ["-d", "--name", "box", "--restart", "always"];
        let starting = world.command(&flags, &["sh", "-c", "sleep 0.01"]).spawn();
        wait_for("it", || world.ucr.run(["inspect", "box"]).code == 0);
        std::thread::sleep(Duration::from_millis(pause));
        let start = Instant::now();
        world.ucr.run(["stop", "-t", "1", "box"]).ok();
        assert!(start.elapsed() < Duration::from_secs(10));
        starting.finish(LIMIT);
        world.ucr.run(["rm", "-f", "box"]).ok();
        world.assert_clean();
    }
}

/// A command with another store and the same state ends it, and forgets nothing.
#[test]
fn a_dead_one_of_another_store() {
    let world = World::small();
    world.background(&["--name", "box", "--label", "a=b"], &["sleep", "1000"]);
    kill(world.watcher("box"), Signal::SIGKILL).unwrap();
    let other = world.ucr.scratch().join("other");
    let list = |root: &std::path::Path, filter: &str| {
        let mut command = std::process::Command::new(Ucr::binary());
        command
            .arg("--root")
            .arg(root)
            .arg("--state")
            .arg(world.ucr.state());
        command.args(["ps", "--all", "--quiet", "--filter", filter]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(list(&other, "label=a"), "");
    assert_eq!(list(&world.ucr.root(), "label=a=b").lines().count(), 1);
    assert_eq!(list(&world.ucr.root(), "label=a=c"), "");
    let found = world.inspect("box");
    assert_eq!(found["status"], "dead");
    assert!(found["started_at"].is_string(), "{found}");
    world.ucr.run(["rm", "box"]).ok();
    world.assert_clean();
}

/// As on a full disk: the next command that can, does.
#[test]
fn an_end_that_cannot_be_written_down_is_not_forgotten() {
    let world = World::small();
    let script = "while ! [ -e /tmp/go ]; do sleep 0.05; done; exit 5";
    world.background(&["--name", "box"], &["sh", "-c", script]);
    let (tmp, away) = (world.ucr.root().join("tmp"), world.ucr.root().join("away"));
    let watcher = world.watcher("box");
    fs::rename(&tmp, &away).unwrap();
    world.ucr.run(["exec", "box", "touch", "/tmp/go"]);
    wait_for("the end", || {
        !fs::exists(format!("/proc/{watcher}/exe")).unwrap_or(true)
    });
    assert_eq!(world.inspect("box")["ended"]["exit_code"], 5);
    fs::rename(&away, &tmp).unwrap();
    assert_eq!(world.inspect("box")["ended"]["exit_code"], 5);
    fs::remove_dir_all(world.ucr.state()).unwrap();
    assert_eq!(world.inspect("box")["ended"]["exit_code"], 5);
    world.ucr.run(["rm", "box"]).ok();
    world.assert_clean();
}

#[test]
fn events_are_told() {
    let world = World::small();
    let events = |flags: &str| -> Vec<Value> {
        let file = world.ucr.scratch().join("events");
        let script = format!(r#""$@" run --status-fd 3 {flags} 3>"{}""#, file.display());
        let mut command = world.ucr.by_shell(&script);
        let done = command.output().unwrap();
        assert!(
            done.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let read = || fs::read_to_string(&file).unwrap();
        wait_for("the end", || read().contains("exited"));
        read()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    for flags in ["", "-d --rm", "--rm -a stdout"] {
        let line = format!("{flags} {} sh -c 'exit 3'", world.image);
        let told = events(&line);
        let names: Vec<_> = told
            .iter()
            .map(|it| it["event"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["created", "started", "exited"], "{flags}");
        assert!(told[1]["pid"].as_i64().unwrap() > 1);
        assert_eq!(told[2]["exit_code"], 3);
        assert_eq!(told[0]["id"], told[2]["id"]);
    }
    world
        .run(&["--status-fd", "1"], &["true"])
        .refused(&["--status-fd 1"]);
    world
        .run(&["--status-fd", "99"], &["true"])
        .refused(&["--status-fd 99"]);
}

/// Who follows the log of a container whose ucr was killed is not left waiting for more.
#[test]
fn the_log_of_a_dead_container_ends() {
    let world = World::small();
    world.background(&["--name", "box"], &["sh", "-c", "echo 1; sleep 1000"]);
    let following = world.ucr.cmd(["logs", "-f", "box"]).spawn();
    following.wait_until("line", LIMIT, || following.stdout_so_far() == "1\n");
    kill(world.watcher("box"), Signal::SIGKILL).unwrap();
    assert_eq!(following.finish(LIMIT).ok().stdout, "1\n");
    world.ucr.run(["rm", "box"]).ok();
    world.assert_clean();
}
