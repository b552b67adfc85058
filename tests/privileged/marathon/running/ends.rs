//! How apps end (C70 to C73), and what is left behind.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::super::field::{Field, LIMIT, bare, boxed, merged, small};
use super::{DEAF, WAITS, field, mapped};
use crate::lan::{alone, eventually};
use crate::support::engine::Engine;
use crate::support::ucr::children;

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
