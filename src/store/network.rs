//! Named networks: one small file each. What a network is, [`Definition`] says; its devices are made
//! when a container first needs them.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::volume::is_missing;
use super::{Lock, Patience, Store, file};
use crate::error::{Fault, Kind};
use crate::spec::Definition;
use crate::sys;

const DIRECTORY: &str = "networks";
/// No name of a network ends like this one.
const LOCK: &str = "lock";

/// A network that cannot be removed while this lives.
#[derive(Debug)]
pub struct NetworkUse {
    /// What it is.
    pub definition: Definition,
    lock: Lock,
}

impl NetworkUse {
    /// What holds it for this process.
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.file().as_fd()
    }
}

/// Nobody else makes a network while this lives.
#[derive(Debug)]
pub struct NetworksLock(#[allow(dead_code, reason = "held, not read")] Option<Lock>);

impl Store {
    fn network_path(&self, name: &str) -> PathBuf {
        self.path(DIRECTORY).join(format!("{name}.json"))
    }

    /// Keeps others from making networks, so that two do not choose the same addresses.
    pub fn lock_networks(&self) -> Result<NetworksLock> {
        let directory = self.path(DIRECTORY);
        sys::make_private(&directory)?;
        Lock::exclusive(&directory.join(LOCK), Patience::Wait).map(NetworksLock)
    }

    /// Publishes a new network. Fails with [`Kind::Usage`] if there is one of that name.
    pub fn create_network(&self, _lock: &NetworksLock, definition: &Definition) -> Result<()> {
        definition.check()?;
        let path = self.network_path(&definition.name);
        if path.exists() {
            let message = format!("there is a network {} already", definition.name);
            return Err(Fault::new(Kind::Usage, message)
                .hint("'ucr network rm' removes one")
                .into());
        }
        self.write_json(&path, definition)
    }

    /// The network of that name.
    pub fn network(&self, name: &str) -> Result<Option<Definition>> {
        let path = self.network_path(name);
        let Some(found) = file::read_json::<Definition>(&path)? else {
            return Ok(None);
        };
        let checked = match found.name == name {
            true => found.check(),
            false => Err(Fault::new(Kind::Store, "it is that of another name")),
        };
        checked.with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(found))
    }

    /// All named networks, by name.
    pub fn networks(&self) -> Result<Vec<Definition>> {
        let mut found = Vec::new();
        for path in file::list(&self.path(DIRECTORY))? {
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(name) = name.and_then(|name| name.strip_suffix(".json")) {
                found.extend(self.network(name)?);
            }
        }
        Ok(found)
    }

    /// Takes a network into use. Fails with [`Kind::NotFound`] if there is none of that name.
    pub fn use_network(&self, name: &str) -> Result<NetworkUse> {
        let lock = match Lock::existing_shared(&self.network_path(name)) {
            Err(error) if is_missing(&error) => None,
            found => found.with_context(|| format!("network {name}"))?,
        };
        let found = self.network(name)?;
        let (Some(lock), Some(definition)) = (lock, found) else {
            return Err(no_network(name));
        };
        Ok(NetworkUse { definition, lock })
    }

    /// Removes a network, after `clear` removed its devices. Fails with [`Kind::NotFound`], or with
    /// [`Kind::Usage`] while a container is on it.
    pub fn remove_network(
        &self,
        name: &str,
        clear: impl FnOnce(&Definition) -> Result<()>,
    ) -> Result<()> {
        let path = self.network_path(name);
        let lock = match Lock::existing(&path) {
            Err(error) if is_missing(&error) => return Err(no_network(name)),
            found => found.with_context(|| format!("network {name}"))?,
        };
        let Some(_alone) = lock else {
            let message = format!("network {name} is in use");
            return Err(Fault::new(Kind::Usage, message)
                .hint("'ucr ps' lists the running containers; stop those that are on it")
                .into());
        };
        let definition = self.network(name)?.ok_or_else(|| no_network(name))?;
        clear(&definition).with_context(|| format!("network {name}"))?;
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        Ok(sys::sync_directory(&self.path(DIRECTORY))?)
    }
}

fn no_network(name: &str) -> anyhow::Error {
    Fault::new(Kind::NotFound, format!("there is no network {name}"))
        .hint("'ucr network create' makes one; 'ucr network ls' lists them")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::kind;

    fn definition(name: &str) -> Definition {
        Definition {
            name: name.into(),
            bridge: "ucr-0123abcd".into(),
            ..Definition::built_in()
        }
    }

    #[test]
    fn a_network_in_use_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        assert_eq!(store.networks().unwrap(), []);
        let lock = store.lock_networks().unwrap();
        store.create_network(&lock, &definition("web")).unwrap();
        let again = store.create_network(&lock, &definition("web"));
        assert_eq!(kind(&again.unwrap_err()), Kind::Usage);
        let used = store.use_network("web").unwrap();
        assert_eq!(used.definition, definition("web"));
        let (first, second) = (store.use_network("web"), store.use_network("none-such"));
        assert!(first.is_ok());
        assert_eq!(kind(&second.unwrap_err()), Kind::NotFound);
        drop(first);
        let refused = store.remove_network("web", |_| Ok(()));
        assert_eq!(kind(&refused.unwrap_err()), Kind::Usage);
        drop(used);
        store.remove_network("web", |_| Ok(())).unwrap();
        assert_eq!(store.networks().unwrap(), []);
        let gone = store.remove_network("web", |_| Ok(()));
        assert_eq!(kind(&gone.unwrap_err()), Kind::NotFound);
    }

    #[test]
    fn a_file_that_somebody_wrote_is_checked() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        drop(store.lock_networks().unwrap());
        for wrong in [
            serde_json::json!({"name": "web"}),
            serde_json::to_value(definition("other")).unwrap(),
            serde_json::to_value(Definition {
                bridge: "eth0".into(),
                ..definition("web")
            })
            .unwrap(),
        ] {
            fs::write(store.network_path("web"), wrong.to_string()).unwrap();
            assert!(store.use_network("web").is_err(), "{wrong}");
        }
    }
}
