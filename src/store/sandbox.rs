//! Directories of apps: sandboxes, which go when their app ends, and persistent volumes, which stay
//! (reference/marathon.md, section 1.5).

use std::collections::HashSet;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Store;
use super::file::list;
use super::lock::Lock;
use crate::sys;

/// Everybody in the container may write; nobody outside gets to it, for the store is private.
const MODE: u32 = 0o1777;

/// The sandbox of a running app. Locked; removed when dropped.
#[derive(Debug)]
pub struct Sandbox {
    path: PathBuf,
    is_kept: bool,
    _lock: Lock,
}

impl Sandbox {
    /// Makes it at a path where nothing is. `is_kept` ones are not removed.
    pub fn create(path: &Path, is_kept: bool) -> Result<Self> {
        let what = || format!("sandbox {}", path.display());
        let lock = match is_kept {
            false => Lock::new_directory(path).with_context(what)?,
            true => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o755)
                    .create(path)
                    .with_context(what)?;
                let lock = Lock::existing(path).with_context(what)?;
                lock.context("another app has it").with_context(what)?
            }
        };
        let sandbox = Self {
            path: path.to_owned(),
            is_kept,
            _lock: lock,
        };
        if !is_kept {
            fs::set_permissions(path, Permissions::from_mode(MODE)).with_context(what)?;
        }
        Ok(sandbox)
    }

    /// Where it is on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is swept by a later command.
            let _ = sys::remove_path(&self.path);
        }
    }
}

impl Store {
    /// A fresh sandbox.
    pub fn create_sandbox(&self, name: &str) -> Result<Sandbox> {
        let room = self.path("sandboxes");
        sys::make_private(&room)?;
        Sandbox::create(&room.join(name), false)
    }

    /// Removes the sandboxes of dead ucrs that are not among those that live containers have.
    pub fn sweep_sandboxes(&self, used: impl FnOnce() -> Result<HashSet<PathBuf>>) {
        let all = list(&self.path("sandboxes")).unwrap_or_default();
        let is_dead = |path: &PathBuf| matches!(Lock::existing(path), Ok(Some(_)));
        let dead: Vec<PathBuf> = all.into_iter().filter(is_dead).collect();
        if dead.is_empty() {
            return;
        }
        let Ok(used) = used() else {
            return;
        };
        for path in dead.iter().filter(|path| !used.contains(*path)) {
            let _ = sys::remove_path(path);
        }
    }

    /// Where an app keeps, from run to run, what is at this path of its sandbox. `app` is the ID
    /// with its slashes, in which no `_` can be.
    pub fn persistent_path(&self, app: &str, path: &str) -> PathBuf {
        let name = app.trim_start_matches('/').replace('/', "_");
        self.path("persistent").join(name).join(path)
    }

    /// Makes it, if it is not there.
    pub fn persistent(&self, app: &str, path: &str) -> Result<PathBuf> {
        sys::make_private(&self.path("persistent"))?;
        let directory = self.persistent_path(app, path);
        let what = || format!("persistent volume {}", directory.display());
        if !directory.exists() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o755);
            builder.create(&directory).with_context(what)?;
            fs::set_permissions(&directory, Permissions::from_mode(MODE)).with_context(what)?;
        }
        Ok(directory)
    }
}
