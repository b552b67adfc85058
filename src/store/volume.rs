//! Volumes: directories with a name, which outlive containers.
//!
//! ```text
//! ROOT/volumes/NAME/_data         what is shown; a flock on NAME says who uses it: shared by
//!                                 running containers, exclusive while it is filled or removed
//! ROOT/volumes/NAME/_copy         being filled; renamed to _data when it is complete
//! ROOT/volumes/NAME/volume.json   when it was made
//! ```
//!
//! Only [`Store::remove_volume`] removes one; pruning never does.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::{Lock, Store, file};
use crate::error::{Fault, Kind};
use crate::sys;

const DATA: &str = "_data";
const COPY: &str = "_copy";
const RECORD: &str = "volume.json";

/// How often a volume is opened again because somebody removed it.
const MAX_TRIES: u32 = 5;

/// A named volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeRecord {
    /// Its name.
    pub name: String,
    /// The directory with its content.
    pub path: PathBuf,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    created_at: u64,
}

/// A volume that cannot be removed while this lives.
#[derive(Debug)]
pub struct VolumeUse {
    directory: PathBuf,
    lock: Lock,
    is_alone: bool,
}

impl VolumeUse {
    /// The directory to show.
    pub fn data(&self) -> PathBuf {
        self.directory.join(DATA)
    }

    /// Whether [`Self::fill`] would fill it.
    pub fn is_fillable(&self) -> bool {
        self.is_alone && is_empty(&self.data()).unwrap_or(false)
    }

    /// Fills the volume, if it is empty and nobody else has it: all of it is there afterwards, or
    /// nothing. `copy` gets an empty directory and returns whether there is anything to have.
    pub fn fill(&self, copy: impl FnOnce(&Path) -> Result<bool>) -> Result<()> {
        if !self.is_fillable() {
            return Ok(());
        }
        let (staging, data) = (self.directory.join(COPY), self.data());
        // What somebody left who died over it.
        sys::remove_path(&staging)?;
        sys::make_open(&staging)?;
        if !copy(&staging)? {
            return Ok(sys::remove_path(&staging)?);
        }
        sys::sync_filesystem(&staging)?;
        // Fails if something was put there meanwhile, which then counts.
        match fs::rename(&staging, &data) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                Ok(sys::remove_path(&staging)?)
            }
            renamed => Ok(renamed.and_then(|()| sys::sync_directory(&self.directory))?),
        }
    }

    /// What holds it for this process.
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.file().as_fd()
    }

    /// Lets others use it, too. Also for whoever has this lock by fork.
    pub fn share(&self) -> Result<()> {
        self.lock.downgrade()
    }
}

fn is_empty(directory: &Path) -> Result<bool> {
    Ok(fs::read_dir(directory)?.next().is_none())
}

impl Store {
    fn volume_path(&self, name: &str) -> PathBuf {
        self.path("volumes").join(name)
    }

    /// Makes a volume; `false` if there is one of that name.
    pub fn create_volume(&self, name: &str) -> Result<bool> {
        let what = || format!("make volume {name}");
        let directory = self.volume_path(name);
        if directory.exists() {
            return Ok(false);
        }
        sys::make_private(&self.path("volumes")).with_context(what)?;
        let staging = self.path("tmp").join(sys::random_name()?);
        let _lock = Lock::new_directory(&staging).with_context(what)?;
        let make = || {
            sys::make_open(&staging.join(DATA))?;
            let record = Stored {
                created_at: sys::now(),
            };
            let mut file = fs::File::create_new(staging.join(RECORD))?;
            file.write_all(&file::json(&record)?)?;
            file.sync_all()?;
            Ok::<_, anyhow::Error>(sys::sync_directory(&staging)?)
        };
        make().with_context(what)?;
        match renameat_with(CWD, &staging, CWD, &directory, RenameFlags::NOREPLACE) {
            Ok(()) => {
                sys::sync_directory(&self.path("volumes")).with_context(what)?;
                Ok(true)
            }
            Err(error) => {
                sys::remove_path(&staging).with_context(what)?;
                match error {
                    rustix::io::Errno::EXIST => Ok(false),
                    error => Err(error).with_context(what),
                }
            }
        }
    }

    /// Takes a volume into use, and makes it if it is not there. Waits while another fills it.
    pub fn use_volume(&self, name: &str) -> Result<VolumeUse> {
        let directory = self.volume_path(name);
        for _ in 0..MAX_TRIES {
            self.create_volume(name)?;
            let taken = match Lock::existing_perhaps_shared(&directory) {
                Err(error) if is_missing(&error) => continue,
                found => found.with_context(|| format!("volume {name}"))?,
            };
            if let Some((lock, is_alone)) = taken {
                return Ok(VolumeUse {
                    directory,
                    lock,
                    is_alone,
                });
            }
        }
        let message = format!("volume {name} is removed again and again");
        Err(Fault::new(Kind::Store, message).into())
    }

    /// The volume of that name.
    pub fn volume(&self, name: &str) -> Result<Option<VolumeRecord>> {
        let directory = self.volume_path(name);
        let Some(stored) = file::read_json::<Stored>(&directory.join(RECORD))? else {
            return Ok(None);
        };
        Ok(Some(VolumeRecord {
            name: name.to_owned(),
            path: directory.join(DATA),
            created_at: stored.created_at,
        }))
    }

    /// All named volumes, by name.
    pub fn volumes(&self) -> Result<Vec<VolumeRecord>> {
        let mut found = Vec::new();
        for directory in file::list(&self.path("volumes"))? {
            if let Some(name) = directory.file_name().and_then(|name| name.to_str()) {
                found.extend(self.volume(name)?);
            }
        }
        Ok(found)
    }

    /// Removes a volume and what is in it. Fails with [`Kind::NotFound`], or with [`Kind::Usage`]
    /// while a container has it.
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        let directory = self.volume_path(name);
        let lock = match Lock::existing(&directory) {
            Err(error) if is_missing(&error) => {
                let message = format!("there is no volume {name}");
                return Err(Fault::new(Kind::NotFound, message)
                    .hint("'ucr volume ls' lists them")
                    .into());
            }
            found => found.with_context(|| format!("volume {name}"))?,
        };
        let Some(_alone) = lock else {
            let message = format!("volume {name} is in use");
            return Err(Fault::new(Kind::Usage, message)
                .hint("'ucr ps' lists the running containers; stop the one that has it")
                .into());
        };
        self.discard(&directory)
    }
}

pub(super) fn is_missing(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        (scratch, store)
    }

    fn put(volume: &VolumeUse, name: &str) -> Result<()> {
        volume.fill(|directory| Ok(fs::write(directory.join(name), name).map(|()| true)?))
    }

    #[test]
    fn a_volume_is_filled_once_and_whole() {
        let (_scratch, store) = store();
        let volume = store.use_volume("v").unwrap();
        volume
            .fill(|directory| {
                fs::write(directory.join("half"), "x")?;
                anyhow::bail!("cut off")
            })
            .unwrap_err();
        assert!(is_empty(&volume.data()).unwrap());
        put(&volume, "first").unwrap();
        put(&volume, "second").unwrap();
        let names: Vec<_> = file::list(&volume.data()).unwrap();
        assert_eq!(names, [volume.data().join("first")]);
        assert!(!volume.directory.join(COPY).exists());
    }

    #[test]
    fn who_is_not_alone_does_not_fill() {
        let (_scratch, store) = store();
        let first = store.use_volume("v").unwrap();
        first.share().unwrap();
        let second = store.use_volume("v").unwrap();
        put(&second, "x").unwrap();
        assert!(is_empty(&second.data()).unwrap());
        drop(second);
        assert_eq!(
            crate::error::kind(&store.remove_volume("v").unwrap_err()),
            Kind::Usage
        );
        drop(first);
        store.remove_volume("v").unwrap();
        assert_eq!(
            crate::error::kind(&store.remove_volume("v").unwrap_err()),
            Kind::NotFound
        );
        assert_eq!(store.volumes().unwrap(), []);
    }

    /// The one that was to fill it is dying while the next one waits for it.
    #[test]
    fn who_waited_for_nothing_is_alone() {
        let (_scratch, store) = store();
        let dying = store.use_volume("v").unwrap();
        let next = std::thread::spawn({
            let store = store.clone();
            move || store.use_volume("v").unwrap().is_fillable()
        });
        use std::os::unix::fs::MetadataExt;
        let inode = format!(":{} ", fs::metadata(&dying.directory).unwrap().ino());
        let is_waiting = || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            let mut lines = locks.lines();
            lines.any(|line| line.contains("->") && line.contains(&inode))
        };
        let start = std::time::Instant::now();
        while !is_waiting() && start.elapsed().as_secs() < 10 {
            std::thread::yield_now();
        }
        drop(dying);
        assert!(next.join().unwrap());
    }

    #[test]
    fn a_volume_is_made_once_and_not_swept() {
        let (_scratch, store) = store();
        assert!(store.create_volume("v").unwrap());
        assert!(!store.create_volume("v").unwrap());
        store.heal();
        store.prune(crate::store::Patience::Try).unwrap().unwrap();
        assert_eq!(store.volumes().unwrap().len(), 1);
        assert!(file::list(&store.path("tmp")).unwrap().is_empty());
    }
}
