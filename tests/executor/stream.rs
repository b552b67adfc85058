//! Calls and events as they should be, and the connections they travel on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ucr::executor::agent::Times;
use ucr::executor::api::Event;

use crate::owner::{Owner, TIMES, status, uuid};
use crate::support::fake_agent::{Acknowledge, EXECUTOR, FRAMEWORK, FakeAgent, Options};

/// Case 61, as far as it is about the connection.
#[test]
fn subscribe_comes_first_with_what_the_agent_wants_to_know() {
    let fake = FakeAgent::with(Options {
        token: Some("eyJ.e30.x-_"),
        ..Options::default()
    });
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    let calls = fake.calls();
    assert_eq!(calls.len(), 1);
    let first = &calls[0];
    assert_eq!(first.body["type"], "SUBSCRIBE");
    assert_eq!(
        first.body["subscribe"],
        json!({"unacknowledged_tasks": [], "unacknowledged_updates": []})
    );
    assert_eq!(first.body["framework_id"]["value"], FRAMEWORK);
    assert_eq!(first.body["executor_id"]["value"], EXECUTOR);
    assert_eq!(first.request.method, "POST");
    assert_eq!(first.request.path, "/slave(1)/api/v1/executor");
    let address = fake.address().to_string();
    let length = first.request.body.len().to_string();
    let rows = [
        ("host", address.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("authorization", "Bearer eyJ.e30.x-_"),
        ("content-length", length.as_str()),
    ];
    for (name, value) in rows {
        assert_eq!(first.request.header(name), Some(value), "{name}");
    }
    owner.update("t", "TASK_RUNNING", 1);
    owner.until("ACKNOWLEDGED", |it| it.acknowledged() == 1);
    let second = &fake.calls()[1];
    assert_eq!(
        second.request.header("authorization"),
        Some("Bearer eyJ.e30.x-_")
    );
    assert_ne!(second.connection, first.connection);
    assert!(!format!("{:?}", owner.agent).contains("eyJ"));
}

#[test]
fn without_a_token_there_is_no_such_header() {
    let fake = FakeAgent::start();
    Owner::new(&fake).subscribed(1);
    assert_eq!(fake.calls()[0].request.header("authorization"), None);
}

/// Case 62: records are cut anywhere, and share chunks.
#[test]
fn events_are_the_same_however_they_are_cut() {
    for size in (1..=40).chain([97, 512, 1 << 20]) {
        let fake = FakeAgent::start();
        fake.split(size);
        let mut owner = Owner::new(&fake);
        owner.subscribed(1);
        fake.events(&[
            json!({"type": "LAUNCH", "launch": {"task": {"name": "t", "task_id": {"value": "t1"}}}}),
            json!({"type": "KILL", "kill": {"task_id": {"value": "t1"}}}),
            json!({"type": "MESSAGE", "message": {"data": "aGVsbG8="}}),
            json!({"type": "SHUTDOWN"}),
        ]);
        owner.until("SHUTDOWN", |it| it.events.contains(&Event::Shutdown));
        assert_eq!(owner.events.len(), 5, "{size}");
        assert!(matches!(&owner.events[1], Event::Launch(task) if task.id == "t1"));
        assert!(matches!(&owner.events[2], Event::Kill { task, .. } if task == "t1"));
        assert_eq!(owner.events[3], Event::Message(b"hello".to_vec()));
        assert!(owner.lost.is_empty(), "{:?}", owner.lost);
    }
}

/// A group of tasks may be as long as several turns of reading.
#[test]
fn a_long_record_arrives_whole() {
    let fake = FakeAgent::start();
    fake.split(100_000);
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    let name = "x".repeat(7 << 20);
    fake.launch(json!({"task_id": {"value": "t1"}, "name": name}));
    owner.until("LAUNCH", |it| it.events.len() == 2);
    let Event::Launch(task) = &owner.events[1] else {
        panic!("{:?}", owner.events[1]);
    };
    assert_eq!(task.info["name"].as_str().map(str::len), Some(name.len()));
}

/// One after the other, on one connection, also when answers are slow.
#[test]
fn a_call_waits_for_the_answer_to_the_one_before() {
    let fake = FakeAgent::start();
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    let slow = Duration::from_millis(60);
    fake.slow(slow);
    for number in 0..5 {
        owner.update("t", "TASK_RUNNING", number);
    }
    assert!(owner.agent.has_unsent());
    owner.until("answers", |it| !it.agent.has_unsent());
    let calls = fake.calls_of("UPDATE");
    let uuids: Vec<Value> = calls
        .iter()
        .map(|it| it.body["update"]["status"]["uuid"].clone())
        .collect();
    assert_eq!(json!(uuids), json!((0..5).map(uuid).collect::<Vec<_>>()));
    for pair in calls.windows(2) {
        assert!(pair[1].at - pair[0].at >= slow.mul_f64(0.9));
        assert_eq!(pair[0].connection, pair[1].connection);
    }
    assert!(owner.lost.is_empty());
}

#[test]
fn an_acknowledgement_may_come_before_the_answer() {
    let fake = FakeAgent::start();
    fake.acknowledge(Acknowledge::BeforeAnswer);
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    owner.update("t", "TASK_RUNNING", 1);
    owner.until("ACKNOWLEDGED", |it| it.acknowledged() == 1);
    assert!(owner.agent.has_unsent());
    owner.until("the answer", |it| !it.agent.has_unsent());
}

/// Nothing was asked on it, so nothing is lost.
#[test]
fn an_idle_connection_for_calls_may_be_closed() {
    let fake = FakeAgent::start();
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    for number in 0..4 {
        owner.update("t", "TASK_RUNNING", number);
        owner.until("an answer", |it| !it.agent.has_unsent());
        fake.drop_calls();
        // Sometimes it is noticed before the next call, sometimes by it.
        if number % 2 == 0 {
            owner.run(Duration::from_millis(50));
        }
    }
    assert!(owner.lost.is_empty(), "{:?}", owner.lost);
    let calls = fake.calls_of("UPDATE");
    let connections: Vec<usize> = calls.iter().map(|it| it.connection).collect();
    assert_eq!(connections, [1, 2, 3, 4]);
}

#[test]
fn heartbeats_are_said_by_themselves() {
    let fake = FakeAgent::start();
    let times = Times {
        heartbeat: Duration::from_millis(100),
        ..TIMES
    };
    let mut owner = Owner::with(fake.environment(), times);
    owner.subscribed(1);
    let begin = Instant::now();
    owner.until("heartbeats", |_| fake.calls_of("HEARTBEAT").len() == 3);
    assert!(begin.elapsed() >= Duration::from_millis(250));
    let beat = &fake.calls_of("HEARTBEAT")[0];
    assert_eq!((beat.status, beat.connection), (202, 1));
    assert_eq!(beat.body["executor_id"]["value"], EXECUTOR);
}

/// What the agent does not take is said, and what comes after it is sent.
#[test]
fn a_refused_update_is_no_loss() {
    let fake = FakeAgent::start();
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    owner.update("t", "TASK_STAGING", 1);
    owner.update("t", "TASK_RUNNING", 2);
    owner.until("answers", |it| !it.agent.has_unsent());
    let [(400, why, "UPDATE")] = owner.refused.as_slice() else {
        panic!("{:?}", owner.refused);
    };
    assert!(
        why.starts_with("the agent answered 400 to UPDATE: Failed to validate Executor::Call"),
        "{why}"
    );
    assert_eq!(fake.states("t"), ["TASK_RUNNING"]);
    assert!(owner.lost.is_empty());
}

/// A call that was made before SUBSCRIBE would be refused; what is in SUBSCRIBE is taken over.
#[test]
fn calls_belong_to_a_subscription() {
    let fake = FakeAgent::start();
    let mut owner = Owner::new(&fake);
    owner.update("t", "TASK_RUNNING", 1);
    assert!(!owner.agent.has_unsent());
    owner.subscribe = json!({"unacknowledged_tasks": [{"task_id": {"value": "t"}}],
        "unacknowledged_updates": [{"status": status("t", "TASK_RUNNING", &uuid(1))}]});
    owner.until("ACKNOWLEDGED", |it| it.acknowledged() == 1);
    assert_eq!(fake.calls().len(), 1);
    assert_eq!(fake.states("t"), ["TASK_RUNNING"]);
    assert!(fake.updates("t")[0].is_acknowledged);
}

#[test]
fn an_executor_that_gives_up_makes_no_attempt() {
    let mut fake = FakeAgent::start();
    let mut owner = Owner::new(&fake);
    owner.subscribed(1);
    owner.agent.give_up();
    owner.update("t", "TASK_FINISHED", 1);
    owner.until("ACKNOWLEDGED", |it| it.acknowledged() == 1);
    fake.stop();
    owner.until("the loss", |it| it.lost.len() == 1);
    assert_eq!(owner.agent.deadline(), None);
    assert!(owner.agent.wanted().is_empty());
}
