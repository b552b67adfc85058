//! Records of a real agent (reference/mesos-live.md, section 2), with its elisions filled in.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, CheckStatus, Event, Identity, Reason, State, Status, TASK_KILLING_STATE, Uuid};
use crate::error::Kind;

const SUBSCRIBED: &str = r#"{"type":"SUBSCRIBED","subscribed":{"executor_info":{"type":"CUSTOM","executor_id":{"value":"e-normal"},"framework_id":{"value":"f-0002"},"command":{"environment":{"variables":[{"name":"EXECVAR","type":"VALUE","value":"v1"}]},"shell":true,"value":"exec python3 ... normal"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.1},"allocation_info":{"role":"*"}},{"name":"mem","type":"SCALAR","scalar":{"value":32.0},"allocation_info":{"role":"*"}}],"name":"py executor","source":"src1","data":"ZXhlY2RhdGE="},"framework_info":{"user":"root","name":"peer","id":{"value":"f-0002"},"failover_timeout":0.0,"checkpoint":true,"roles":["*"],"capabilities":[{"type":"MULTI_ROLE"}]},"agent_info":{"hostname":"127.0.0.1","port":5051,"resources":[],"id":{"value":"a-S0"}},"container_id":{"value":"bf6acac1-2ae5-4535-b684-7bd04dc655b9"}}}"#;

const LAUNCH: &str = r#"{"type":"LAUNCH","launch":{"task":{"name":"normal","task_id":{"value":"t-normal"},"agent_id":{"value":"a-S0"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.2},"allocation_info":{"role":"*"}},{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31001}]},"allocation_info":{"role":"*"}}],"executor":{"type":"CUSTOM","executor_id":{"value":"e-normal"}},"container":{"type":"MESOS","volumes":[{"mode":"RW","container_path":"data","host_path":"/srv/out"}],"mesos":{"image":{"type":"DOCKER","docker":{"name":"busybox"},"cached":true}}},"kill_policy":{"grace_period":{"nanoseconds":3000000000}},"data":"eyJhIjoxfQ==","labels":{"labels":[{"key":"k","value":"v"}]},"discovery":{"visibility":"FRAMEWORK","name":"disc"}}}}"#;

fn parse(text: &str) -> Event {
    Event::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

fn uuid() -> Uuid {
    serde_json::from_value(json!("F8ku/OCiQB+7B2sLRg3NtA==")).unwrap()
}

fn identity() -> Identity {
    Identity {
        framework: "f-0002".into(),
        executor: "e-normal".into(),
    }
}

fn status() -> Status {
    Status {
        task: "t-normal".into(),
        state: State::Running,
        uuid: uuid(),
        timestamp: 1_795_341_749.5,
        agent: None,
        executor: "e-normal".into(),
        reason: None,
        message: Some("hello".into()),
        healthy: None,
        check: None,
        addresses: Vec::new(),
        limitation: None,
        data: Vec::new(),
    }
}

fn body(call: &Call) -> Value {
    serde_json::from_slice(&call.to_json(&identity()).unwrap()).unwrap()
}

#[test]
fn the_first_event() {
    let Event::Subscribed(it) = parse(SUBSCRIBED) else {
        panic!("it is SUBSCRIBED");
    };
    assert_eq!(it.framework.as_deref(), Some("f-0002"));
    assert_eq!(it.user.as_deref(), Some("root"));
    assert_eq!(it.agent.as_deref(), Some("a-S0"));
    assert_eq!(it.host_name.as_deref(), Some("127.0.0.1"));
    assert_eq!(it.executor["name"], "py executor");
    let container = "bf6acac1-2ae5-4535-b684-7bd04dc655b9";
    assert_eq!(it.container.as_deref(), Some(container));
    assert!(it.has_capability("MULTI_ROLE") && !it.has_capability(TASK_KILLING_STATE));
}

/// The description has to be given back as it was.
#[test]
fn a_launch_keeps_the_whole_task() {
    let Event::Launch(task) = parse(LAUNCH) else {
        panic!("it is LAUNCH");
    };
    assert_eq!(task.id, "t-normal");
    let whole: Value = serde_json::from_str(LAUNCH).unwrap();
    assert_eq!(task.info, whole["launch"]["task"]);
    let group = json!({"type": "LAUNCH_GROUP", "launch_group": {"task_group": {
        "tasks": [task.info, {"task_id": {"value": "b"}}]}}});
    let Event::LaunchGroup(tasks) = parse(&group.to_string()) else {
        panic!("it is LAUNCH_GROUP");
    };
    let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["t-normal", "b"]);
}

#[test]
fn short_events() {
    let kill = |grace| Event::Kill {
        task: "t-kill".into(),
        grace,
    };
    let five = Some(Duration::from_secs(5));
    let rows = [
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":"t-kill"}}}"#,
            kill(None),
        ),
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":"t-kill"},"kill_policy":{"grace_period":{"nanoseconds":5000000000}}}}"#,
            kill(five),
        ),
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":"t-kill"},"kill_policy":{"grace_period":{"nanoseconds":"5000000000"}}}}"#,
            kill(five),
        ),
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":"t-kill"},"kill_policy":{"grace_period":{"nanoseconds":5e9}},"new":[]}}"#,
            kill(five),
        ),
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":"t-kill"},"kill_policy":{"grace_period":{"nanoseconds":-1}}}}"#,
            kill(Some(Duration::ZERO)),
        ),
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":"t-kill"},"kill_policy":{}}}"#,
            kill(None),
        ),
        (
            r#"{"type":"ACKNOWLEDGED","acknowledged":{"task_id":{"value":"t-normal"},"uuid":"F8ku/OCiQB+7B2sLRg3NtA=="}}"#,
            Event::Acknowledged {
                task: "t-normal".into(),
                uuid: uuid(),
            },
        ),
        (
            r#"{"type":"MESSAGE","message":{"data":"aGVsbG8="}}"#,
            Event::Message(b"hello".to_vec()),
        ),
        (r#"{"type":"SHUTDOWN"}"#, Event::Shutdown),
        (r#"{"type":"HEARTBEAT"}"#, Event::Heartbeat),
        (
            r#"{"type":"ERROR","error":{"message":"no"}}"#,
            Event::Error("no".into()),
        ),
        (
            r#"{"type":"TELEPORT\n"}"#,
            Event::Unknown("TELEPORT\\n".into()),
        ),
        ("{}", Event::Unknown("UNKNOWN".into())),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn infinity_is_no_end_of_the_world() {
    let text = r#"{"type":"LAUNCH","launch":{"task":{"task_id":{"value":"a"},"name":"a \"NaN\" Infinity\\","limits":{"cpus":{"value":Infinity},"mem":{"value":-Infinity}}}}}"#;
    let Event::Launch(task) = parse(text) else {
        panic!("it is LAUNCH");
    };
    assert_eq!(task.info["name"], "a \"NaN\" Infinity\\");
    assert_eq!(task.info["limits"]["cpus"]["value"], "Infinity");
    assert_eq!(task.info["limits"]["mem"]["value"], "-Infinity");
}

#[test]
fn what_is_no_text_is_shown_as_such() {
    let text = b"{\"type\":\"LAUNCH\",\"launch\":{\"task\":{\"task_id\":{\"value\":\"a\"},\"name\":\"caf\xe9\"}}}";
    let Ok(Event::Launch(task)) = Event::parse(text) else {
        panic!("it is LAUNCH");
    };
    assert_eq!(task.info["name"], "caf\u{fffd}");
}

#[test]
fn what_is_no_event_is_told_by_its_path() {
    let rows = [
        ("", "EOF"),
        ("[]", "it has no type"),
        (r#"{"type":7}"#, "it has no type"),
        (r#"{"type":"KILL"}"#, "kill: "),
        (
            r#"{"type":"LAUNCH","launch":{}}"#,
            "launch: missing field `task`",
        ),
        (
            r#"{"type":"LAUNCH","launch":{"task":{"task_id":{"value":"a/b"}}}}"#,
            "launch.task.task_id: it cannot be an ID",
        ),
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":".."}}}"#,
            "kill.task_id: it cannot be an ID",
        ),
        (
            r#"{"type":"LAUNCH_GROUP","launch_group":{"task_group":{"tasks":[{"task_id":{"value":"a"}},7]}}}"#,
            "launch_group.task_group.tasks[1]: ",
        ),
        (
            r#"{"type":"ACKNOWLEDGED","acknowledged":{"task_id":{"value":"a"},"uuid":"F8ku"}}"#,
            "acknowledged.uuid: it has 3 bytes, not 16",
        ),
        (
            r#"{"type":"MESSAGE","message":{"data":"?"}}"#,
            "message.data: it is not base64",
        ),
        (
            r#"{"type":"KILL","kill":{"task_id":{"value":"a"},"kill_policy":{"grace_period":{"nanoseconds":1.5}}}}"#,
            "kill.kill_policy.grace_period.nanoseconds: it is not a whole number",
        ),
    ];
    for (text, expected) in rows {
        let fault = Event::parse(text.as_bytes()).unwrap_err();
        assert_eq!(fault.kind(), Kind::Network);
        assert!(fault.to_string().contains(expected), "{fault} for {text}");
    }
    let deep = "[".repeat(100_000);
    assert!(Event::parse(deep.as_bytes()).is_err());
}

#[test]
fn an_update_as_the_agent_took_it() {
    let mut status = status();
    status.addresses = vec![IpAddr::V4(Ipv4Addr::new(10, 9, 8, 7))];
    status.data = b"[{}]".to_vec();
    assert_eq!(
        body(&Call::Update(&status)),
        json!({"type": "UPDATE", "update": {"status": {
            "task_id": {"value": "t-normal"}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR",
            "executor_id": {"value": "e-normal"}, "timestamp": 1_795_341_749.5,
            "uuid": "F8ku/OCiQB+7B2sLRg3NtA==", "message": "hello",
            "container_status": {"network_infos": [{"ip_addresses": [
                {"protocol": "IPv4", "ip_address": "10.9.8.7"}]}]},
            "data": "W3t9XQ=="}},
            "framework_id": {"value": "f-0002"}, "executor_id": {"value": "e-normal"}})
    );
}

#[test]
fn an_update_says_why() {
    let failed = Status {
        state: State::Failed,
        agent: Some("a-S0".into()),
        reason: Some(Reason::MemoryLimit),
        limitation: Some(("mem", 64.0)),
        healthy: Some(false),
        check: Some(CheckStatus::Http(None)),
        message: None,
        ..status()
    };
    let found = body(&Call::Update(&failed));
    let found = &found["update"]["status"];
    assert_eq!(found["agent_id"], json!({"value": "a-S0"}));
    assert_eq!(found["reason"], "REASON_CONTAINER_LIMITATION_MEMORY");
    assert_eq!(found["healthy"], false);
    assert_eq!(found["check_status"], json!({"type": "HTTP", "http": {}}));
    assert_eq!(
        found["limitation"],
        json!({"resources": [{"name": "mem", "type": "SCALAR", "scalar": {"value": 64.0}}]})
    );
    assert!(found.get("message").is_none());
    let plain = Status {
        reason: Some(Reason::LaunchFailed),
        ..failed
    };
    let found = body(&Call::Update(&plain));
    assert!(found["update"]["status"].get("limitation").is_none());
}

#[test]
fn results_of_checks() {
    let rows = [
        (
            CheckStatus::Command(Some(3)),
            json!({"type": "COMMAND", "command": {"exit_code": 3}}),
        ),
        (
            CheckStatus::Http(Some(200)),
            json!({"type": "HTTP", "http": {"status_code": 200}}),
        ),
        (
            CheckStatus::Tcp(Some(false)),
            json!({"type": "TCP", "tcp": {"succeeded": false}}),
        ),
        (
            CheckStatus::Tcp(Some(true)).emptied(),
            json!({"type": "TCP", "tcp": {}}),
        ),
        (
            CheckStatus::Command(None),
            json!({"type": "COMMAND", "command": {}}),
        ),
    ];
    for (status, expected) in rows {
        assert_eq!(serde_json::to_value(status).unwrap(), expected);
    }
}

#[test]
fn the_other_calls() {
    let ids = json!({"framework_id": {"value": "f-0002"}, "executor_id": {"value": "e-normal"}});
    let with = |rest: Value| {
        let mut all = ids.clone();
        let (Value::Object(all_map), Value::Object(rest)) = (&mut all, rest) else {
            panic!("both are objects");
        };
        all_map.extend(rest);
        all
    };
    let none = Call::Subscribe {
        tasks: Vec::new(),
        updates: Vec::new(),
    };
    assert_eq!(
        body(&none),
        with(json!({"type": "SUBSCRIBE",
            "subscribe": {"unacknowledged_tasks": [], "unacknowledged_updates": []}}))
    );
    let (task, update) = (json!({"task_id": {"value": "a"}, "x": [1.5]}), status());
    let again = Call::Subscribe {
        tasks: vec![&task],
        updates: vec![&update],
    };
    let found = body(&again);
    assert_eq!(found["subscribe"]["unacknowledged_tasks"], json!([task]));
    let updates = &found["subscribe"]["unacknowledged_updates"];
    assert_eq!(updates[0]["status"]["uuid"], "F8ku/OCiQB+7B2sLRg3NtA==");
    assert_eq!(
        body(&Call::Message(b"hello")),
        with(json!({"type": "MESSAGE", "message": {"data": "aGVsbG8="}}))
    );
    assert_eq!(body(&Call::Heartbeat), with(json!({"type": "HEARTBEAT"})));
}

#[test]
fn random_uuids_say_that_they_are() {
    let text = |bytes| serde_json::to_value(Uuid::random(bytes)).unwrap();
    assert_eq!(text([0; 16]), "AAAAAAAAQACAAAAAAAAAAA==");
    assert_eq!(text([0xff; 16]), "////////T/+//////////w==");
}
