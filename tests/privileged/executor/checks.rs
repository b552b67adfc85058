//! Health checks and checks, which the executor makes.

use serde_json::json;

use super::{Play, over, states};
use crate::supervised::stage::natively;

/// Case 73.
#[test]
fn three_failures() {
    natively(|stage| {
        let play = Play::begin(stage);
        let check = |grace: f64| {
            json!({"health_check": {
                "type": "COMMAND", "command": {"value": "false"}, "delay_seconds": 0,
                "interval_seconds": 0.2, "consecutive_failures": 3, "grace_period_seconds": grace,
            }})
        };
        play.launch("ill", "sleep 1000", check(0.0));
        play.launch("in-grace", "sleep 1.5", check(600.0));
        let last = over(&play.agent, "ill");
        assert_eq!(last.state, "TASK_KILLED");
        assert_eq!(last.status["healthy"], false);
        assert!(
            last.message.as_ref().unwrap().contains("3 times in a row"),
            "{last:?}"
        );
        let told = play.agent.updates("ill").into_iter();
        let told = told
            .filter(|it| it.reason.as_deref() == Some("REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"));
        let told: Vec<_> = told.map(|it| it.status["healthy"].clone()).collect();
        assert_eq!(told, [false, false, false]);
        over(&play.agent, "in-grace");
        assert_eq!(states(&play.agent, "in-grace"), "STARTING RUNNING FINISHED");
        play.end();
    });
}

/// Well, ill, well again: each is told; it is asked in the task's own network.
#[test]
fn a_server() {
    natively(|stage| {
        stage.run(&["network", "create", "own"]).ok();
        let play = Play::begin(stage);
        let script = "mkdir /tmp/www; echo ok >/tmp/www/index.html; \
                      busybox httpd -f -h /tmp/www -p 8080 & sleep 1000";
        let mut container = play.container();
        container["network_infos"] = json!([{"name": "own"}]);
        let more = json!({
            "container": container,
            "health_check": {"type": "HTTP", "delay_seconds": 0, "interval_seconds": 0.1,
                "grace_period_seconds": 60, "timeout_seconds": 10,
                "http": {"port": 8080, "path": "/index.html"}},
        });
        play.launch("t", script, more);
        play.agent.wait_until("it is healthy", |agent| {
            agent
                .updates("t")
                .iter()
                .any(|it| it.status["healthy"] == true)
        });
        play.agent.kill("t", None);
        let last = over(&play.agent, "t");
        assert_eq!(last.status["healthy"], true, "{last:?}");
        // Its own address is in every update from the second on.
        for update in &play.agent.updates("t")[1..] {
            let network = &update.status["container_status"]["network_infos"][0];
            let address = network["ip_addresses"][0]["ip_address"].as_str();
            assert!(
                address.is_some_and(|it| it.starts_with("10.")),
                "{update:?}"
            );
        }
        play.end();
    });
}

/// Case 74.
#[test]
fn changes_of_a_check() {
    natively(|stage| {
        let play = Play::begin(stage);
        // 0, 0, 1, 1, 0, 0, 0 …
        let command = "n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n+1)) >/tmp/n; \
                       case $n in 2|3) exit 1;; *) exit 0;; esac";
        let more = json!({"check": {"type": "COMMAND", "delay_seconds": 0, "interval_seconds": 0.1,
            "command": {"command": {"value": command}}}});
        play.launch(
            "t",
            "while ! [ \"$(cat /tmp/n 2>/dev/null)\" = 7 ]; do sleep 0.05; done",
            more,
        );
        over(&play.agent, "t");
        let updates = play.agent.updates("t");
        let status = |it: &crate::support::fake_agent::Update| {
            assert_eq!(it.status["check_status"]["type"], "COMMAND", "{it:?}");
            it.status["check_status"]["command"]["exit_code"].as_i64()
        };
        assert_eq!(status(&updates[0]), None);
        let told = updates
            .iter()
            .filter(|it| it.reason.as_deref() == Some("REASON_TASK_CHECK_STATUS_UPDATED"));
        let told: Vec<_> = told.map(status).collect();
        assert_eq!(told, [Some(0), Some(1), Some(0)], "{updates:#?}");
        play.end();
    });
}
