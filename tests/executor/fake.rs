//! The fake agent itself: what it refuses, as a real one was seen to (reference/mesos-live.md,
//! section 2), and what it acknowledges.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use ucr::executor::api::Event;

use crate::owner::{Owner, status, uuid};
use crate::support::fake_agent::{Acknowledge, EXECUTOR, FRAMEWORK, FakeAgent, Options};

fn call(kind: &str, key: &str, part: Value) -> Value {
    json!({"type": kind, "framework_id": {"value": FRAMEWORK},
        "executor_id": {"value": EXECUTOR}, key: part})
}

/// The status code and the body of an answer.
fn ask(fake: &FakeAgent, line: &str, headers: &str, body: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(fake.address()).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let length = body.len();
    write!(
        socket,
        "{line} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = Vec::new();
    while !text.windows(4).any(|it| it == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let count = socket.read(&mut part).unwrap();
        assert!(count > 0);
        text.extend_from_slice(&part[..count]);
    }
    let text = String::from_utf8(text).unwrap();
    let status = text[9..12].parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

const PATH: &str = "POST /slave(1)/api/v1/executor";
const JSON: &str = "Content-Type: application/json\r\nAccept: application/json\r\n";

#[test]
fn what_it_refuses() {
    let fake = FakeAgent::start();
    let mut owner = Owner::new(&fake);
    let update = |change: &dyn Fn(&mut Value)| {
        let mut part = status("t", "TASK_RUNNING", &uuid(1));
        change(&mut part);
        call("UPDATE", "update", json!({"status": part})).to_string()
    };
    let good = update(&|_| ());
    let (refused, _) = ask(&fake, PATH, JSON, &good);
    assert_eq!(refused, 403, "nobody is subscribed");
    owner.subscribed(1);
    let set = |key: &'static str, value: Value| update(&|it| it[key] = value.clone());
    let named = |key: &str, value: &str| {
        let mut all: Value = serde_json::from_str(&good).unwrap();
        all[key]["value"] = value.into();
        all.to_string()
    };
    let rows = [
        (set("uuid", Value::Null), 400, "Expecting 'uuid'"),
        (set("uuid", json!("AAAA")), 400, "Not a valid UUID"),
        (set("source", Value::Null), 400, "invalid source"),
        (set("source", json!("SOURCE_AGENT")), 400, "invalid source"),
        (set("state", json!("TASK_STAGING")), 400, "not allowed"),
        (set("executor_id", json!({"value": "x"})), 400, "match"),
        (set("check_status", json!({"type": "TCP"})), 400, "member"),
        (named("framework_id", "x"), 400, "Framework cannot be found"),
        (named("executor_id", "x"), 400, "Executor cannot be found"),
        ("x".to_owned(), 400, "Failed to parse body into JSON"),
        ("{}".to_owned(), 400, "Missing required fields"),
        (set("timestamp", Value::Null), 202, ""),
        (set("executor_id", Value::Null), 202, ""),
        (set("agent_id", json!({"value": "x"})), 202, ""),
    ];
    for (body, status, why) in rows {
        let (found, text) = ask(&fake, PATH, JSON, &body);
        assert_eq!(found, status, "{body}");
        assert!(text.contains(why), "{body}: {text}");
    }
    let rows = [
        (PATH, "Accept: application/json\r\n", 400),
        (PATH, "Content-Type: text/plain\r\n", 415),
        (
            PATH,
            "Content-Type: application/json\r\nAccept: text/html\r\n",
            406,
        ),
        ("GET /slave(1)/api/v1/executor", JSON, 405),
        ("POST /api/v1/executor", JSON, 202),
        ("POST /elsewhere", JSON, 404),
    ];
    for (line, headers, status) in rows {
        assert_eq!(
            ask(&fake, line, headers, &good).0,
            status,
            "{line} {headers}"
        );
    }
    let known = fake.updates("t");
    assert_eq!(known.len(), 1, "of one uuid");
    assert_eq!(known[0].times, 3, "the stranger's did not count");
}

/// What arrives of three updates, the last of which comes after the end.
#[test]
fn what_it_acknowledges() {
    let rows = [
        (Acknowledge::AtOnce, 3),
        (Acknowledge::BeforeAnswer, 3),
        (Acknowledge::After(Duration::from_millis(100)), 3),
        (Acknowledge::Twice, 6),
        (Acknowledge::WrongFirst, 6),
        (Acknowledge::Never, 0),
    ];
    for (when, expected) in rows {
        let fake = FakeAgent::start();
        fake.acknowledge(when);
        let mut owner = Owner::new(&fake);
        owner.subscribed(1);
        fake.launch(json!({"task_id": {"value": "t"}}));
        owner.update("t", "TASK_RUNNING", 1);
        owner.update("t", "TASK_FINISHED", 2);
        owner.update("t", "TASK_FAILED", 3);
        owner.until("acknowledgements", |it| it.acknowledged() == expected);
        owner.run(Duration::from_millis(150));
        assert_eq!(owner.acknowledged(), expected, "{when:?}");
        assert_eq!(fake.wait_for("TASK_FINISHED", "t").times, 1);
        let updates = fake.updates("t");
        let dropped: Vec<bool> = updates.iter().map(|it| it.is_dropped).collect();
        assert_eq!(dropped, [false, false, true]);
        assert!(
            updates
                .iter()
                .all(|it| it.is_acknowledged == (expected > 0))
        );
    }
}

/// What is said to an executor that is not there waits for it; its first stream ends when it
/// subscribes a second time, and only the second is spoken on.
#[test]
fn what_it_says() {
    let fake = FakeAgent::with(Options {
        backoff_max: "50ms",
        ..Options::default()
    });
    fake.launch_group(vec![
        json!({"task_id": {"value": "a"}}),
        json!({"task_id": {"value": "b"}}),
    ]);
    let mut owner = Owner::new(&fake);
    owner.until("LAUNCH_GROUP", |it| it.events.len() == 2);
    assert!(matches!(&owner.events[0], Event::Subscribed(it)
        if it.has_capability("TASK_KILLING_STATE")));
    assert!(matches!(&owner.events[1], Event::LaunchGroup(tasks) if tasks.len() == 2));
    let mut second = Owner::new(&fake);
    second.subscribed(1);
    owner.agent.give_up();
    owner.until("the end", |it| it.lost.len() == 1);
    assert_eq!(owner.why(0), "the agent ended the stream of events");
    fake.kill("a", Some(Duration::from_millis(1500)));
    fake.error("no");
    fake.heartbeat();
    fake.message("aGk=");
    fake.acknowledge_now("a", &uuid(9));
    fake.shutdown();
    second.until("SHUTDOWN", |it| it.events.len() == 7);
    let grace = Some(Duration::from_millis(1500));
    let task = "a".to_owned();
    assert_eq!(second.events[1], Event::Kill { task, grace });
    assert_eq!(second.events[2], Event::Error("no".to_owned()));
    assert_eq!(
        second.events[3..5],
        [Event::Heartbeat, Event::Message(b"hi".to_vec())]
    );
    assert!(matches!(second.events[5], Event::Acknowledged { .. }));
    assert_eq!(second.events[6], Event::Shutdown);
    assert_eq!(owner.events.len(), 2);
}
