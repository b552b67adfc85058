//! Small files of the store: written durably, read whole, listed without surprises.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use crate::error::{Fault, Kind};
use crate::sys;

/// How often a file is written again because a sweeper removed it.
const MAX_TRIES: u32 = 3;

/// Reads a JSON document; `None` if there is no such file. Fails with [`Kind::Store`] on a
/// malformed one, which only a fault of the disk or of another program leaves behind.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let parsed = serde_json::from_slice(&bytes).map_err(|error| {
        Fault::new(
            Kind::Store,
            format!("{} is damaged: {error}", path.display()),
        )
        .hint("remove that file, then pull the image again")
    })?;
    Ok(Some(parsed))
}

impl Store {
    /// Publishes a JSON document: readers see the old one or the new one, also after a power cut.
    pub(super) fn write_json<T: Serialize>(&self, path: &Path, document: &T) -> Result<()> {
        self.publish(path, &json(document)?, 0o644)
    }

    /// Writes a file in `tmp/`, syncs it, renames it to its place, and syncs the directory there.
    pub(super) fn publish(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let staged = self.stage_file(path, bytes, mode)?;
        staged.sync()?;
        staged.commit()?;
        sys::sync_directory(path.parent().unwrap_or(Path::new("/")))
            .with_context(|| format!("write {}", path.display()))
    }

    /// Writes a file in `tmp/` that is to have its place later.
    pub(super) fn stage_file(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<StagedFile> {
        let what = || format!("write {}", path.display());
        for _ in 0..MAX_TRIES {
            let name = sys::random_name().with_context(what)?;
            let temporary = self.path("tmp").join(name);
            let mut staged = StagedFile::new(temporary, path, mode).with_context(what)?;
            // A sweeper may have taken the file for a dead one's before it was locked.
            if staged.temporary.exists() {
                staged.file.write_all(bytes).with_context(what)?;
                return Ok(staged);
            }
        }
        Err(anyhow!("somebody removes it again and again")).with_context(what)
    }
}

/// A file without its name yet; removed when dropped before it is committed.
#[derive(Debug)]
pub struct StagedFile {
    temporary: PathBuf,
    path: PathBuf,
    /// Locked until it has its name: it is not to be swept.
    file: File,
    committed: bool,
}

impl StagedFile {
    fn new(temporary: PathBuf, path: &Path, mode: u32) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.lock()?;
        Ok(Self {
            temporary,
            path: path.to_owned(),
            file,
            committed: false,
        })
    }

    /// Makes the content durable.
    pub fn sync(&self) -> Result<()> {
        let what = || format!("write {}", self.path.display());
        self.file.sync_all().with_context(what)
    }

    /// Gives it its name, in the place of an older file.
    pub fn commit(mut self) -> Result<()> {
        let what = || format!("write {}", self.path.display());
        fs::rename(&self.temporary, &self.path).with_context(what)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed now is swept by a later command.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// A JSON document as the store writes it.
pub(super) fn json<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The entries of a directory, by name; empty if there is no such directory.
pub(super) fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Removes a file; a missing one is fine.
pub(super) fn remove_file(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
