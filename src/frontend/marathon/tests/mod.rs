//! Tables: a definition, and all that is found. `C01` and the like are the cases of
//! reference/marathon.md, section 7, `R01` those of section 3.

mod checks;
mod container;
mod environment;
mod fields;
mod forms;
mod hostile;
mod made;
mod network;
mod scheduler;
mod volumes;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::app::{App, Type};
use super::{Findings, Settings, read};
use crate::image::Digest;

/// What a case adds to.
#[derive(Clone, Copy, Debug)]
enum Base {
    /// Nothing.
    Bare,
    /// A command on the host.
    B0,
    /// An image for the own runtime.
    BM,
    /// An image for Docker Engine.
    BD,
    /// The same two on the bridge.
    BMNet,
    BDNet,
}
use Base::{B0, BD, BDNet, BM, BMNet, Bare};

/// Case, base, what is merged into it, and `ID@PATH` of all that is found, in any order.
type Row = (&'static str, Base, &'static str, &'static str);

fn base(base: Base) -> Value {
    let image = |kind: &str| {
        let container = json!({"type": kind, "docker": {"image": "i"}});
        json!({"id": "/t", "container": container})
    };
    let mut value = match base {
        Bare => json!({}),
        B0 => json!({"id": "/t", "cmd": "true"}),
        BM | BMNet => image("MESOS"),
        BD | BDNet => image("DOCKER"),
    };
    if matches!(base, BMNet | BDNet) {
        value["networks"] = json!([{"mode": "container/bridge"}]);
    }
    value
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// The text of a definition.
fn document(to: Base, says: &str) -> String {
    let mut value = base(to);
    merge(
        &mut value,
        serde_json::from_str(says).unwrap_or_else(|error| panic!("{says}: {error}")),
    );
    value.to_string()
}

fn found(findings: &Findings) -> Vec<String> {
    let one = |it: &super::Finding| format!("{}@{}", it.id, it.path);
    let mut found: Vec<String> = findings.0.iter().map(one).collect();
    found.sort();
    found
}

fn all_found(text: &str, settings: &Settings) -> Vec<String> {
    match read(text.as_bytes(), settings) {
        Ok((_, warnings)) => {
            assert!(!warnings.refuse(), "{text}");
            found(&warnings)
        }
        Err(findings) => {
            assert!(findings.refuse(), "{text}");
            found(&findings)
        }
    }
}

fn accepted(text: &str, settings: &Settings) -> App {
    match read(text.as_bytes(), settings) {
        Ok((app, _)) => app,
        Err(findings) => panic!("{text}: {:?}", found(&findings)),
    }
}

fn check(rows: &[Row], settings: &Settings) {
    let mut wrong = String::new();
    for (case, base, says, expected) in rows {
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        expected.sort_unstable();
        let found = all_found(&document(*base, says), settings);
        if found != expected {
            wrong +=
                &format!("{case} {base:?} {says}\n  found    {found:?}\n  expected {expected:?}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Every table, with the settings that it is for.
fn tables() -> Vec<(&'static [Row], Settings)> {
    let usual = Settings::default;
    let strict = Settings {
        strict: true,
        ..usual()
    };
    let named = Settings {
        default_network: Some("n0".into()),
        ..usual()
    };
    let permissive = Settings {
        allow_privileged: true,
        allow_parameters: true,
        ..usual()
    };
    let as_docker = Settings {
        container_type: Some(Type::Docker),
        ..usual()
    };
    let as_mesos = Settings {
        container_type: Some(Type::Mesos),
        ..usual()
    };
    vec![
        (fields::ROWS, usual()),
        (fields::STRICT, strict),
        (container::ROWS, usual()),
        (container::PERMISSIVE, permissive),
        (container::AS_DOCKER, as_docker),
        (container::AS_MESOS, as_mesos),
        (network::ROWS, usual()),
        (network::WITH_DEFAULT, named),
        (forms::ROWS, usual()),
        (volumes::ROWS, usual()),
        (checks::ROWS, usual()),
        (scheduler::ROWS, usual()),
    ]
}

#[test]
fn every_row() {
    for (rows, settings) in tables() {
        check(rows, &settings);
    }
}

/// What was accepted, and written in its new form, is accepted again and the same. An own
/// password is left out there.
#[test]
fn the_normal_form_is_its_own() {
    for (rows, settings) in tables() {
        for (case, base, says, _) in rows {
            let text = document(*base, says);
            if let Ok((app, _)) = read(text.as_bytes(), &settings) {
                let normal = serde_json::to_value(&app).unwrap();
                let again = accepted(&normal.to_string(), &settings);
                let again = serde_json::to_value(&again).unwrap();
                assert_eq!(normal, again, "{case} {says}");
            }
        }
    }
}

/// Every definition of the tables is a seed of tests/fuzz/targets/app.rs, named by its digest;
/// `UCR_BLESS=1 cargo test --lib marathon` writes them.
#[test]
fn every_row_is_a_seed() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds/app");
    let mut missing = Vec::new();
    for (rows, _) in tables() {
        for (case, base, says, _) in rows {
            let text = document(*base, says);
            let digest = Digest::of(text.as_bytes()).to_string();
            let seed = top.join(&digest["sha256:".len()..][..12]);
            if std::env::var_os("UCR_BLESS").is_some() {
                fs::write(&seed, &text).unwrap();
            } else if fs::read_to_string(&seed).ok() != Some(text) {
                missing.push(format!("{case} {says}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "UCR_BLESS=1 writes the seeds of {missing:?}"
    );
}

/// Those that only a running container decides, and C13, which is in hostile.rs.
const ELSEWHERE: [usize; 8] = [13, 22, 41, 42, 47, 52, 59, 71];

#[test]
fn every_case_has_a_row() {
    let mut cases: BTreeSet<usize> = (1..=76).collect();
    for (rows, _) in tables() {
        for (case, ..) in rows {
            let number = case.strip_prefix('C').and_then(|it| it.parse().ok());
            number.map(|it: usize| cases.remove(&it));
        }
    }
    cases.retain(|it| !ELSEWHERE.contains(it));
    assert!(
        cases.iter().eq(&[29]),
        "only C29 is a pair, in forms.rs: {cases:?}"
    );
}

/// Identifiers in the source: `"E:…"`, `"W:…"`.
fn identifiers(directory: &Path, ids: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            identifiers(&path, ids);
        } else if path.is_file() {
            let text = fs::read_to_string(path).unwrap();
            let words = text.split('"').filter(|word| {
                let name = word.strip_prefix("E:").or(word.strip_prefix("W:"));
                name.is_some_and(|it| {
                    !it.is_empty()
                        && it
                            .bytes()
                            .all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte))
                })
            });
            ids.extend(words.map(str::to_owned));
        }
    }
}

#[test]
fn every_identifier_has_a_row() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/frontend/marathon");
    let mut ids = BTreeSet::new();
    for place in ["read", "rules"] {
        identifiers(&top.join(place), &mut ids);
    }
    assert!(ids.len() > 80, "the identifiers are not where this looks");
    for (rows, _) in tables() {
        for (_, _, _, expected) in rows {
            for found in expected.split_whitespace() {
                ids.remove(found.split('@').next().unwrap());
            }
        }
    }
    // Those of text that is no JSON, or too much of it, are in hostile.rs.
    for id in ["E:json", "E:duplicate-key"] {
        assert!(ids.remove(id), "{id}");
    }
    assert!(ids.is_empty(), "no row has {ids:?}");
}
