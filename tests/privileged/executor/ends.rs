//! Kills, shutdowns, and how long they take.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Play, over, states};
use crate::supervised::stage::{natively, on_both};
use crate::support::fake_agent::Options;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::samples;
use crate::support::scripted_registry::Misbehaviour;

/// Does not mind SIGTERM.
const DEAF: &str = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";

fn policy(seconds: f64) -> Value {
    json!({"kill_policy": {"grace_period": {"nanoseconds": (seconds * 1e9) as u64}}})
}

fn seconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64()
}

/// Case 69, and the capability.
#[test]
fn a_task_that_hears_and_one_that_does_not() {
    natively(|stage| {
        for capabilities in [vec!["TASK_KILLING_STATE".to_owned()], Vec::new()] {
            let killing = if capabilities.is_empty() {
                ""
            } else {
                " KILLING"
            };
            let options = Options {
                capabilities,
                ..Options::default()
            };
            let play = Play::with(stage, options, &[]);
            play.launch_running(
                "hears",
                "trap 'exit 0' TERM; echo hears; while :; do sleep 0.1; done",
                json!({}),
            );
            play.launch_running("sleeps", "sleep 1000", json!({}));
            play.launch_running("deaf", DEAF, policy(4.0));
            play.printed("hears");
            play.printed("deaf");
            let begin = Instant::now();
            for id in ["hears", "sleeps", "deaf"] {
                play.agent.kill(id, None);
            }
            let mut took = Vec::new();
            for id in ["hears", "sleeps", "deaf"] {
                let last = over(&play.agent, id);
                took.push(seconds(begin));
                assert_eq!(
                    states(&play.agent, id),
                    format!("STARTING RUNNING{killing} KILLED"),
                    "{id}"
                );
                assert!(
                    last.message.unwrap().starts_with("Killed on request"),
                    "{id}"
                );
            }
            // SIGTERM is enough for the first two, and the third has its four seconds.
            assert!(took[1] < 3.5 && (4.0..9.0).contains(&took[2]), "{took:?}");
            play.end();
        }
    });
}

/// Case 68, the second half: a grace can only be shortened.
#[test]
fn a_second_kill() {
    natively(|stage| {
        let play = Play::begin(stage);
        for id in ["shorter", "longer"] {
            play.launch_running(id, DEAF, json!({}));
        }
        // Before, they would hear it.
        let are_deaf = || play.running.stdout_so_far().matches("deaf").count() == 2;
        play.running
            .wait_until("both are deaf", super::LIMIT, are_deaf);
        let begin = Instant::now();
        play.agent.kill("shorter", Some(Duration::from_secs(60)));
        play.agent.kill("longer", Some(Duration::from_secs(5)));
        std::thread::sleep(Duration::from_millis(300));
        play.agent.kill("shorter", Some(Duration::from_secs(1)));
        play.agent.kill("longer", Some(Duration::from_secs(60)));
        over(&play.agent, "shorter");
        let first = seconds(begin);
        over(&play.agent, "longer");
        let second = seconds(begin);
        assert!(
            (1.0..4.5).contains(&first) && (5.0..10.0).contains(&second),
            "{first} {second}"
        );
        play.end();
    });
}

/// Case 68, the first half: while its image is pulled.
#[test]
fn during_a_pull() {
    natively(|stage| {
        let new = Layer::new().dir("only-here", 0o755);
        let image = samples::small().layer(new);
        let registry = Layout::of(samples::TAG, &image).serve("sample");
        registry.script("/blobs/", 100, Misbehaviour::StallAfter(10));
        let play = Play::begin(stage);
        let container = json!({"type": "MESOS", "mesos": {"image": {"type": "DOCKER",
            "docker": {"name": format!("{}/proof/hangs:sample", registry.host())}}}});
        play.launch("t", "true", json!({"container": container}));
        play.running.wait_until("a request", super::LIMIT, || {
            !registry.asked("/blobs/").is_empty()
        });
        let begin = Instant::now();
        play.agent.kill("t", None);
        let last = over(&play.agent, "t");
        assert!(seconds(begin) < 5.0, "{}", seconds(begin));
        assert_eq!(states(&play.agent, "t"), "STARTING KILLED");
        assert_eq!(
            last.message.as_deref(),
            Some("Killed on request. Command was not started")
        );
        play.end();
    });
}

/// Case 70.
#[test]
fn shutdown() {
    natively(|stage| {
        let options = Options {
            shutdown_grace: "6secs",
            ..Options::default()
        };
        let play = Play::with(stage, options, &[]);
        play.launch_running("deaf", DEAF, policy(600.0));
        play.launch_running("sleeps", "sleep 1000", json!({}));
        play.printed("deaf");
        let begin = Instant::now();
        let (agent, _) = play.shut_down();
        assert!(seconds(begin) < 6.0, "{}", seconds(begin));
        for id in ["deaf", "sleeps"] {
            assert_eq!(
                states(&agent, id),
                "STARTING RUNNING KILLING KILLED",
                "{id}"
            );
        }
    });
}

/// Case 75.
#[test]
fn too_long() {
    natively(|stage| {
        let play = Play::begin(stage);
        let more = json!({"max_completion_time": {"nanoseconds": 1_000_000_000_u64}});
        play.launch("t", DEAF, more);
        let last = over(&play.agent, "t");
        assert_eq!(states(&play.agent, "t"), "STARTING RUNNING FAILED");
        let reason = "REASON_MAX_COMPLETION_TIME_REACHED";
        assert_eq!(last.reason.as_deref(), Some(reason), "{last:?}");
        play.end();
    });
}

/// Case 77: two are two, and it is the last one's end that ends the executor.
#[test]
fn two_tasks() {
    natively(|stage| {
        let play = Play::begin(stage);
        play.launch_running("first", "sleep 1000", json!({}));
        play.launch_running("second", "sleep 1000", json!({}));
        play.agent.kill("first", None);
        over(&play.agent, "first");
        assert!(!play.running.ended_within(Duration::from_secs(2)));
        assert_eq!(states(&play.agent, "second"), "STARTING RUNNING");
        play.agent.kill("second", None);
        play.end();
    });
}

/// An app in a label, of either type: its own grace, and its own check.
#[test]
fn apps() {
    on_both(|stage| {
        let play = Play::begin(stage);
        let kind = if stage.is_docker { "DOCKER" } else { "MESOS" };
        let app = |id: &str, script: &str, more: Value| {
            let mut app = json!({
                "id": format!("/of/{id}"),
                "cmd": script,
                "container": {"type": kind, "docker": {"image": stage.image}},
                "taskKillGracePeriodSeconds": 1,
            });
            app.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            play.agent.launch(json!({
                "task_id": {"value": id},
                "labels": {"labels": [{"key": "ucr.app", "value": app.to_string()}]},
            }));
            play.agent.wait_for("TASK_RUNNING", id);
        };
        app("deaf", DEAF, json!({}));
        play.printed("deaf");
        let begin = Instant::now();
        play.agent.kill("deaf", None);
        over(&play.agent, "deaf");
        assert_eq!(
            states(&play.agent, "deaf"),
            "STARTING RUNNING KILLING KILLED"
        );
        assert!((1.0..8.0).contains(&seconds(begin)), "{}", seconds(begin));
        let check = json!({"protocol": "COMMAND", "command": {"value": "false"}, "delaySeconds": 0,
            "gracePeriodSeconds": 0, "intervalSeconds": 1, "maxConsecutiveFailures": 1});
        app("ill", "sleep 1000", json!({"healthChecks": [check]}));
        let last = over(&play.agent, "ill");
        assert_eq!(last.state, "TASK_KILLED", "{last:?}");
        assert_eq!(last.status["healthy"], false, "{last:?}");
        assert!(
            last.message.as_ref().unwrap().contains("health check 0"),
            "{last:?}"
        );
        let (agent, _) = play.end();
        assert_eq!(
            agent.updates("").iter().filter(|it| it.times > 1).count(),
            0
        );
    });
}

/// Somebody else than the agent ends it.
#[test]
fn a_signal() {
    natively(|stage| {
        let play = Play::begin(stage);
        play.launch_running("t", "sleep 1000", json!({}));
        play.running.signal_group(nix::sys::signal::Signal::SIGTERM);
        let (agent, _) = play.end();
        assert_eq!(states(&agent, "t"), "STARTING RUNNING KILLING KILLED");
    });
}
