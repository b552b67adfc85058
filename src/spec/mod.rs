//! THE container description: what was asked, in words that every front end and every runtime
//! share. Unset stays unset; image defaults are merged in one place per runtime. Pure.

pub mod defaults;
pub mod mount;
mod process;
mod user;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use mount::{Mount, SANDBOX};
pub use process::{Process, process, with_home};
pub use user::{Account, resolve_user};

/// A container as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerSpec {
    /// The image's normalised name.
    pub image: String,
    /// Replaces the image's entrypoint and with it its command; empty removes both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Added to the image's environment, `NAME=value` each; the last of a name counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Replaces the image's working directory; absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Replaces the image's user: `USER[:GROUP]`, names or numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Directories and files of the host to show inside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// A directory of the host that becomes the Mesos sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<PathBuf>,
    /// Give it a terminal of its own.
    #[serde(default)]
    pub tty: bool,
    /// Keep our standard input open for it.
    #[serde(default)]
    pub stdin: bool,
    /// Put a reaping, signal-forwarding process before the command.
    #[serde(default)]
    pub init: bool,
}
