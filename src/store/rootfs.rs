//! Provisioned root filesystems: a record each, which is a lease on the image's layers until `rm`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Lock, Patience, Store, file};
use crate::image::{ChainId, Digest};
use crate::sys;

/// How a root filesystem is made from layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// An overlay mount over the store's layers.
    Overlay,
    /// A full copy.
    Copy,
}

/// A provisioned root filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootfsRecord {
    /// Twelve hex digits.
    pub id: String,
    /// The image's name.
    pub image: String,
    /// The image's manifest.
    pub manifest: Digest,
    /// The layers it leases, bottom first.
    pub layers: Vec<ChainId>,
    /// How it was made.
    pub backend: Backend,
    /// Where the root filesystem is.
    pub path: PathBuf,
    /// Whether ucr made the directory there, and so removes it.
    #[serde(default)]
    pub owns_path: bool,
    /// The bundle around it, if one was asked for.
    pub bundle: Option<PathBuf>,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
    /// The boot it was mounted in; a mount does not outlive it.
    pub boot_id: String,
}

impl Store {
    /// The private directory of a root filesystem: `upper`, `work` and perhaps `merged`.
    pub fn rootfs_dir(&self, id: &str) -> PathBuf {
        self.path("rootfs").join(id)
    }

    /// Makes the private directory. Nothing is leased until the record is saved.
    pub fn create_rootfs_dir(&self, id: &str) -> Result<RootfsMaking> {
        let directory = self.rootfs_dir(id);
        let lock = Lock::new_directory(&directory)?;
        Ok(RootfsMaking {
            directory,
            kept: false,
            _lock: lock,
        })
    }

    /// The right to make or remove a root filesystem at a path: one process at a time.
    pub fn lock_path(&self, path: &Path) -> Result<PathRight> {
        // In `tmp`, where it is swept if we die.
        let name = Digest::of(path.as_os_str().as_encoded_bytes());
        let file = self.path("tmp").join(name.hex());
        let lock = Lock::exclusive(&file, Patience::Wait)?;
        let lock = lock.context("a lock that is waited for is had")?;
        Ok(PathRight { file, _lock: lock })
    }

    /// Writes or rewrites a record.
    pub fn save_rootfs(&self, record: &RootfsRecord) -> Result<()> {
        self.write_json(&self.rootfs_dir(&record.id).join(RECORD), record)
    }

    /// Every provisioned root filesystem, oldest first.
    pub fn rootfs_records(&self) -> Result<Vec<RootfsRecord>> {
        let mut records = Vec::new();
        for directory in file::list(&self.path("rootfs"))? {
            records.extend(file::read_json::<RootfsRecord>(
                &directory.join("record.json"),
            )?);
        }
        records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(records)
    }

    /// Ends the lease and removes the private directory. Whatever is mounted is gone already.
    pub fn remove_rootfs(&self, id: &str) -> Result<()> {
        self.discard(&self.rootfs_dir(id))
    }
}

/// A held right to a path.
#[derive(Debug)]
pub struct PathRight {
    file: PathBuf,
    _lock: Lock,
}

impl Drop for PathRight {
    fn drop(&mut self) {
        // Before the lock goes: whoever waits for it sees that the file lost its name.
        let _ = fs::remove_file(&self.file);
    }
}

/// A root filesystem in the making; what it left is removed when dropped before [`Self::keep`].
#[derive(Debug)]
pub struct RootfsMaking {
    directory: PathBuf,
    kept: bool,
    _lock: Lock,
}

/// A tree outside the store that is not complete yet.
#[derive(Serialize, Deserialize)]
struct Temporary {
    path: PathBuf,
}

impl RootfsMaking {
    /// The private directory.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Notes a tree to remove if we die before the record is saved.
    pub fn note_temporary(&self, path: &Path) -> Result<()> {
        let note = Temporary {
            path: path.to_owned(),
        };
        let path = self.directory.join(TEMPORARY);
        fs::write(&path, file::json(&note)?).with_context(|| format!("write {}", path.display()))
    }

    /// The record is saved; the root filesystem stays.
    pub fn keep(mut self) {
        self.kept = true;
        // The tree that it names was renamed away.
        let _ = file::remove_file(&self.directory.join(TEMPORARY));
    }
}

impl Drop for RootfsMaking {
    fn drop(&mut self) {
        if !self.kept {
            // A failure here is mended by a later sweep, which finds the lock free.
            let _ = remove_unfinished(&self.directory);
        }
    }
}

const TEMPORARY: &str = "temporary.json";
const RECORD: &str = "record.json";

/// Removes what its maker did not finish. With a record it is a lease that `rm` ends, but the tree
/// beside its final place goes all the same.
fn remove_unfinished(directory: &Path) -> Result<()> {
    let temporary = directory.join(TEMPORARY);
    // A note that is not complete is of a tree that was not begun.
    if let Some(note) = file::read_json::<Temporary>(&temporary).unwrap_or_default() {
        sys::remove_path(&note.path)?;
    }
    if directory.join(RECORD).exists() {
        return Ok(file::remove_file(&temporary)?);
    }
    Ok(sys::remove_path(directory)?)
}

impl Store {
    pub(super) fn sweep_rootfs(&self) {
        for directory in file::list(&self.path("rootfs")).unwrap_or_default() {
            let unfinished = !directory.join(RECORD).exists() || directory.join(TEMPORARY).exists();
            if unfinished && let Ok(Some(_dead)) = Lock::existing(&directory) {
                let _ = remove_unfinished(&directory);
            }
        }
    }
}
