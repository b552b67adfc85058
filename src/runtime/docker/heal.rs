//! What killed processes leave in an Engine, and what was let go of: noted in the private directory
//! of whoever made it, removed by the next command that reaches that Engine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Docker, KEY_LABEL, create};
use crate::engine::{Engine, Environment, Left, left};
use crate::error::{Kind, kind};
use crate::sys;

/// How long a container may take to appear whose creation was given up.
const LATEST: Duration = Duration::from_secs(600);

/// How long is spent on what killed processes left, before anything else is done.
const HEALING: Duration = Duration::from_secs(3);

/// What became of what killed processes left.
#[derive(Debug, Default)]
pub struct Healed {
    /// The keys of what was removed.
    pub removed: Vec<String>,
    /// The keys of what could not be.
    pub waiting: Vec<String>,
}

impl Docker {
    /// Removes the containers that killed processes left, and those that were let go of and are over,
    /// wherever they are. What cannot be reached now stays noted. `patience` as in [`Environment`].
    pub fn heal(directory: &Path, patience: Option<Duration>) -> Healed {
        let mut healed = Healed::default();
        let deadline = Instant::now() + HEALING;
        let patience = patience.map_or(HEALING, |it| it.min(HEALING));
        for Left { private, note } in left(directory).unwrap_or_default() {
            let Some(note) = note else {
                continue;
            };
            let environment = environment_of(&note, Some(patience));
            let key = note["key"].as_str().unwrap_or_default().to_owned();
            if !Engine::is_there(&environment) || Instant::now() > deadline {
                private.leave();
                healed.waiting.push(key);
                continue;
            }
            let Ok(engine) = Engine::with(&environment, private) else {
                continue;
            };
            match heal(&engine, &note, &key) {
                Ok(Some(true)) => healed.removed.push(key),
                Ok(Some(false)) => (),
                Ok(None) => engine.private().leave(),
                Err(_) => {
                    engine.private().leave();
                    healed.waiting.push(key);
                }
            }
        }
        healed
    }

    /// What a container is found by, and its Engine: for whoever finds this after our death. `id` is
    /// the container's, if it has one.
    pub(super) fn note(&self, key: &str, id: Option<&str>, environment: &Environment) -> Value {
        // Proxies may have passwords; the note may stay for long.
        let is_noted = |name: &str| {
            let own = ["PATH", "HOME", "USER", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"];
            name.starts_with("DOCKER_") || own.contains(&name)
        };
        let variables = environment.variables.iter();
        let variables = variables.filter(|(name, _)| is_noted(name));
        let variables = variables.map(|(name, value)| (name.clone(), value.to_string_lossy()));
        json!({
            "key": key,
            "id": id,
            "is_let_go": false,
            "config": environment.config,
            "variables": variables.collect::<std::collections::BTreeMap<_, _>>(),
            "by": std::process::id(),
            "at": sys::now(),
        })
    }
}

/// Whether a container that is not there may come: the Engine goes on making it when the CLI that
/// asked for it is gone.
fn may_appear(note: &Value) -> bool {
    let age = note["at"].as_u64().map(|at| sys::now().abs_diff(at));
    note["id"].is_null() && age.is_some_and(|age| age < LATEST.as_secs())
}

fn environment_of(note: &Value, patience: Option<Duration>) -> Environment {
    let variables = note["variables"].as_object();
    let variables = variables.into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned().into();
    Environment {
        variables: variables
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        config: note["config"].as_str().map(PathBuf::from),
        patience,
    }
}

/// Whether something was removed; `None` if it is too early to say.
fn heal(engine: &Engine, note: &Value, key: &str) -> Result<Option<bool>> {
    let Some(id) = note["id"].as_str().filter(|id| create::is_id(id)) else {
        let is_removed = remove_unnoted(engine, key)?;
        return Ok((is_removed || !may_appear(note)).then_some(is_removed));
    };
    if note["is_let_go"] == true && is_running(engine, id)? {
        return Ok(None);
    }
    remove(engine, id).map(Some)
}

fn is_running(engine: &Engine, id: &str) -> Result<bool> {
    let words = [
        "inspect",
        "--type",
        "container",
        "--format",
        "{{json .State.Running}}",
        id,
    ];
    match engine.ask(&words) {
        Err(error) if kind(&error) == Kind::NotFound => Ok(false),
        found => found,
    }
}

/// Whether it was there.
pub(super) fn remove(engine: &Engine, id: &str) -> Result<bool> {
    let words = ["rm", "--force", "--volumes", id];
    match engine.call(&words, engine.long(), None) {
        Err(error) if kind(&error) == Kind::NotFound => Ok(false),
        removed => removed.map(|_| true),
    }
}

/// Removes what was made without our seeing its ID, and so was never started; whether there was
/// something.
pub(super) fn remove_unnoted(engine: &Engine, key: &str) -> Result<bool> {
    let filter = format!("label={KEY_LABEL}={key}");
    let words = [
        "ps",
        "--all",
        "--quiet",
        "--no-trunc",
        "--filter",
        &filter,
        "--filter",
        "status=created",
    ];
    let answer = engine.call(&words, engine.short(), None)?;
    let answer = String::from_utf8_lossy(&answer);
    let mut is_removed = false;
    for id in answer.split_whitespace().filter(|it| create::is_id(it)) {
        is_removed |= remove(engine, id)?;
    }
    Ok(is_removed)
}
