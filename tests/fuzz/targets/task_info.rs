//! Descriptions of tasks. What is accepted is a description whose secrets are not shown; what is
//! found can be shown on a terminal.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ucr::frontend::marathon::Findings;
use ucr::frontend::marathon::container::Machine;
use ucr::frontend::mesos::{Place, read};
use ucr::spec::Network;

fuzz_target!(|bytes: &[u8]| {
    let Ok(info) = serde_json::from_slice(bytes) else {
        return;
    };
    let place = Place {
        sandbox: Path::new("/sandbox"),
        seccomp: Path::new("/seccomp"),
        network: &|name| name.parse::<Network>(),
        machine: Machine::default(),
        words: &["word".to_owned()],
    };
    match read(&info, &place) {
        Ok((found, findings)) => {
            assert!(!findings.refuse());
            shown(&findings);
            assert!(found.app.is_some() || !found.spec.image.is_empty() || found.spec.rootfs.is_some());
            let text = serde_json::to_vec(&found.spec).expect("a description is JSON");
            let _: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
        }
        Err(findings) => {
            assert!(findings.refuse());
            shown(&findings);
        }
    }
});

fn shown(findings: &Findings) {
    for finding in &findings.0 {
        let line = format!("{finding} {}", finding.hint.as_deref().unwrap_or_default());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}
