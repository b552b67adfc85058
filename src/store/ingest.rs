//! Layers being fetched: who fetches which, and how far a large one got.
//!
//! `ingest/HEX` is a lock first: of several processes that want one blob, one fetches it and the
//! others find the layer when they get the lock. The file also receives bytes of a blob that takes
//! long to fetch, so that a pull that was cut goes on where it stopped. What had come before it
//! was known to take long is a hole at the start of the file.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::{Lock, Patience, Store, file};
use crate::image::Digest;
use crate::sys;

/// Kept bytes begin at a multiple of this: file systems know their holes by blocks.
pub const KEPT_ALIGNMENT: u64 = 64 << 10;

/// The right to fetch a blob.
#[derive(Debug)]
pub struct Ingest {
    path: PathBuf,
    lock: Lock,
    is_partial: bool,
}

impl Ingest {
    /// Which bytes of the blob are here from an earlier try; perhaps wrong ones.
    pub fn kept(&self) -> io::Result<Range<u64>> {
        let file = self.lock.file();
        let end = file.metadata()?.len();
        match rustix::fs::seek(file, SeekFrom::Data(0)) {
            Ok(start) => Ok(start..end),
            // Nothing but a hole, or nothing.
            Err(Errno::NXIO) => Ok(0..0),
            // A file system that does not know its holes: what is none fails by its digest.
            Err(_) => Ok(0..end),
        }
    }

    /// Forgets all bytes but the first ones.
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        self.lock.file().set_len(length)
    }

    /// Some of the bytes, as a stream. Only one stream at a time may be read.
    pub fn read(&self, bytes: Range<u64>) -> io::Result<impl io::Read + Send + use<>> {
        let file = self.lock.file().try_clone()?;
        rustix::fs::seek(&file, SeekFrom::Start(bytes.start))?;
        Ok(io::Read::take(file, bytes.end.saturating_sub(bytes.start)))
    }

    /// A handle for writing by position.
    pub fn file(&self) -> io::Result<File> {
        self.lock.file().try_clone()
    }

    /// Keeps the bytes so far for the next try, instead of removing them when dropped.
    pub fn keep_partial(&mut self) {
        self.is_partial = true;
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let is_empty = || {
            self.lock
                .file()
                .metadata()
                .is_ok_and(|file| file.len() == 0)
        };
        if !self.is_partial || is_empty() {
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

    /// An empty file for something that is read once: it has no name, and goes with its handle.
    pub fn spool(&self) -> Result<File> {
        let directory = self.path("ingest");
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let made = match rustix::fs::open(&directory, flags, Mode::RUSR | Mode::WUSR) {
            // A file system that has no such files, as overlay before Linux 6.3.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => self.spool_with_a_name(),
            made => made.map(File::from).map_err(io::Error::from),
        };
        made.with_context(|| format!("a file in {}", directory.display()))
    }

    fn spool_with_a_name(&self) -> io::Result<File> {
        let path = self.path("tmp").join(sys::random_name()?);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        // Should it stay, it is swept: nobody has a lock on it.
        file::remove_file(&path)?;
        Ok(file)
    }

    /// Removes the rights of dead pulls; what they have fetched is in other files.
    pub(super) fn sweep_rights(&self) {
        let is_empty = |path: &PathBuf| path.metadata().is_ok_and(|file| file.len() == 0);
        let all = file::list(&self.path("ingest")).unwrap_or_default();
        for path in all.iter().filter(|path| is_empty(path)) {
            if let Ok(Some(_dead)) = Lock::exclusive(path, Patience::Try) {
                let _ = fs::remove_file(path);
            }
        }
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
