//! The network of another container, which a new one shares, and what belongs to it: the host name
//! and the files with names and servers, as they are in that container when the new one starts.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Fault, Kind};
use crate::runtime::State;
use crate::runtime::native::join::root_of;
use crate::store::Store;
use crate::sys::proc::Proc;

/// Largest file of the other container that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Another container's network.
#[derive(Debug)]
pub struct Joined {
    /// The network namespace.
    pub(in crate::runtime::native) namespace: OwnedFd,
    /// What is seen there.
    pub(in crate::runtime::native) names: Names,
}

/// What a container knows of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its `/etc/hostname`.
    pub hostname: String,
    /// Its `/etc/hosts`.
    pub hosts: Vec<u8>,
    /// Its `/etc/resolv.conf`.
    pub resolv_conf: Vec<u8>,
}

impl Joined {
    /// That of the running container of that name, ID or beginning of an ID.
    pub(in crate::runtime::native) fn find(store: &Store, state: &State, id: &str) -> Result<Self> {
        let found = state.find_running(store, id)?;
        let what = || format!("network of container {}", found.record.id);
        let process = found.process().with_context(what)?;
        let proc = Proc::open()?;
        let namespace = proc
            .open_file(&format!("{}/ns/net", process.pid))
            .with_context(what)?;
        let root = root_of(&proc, process.pid);
        // Its number could be another's by now.
        if process.start_time.is_none() || proc.start_time(process.pid) != process.start_time {
            let message = format!("container {} ends", found.record.name());
            return Err(Fault::new(Kind::NotFound, message).into());
        }
        let root = root.with_context(what)?;
        let read = |path: &str| -> io::Result<Vec<u8>> {
            Ok(root
                .read_small(Path::new(path), MAX_FILE)?
                .unwrap_or_default())
        };
        let hostname = read("/etc/hostname").with_context(what)?;
        let names = Names {
            hostname: String::from_utf8_lossy(&hostname).trim().to_owned(),
            hosts: read("/etc/hosts").with_context(what)?,
            resolv_conf: read("/etc/resolv.conf").with_context(what)?,
        };
        Ok(Self { namespace, names })
    }
}

/// Moves this process to another network.
pub(in crate::runtime::native) fn join(namespace: &OwnedFd) -> io::Result<()> {
    let kind = Some(LinkNameSpaceType::Network);
    Ok(move_into_link_name_space(namespace.as_fd(), kind)?)
}
