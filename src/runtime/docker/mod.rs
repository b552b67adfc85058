//! Docker Engine as a runtime, through the `docker` CLI (design D10): the same description, told to
//! docker with ucr's own defaults said explicitly, so that both runtimes mean the same.
//!
//! ```text
//! ContainerSpec ─► arguments ─► docker create ─► docker start --attach ─► docker inspect ─► docker rm
//!                     │              │                   │                      │
//!              refused by name    remarks          stderr, signals           verdict
//! ```
//!
//! The Engine has no part in ucr's records: what ucr knows of a container is in its labels, so any
//! ucr finds it. Only what a killed ucr leaves is written down, before it exists.

pub mod arguments;
mod create;
mod found;
mod image;
mod relay;
mod run;
mod unexecutable;
mod verdict;

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::{Engine, Environment, LONG, left};
use crate::error::{Fault, Kind};
use crate::sys;

pub use image::{EngineImage, PullRequest};
pub use run::{Asked, Ran};

/// The oldest API that can do what ucr's defaults need: Docker 20.10.
const OLDEST_API: (u32, u32) = (1, 41);

/// What the names of ucr's own labels begin with.
const LABELS: &str = "ucr.";
/// On every container of ucr's: the name of its start, which no other has.
const KEY_LABEL: &str = "ucr.key";
/// What was asked for, as a document.
const SPEC_LABEL: &str = "ucr.spec";
/// The image's manifest, as far as the Engine knows it.
const MANIFEST_LABEL: &str = "ucr.manifest";
/// Whether it stays after its end.
const KEPT_LABEL: &str = "ucr.kept";

/// An Engine that answers.
#[derive(Debug)]
pub struct Docker {
    engine: Engine,
    /// Version of its API, as far as the CLI speaks it.
    api: (u32, u32),
}

#[derive(Deserialize)]
struct Versions {
    #[serde(rename = "Client")]
    client: Option<Client>,
    #[serde(rename = "Server")]
    server: Option<Server>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Client {
    /// What both can speak.
    #[serde(default)]
    api_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    version: String,
    api_version: String,
    #[serde(default)]
    os: String,
}

impl Docker {
    /// Reaches the Engine that the environment names, and removes what killed processes left there.
    /// `directory` is for files that exist as long as a ucr does. Fails with [`Kind::Network`] if
    /// there is no answer, with [`Kind::Unsupported`] if it is too old or there is no CLI.
    pub fn connect(directory: &Path, environment: &Environment) -> Result<Self> {
        let engine = Engine::open(directory, environment, None)?;
        let versions: Versions = engine.ask(&["version", "--format", "{{json .}}"])?;
        let Some(server) = versions.server else {
            return Err(Fault::new(Kind::Network, "Docker Engine does not say its version").into());
        };
        let spoken = versions.client.and_then(|it| api(&it.api_version));
        let api = api(&server.api_version).unwrap_or_default();
        let api = spoken.map_or(api, |spoken| spoken.min(api));
        if api < OLDEST_API {
            let version = &server.version;
            let message = format!(
                "Docker Engine {version} (API {}) is too old",
                server.api_version
            );
            return Err(Fault::new(Kind::Unsupported, message)
                .hint("20.10 (API 1.41) is the oldest that ucr can use; or say --runtime native")
                .into());
        }
        if !matches!(server.os.as_str(), "" | "linux") {
            let message = format!("Docker Engine runs containers for {}", server.os);
            return Err(Fault::new(Kind::Unsupported, message)
                .hint("ucr is for Linux containers")
                .into());
        }
        Ok(Self { engine, api })
    }

    /// Removes the containers that killed processes left, wherever they are. What cannot be reached
    /// now stays noted. Returns what was removed.
    pub fn heal(directory: &Path) -> Vec<String> {
        let mut removed = Vec::new();
        for left in left(directory).unwrap_or_default() {
            let Some(note) = left.note else {
                continue;
            };
            let environment = environment_of(&note);
            if !Engine::is_there(&environment) {
                left.private.leave();
                continue;
            }
            let key = note["key"].as_str().unwrap_or_default().to_owned();
            let Ok(engine) = Engine::with(&environment, left.private) else {
                continue;
            };
            match remove_by_key(&engine, &key) {
                Ok(true) => removed.push(key),
                Ok(false) => (),
                Err(_) => engine.private().leave(),
            }
        }
        removed
    }

    /// Version of its API.
    pub fn api(&self) -> (u32, u32) {
        self.api
    }

    /// The Engine itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its private directory, and what reaches it: for whoever finds them after our death.
    fn note(&self, key: &str, environment: &Environment) -> Value {
        let variables = environment.variables.iter();
        let variables = variables.map(|(name, value)| (name.clone(), value.to_string_lossy()));
        json!({
            "key": key,
            "config": environment.config,
            "variables": variables.collect::<std::collections::BTreeMap<_, _>>(),
            "by": std::process::id(),
            "at": sys::now(),
        })
    }
}

fn environment_of(note: &Value) -> Environment {
    let variables = note["variables"].as_object();
    let variables = variables.into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned().into();
    Environment {
        variables: variables
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        config: note["config"].as_str().map(PathBuf::from),
    }
}

/// Whether there was one.
fn remove_by_key(engine: &Engine, key: &str) -> Result<bool> {
    let filter = format!("label={KEY_LABEL}={key}");
    let words = ["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter];
    let answer = engine.call(&words, crate::engine::SHORT, None)?;
    let answer = String::from_utf8_lossy(&answer);
    let ids: Vec<&str> = answer.split_whitespace().collect();
    for id in &ids {
        engine.call(&["rm", "--force", "--volumes", id], LONG, None)?;
    }
    Ok(!ids.is_empty())
}

fn api(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
