//! Events of a Mesos agent. What is understood as a task is given back as it was; what is wrong can
//! be shown on a terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ucr::error::Kind;
use ucr::executor::api::{Call, Event, Identity, Task};

fuzz_target!(|bytes: &[u8]| {
    match Event::parse(bytes) {
        Ok(Event::Launch(task)) => given_back(&[task]),
        Ok(Event::LaunchGroup(tasks)) => given_back(&tasks),
        Ok(Event::Unknown(kind)) => assert!(!kind.chars().any(char::is_control)),
        Ok(Event::Kill { task, .. } | Event::Acknowledged { task, .. }) => is_name(&task),
        Ok(_) => (),
        Err(fault) => {
            assert_eq!(fault.kind(), Kind::Network);
            assert!(!fault.to_string().chars().any(char::is_control), "{fault}");
        }
    }
});

fn given_back(tasks: &[Task]) {
    tasks.iter().for_each(|task| is_name(&task.id));
    let call = Call::Subscribe {
        tasks: tasks.iter().map(|task| &task.info).collect(),
        updates: Vec::new(),
    };
    let identity = Identity {
        framework: "f".into(),
        executor: "e".into(),
    };
    let body = call.to_json(&identity).expect("a call is JSON");
    let body: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
    let listed = body["subscribe"]["unacknowledged_tasks"].as_array();
    assert_eq!(listed.map(Vec::len), Some(tasks.len()));
}

/// Safe as the name of a file.
fn is_name(id: &str) {
    assert!(!id.is_empty() && id.len() <= 255 && !id.contains('/') && id != "." && id != "..");
}
