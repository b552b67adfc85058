//! The files of a container that has ended and was kept.

use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::{Fault, Kind};
use crate::provision::{Writable, mount_layers};
use crate::runtime::Container;
use crate::store::{ContainerDir, Store};
use crate::sys::mount::make_all_private;
use crate::sys::process::die_with_parent;
use crate::sys::root::Root;

/// The root filesystem of a container that ended, and what holds it meanwhile.
#[derive(Debug)]
pub struct Stopped {
    /// What was its root directory; nothing is mounted in there.
    pub root: Root,
    _directory: ContainerDir,
}

impl Stopped {
    /// Mounts it, in a mount namespace that the calling process has for itself and that goes with
    /// it. Fails with [`Kind::Usage`] if somebody has the container.
    pub fn mount(store: &Store, container: &Container) -> Result<Self> {
        die_with_parent()?;
        make_all_private().context("cut the mount namespace off")?;
        let record = &container.record;
        if let Some(directory) = &record.spec.rootfs {
            let (name, directory) = (record.name(), directory.display());
            let message = format!("container {name} has ended, and was made of {directory}");
            return Err(Fault::new(Kind::Usage, message)
                .hint("its files are the host's: copy them there")
                .into());
        }
        let held = store.hold_container(&record.id)?;
        let directory = held.filter(|_| container.process().is_none());
        let directory = directory.ok_or_else(|| {
            let message = format!("container {} is being used", record.name());
            Fault::new(Kind::Usage, message).hint("try again when it has ended, or runs")
        })?;
        // What a layer is, nobody may take away while it is mounted.
        let _shared = store.lock_layers(&record.layers)?;
        directory.reuse()?;
        let path = directory.path().join("upper");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let target = openat(CWD, &path, flags, Mode::empty())?;
        let writable = Writable {
            directory: directory.path(),
            volatile: false,
            no_suid: false,
            places: None,
        };
        use std::os::fd::AsFd;
        mount_layers(store, &record.layers, &writable, target.as_fd())?;
        // The handle above is of the directory below the mount.
        let root = Root::open(Path::new(&path))?;
        Ok(Self {
            root,
            _directory: directory,
        })
    }
}
