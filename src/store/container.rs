//! The disk half of a container: its writable layer, locked as long as its ucr lives.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Lock, Patience, Store, file};
use crate::image::ChainId;
use crate::sys;

/// A container's private directory; removed when dropped.
#[derive(Debug)]
pub struct ContainerDir {
    path: PathBuf,
    _lock: Lock,
}

/// What must not be pruned while the container lives.
#[derive(Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) layers: Vec<ChainId>,
}

impl ContainerDir {
    /// The directory; `upper` and `work` are in it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ContainerDir {
    fn drop(&mut self) {
        // A failure here is mended by the next command, which finds the lock free.
        let _ = sys::remove_path(&self.path);
    }
}

impl Store {
    /// Makes the writable layer of a container and leases the layers below it.
    pub fn create_container(&self, id: &str, layers: &[ChainId]) -> Result<ContainerDir> {
        let path = self.path("containers").join(id);
        let make = |path: &Path, mode| fs::DirBuilder::new().mode(mode).create(path);
        make(&path, 0o700).with_context(|| format!("make {}", path.display()))?;
        let lock = Lock::exclusive(&path.join("lock"), Patience::Wait)?
            .context("a lock that is waited for is had")?;
        let directory = ContainerDir { path, _lock: lock };
        make(&directory.path.join("upper"), 0o755)?;
        make(&directory.path.join("work"), 0o700)?;
        self.write_json(
            &directory.path.join("lease.json"),
            &Lease {
                layers: layers.to_vec(),
            },
        )?;
        Ok(directory)
    }

    pub(super) fn container_leases(&self) -> Result<Vec<ChainId>> {
        let mut leased = Vec::new();
        for directory in file::list(&self.path("containers"))? {
            if let Some(lease) = file::read_json::<Lease>(&directory.join("lease.json"))? {
                leased.extend(lease.layers);
            }
        }
        Ok(leased)
    }

    pub(super) fn sweep_containers(&self) {
        for directory in file::list(&self.path("containers")).unwrap_or_default() {
            let lock = directory.join("lock");
            // Without a lock file its maker is between mkdir and open; leave it to a later sweep
            // unless it has had a minute.
            let young = !lock.exists() && file::age_seconds(&directory) < 60;
            if !young && matches!(Lock::exclusive(&lock, Patience::Try), Ok(Some(_))) {
                let _ = self.discard(&directory);
            }
        }
    }
}
