//! LAUNCH_GROUP.

use serde_json::json;

use super::{Play, over, states};
use crate::supervised::stage::natively;

/// One network, one sandbox, and one that fails ends the others.
#[test]
fn together() {
    natively(|stage| {
        let play = Play::begin(stage);
        let member = |id: &str, script: &str| {
            json!({"task_id": {"value": id}, "container": play.container(),
                "command": {"value": script}})
        };
        let server = "mkdir /tmp/www; echo of-server >/tmp/www/index.html; echo there >mark; \
                      exec busybox httpd -f -h /tmp/www -p 48181";
        let client = "while ! busybox wget -qO answer http://127.0.0.1:48181/; do sleep 0.1; done; \
                      cat answer mark; sleep 0.5; exit 5";
        let done = "exit 0";
        play.agent.launch_group(vec![
            member("server", server),
            member("client", client),
            member("done", done),
        ]);
        assert_eq!(over(&play.agent, "client").state, "TASK_FAILED");
        let last = over(&play.agent, "server");
        let message = last.message.unwrap();
        assert!(
            message.starts_with("Task client of its group has ended"),
            "{message}"
        );
        let (agent, done) = play.end();
        assert_eq!(states(&agent, "server"), "STARTING RUNNING KILLING KILLED");
        assert_eq!(states(&agent, "client"), "STARTING RUNNING FAILED");
        assert_eq!(states(&agent, "done"), "STARTING RUNNING FINISHED");
        assert!(done.stdout.contains("of-server\nthere\n"), "{done:?}");
    });
}

/// All or none.
#[test]
fn one_that_is_refused() {
    natively(|stage| {
        let play = Play::begin(stage);
        let good = play.task("good", "echo never", json!({}));
        play.agent
            .launch_group(vec![good, json!({"task_id": {"value": "bad"}})]);
        over(&play.agent, "bad");
        over(&play.agent, "good");
        let (agent, done) = play.end();
        assert_eq!(
            (states(&agent, "bad"), states(&agent, "good")),
            ("ERROR".into(), "KILLED".into())
        );
        assert!(!done.stdout.contains("never"), "{done:?}");
    });
}

/// One that is killed takes the others along.
#[test]
fn one_that_is_killed() {
    natively(|stage| {
        let play = Play::begin(stage);
        let members = ["a", "b"].map(|id| play.task(id, "sleep 1000", json!({})));
        play.agent.launch_group(members.to_vec());
        for id in ["a", "b"] {
            play.agent.wait_for("TASK_RUNNING", id);
        }
        play.agent.kill("a", None);
        for id in ["a", "b"] {
            assert_eq!(over(&play.agent, id).state, "TASK_KILLED");
        }
        play.end();
    });
}
