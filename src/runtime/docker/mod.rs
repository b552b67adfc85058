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
mod hand_over;
mod heal;
mod image;
mod relay;
mod run;
mod secrets;
mod unexecutable;
mod verdict;

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use crate::engine::{Engine, Environment};
use crate::error::{Fault, Kind};

pub use create::SHORT_ID;
pub use hand_over::Task;
pub use heal::Healed;
pub use image::{EngineImage, PullRequest};
pub use run::{Asked, Ran};
pub use secrets::{Secrets, UNREAD_SECRETS};

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
            return Err(another("'docker version' names no Engine").into());
        };
        let Some(api) = api(&server.api_version) else {
            let why = format!("its API has the version '{}'", server.api_version);
            return Err(another(&why).into());
        };
        let spoken = versions.client.and_then(|it| self::api(&it.api_version));
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

    /// Version of its API.
    pub fn api(&self) -> (u32, u32) {
        self.api
    }

    /// The Engine itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn another(why: &str) -> Fault {
    let message =
        format!("what is called docker here is not Docker's, or not for Docker Engine: {why}");
    Fault::new(Kind::Unsupported, message)
        .hint("podman has such a program; say --runtime native, or install Docker's CLI")
}

fn api(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
