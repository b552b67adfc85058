//! Layers being fetched: who fetches which, and how far a large one got.
//!
//! `ingest/HEX` is a lock first: of several processes that want one blob, one fetches it and the
//! others find the layer when they get the lock. From [`SPOOL_FROM`] up the file also receives the
//! bytes, so that a pull that was cut goes on where it stopped.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Lock, Patience, Store, file};
use crate::image::Digest;

/// Smallest blob whose bytes are kept for resuming, in bytes.
pub const SPOOL_FROM: u64 = 32 << 20;

/// The right to fetch a blob.
#[derive(Debug)]
pub struct Ingest {
    path: PathBuf,
    lock: Lock,
    is_partial: bool,
}

impl Ingest {
    /// Bytes of the blob already here from an earlier try.
    pub fn resumable(&self) -> Result<u64> {
        Ok(self.lock.file().metadata()?.len())
    }

    /// The partial file, at its start.
    pub fn partial(&self) -> Result<File> {
        let mut file = self.lock.file().try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    /// Keeps the bytes so far for the next try, instead of removing them when dropped.
    pub fn keep_partial(&mut self) {
        self.is_partial = true;
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if !self.is_partial {
            // Before the lock goes: whoever waits for it sees that the file lost its name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Store {
    /// Takes the right to fetch a blob; with [`Patience::Try`], `None` while another process has it.
    pub fn ingest(&self, blob: &Digest, patience: Patience) -> Result<Option<Ingest>> {
        self.right(self.path("ingest").join(blob.hex()), blob, patience)
    }

    /// Takes the right to pull the image with this configuration. It has a name of its own: a
    /// hostile manifest may list its configuration as a layer, or another image's, and nobody must
    /// wait for himself or in a circle.
    pub fn ingest_image(&self, config: &Digest, patience: Patience) -> Result<Option<Ingest>> {
        let name = format!("image-{}", config.hex());
        self.right(self.path("ingest").join(name), config, patience)
    }

    fn right(&self, path: PathBuf, blob: &Digest, patience: Patience) -> Result<Option<Ingest>> {
        let lock = Lock::exclusive(&path, patience).with_context(|| format!("fetch {blob}"))?;
        Ok(lock.map(|lock| Ingest {
            path,
            lock,
            is_partial: false,
        }))
    }

    pub(super) fn abandoned_ingests(&self) -> Result<Vec<PathBuf>> {
        let mut dead = Vec::new();
        for path in file::list(&self.path("ingest"))? {
            if Lock::exclusive(&path, Patience::Try)?.is_some() {
                dead.push(path);
            }
        }
        Ok(dead)
    }
}
