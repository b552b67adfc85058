//! How tasks fail, and what is said about it.

use serde_json::json;

use super::{Play, descendants, over, states};
use crate::supervised::stage::natively;

/// Case 71 and what is like it: command, states, reason, words of the message.
#[test]
fn reasons() {
    natively(|stage| {
        let play = Play::begin(stage);
        let missing = json!({"type": "MESOS", "mesos": {"image": {"type": "DOCKER",
            "docker": {"name": format!("{}-not-there", stage.image)}}}});
        let failed = Some("REASON_CONTAINER_LAUNCH_FAILED");
        let rows = [
            (
                "code",
                "exit 3",
                json!({}),
                "STARTING RUNNING FAILED",
                None,
                "status 3",
            ),
            (
                "signal",
                "kill -SEGV $$",
                json!({}),
                "STARTING RUNNING FAILED",
                None,
                "SIGSEGV",
            ),
            (
                "unpullable",
                "true",
                json!({"container": missing}),
                "STARTING FAILED",
                failed,
                "not-there",
            ),
            (
                "no-command",
                "",
                json!({"data": super::data(&json!({"shell": false, "value": "/nowhere",
                    "arguments": ["/nowhere"]}))}),
                "STARTING FAILED",
                failed,
                "'/nowhere' is not in the image",
            ),
            (
                "memory",
                "x=a; while :; do x=$x$x; done",
                json!({}),
                "STARTING RUNNING FAILED",
                Some("REASON_CONTAINER_LIMITATION_MEMORY"),
                "64 MiB",
            ),
        ];
        for (id, script, more, ..) in &rows {
            play.launch(id, script, more.clone());
        }
        for (id, _, _, expected, reason, words) in rows {
            let last = over(&play.agent, id);
            assert_eq!(states(&play.agent, id), expected, "{id} {last:?}");
            assert_eq!(last.reason.as_deref(), reason, "{id} {last:?}");
            let message = last.message.as_deref().unwrap_or_default();
            assert!(message.contains(words), "{id}: {message}");
            let limitation = &last.status["limitation"]["resources"][0];
            match id {
                "memory" => assert_eq!(limitation["scalar"]["value"], 64.0, "{last:?}"),
                _ => assert!(limitation.is_null(), "{last:?}"),
            }
        }
        play.end();
    });
}

/// A `ucr run` that is killed does not take the executor along, and nothing of it is left.
#[test]
fn a_child_that_is_killed() {
    natively(|stage| {
        let play = Play::begin(stage);
        play.launch_running("t", "sleep 1000", json!({}));
        let executor = play.running.pid().as_raw();
        let is_run = |pid: &i32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name.trim() != "ucr-warden")
        };
        let mut children = descendants(executor).into_iter();
        let child = children.find(is_run).unwrap();
        let pid = rustix::process::Pid::from_raw(child).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let last = over(&play.agent, "t");
        assert_eq!(last.state, "TASK_FAILED", "{last:?}");
        assert!(last.message.unwrap().contains("SIGKILL"));
        play.end();
    });
}
