//! Marathon app definitions. What is accepted is so again in its normal form, under the same
//! settings; what is found can be shown on a terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use ucr::frontend::marathon::app::Type;
use ucr::frontend::marathon::{Findings, Settings, read};

fuzz_target!(|bytes: &[u8]| {
    let usual = Settings::default;
    for settings in [
        usual(),
        Settings {
            strict: true,
            default_network: Some("n0".into()),
            ..usual()
        },
        Settings {
            container_type: Some(Type::Docker),
            ..usual()
        },
        Settings {
            container_type: Some(Type::Mesos),
            allow_privileged: true,
            allow_parameters: true,
            ..usual()
        },
    ] {
        check(bytes, &settings);
    }
});

fn check(bytes: &[u8], settings: &Settings) {
    let (app, warnings) = match read(bytes, settings) {
        Ok(accepted) => accepted,
        Err(findings) => {
            assert!(findings.refuse());
            shown(&findings);
            return;
        }
    };
    assert!(!warnings.refuse());
    shown(&warnings);
    assert!(app.id.starts_with('/') && app.id.len() > 1);
    assert!(app.cmd.is_none() || app.args.is_empty());
    assert!(!app.networks.is_empty());
    if let Some(kind) = settings.container_type {
        assert!(app.container.as_ref().is_none_or(|it| it.kind == kind));
    }
    let normal = serde_json::to_value(&app).expect("an app is JSON");
    let (again, _) = read(normal.to_string().as_bytes(), settings)
        .unwrap_or_else(|findings| panic!("the normal form is refused: {findings:?}\n{normal}"));
    let again = serde_json::to_value(&again).expect("an app is JSON");
    assert_eq!(coarse(&normal), coarse(&again));
}

fn shown(findings: &Findings) {
    assert!(findings.0.len() <= 1001);
    for finding in &findings.0 {
        let line = format!("{finding} {}", finding.hint.as_deref().unwrap_or_default());
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.len() < 4096, "{line}");
    }
}

/// serde_json reads numbers that it has written a little wrong in their last digits.
fn coarse(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            Value::from(format!("{:.9e}", number.as_f64().unwrap_or_default()))
        }
        Value::Array(list) => list.iter().map(coarse).collect(),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| (key.clone(), coarse(value));
            map.iter().map(entry).collect()
        }
        other => other.clone(),
    }
}
