//! The disk half of a container: its writable layer and its log, locked as long as its ucr lives.
//!
//! ```text
//! ROOT/containers/ID/lease.json      what must not be pruned while this is here
//! ROOT/containers/ID/container.json  the container stays after its end, until it is removed
//! ROOT/containers/ID/exit.json       how it ended
//! ROOT/containers/ID/log             what it printed
//! ```

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Lock, Store, file};
use crate::image::ChainId;
use crate::sys;

const LEASE: &str = "lease.json";
const KEPT: &str = "container.json";
const EXIT: &str = "exit.json";

/// A container's private directory; removed when dropped, unless it is kept.
#[derive(Debug)]
pub struct ContainerDir {
    path: PathBuf,
    lock: Lock,
}

/// What must not be pruned while the container is there.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Layers of its root filesystem and of images that are mounted in it.
    pub layers: Vec<ChainId>,
}

/// A container that stays after its end.
#[derive(Debug)]
pub struct KeptContainer<R, E> {
    /// Its private directory.
    pub path: PathBuf,
    /// What is known of it.
    pub record: R,
    /// How it ended, if that was seen.
    pub exit: Option<E>,
}

impl ContainerDir {
    /// The directory; `upper` and `work` are in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What holds it for this process.
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.file().as_fd()
    }

    /// Makes the writable layer ready for another mount: an overlay that was mounted volatile is
    /// refused else, since the host could have crashed (overlayfs, "Volatile mount"). It has not:
    /// this process has the directory since before.
    pub fn reuse(&self) -> Result<()> {
        // And what a start makes anew.
        for made in ["work", "rootfs", "lenders", "config.json"] {
            let path = self.path.join(made);
            sys::remove_path(&path).with_context(|| format!("remove {}", path.display()))?;
        }
        make(&self.path.join("work"), 0o700).context("make the container's directory anew")
    }
}

impl Drop for ContainerDir {
    fn drop(&mut self) {
        if !self.path.join(KEPT).exists() {
            // A failure here is mended by the next command, which finds the lock free.
            let _ = sys::remove_path(&self.path);
        }
    }
}

fn make(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::DirBuilder::new().mode(mode).create(path)
}

impl Store {
    fn container_path(&self, id: &str) -> PathBuf {
        self.path("containers").join(id)
    }

    /// Makes the writable layer of a container and leases what is below it.
    pub fn create_container(&self, id: &str, lease: &Lease) -> Result<ContainerDir> {
        let path = self.container_path(id);
        let lock = Lock::new_directory(&path)?;
        let directory = ContainerDir { path, lock };
        make(&directory.path.join("upper"), 0o755)?;
        make(&directory.path.join("work"), 0o700)?;
        // Not synced: after a power cut there is no container, and the next command sweeps this.
        fs::write(directory.path.join(LEASE), file::json(lease)?)?;
        Ok(directory)
    }

    /// Takes the directory of a kept container that nobody has; `None` if somebody has it.
    pub fn hold_container(&self, id: &str) -> Result<Option<ContainerDir>> {
        let path = self.container_path(id);
        let lock = Lock::existing(&path).with_context(|| format!("lock {}", path.display()))?;
        // One that is not kept would be removed with what is returned here.
        let lock = lock.filter(|_| path.join(KEPT).exists());
        Ok(lock.map(|lock| ContainerDir { path, lock }))
    }

    /// Lets a container stay after its end, under this record.
    pub fn keep_container<R: Serialize>(&self, directory: &ContainerDir, record: &R) -> Result<()> {
        self.write_json(&directory.path.join(KEPT), record)
    }

    /// Whether a container stays after its end.
    pub fn is_kept(&self, id: &str) -> bool {
        self.container_path(id).join(KEPT).exists()
    }

    /// Writes down how a kept container ended.
    pub fn container_ended<E: Serialize>(&self, id: &str, exit: &E) -> Result<()> {
        self.write_json(&self.container_path(id).join(EXIT), exit)
    }

    /// Where what a container prints is kept.
    pub fn container_log(&self, id: &str) -> PathBuf {
        self.container_path(id).join("log")
    }

    /// The containers that stay after their end, ended or not. One that another process removes
    /// meanwhile is left out.
    pub fn kept_containers<R, E>(&self) -> Result<Vec<KeptContainer<R, E>>>
    where
        R: DeserializeOwned,
        E: DeserializeOwned,
    {
        let mut kept = Vec::new();
        for path in file::list(&self.path("containers"))? {
            if let Some(record) = file::read_json(&path.join(KEPT))? {
                let exit = file::read_json(&path.join(EXIT))?;
                kept.push(KeptContainer { path, record, exit });
            }
        }
        Ok(kept)
    }

    /// Removes a kept container; `false` if it runs.
    pub fn remove_container(&self, id: &str) -> Result<bool> {
        let path = self.container_path(id);
        let what = || format!("remove {}", path.display());
        match Lock::existing(&path) {
            Ok(Some(_lock)) => self.discard(&path).map(|()| true),
            Ok(None) => Ok(!path.exists()),
            Err(_) if !path.exists() => Ok(true),
            Err(error) => Err(error).with_context(what),
        }
    }

    pub(super) fn container_leases(&self) -> Result<Vec<Lease>> {
        let mut leased = Vec::new();
        for directory in file::list(&self.path("containers"))? {
            leased.extend(file::read_json::<Lease>(&directory.join(LEASE))?);
        }
        Ok(leased)
    }

    pub(super) fn sweep_containers(&self) {
        for directory in file::list(&self.path("containers")).unwrap_or_default() {
            // In this order: what is kept is marked while it is locked.
            if let Ok(Some(_dead)) = Lock::existing(&directory)
                && !directory.join(KEPT).exists()
            {
                let _ = self.discard(&directory);
            }
        }
    }
}
