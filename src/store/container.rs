//! The disk half of a container: its writable layer, locked as long as its ucr lives.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Lock, Store, file};
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
        let lock = Lock::new_directory(&path)?;
        let directory = ContainerDir { path, _lock: lock };
        let make = |name, mode| {
            fs::DirBuilder::new()
                .mode(mode)
                .create(directory.path.join(name))
        };
        make("upper", 0o755)?;
        make("work", 0o700)?;
        // Not synced: after a power cut there is no container, and the next command sweeps this.
        let lease = Lease {
            layers: layers.to_vec(),
        };
        fs::write(directory.path.join("lease.json"), file::json(&lease)?)?;
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
            if let Ok(Some(_dead)) = Lock::existing(&directory) {
                let _ = self.discard(&directory);
            }
        }
    }
}
