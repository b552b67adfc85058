//! The same TaskInfo, but for the type of its container, has the same states.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Play, over};
use crate::supervised::stage::on_both;

/// What is done to a task that runs.
#[derive(Clone, Copy)]
enum Act {
    Nothing,
    Kill(u64),
}

/// ID, script, what else it has, what is done to it, and its states with their reasons.
type Row = (&'static str, &'static str, fn() -> Value, Act, &'static str);

const ROWS: &[Row] = &[
    (
        "zero",
        "echo said; echo kept >>$MESOS_SANDBOX/of-both",
        || json!({}),
        Act::Nothing,
        "STARTING RUNNING FINISHED",
    ),
    (
        "three",
        "exit 3",
        || json!({}),
        Act::Nothing,
        "STARTING RUNNING FAILED",
    ),
    (
        "killed",
        "trap 'exit 0' TERM; echo killed; while :; do sleep 0.1; done",
        || json!({}),
        Act::Kill(30),
        "STARTING RUNNING KILLING KILLED",
    ),
    (
        "deaf",
        "trap '' TERM; echo deaf; while :; do sleep 0.1; done",
        || json!({}),
        Act::Kill(1),
        "STARTING RUNNING KILLING KILLED",
    ),
    (
        "ill",
        "trap 'exit 0' TERM; while :; do sleep 0.1; done",
        || {
            json!({"health_check": {"type": "COMMAND", "command": {"value": "false"},
        "delay_seconds": 0, "interval_seconds": 0.5, "grace_period_seconds": 0},
        "kill_policy": {"grace_period": {"nanoseconds": 500_000_000}}})
        },
        Act::Nothing,
        "STARTING RUNNING RUNNING/HEALTH RUNNING/HEALTH RUNNING/HEALTH KILLING KILLED",
    ),
    (
        "long",
        "sleep 1000",
        || json!({"max_completion_time": {"nanoseconds": 1_000_000_000}}),
        Act::Nothing,
        "STARTING RUNNING FAILED/MAX_COMPLETION_TIME_REACHED",
    ),
    (
        "memory",
        "x=a; while :; do x=$x$x; done",
        || json!({}),
        Act::Nothing,
        "STARTING RUNNING FAILED/CONTAINER_LIMITATION_MEMORY",
    ),
    (
        "no-command",
        "",
        || {
            json!({"data": super::data(&json!({"shell": false, "value": "/nowhere",
        "arguments": ["/nowhere"]}))})
        },
        Act::Nothing,
        "STARTING FAILED/CONTAINER_LAUNCH_FAILED",
    ),
    (
        "invalid",
        "true",
        || json!({"container": {"type": "WRONG"}}),
        Act::Nothing,
        "ERROR/TASK_INVALID",
    ),
];

#[test]
fn the_same_states() {
    let told = Mutex::new(Vec::new());
    on_both(|stage| {
        let play = Play::begin(stage);
        for (id, script, more, act, _) in ROWS {
            play.launch(id, script, more());
            if let Act::Kill(grace) = act {
                play.agent.wait_for("TASK_RUNNING", id);
                // Its trap has to be there.
                play.printed(id);
                play.agent.kill(id, Some(Duration::from_secs(*grace)));
            }
        }
        let mut messages = Vec::new();
        for (id, .., expected) in ROWS {
            let last = over(&play.agent, id);
            let updates = play.agent.updates(id);
            let words = updates.iter().map(|it| {
                let reason = it.reason.as_deref().map(|it| match it {
                    "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED" => "/HEALTH".to_owned(),
                    other => other.replacen("REASON_", "/", 1),
                });
                let state = it.state.replacen("TASK_", "", 1);
                state + &reason.unwrap_or_default()
            });
            let words: Vec<_> = words.collect();
            assert_eq!(
                words.join(" "),
                *expected,
                "{id} docker {} {last:?}",
                stage.is_docker
            );
            messages.push((*id, last.message));
        }
        told.lock().unwrap().push(messages);
        let (agent, done) = play.end();
        assert!(done.stdout.contains("said\n"), "{done:?}");
        let kept = std::fs::read_to_string(agent.sandbox().join("of-both")).unwrap();
        assert_eq!(kept, "kept\n");
    });
    let told = told.into_inner().unwrap();
    // In words, too; but for what an image has of it.
    let [native, docker] = told.as_slice() else {
        panic!("{told:?}");
    };
    for (native, docker) in native.iter().zip(docker) {
        assert_eq!(native, docker);
    }
}
