//! Locks between processes: `flock` on open files, because the kernel drops them when their holder
//! dies, however it dies. (POSIX record locks would vanish with any close in the process.)

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::error::{Fault, Kind};

/// How often a directory is made again because a sweeper removed it.
const MAX_TRIES: u32 = 5;
/// How long a sweeper may take to remove an empty directory.
const SWEEP: Duration = Duration::from_secs(1);

/// How often a lock is tried that is waited for until a deadline: flock(2) knows none.
const POLL: Duration = Duration::from_millis(50);

/// Whether to wait for a lock that somebody else holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Wait for it.
    Wait,
    /// Wait for it until then.
    Until(Instant),
    /// Give up at once.
    Try,
}

impl Patience {
    fn is_left(self) -> bool {
        matches!(self, Self::Until(deadline) if Instant::now() < deadline)
    }
}

/// A held lock; released when dropped or when the process dies. Not inherited across exec.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes a shared lock and waits for an exclusive holder to go.
    pub(super) fn shared(path: &Path) -> Result<Self> {
        let file = open(path).with_context(|| format!("lock {}", path.display()))?;
        file.lock_shared()
            .with_context(|| format!("lock {}", path.display()))?;
        Ok(Self { file })
    }

    /// Takes the exclusive lock; `None` if somebody has it and we do not wait, or not any longer.
    ///
    /// The file may be removed by its last holder, so a lock on a file that lost its name counts
    /// for nothing and is taken anew.
    pub fn exclusive(path: &Path, patience: Patience) -> Result<Option<Self>> {
        loop {
            let file = open(path).with_context(|| format!("lock {}", path.display()))?;
            match patience {
                Patience::Wait => file
                    .lock()
                    .with_context(|| format!("lock {}", path.display()))?,
                Patience::Try | Patience::Until(_) => match file.try_lock() {
                    Ok(()) => (),
                    Err(TryLockError::WouldBlock) if patience.is_left() => {
                        std::thread::sleep(POLL);
                        continue;
                    }
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(error)) => {
                        return Err(error).with_context(|| format!("lock {}", path.display()));
                    }
                },
            }
            if still_named(&file, path) {
                return Ok(Some(Self { file }));
            }
        }
    }

    /// Takes the exclusive lock on a directory or file that is there; `None` if somebody has it.
    pub(super) fn existing(path: &Path) -> Result<Option<Self>> {
        Self::opened(File::open(path)?, path)
    }

    /// Takes a shared lock on a file that is there; waits for an exclusive holder to go. `None` if
    /// the path is another's meanwhile.
    pub(super) fn existing_shared(path: &Path) -> Result<Option<Self>> {
        let file = File::open(path)?;
        file.lock_shared()?;
        Ok(still_named(&file, path).then_some(Self { file }))
    }

    /// Takes the exclusive lock on a directory or file that is there, or if others have it, a shared
    /// one; waits for an exclusive holder to go. Returns whether it is exclusive; `None` if the path
    /// is another's meanwhile.
    pub(super) fn existing_perhaps_shared(path: &Path) -> Result<Option<(Self, bool)>> {
        let file = File::open(path)?;
        let mut is_alone = file.try_lock().is_ok();
        if !is_alone {
            // Again after that: whoever had it exclusively may have died.
            file.lock_shared()?;
            is_alone = file.try_lock().is_ok();
        }
        if !is_alone {
            // The try has given the shared one up (flock(2)).
            file.lock_shared()?;
        }
        Ok(still_named(&file, path).then_some((Self { file }, is_alone)))
    }

    /// Makes an exclusive lock a shared one, for everybody who has it by fork.
    pub(super) fn downgrade(&self) -> Result<()> {
        Ok(self.file.lock_shared()?)
    }

    /// Takes the exclusive lock on what was opened; `None` too if the path is another's meanwhile.
    fn opened(file: File, path: &Path) -> Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(still_named(&file, path).then_some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Makes a private directory and locks it. A sweeper that takes it for a dead one's in between
    /// removes it; then it is made again.
    pub(super) fn new_directory(path: &Path) -> Result<Self> {
        for _ in 0..MAX_TRIES {
            let made = DirBuilder::new().mode(0o700).create(path);
            made.with_context(|| format!("make {}", path.display()))?;
            if let Ok(Some(lock)) = Self::existing(path) {
                return Ok(lock);
            }
            let start = Instant::now();
            while path.exists() && start.elapsed() < SWEEP {
                // Some only look whether it is a dead one's.
                if let Ok(Some(lock)) = Self::existing(path) {
                    return Ok(lock);
                }
                std::thread::yield_now();
            }
        }
        let message = format!("{} is taken away again and again", path.display());
        Err(Fault::new(Kind::Store, message).into())
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn still_named(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_locked() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("new");
        let lock = Lock::new_directory(&path).unwrap();
        assert!(Lock::existing(&path).unwrap().is_none());
        drop(lock);
        assert!(Lock::existing(&path).unwrap().is_some());
        assert!(Lock::new_directory(&path).is_err(), "it is there already");
    }

    /// A sweeper that opened a dead one's file must not remove the live one of that name.
    #[test]
    fn a_lock_on_what_lost_its_name_is_none() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("lock");
        let first = Lock::exclusive(&path, Patience::Try).unwrap().unwrap();
        let opened = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        drop(first);
        let _second = Lock::exclusive(&path, Patience::Try).unwrap().unwrap();
        assert!(Lock::opened(opened, &path).unwrap().is_none());
    }

    #[test]
    fn a_removed_lock_file_is_taken_anew() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("lock");
        let first = Lock::exclusive(&path, Patience::Try).unwrap().unwrap();
        assert!(Lock::exclusive(&path, Patience::Try).unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
        let second = Lock::exclusive(&path, Patience::Try).unwrap();
        assert!(second.is_some());
        drop(first);
        assert!(Lock::exclusive(&path, Patience::Try).unwrap().is_none());
    }
}
