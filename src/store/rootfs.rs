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
    pub owns_path: bool,
    /// The bundle around it, if one was asked for.
    pub bundle: Option<PathBuf>,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
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

    /// The record of a root filesystem, unless it was removed.
    pub fn rootfs(&self, id: &str) -> Result<Option<RootfsRecord>> {
        file::read_json(&self.rootfs_dir(id).join(RECORD))
    }

    /// Every provisioned root filesystem, oldest first.
    pub fn rootfs_records(&self) -> Result<Vec<RootfsRecord>> {
        let mut records = Vec::new();
        for directory in file::list(&self.path("rootfs"))? {
            records.extend(file::read_json::<RootfsRecord>(&directory.join(RECORD))?);
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

/// Removes what its maker did not finish. With a record and nothing beside its final place it is
/// finished: a lease that `rm` ends.
fn remove_unfinished(directory: &Path) -> Result<()> {
    let (temporary, record) = (directory.join(TEMPORARY), directory.join(RECORD));
    // A note that is not complete is of a tree that was not begun.
    let note = file::read_json::<Temporary>(&temporary).unwrap_or_default();
    if let Some(tree) = note.map(|note| note.path)
        && tree.symlink_metadata().is_ok()
    {
        // It never got to its place; without its record nobody takes what is there for it. The
        // record goes first, or dying here would leave one that looks finished.
        file::remove_file(&record)?;
        sys::remove_path(&tree)?;
    }
    if record.exists() {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a maker that died leaves: a record, and a note of a tree that is there or not.
    fn died(store: &Store, id: &str, tree: &Path) -> RootfsRecord {
        let record = RootfsRecord {
            id: id.to_owned(),
            image: "x".to_owned(),
            manifest: Digest::of(b"x"),
            layers: Vec::new(),
            backend: Backend::Copy,
            path: tree.with_file_name("place"),
            owns_path: false,
            bundle: None,
            created_at: 0,
        };
        let mut making = store.create_rootfs_dir(id).unwrap();
        making.note_temporary(tree).unwrap();
        store.save_rootfs(&record).unwrap();
        making.kept = true;
        record
    }

    /// An empty directory of the user's at the final place would count as the copy otherwise.
    #[test]
    fn a_copy_that_is_not_in_its_place_has_no_record() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        let (moved, staying) = (scratch.path().join("moved"), scratch.path().join("staying"));
        fs::create_dir(&staying).unwrap();
        let finished = died(&store, "finished", &moved);
        died(&store, "unfinished", &staying);
        store.heal();
        assert_eq!(store.rootfs_records().unwrap(), [finished]);
        assert!(!staying.exists());
        assert!(!store.rootfs_dir("unfinished").exists());
        assert!(!store.rootfs_dir("finished").join(TEMPORARY).exists());
    }
}
