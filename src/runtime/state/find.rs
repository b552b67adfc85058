//! Looking for containers, and waiting for their end.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};

use anyhow::{Context, Result};

use super::{Container, ContainerRecord, Ended, Event, Life, State, append, parse, read};
use crate::error::{Fault, Kind};
use crate::store::Store;

impl State {
    /// Every container of a store that is running or was kept, oldest first.
    pub fn all(&self, store: &Store) -> Result<Vec<Container>> {
        let mut all = Vec::new();
        for path in self.files()? {
            let is_here = |found: &Container| found.record.store == store.root();
            all.extend(read(&path)?.filter(is_here));
        }
        for kept in store.kept_containers::<ContainerRecord, Life>()? {
            if all.iter().all(|other| other.record.id != kept.record.id) {
                all.push(Container {
                    record: kept.record,
                    life: kept.exit.unwrap_or_default(),
                    is_watched: false,
                });
            }
        }
        all.sort_by(|a, b| {
            (a.record.created_at, &a.record.id).cmp(&(b.record.created_at, &b.record.id))
        });
        Ok(all)
    }

    /// The containers of a store that are running, oldest first.
    pub fn running(&self, store: &Store) -> Result<Vec<Container>> {
        self.heal(store);
        let mut all = self.all(store)?;
        all.retain(|container| container.process().is_some());
        Ok(all)
    }

    /// The container of that name, ID or beginning of an ID. Fails with [`Kind::NotFound`], or
    /// [`Kind::Usage`] if several IDs begin so.
    pub fn find(&self, store: &Store, name: &str) -> Result<Container> {
        self.heal(store);
        let mut all = self.all(store)?;
        let exact = |found: &Container| found.record.name() == name || found.record.id == name;
        if let Some(place) = all.iter().position(exact) {
            return Ok(all.swap_remove(place));
        }
        all.retain(|found| !name.is_empty() && found.record.id.starts_with(name));
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_), false) => {
                let message = format!("'{name}' is the start of several IDs");
                Err(Fault::new(Kind::Usage, message)
                    .hint("say the whole ID")
                    .into())
            }
            (None, _) => {
                let message = format!("there is no container '{name}'");
                Err(Fault::new(Kind::NotFound, message)
                    .hint("'ucr ps --all' lists them")
                    .into())
            }
        }
    }

    /// The same, of a container that runs. Fails with [`Kind::NotFound`] on others, too.
    pub fn find_running(&self, store: &Store, name: &str) -> Result<Container> {
        let found = self.find(store, name)?;
        if found.process().is_none() {
            let message = format!("container {} is not running", found.record.name());
            return Err(Fault::new(Kind::NotFound, message)
                .hint("'ucr ps --all' says how it ended")
                .into());
        }
        Ok(found)
    }

    /// A container as its ucr knows it now; `None` if no ucr watches it.
    pub fn watched(&self, id: &str) -> Result<Option<Container>> {
        read(&self.record_path(id))
    }

    /// Notes that a container is meant to end, so that it is not started again.
    pub fn stopping(&self, id: &str) -> Result<()> {
        append(&self.record_path(id), &Event::Stopping)
    }

    /// The record of a container, to wait with for its end.
    pub fn watch(&self, id: &str) -> Result<Option<Watched>> {
        match File::open(self.record_path(id)) {
            Ok(file) => Ok(Some(Watched { file })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("read the container's record"),
        }
    }
}

/// The record of a container, which can be read after it was removed.
#[derive(Debug)]
pub struct Watched {
    file: File,
}

impl Watched {
    /// Waits for the container's end; `None` if nobody saw how it ended.
    pub fn wait(mut self) -> Result<Option<Ended>> {
        // Held by the ucr that watches it, as long as there is one.
        self.file.lock_shared().context("wait for the container")?;
        let mut bytes = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        Ok(parse(&bytes).and_then(|found| found.life.ended))
    }
}
