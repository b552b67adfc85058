//! What is mounted at the user's wish: files and directories of the host, fresh memory, volumes of
//! the store, other images. Pure: types, checks, and the three ways to write them down.
//!
//! ```text
//! -v, --mount, --tmpfs ─► Written ─► Mount ─► resolve ─► the plan's list
//!          JSON ────────────┘  checks: a field that has no meaning for a type is refused
//! ```

mod idmap;
mod resolve;
mod words;
mod written;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use written::Written;

pub use idmap::{IdMap, IdRange};
pub use resolve::{SANDBOX, mounts, target};
pub use written::volume_name;

/// One mount, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Mount {
    /// Where it appears inside. Absolute, or relative to the sandbox; never with `..`.
    pub target: PathBuf,
    /// What it may not do.
    pub access: Access,
    /// What appears there.
    pub source: Source,
}

/// Restrictions; what is unset is up to the kind of the mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Refuse writes.
    pub read_only: Option<bool>,
    /// Refuse to execute.
    pub no_exec: Option<bool>,
    /// Ignore set-user-ID bits and file capabilities.
    pub no_suid: Option<bool>,
    /// Ignore device nodes.
    pub no_dev: Option<bool>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Something of the host's.
    Bind(Bind),
    /// Memory, empty at first.
    Tmpfs(Tmpfs),
    /// A directory that ucr keeps.
    Volume(Volume),
    /// The files of another image.
    Image(ImageSource),
}

/// A file or directory of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the host.
    pub path: PathBuf,
    /// What of it; links in there lead nowhere else.
    pub subpath: Option<PathBuf>,
    /// What of the mounts below it is taken along.
    pub recursive: Option<Recursive>,
    /// What becomes of mounts that are made later, on either side.
    pub propagation: Option<Propagation>,
    /// Whose the files appear to be.
    pub idmap: Option<IdMap>,
}

/// What happens to the mounts below a bind's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recursive {
    /// They are taken along, and are read-only where the bind is: the default.
    Enabled,
    /// The same, said in so many words.
    Readonly,
    /// They are taken along and stay writable under a read-only bind.
    Writable,
    /// They are left out.
    Disabled,
}

/// mount_namespaces(7), "Shared subtrees". With and without `r` are the same: what is below the
/// source is always treated like the source itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Later mounts are not seen on the other side: the default.
    Rprivate,
    /// The same.
    Private,
    /// Later mounts of the host are seen inside.
    Rslave,
    /// The same.
    Slave,
    /// Later mounts are seen on both sides.
    Rshared,
    /// The same.
    Shared,
}

/// A filesystem in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tmpfs {
    /// Most bytes that it may hold; half of the machine's memory if unset.
    pub size_bytes: Option<u64>,
    /// Permissions of its root; those of the directory that it covers if unset.
    pub mode: Option<u32>,
    /// Owner of its root; that of the directory that it covers if unset.
    pub uid: Option<u32>,
    /// Group of its root; that of the directory that it covers if unset.
    pub gid: Option<u32>,
}

/// A volume of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Its name; one without a name goes with the container.
    pub name: Option<String>,
    /// Do not fill it with what the image has at the target when it is empty.
    pub no_copy: bool,
    /// Show this directory or file in it; relative, never with `..`.
    pub subpath: Option<PathBuf>,
}

/// Another image of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSource {
    /// Its name.
    pub name: String,
    /// Show this directory or file in it; relative, never with `..`.
    pub subpath: Option<PathBuf>,
}

impl Mount {
    /// A file or directory of the host, writable.
    pub fn bind(path: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            target: target.into(),
            access: Access::default(),
            source: Source::Bind(Bind {
                path: path.into(),
                ..Bind::default()
            }),
        }
    }

    /// A fresh volume that goes with the container.
    pub fn anonymous(target: impl Into<PathBuf>) -> Self {
        Self {
            target: target.into(),
            access: Access::default(),
            source: Source::Volume(Volume::default()),
        }
    }

    /// Whether writing is refused: an image's files are not written to unless that is asked for.
    pub fn is_read_only(&self) -> bool {
        let default = matches!(self.source, Source::Image(_));
        self.access.read_only.unwrap_or(default)
    }

    /// Whether others than the container can write to it while it lives.
    pub fn is_reached_by_others(&self) -> bool {
        match &self.source {
            Source::Bind(_) => true,
            Source::Volume(volume) => volume.name.is_some(),
            Source::Tmpfs(_) | Source::Image(_) => false,
        }
    }

    /// The path of the host that is shown, if one is.
    pub fn host_path(&mut self) -> Option<&mut PathBuf> {
        match &mut self.source {
            Source::Bind(bind) => Some(&mut bind.path),
            Source::Tmpfs(_) | Source::Volume(_) | Source::Image(_) => None,
        }
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Bind(bind) => write!(f, "{}", bind.path.display())?,
            Source::Tmpfs(_) => write!(f, "a tmpfs")?,
            Source::Volume(Volume { name: None, .. }) => write!(f, "a volume")?,
            Source::Volume(Volume {
                name: Some(name), ..
            }) => write!(f, "volume {name}")?,
            Source::Image(image) => write!(f, "image {}", image.name)?,
        }
        write!(f, " on {}", self.target.display())
    }
}
