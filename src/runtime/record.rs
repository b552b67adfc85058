//! What is known of running containers: one small file each under the state directory, which a
//! reboot clears. A record is locked while its ucr lives; one whose lock is free is stale: the next
//! command makes sure that the container is gone too, and removes it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::native::cgroup::destroy_left;
use super::native::network::{self, ConnectionRecord};
use crate::image::Digest;
use crate::spec::ContainerSpec;
use crate::store::{Lock, Patience, Store};
use crate::sys;
use crate::sys::proc::Proc;
use crate::sys::process::kill_stranger;

/// A container that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Twelve hex digits.
    pub id: String,
    /// The image's name.
    pub image: String,
    /// The image's manifest.
    pub manifest: Digest,
    /// The container's first process as the host sees it; 0 before there is one.
    pub pid: i32,
    /// When that process started, in clock ticks since boot.
    pub start_time: Option<u64>,
    /// What it executes.
    pub argv: Vec<String>,
    /// Seconds since 1970.
    pub started_at: u64,
    /// The store that holds its layers.
    pub store: PathBuf,
    /// Its cgroups.
    pub cgroups: Vec<PathBuf>,
    /// How it is connected, on a bridged network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionRecord>,
    /// What was asked for.
    pub spec: ContainerSpec,
}

/// The directory of run-time state.
#[derive(Clone, Debug)]
pub struct State {
    directory: PathBuf,
}

impl State {
    /// Opens the state directory and makes it, 0700, if it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let directory = path.join("containers");
        sys::make_private(path)
            .and_then(|()| sys::make_private(&directory))
            .with_context(|| format!("state directory {}", path.display()))?;
        Ok(Self { directory })
    }

    /// Ranges of users that a dead ucr had are free, marked or not; the marks go all the same.
    fn free_ranges(&self) {
        let marks = fs::read_dir(self.directory.with_file_name("users"));
        for mark in marks.into_iter().flatten().flatten() {
            if let Ok(Some(_free)) = Lock::exclusive(&mark.path(), Patience::Try) {
                let _ = fs::remove_file(mark.path());
            }
        }
    }

    /// Takes one of the ranges of users; `None` if somebody has it.
    pub(super) fn take_range(&self, number: u32) -> Result<Option<Published>> {
        let directory = self.directory.with_file_name("users");
        sys::make_private(&directory)?;
        let path = directory.join(number.to_string());
        let lock = Lock::exclusive(&path, Patience::Try)?;
        Ok(lock.map(|lock| Published {
            path,
            _lock: Some(lock),
        }))
    }

    /// Where it is written down who has which address of a network.
    pub(super) fn network_room(&self) -> PathBuf {
        self.directory.with_file_name("network")
    }

    fn path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.json"))
    }

    /// Publishes a record; it is removed again when the returned guard is dropped.
    pub fn publish(&self, record: &ContainerRecord) -> Result<Published> {
        let path = self.path(&record.id);
        let write = || {
            let lock = Lock::exclusive(&path, Patience::Wait)?;
            fs::write(&path, serde_json::to_vec_pretty(record)?)?;
            Ok::<_, anyhow::Error>(lock)
        };
        let lock = write().with_context(|| format!("write {}", path.display()))?;
        Ok(Published { path, _lock: lock })
    }

    /// The containers of a store that are running, oldest first.
    pub fn running(&self, store: &Store) -> Result<Vec<ContainerRecord>> {
        self.heal();
        let mut running = Vec::new();
        for path in self.files()? {
            let is_here =
                |record: &ContainerRecord| record.pid != 0 && record.store == store.root();
            running.extend(read(&path)?.filter(is_here));
        }
        running.sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        Ok(running)
    }

    /// Ends what a dead ucr left: a container's first process usually dies with it, but not if it
    /// changed its user since. Then the record goes.
    pub fn heal(&self) {
        self.free_ranges();
        self.end_dead();
        // When their containers are gone.
        network::heal(self);
    }

    fn end_dead(&self) {
        for path in self.files().unwrap_or_default() {
            if let Ok(Some(_dead)) = Lock::exclusive(&path, Patience::Try) {
                if let Ok(Some(record)) = read(&path) {
                    // If it cannot be killed it stays running, and known to nobody but ps(1).
                    let _ = kill(&record);
                    // Tried again by the next command: nobody else would know of them.
                    if destroy_left(&record.cgroups).is_err() {
                        continue;
                    }
                }
                // Another process may have been quicker.
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.directory)?;
        Ok(entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?)
    }
}

fn kill(record: &ContainerRecord) -> Result<()> {
    if record.pid == 0 {
        return Ok(());
    }
    let proc = Proc::open()?;
    let is_ours =
        || record.start_time.is_some() && proc.start_time(record.pid) == record.start_time;
    Ok(kill_stranger(record.pid, is_ours)?)
}

/// A record, or `None` if it vanished or is being written.
fn read(path: &Path) -> Result<Option<ContainerRecord>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// A published record, or the mark of something that is taken.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
    _lock: Option<Lock>,
}

impl Published {
    /// Replaces what is said. A reader in between sees no record.
    pub fn update(&self, record: &ContainerRecord) -> Result<()> {
        fs::write(&self.path, serde_json::to_vec_pretty(record)?)
            .with_context(|| format!("write {}", self.path.display()))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // What stays is recognised as stale by its free lock.
        let _ = fs::remove_file(&self.path);
    }
}
