//! The network of another container, which a new one shares, and what belongs to it: the host name
//! and the files with names and servers, as they are in that container when the new one starts.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Fault, Kind};
use crate::runtime::{ContainerRecord, State};
use crate::store::Store;
use crate::sys::proc::Proc;
use crate::sys::root::Root;

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
    /// That of the running container whose ID begins so.
    pub(in crate::runtime::native) fn find(store: &Store, state: &State, id: &str) -> Result<Self> {
        let record = running(store, state, id)?;
        let what = || format!("network of container {}", record.id);
        let proc = Proc::open()?;
        let namespace = proc
            .open_file(&format!("{}/ns/net", record.pid))
            .with_context(what)?;
        let root = proc
            .open_file(&format!("{}/root", record.pid))
            .with_context(what)?;
        // Its number could be another's by now.
        if record.start_time.is_none() || proc.start_time(record.pid) != record.start_time {
            return Err(none_such(id).into());
        }
        let root = Root::from_fd(root);
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

fn running(store: &Store, state: &State, id: &str) -> Result<ContainerRecord> {
    let mut all = state.running(store)?;
    all.retain(|record| record.id.starts_with(id));
    if all.len() > 1 {
        let message = format!(
            "--network container:{id}: {} containers begin so",
            all.len()
        );
        return Err(Fault::new(Kind::Usage, message)
            .hint("say more of its ID")
            .into());
    }
    Ok(all.pop().ok_or_else(|| none_such(id))?)
}

fn none_such(id: &str) -> Fault {
    Fault::new(
        Kind::NotFound,
        format!("there is no running container {id}"),
    )
    .hint("'ucr ps' lists them")
}
