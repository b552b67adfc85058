//! What a hostile task, framework or moment may do to an executor.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::{LIMIT, Play, descendants, over, states};
use crate::supervised::stage::{ENGINE, Stage, in_docker, natively};
use crate::support::fake_agent::Options;

/// An executor that waits for more tasks, so that what it has left can be looked at.
fn patient(stage: &Stage) -> Play<'_> {
    Play::with(stage, Options::default(), &["--linger", "60s"])
}

/// Children of a process that have ended and that nobody has waited for.
fn zombies(pid: i32) -> usize {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(path).unwrap();
    let is_zombie = |child: &&str| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_some_and(|it| it.starts_with(" Z"))
    };
    children.split_whitespace().filter(is_zombie).count()
}

/// An executor may live for years, and each end of a task needs a process.
#[test]
fn who_ends_tasks_is_waited_for() {
    natively(|stage| {
        let play = patient(stage);
        for round in 0..12 {
            let id = format!("t{round}");
            play.launch_running(&id, "sleep 1000", json!({}));
            play.agent.kill(
                &id,
                Some(Duration::from_secs(u64::from(round % 2 == 0) * 20)),
            );
            over(&play.agent, &id);
        }
        let executor = play.running.pid().as_raw();
        let is_done = || zombies(executor) == 0;
        play.running
            .wait_until("no zombies", Duration::from_secs(5), is_done);
        play.shut_down();
    });
}

/// Whatever moment a task is killed at, Docker Engine has nothing of it a moment after its end is
/// told, even if the executor lives on.
#[test]
fn killed_while_docker_makes_it() {
    in_docker(|stage| {
        let play = patient(stage);
        for round in 0..10 {
            let id = format!("t{round}");
            play.launch(&id, "sleep 1000", json!({}));
            play.agent.wait_for("TASK_STARTING", &id);
            std::thread::sleep(Duration::from_millis(40 * round));
            play.agent.kill(&id, Some(Duration::ZERO));
            over(&play.agent, &id);
            let told = states(&play.agent, &id);
            assert!(told.ends_with(" KILLED"), "{told}");
        }
        let is_empty = || ENGINE.ask(["ps", "--all", "--quiet"]).trim().is_empty();
        play.running
            .wait_until("no containers", LIMIT / 4, is_empty);
        // Who has cleared up goes, too; only the warden stays.
        let executor = play.running.pid().as_raw();
        let is_alone = || descendants(executor).len() == 1;
        play.running.wait_until("nobody else", LIMIT / 4, is_alone);
        // A note may stay for a while: of what was asked for, and never came.
        play.agent.shutdown();
        play.running.finish(LIMIT).ok();
    });
}
