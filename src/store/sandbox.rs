//! Directories of apps: sandboxes, which go when their app ends, and persistent volumes, which stay
//! (reference/marathon.md, section 1.5).

use std::collections::HashSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::Store;
use super::file::list;
use super::lock::Lock;
use crate::error::{Fault, Kind};
use crate::sys;
use crate::sys::root::Root;

/// Everybody in the container may write; nobody outside gets to it, for the store is private.
const MODE: u32 = 0o1777;

/// Whose containers have a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxRoom {
    /// The native runtime's.
    Native,
    /// Docker Engine's.
    Engine,
}

impl SandboxRoom {
    fn name(self) -> &'static str {
        match self {
            Self::Native => "sandboxes",
            Self::Engine => "sandboxes-docker",
        }
    }
}

/// Makes a directory in a sandbox, for a path that a definition says, unless something is there.
/// Neither it nor what is on the way may be a link: docker would follow it, and whoever ran in the
/// sandbox before could have made it. Fails with [`Kind::Spec`] and the path.
pub fn make_directory(sandbox: &Path, path: &Path) -> Result<(), Fault> {
    let refuse = |text: &str| Fault::new(Kind::Spec, format!("'{}' {text}", path.display()));
    let is_plain = |it: Component| matches!(it, Component::Normal(_) | Component::CurDir);
    if !path.components().all(is_plain) {
        return Err(refuse("leads out of the sandbox"));
    }
    let place = sandbox.join(path);
    match Root::open(sandbox).and_then(|it| it.create_dir_all(path, MODE)) {
        // A file that was fetched is as good.
        Err(error) if error.kind() != ErrorKind::NotADirectory || !place.exists() => {
            return Err(refuse(&format!("cannot be made: {error}")));
        }
        _ => (),
    }
    let real = place.canonicalize().ok().zip(sandbox.canonicalize().ok());
    let plain: PathBuf = path
        .components()
        .filter(|it| *it != Component::CurDir)
        .collect();
    match real.is_some_and(|(place, sandbox)| place == sandbox.join(plain)) {
        true => Ok(()),
        false => Err(refuse("is a link")),
    }
}

/// The sandbox of a running app. Locked; removed when dropped.
#[derive(Debug)]
pub struct Sandbox {
    path: PathBuf,
    is_kept: bool,
    _lock: Lock,
}

impl Sandbox {
    /// Makes it at a path where nothing is. `is_kept` ones are not removed.
    pub fn create(path: &Path, is_kept: bool) -> Result<Self> {
        let what = || format!("sandbox {}", path.display());
        let lock = match is_kept {
            false => Lock::new_directory(path).with_context(what)?,
            true => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o755)
                    .create(path)
                    .with_context(what)?;
                let lock = Lock::existing(path).with_context(what)?;
                lock.context("another app has it").with_context(what)?
            }
        };
        let sandbox = Self {
            path: path.to_owned(),
            is_kept,
            _lock: lock,
        };
        if !is_kept {
            fs::set_permissions(path, Permissions::from_mode(MODE)).with_context(what)?;
        }
        Ok(sandbox)
    }

    /// Where it is on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is swept by a later command.
            let _ = sys::remove_path(&self.path);
        }
    }
}

impl Store {
    /// A fresh sandbox.
    pub fn create_sandbox(&self, room: SandboxRoom, name: &str) -> Result<Sandbox> {
        let room = self.path(room.name());
        sys::make_private(&room)?;
        Sandbox::create(&room.join(name), false)
    }

    /// Removes the sandboxes of dead ucrs that are not among those that live containers have.
    pub fn sweep_sandboxes(
        &self,
        room: SandboxRoom,
        used: impl FnOnce() -> Result<HashSet<PathBuf>>,
    ) {
        let all = list(&self.path(room.name())).unwrap_or_default();
        let is_dead = |path: &PathBuf| matches!(Lock::existing(path), Ok(Some(_)));
        let dead: Vec<PathBuf> = all.into_iter().filter(is_dead).collect();
        if dead.is_empty() {
            return;
        }
        let Ok(used) = used() else {
            return;
        };
        for path in dead.iter().filter(|path| !used.contains(*path)) {
            // Again, until it is gone: one that was just made was not locked yet.
            if let Ok(Some(_dead)) = Lock::existing(path) {
                let _ = sys::remove_path(path);
            }
        }
    }

    /// Where an app keeps, from run to run, what is at this path of its sandbox. `app` is the ID
    /// with its slashes, in which no `_` can be.
    pub fn persistent_path(&self, app: &str, path: &str) -> PathBuf {
        let name = app.trim_start_matches('/').replace('/', "_");
        self.path("persistent").join(name).join(path)
    }

    /// Makes it, if it is not there.
    pub fn persistent(&self, app: &str, path: &str) -> Result<PathBuf> {
        sys::make_private(&self.path("persistent"))?;
        let directory = self.persistent_path(app, path);
        let what = || format!("persistent volume {}", directory.display());
        if !directory.exists() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o755);
            builder.create(&directory).with_context(what)?;
            fs::set_permissions(&directory, Permissions::from_mode(MODE)).with_context(what)?;
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between its making and its lock it looks like a dead one's.
    #[test]
    fn sandboxes_that_are_just_made_are_not_swept() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let sweep = || {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                store.sweep_sandboxes(SandboxRoom::Native, || Ok(HashSet::new()));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(sweep);
            let make = |number: u32| {
                let sandbox = store.create_sandbox(SandboxRoom::Native, &number.to_string());
                sandbox.is_ok_and(|it| it.path().exists() && it.path().exists())
            };
            let kept = (0..2000).filter(|number| make(*number)).count();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(kept, 2000);
        });
    }

    #[test]
    fn sandboxes_of_the_dead_go_unless_a_container_has_them() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        let live = store.create_sandbox(SandboxRoom::Native, "live").unwrap();
        let [dead, used] = ["dead", "used"].map(|name| {
            let path = live.path().with_file_name(name);
            fs::create_dir(&path).unwrap();
            path
        });
        let mode = live.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, MODE);
        store.sweep_sandboxes(SandboxRoom::Engine, || Ok(HashSet::new()));
        assert!(dead.exists());
        let is_used = || Ok(HashSet::from([used.clone()]));
        store.sweep_sandboxes(SandboxRoom::Native, is_used);
        assert!(live.path().exists() && used.exists() && !dead.exists());
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_somebody_named_stays_and_is_one_apps() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        let first = Sandbox::create(&path, true).unwrap();
        let error = Sandbox::create(&path, true).unwrap_err();
        assert!(
            format!("{error:#}").contains("another app has it"),
            "{error:#}"
        );
        drop(first);
        assert!(path.exists());
    }

    #[test]
    fn names_of_persistent_volumes_are_different_for_different_apps() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(&scratch.path().join("store")).unwrap();
        let places = ["/a/b", "/a.b", "/a-b", "/b"].map(|app| store.persistent_path(app, "data"));
        let different: HashSet<_> = places.iter().collect();
        assert_eq!(different.len(), places.len());
        let made = store.persistent("/a/b", "data").unwrap();
        fs::write(made.join("x"), "1").unwrap();
        assert_eq!(store.persistent("/a/b", "data").unwrap(), made);
        assert!(made.join("x").exists());
    }
}
