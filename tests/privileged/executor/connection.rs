//! A stream that is lost, and an agent that comes back, or does not.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Play, over, states};
use crate::supervised::stage::natively;
use crate::support::fake_agent::{Acknowledge, FakeAgent, Options};

/// Case 63: recovering agents, over TCP and over the socket, whose paths need the prefix.
#[test]
fn an_agent_that_is_not_ready() {
    natively(|stage| {
        for has_socket in [false, true] {
            let options = Options {
                has_socket,
                ..Options::default()
            };
            let agent = FakeAgent::with(options);
            agent.answer_subscribe(503, 1);
            agent.answer_subscribe(404, 1);
            let play = Play::of(stage, agent, &[]);
            play.launch("t", "true", json!({}));
            assert_eq!(over(&play.agent, "t").state, "TASK_FINISHED");
            let subscribed = play.agent.calls_of("SUBSCRIBE");
            let answers: Vec<u16> = subscribed.iter().map(|it| it.status).collect();
            assert_eq!(answers, [503, 404, 200]);
            assert!(
                play.agent
                    .calls()
                    .iter()
                    .all(|it| it.over_socket == has_socket)
            );
            play.end();
        }
    });
}

/// Case 62: however the stream is cut.
#[test]
fn a_stream_in_pieces() {
    natively(|stage| {
        let play = Play::begin(stage);
        play.agent.split(1);
        play.launch("bytes", "true", json!({}));
        over(&play.agent, "bytes");
        play.agent.split(1 << 20);
        play.launch_running("whole", "sleep 1000", json!({}));
        // And when it makes no sense it is opened again.
        let before = play.agent.calls_of("SUBSCRIBE").len();
        play.agent.bad_length();
        play.agent.wait_until("another stream", |agent| {
            agent.calls_of("SUBSCRIBE").len() > before
        });
        play.agent.kill("whole", None);
        assert_eq!(over(&play.agent, "whole").state, "TASK_KILLED");
        play.end();
    });
}

/// Case 65: what was not acknowledged is said again, in order.
#[test]
fn a_stream_lost_before_anything_is_acknowledged() {
    natively(|stage| {
        let play = Play::begin(stage);
        play.agent.acknowledge(Acknowledge::Never);
        play.launch_running("t", "sleep 1000", json!({}));
        play.agent.acknowledge(Acknowledge::AtOnce);
        play.agent.drop_stream();
        play.agent.wait_until("another stream", |agent| {
            agent.calls_of("SUBSCRIBE").len() == 2
        });
        let again = &play.agent.calls_of("SUBSCRIBE")[1].body["subscribe"];
        assert_eq!(again["unacknowledged_tasks"][0]["task_id"]["value"], "t");
        let updates = again["unacknowledged_updates"].as_array().unwrap();
        let said: Vec<_> = updates
            .iter()
            .map(|it| it["status"]["state"].as_str().unwrap())
            .collect();
        assert_eq!(said, ["TASK_STARTING", "TASK_RUNNING"]);
        play.agent.wait_until("it knows them", |agent| {
            agent.updates("t").iter().all(|it| it.is_acknowledged)
        });
        play.agent.drop_stream();
        play.agent
            .wait_until("a third", |agent| agent.calls_of("SUBSCRIBE").len() == 3);
        let third = &play.agent.calls_of("SUBSCRIBE")[2].body["subscribe"];
        assert_eq!(
            third,
            &json!({"unacknowledged_tasks": [], "unacknowledged_updates": []})
        );
        play.agent.kill("t", None);
        over(&play.agent, "t");
        play.end();
    });
}

/// Case 66.
#[test]
fn odd_acknowledgements() {
    natively(|stage| {
        let odd = [
            Acknowledge::Twice,
            Acknowledge::WrongFirst,
            Acknowledge::BeforeAnswer,
            Acknowledge::After(Duration::from_millis(300)),
        ];
        for how in odd {
            let play = Play::begin(stage);
            play.agent.acknowledge(how);
            play.launch("t", "true", json!({}));
            over(&play.agent, "t");
            let (agent, _) = play.end();
            assert_eq!(states(&agent, "t"), "STARTING RUNNING FINISHED", "{how:?}");
        }
    });
}

/// Tasks live on while the agent is away, and what happens meanwhile is said later.
#[test]
fn an_agent_that_is_restarted() {
    natively(|stage| {
        let mut play = Play::begin(stage);
        play.launch_running("ends", "sleep 1", json!({}));
        play.launch_running("lives", "sleep 1000", json!({}));
        play.agent.stop();
        std::thread::sleep(Duration::from_millis(1500));
        play.agent.restart();
        assert_eq!(over(&play.agent, "ends").state, "TASK_FINISHED");
        assert_eq!(states(&play.agent, "lives"), "STARTING RUNNING");
        play.agent.kill("lives", None);
        over(&play.agent, "lives");
        play.end();
    });
}

/// Case 67.
#[test]
fn an_agent_that_stays_away() {
    natively(|stage| {
        for (checkpoint, limits) in [(false, 0.0..8.0), (true, 2.0..12.0)] {
            let options = Options {
                checkpoint,
                recovery_timeout: "2secs",
                backoff_max: "100ms",
                ..Options::default()
            };
            let mut play = Play::with(stage, options, &[]);
            play.launch_running("t", "sleep 1000", json!({}));
            let begin = Instant::now();
            play.agent.stop();
            play.end();
            let took = begin.elapsed().as_secs_f64();
            assert!(limits.contains(&took), "{checkpoint} {took}");
        }
    });
}

/// Its last words.
#[test]
fn an_agent_that_refuses_the_executor() {
    natively(|stage| {
        let play = Play::begin(stage);
        play.launch_running("t", "sleep 1000", json!({}));
        play.agent.message("aGVsbG8=");
        play.agent.heartbeat();
        play.agent
            .event(&json!({"type": "FROM_THE_FUTURE", "x": 1}));
        play.agent.error("no such framework");
        let (agent, done) = play.end();
        assert_eq!(states(&agent, "t"), "STARTING RUNNING KILLING KILLED");
        for words in ["no such framework", "FROM_THE_FUTURE"] {
            assert!(done.stderr.contains(words), "{done:?}");
        }
    });
}
