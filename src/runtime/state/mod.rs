//! What is known of containers: one small file each under the state directory, which a reboot
//! clears, and for those that stay after their end another in the store.
//!
//! ```text
//! STATE/containers/ID.json   how it was made, then a line for each thing that happened; a flock on
//!                            it says that its ucr lives
//! STATE/health/ID           whether it is well, if that is checked; replaced by rename
//! STATE/checked/ID          flock: a ucr checks this container of the Engine's
//! STATE/names.lock           flock: held while a name is looked for and taken
//! STATE/marks.lock           flock: held while one of the following two is taken or swept
//! STATE/users/N              a range of users that is taken
//! STATE/network/BRIDGE_IP    an address of a network that is taken, and what is to be undone
//! STATE/cni/ID               how plugins connected a container, and what they are to undo
//! STATE/netns/ID             its network namespace, mounted, as the plugins know it
//! ```
//!
//! Nothing of a record is ever written over, so that `kill -9` at any moment loses none. One whose
//! lock is free is stale: the next command makes sure that the container is gone too, writes its
//! end down if it is to stay, and removes it.

mod find;
mod health;
mod record;

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::native::cgroup::destroy_left;
use super::native::network;
use super::native::network::cni::Rooms;
use crate::error::{Fault, Kind};
use crate::store::{Lock, Patience, SandboxRoom, Store};
use crate::sys;
use crate::sys::proc::Proc;
use crate::sys::process::kill_stranger;

pub use find::Watched;
pub use health::{HealthFile, HealthResult, HealthState, HealthStatus};
pub use record::{Container, ContainerRecord, Ended, Event, Life, Started, Status};

/// The directory of run-time state.
#[derive(Clone, Debug)]
pub struct State {
    directory: PathBuf,
}

impl State {
    /// Opens the state directory and makes it, 0700, if it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let state = Self {
            directory: path.to_owned(),
        };
        sys::make_private(path)
            .and_then(|()| sys::make_private(&state.containers()))
            .with_context(|| format!("state directory {}", path.display()))?;
        Ok(state)
    }

    fn containers(&self) -> PathBuf {
        self.directory.join("containers")
    }

    fn record_path(&self, id: &str) -> PathBuf {
        self.containers().join(format!("{id}.json"))
    }

    /// Where it is written down who has which address of a network.
    pub(super) fn network_room(&self) -> PathBuf {
        self.directory.join("network")
    }

    /// Where it is written down what CNI plugins did.
    pub(super) fn cni_rooms(&self) -> Rooms {
        Rooms {
            undo: self.directory.join("cni"),
            namespaces: self.directory.join("netns"),
        }
    }

    /// Where the sockets are at which containers are attached to.
    pub fn consoles(&self) -> PathBuf {
        self.directory.join("consoles")
    }

    /// What a dead ucr had taken is free, marked or not; the marks go all the same.
    fn free_marks(&self) {
        let rooms =
            ["users", "ports", health::MARKS].map(|room| fs::read_dir(self.directory.join(room)));
        let mut marks = rooms.into_iter().flatten().flatten().flatten().peekable();
        if marks.peek().is_none() {
            return;
        }
        let Ok(_alone) = self.marking() else {
            return;
        };
        for mark in marks {
            if let Ok(Some(_free)) = Lock::exclusive(&mark.path(), Patience::Try) {
                let _ = fs::remove_file(mark.path());
            }
        }
    }

    /// Takes one of the ranges of users; `None` if somebody has it.
    pub(super) fn take_range(&self, number: u32) -> Result<Option<Published>> {
        self.take("users", &number.to_string())
    }

    /// Takes a port for an app, until the guard is dropped or its process ends; `None` if another
    /// ucr has it. `service` ports are those that nothing is bound to.
    pub fn take_port(&self, number: u16, is_service: bool) -> Result<Option<Published>> {
        let kind = if is_service { "service" } else { "host" };
        self.take("ports", &format!("{kind}-{number}"))
    }

    /// Who tries whether a mark is a dead one's has it for a moment: nobody else is to take it for
    /// taken then.
    fn marking(&self) -> Result<Lock> {
        let lock = Lock::exclusive(&self.directory.join("marks.lock"), Patience::Wait)?;
        lock.context("somebody has the lock of marks")
    }

    fn take(&self, room: &str, name: &str) -> Result<Option<Published>> {
        let directory = self.directory.join(room);
        sys::make_private(&directory)?;
        let path = directory.join(name);
        let _alone = self.marking()?;
        let lock = Lock::exclusive(&path, Patience::Try)?;
        Ok(lock.map(|lock| Published::new(path, lock)))
    }

    /// Publishes a record; it is removed again when the returned guard is dropped. Fails with
    /// [`Kind::Usage`] if another container has the name.
    pub fn publish(&self, record: &ContainerRecord, store: &Store) -> Result<Published> {
        let _naming = match &record.spec.name {
            Some(name) => Some(self.take_name(name, store)?),
            None => None,
        };
        let path = self.record_path(&record.id);
        let write = || {
            let lock = Lock::exclusive(&path, Patience::Wait)?.context("somebody has it")?;
            fs::write(&path, serde_json::to_vec(record)?)?;
            Ok::<_, anyhow::Error>(lock)
        };
        let lock = write().with_context(|| format!("write {}", path.display()))?;
        Ok(Published::new(path, lock))
    }

    /// Two that want the same name wait for each other here.
    fn take_name(&self, name: &str, store: &Store) -> Result<Lock> {
        let lock = Lock::exclusive(&self.directory.join("names.lock"), Patience::Wait)?;
        self.heal(store);
        let taken = self.all(store)?.into_iter().find(|other| {
            other.record.spec.name.as_deref() == Some(name) || other.record.id == name
        });
        match taken {
            Some(other) => {
                let message = format!(
                    "the name '{name}' is taken by container {}",
                    other.record.id
                );
                let hint = match other.is_watched {
                    true => format!("say another --name, or: ucr rm -f {name}"),
                    false => format!("say another --name, or: ucr rm {name}"),
                };
                Err(Fault::new(Kind::Usage, message).hint(hint).into())
            }
            None => lock.context("internal: a lock that was waited for is not there"),
        }
    }

    /// Ends what a dead ucr left: a container's first process usually dies with it, but not if it
    /// changed its user since. Then the record goes, to the store if it is to stay, and what it used
    /// there.
    pub fn heal(&self, store: &Store) {
        self.free_marks();
        self.end_dead(store);
        // When their containers are gone.
        network::heal(self);
        store.sweep_sandboxes(SandboxRoom::Native, || {
            let live = self.all(store)?.into_iter();
            Ok(live.filter_map(|it| it.record.spec.sandbox).collect())
        });
    }

    fn end_dead(&self, store: &Store) {
        for path in self.files().unwrap_or_default() {
            if let Ok(Some(_dead)) = Lock::exclusive(&path, Patience::Try) {
                if let Ok(Some(container)) = read(&path)
                    && bury(&container, store).is_err()
                {
                    // Tried again by the next command: nobody else would know of it.
                    continue;
                }
                // Another process may have been quicker.
                let _ = fs::remove_file(&path);
                if let Some(id) = path.file_stem() {
                    let _ = fs::remove_file(self.consoles().join(id));
                    self.forget_health(id);
                }
            }
        }
        store.heal();
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.containers())?;
        Ok(entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?)
    }
}

fn bury(container: &Container, store: &Store) -> Result<()> {
    // A user's container can be killed from outside its user namespace only, by the next command.
    kill(&container.life)?;
    let record = &container.record;
    destroy_left(&record.cgroups)?;
    if !record.is_kept || container.life.started.is_none() {
        return Ok(());
    }
    if record.store != store.root() {
        // A command with that store writes it down.
        ensure!(!record.store.is_dir(), "it is of another store");
        return Ok(());
    }
    // How it ended, nobody saw; that it is over is seen by there being no record of it here.
    match store.is_kept(&record.id) {
        true => store.container_ended(&record.id, &container.life),
        false => Ok(()),
    }
}

fn kill(life: &Life) -> Result<()> {
    let Some(started) = life.started else {
        return Ok(());
    };
    let proc = Proc::open()?;
    let is_ours =
        || started.start_time.is_some() && proc.start_time(started.pid) == started.start_time;
    Ok(kill_stranger(started.pid, is_ours)?)
}

/// A container, or `None` if it vanished or its record is being written.
fn read(path: &Path) -> Result<Option<Container>> {
    match fs::read(path) {
        Ok(bytes) => {
            let mut found = parse(&bytes);
            if let Some(checked) = found.as_mut().filter(|found| found.record.has_health) {
                checked.life.health = health::beside(path, &checked.record.id);
            }
            Ok(found)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// What is behind the last whole line is being written.
fn parse(bytes: &[u8]) -> Option<Container> {
    let mut documents = serde_json::Deserializer::from_slice(bytes);
    let record = ContainerRecord::deserialize(&mut documents).ok()?;
    let mut life = Life::default();
    while let Ok(event) = Event::deserialize(&mut documents) {
        life.add(event);
    }
    Some(Container {
        record,
        life,
        is_watched: true,
    })
}

/// A published record, or the mark of something that is taken.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
    lock: Lock,
    is_left: Cell<bool>,
}

impl Published {
    fn new(path: PathBuf, lock: Lock) -> Self {
        let is_left = Cell::new(false);
        Self {
            path,
            lock,
            is_left,
        }
    }

    /// Adds what happened.
    pub fn add(&self, event: &Event) -> Result<()> {
        append(&self.path, event)
    }

    /// Leaves it behind, for the next command to do what could not be done now.
    pub fn leave(&self) {
        self.is_left.set(true);
    }

    /// What happened so far, also by others.
    pub fn life(&self) -> Result<Life> {
        Ok(read(&self.path)?
            .map(|found| found.life)
            .unwrap_or_default())
    }

    /// What holds it for this process.
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.file().as_fd()
    }
}

fn append(path: &Path, event: &Event) -> Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.insert(0, b'\n');
    let file = OpenOptions::new().append(true).open(path);
    file.and_then(|mut file: File| file.write_all(&line))
        .with_context(|| format!("write {}", path.display()))
}

impl Drop for Published {
    fn drop(&mut self) {
        // What stays is recognised as stale by its free lock.
        if !self.is_left.get() {
            let _ = fs::remove_file(&self.path);
        }
    }
}
