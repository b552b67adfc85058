//! Who has which address of a network: one file for each in the state directory, locked by whoever
//! watches the container, so that a free lock is a free address however its holder ended. What else
//! is to be undone is written in it.
//!
//! Several state directories may share a bridge. Of the addresses that others of them gave away,
//! the devices tell: our end of a container's pair has its address for a name, and the kernel lets
//! no two devices have the same.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::link::Links;
use super::nftables::{Redirect, Table};
use crate::error::{Fault, Kind};
use crate::spec::{Definition, Endpoint, Protocol};
use crate::store::{Lock, Patience};

/// Largest file that is read back, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// How long the kernel may take to remove the devices of a container that has ended.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often they are looked for.
const PAUSE: Duration = Duration::from_millis(2);

/// The addresses of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Of version 4.
    pub ip: Ipv4Addr,
    /// Of version 6, where the network has those.
    pub ip6: Option<Ipv6Addr>,
}

/// A published port of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Of this protocol.
    pub protocol: Protocol,
    /// Of the host.
    pub host: SocketAddr,
    /// Of the container.
    pub container: u16,
}

/// As docker shows it.
impl fmt::Display for PublishedPort {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}->{}/{}", self.host, self.container, self.protocol)
    }
}

impl PublishedPort {
    /// What the firewall redirects, if anything comes there from outside.
    pub(super) fn redirect(&self, addresses: &Addresses) -> Option<Redirect> {
        let to: IpAddr = match self.host {
            SocketAddr::V4(_) => addresses.ip.into(),
            SocketAddr::V6(_) => addresses.ip6?.into(),
        };
        super::nftables::is_reachable(self.host.ip()).then_some(Redirect {
            protocol: self.protocol,
            from: self.host,
            to: SocketAddr::new(to, self.container),
        })
    }
}

/// What is to be undone.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    bridge: String,
    addresses: Addresses,
    ports: Vec<PublishedPort>,
}

impl Written {
    fn redirects(&self) -> Vec<Redirect> {
        let redirect = |port: &PublishedPort| port.redirect(&self.addresses);
        self.ports.iter().filter_map(redirect).collect()
    }

    fn undo(&self) -> Result<()> {
        let redirects = self.redirects();
        if !redirects.is_empty() {
            Table::open(&self.bridge)?.forget(&redirects)?;
        }
        Ok(())
    }
}

/// An address that nobody else has while this lives.
#[derive(Debug)]
pub(super) struct Lease {
    path: PathBuf,
    /// Keeps an address of version 6 that was asked for.
    second: Option<Mark>,
    lock: Lock,
    pub(super) addresses: Addresses,
    undo: Option<Written>,
}

#[derive(Debug)]
struct Mark {
    path: PathBuf,
    lock: Lock,
}

impl Drop for Mark {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Lease {
    /// Takes the addresses that are asked for, or the first ones that are free.
    pub(super) fn take(
        links: &Links,
        room: &Path,
        network: &Definition,
        endpoint: &Endpoint,
    ) -> Result<Self> {
        let asked = asked_place(network, endpoint)?;
        if let Some(place) = asked {
            wait_for_old(links, room, network, place)?;
        }
        let mut places: Box<dyn Iterator<Item = u32>> = match asked {
            Some(place) => Box::new(std::iter::once(place)),
            None => Box::new(network.places()),
        };
        let found = places.find_map(|place| try_place(links, room, network, place).transpose());
        let Some((place, path, lock)) = found.transpose()? else {
            return Err(none_free(network, endpoint).into());
        };
        let addresses = Addresses {
            ip: network.v4(place).context("internal: a place outside")?,
            ip6: network.v6(place),
        };
        let mut lease = Self {
            path,
            second: None,
            lock,
            addresses,
            undo: None,
        };
        if let Some(ip6) = endpoint.ip6 {
            lease.take_v6(links, room, network, ip6)?;
        }
        Ok(lease)
    }

    fn take_v6(
        &mut self,
        links: &Links,
        room: &Path,
        network: &Definition,
        asked: Ipv6Addr,
    ) -> Result<()> {
        let subnet = network.subnet6.as_ref();
        let place = subnet.and_then(|subnet| subnet.place(asked.into()));
        let is_usable = place.is_some_and(|place| place != 0 && Some(asked) != network.gateway6);
        let Some(place) = place.filter(|_| is_usable) else {
            let name = &network.name;
            let message = format!("--ip6 {asked} is no address for a container of network {name}");
            return Err(Fault::new(Kind::Usage, message)
                .hint(subnets(network))
                .into());
        };
        self.addresses.ip6 = Some(asked);
        if place <= network.subnet.last() {
            // It belongs to the address of version 4 at the same place.
            if network.v4(u32::try_from(place)?) == Some(self.addresses.ip) {
                return Ok(());
            }
            let place = u32::try_from(place)?;
            let free = try_place(links, room, network, place)?;
            let (_, path, lock) = free.ok_or_else(|| taken(asked.into(), network))?;
            self.second = Some(Mark { path, lock });
            return Ok(());
        }
        let path = room.join(format!("{}_{asked}", network.bridge));
        let lock = lock(&path)?.ok_or_else(|| taken(asked.into(), network))?;
        self.second = Some(Mark { path, lock });
        Ok(())
    }

    /// What holds locks of this process.
    pub(super) fn locks(&self) -> Vec<BorrowedFd<'_>> {
        let second = self.second.as_ref().map(|mark| mark.lock.file().as_fd());
        let first = self.lock.file().as_fd();
        std::iter::once(first).chain(second).collect()
    }

    /// Writes down what has to be undone, before it is done.
    pub(super) fn write(&mut self, bridge: &str, ports: &[PublishedPort]) -> Result<()> {
        let written = Written {
            bridge: bridge.to_owned(),
            addresses: self.addresses,
            ports: ports.to_vec(),
        };
        fs::write(&self.path, serde_json::to_vec(&written)?)
            .with_context(|| format!("write {}", self.path.display()))?;
        self.undo = Some(written);
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What fails now is tried again by the next command.
        if self.undo.as_ref().is_none_or(|undo| undo.undo().is_ok()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn asked_place(network: &Definition, endpoint: &Endpoint) -> Result<Option<u32>, Fault> {
    let Some(ip) = endpoint.ip else {
        return Ok(None);
    };
    let place = network.subnet.place(ip.into());
    let usable = |place: &u128| *place != 0 && *place < network.subnet.last();
    let place = place.filter(usable).filter(|_| ip != network.gateway);
    match place.and_then(|place| u32::try_from(place).ok()) {
        Some(place) => Ok(Some(place)),
        None => {
            let name = &network.name;
            let message = format!("--ip {ip} is no address for a container of network {name}");
            Err(Fault::new(Kind::Usage, message).hint(subnets(network)))
        }
    }
}

fn subnets(network: &Definition) -> String {
    let v6 = network.subnet6.map(|subnet| format!(" and {subnet}"));
    format!("it has {}{}", network.subnet, v6.unwrap_or_default())
}

fn none_free(network: &Definition, endpoint: &Endpoint) -> Fault {
    match endpoint.ip {
        Some(ip) => taken(ip.into(), network),
        None => {
            let message = format!("all addresses of network {} are taken", network.name);
            Fault::new(Kind::Limit, message)
                .hint("'ucr network create --subnet' makes a larger network")
        }
    }
}

fn taken(address: IpAddr, network: &Definition) -> Fault {
    let message = format!("address {address} of network {} is taken", network.name);
    Fault::new(Kind::Usage, message).hint("another container has it: see 'ucr ps'")
}

/// The lock of a place, if nobody has it; what its last holder left is undone first.
/// The address of a container that has just ended is free as soon as the kernel has got round to
/// removing its devices, which it does some milliseconds later.
fn wait_for_old(links: &Links, room: &Path, network: &Definition, place: u32) -> Result<()> {
    let Some(ip) = network.v4(place) else {
        return Ok(());
    };
    let path = room.join(format!("{}_{ip}", network.bridge));
    let end = Instant::now() + PATIENCE;
    while links.find(&device_name(ip))?.is_some() && Instant::now() < end {
        if Lock::exclusive(&path, Patience::Try)?.is_none() {
            // Somebody has it.
            return Ok(());
        }
        // What a dead one left to be undone stays.
        if fs::metadata(&path).is_ok_and(|found| found.len() == 0) {
            let _ = fs::remove_file(&path);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn try_place(
    links: &Links,
    room: &Path,
    network: &Definition,
    place: u32,
) -> Result<Option<(u32, PathBuf, Lock)>> {
    let Some(ip) = network.v4(place) else {
        return Ok(None);
    };
    let path = room.join(format!("{}_{ip}", network.bridge));
    let Some(lock) = lock(&path)? else {
        return Ok(None);
    };
    if links.find(&device_name(ip))?.is_some() {
        // Another state directory's, or one that the kernel has not got round to removing.
        let _ = fs::remove_file(&path);
        return Ok(None);
    }
    Ok(Some((place, path, lock)))
}

fn lock(path: &Path) -> Result<Option<Lock>> {
    let Some(lock) = Lock::exclusive(path, Patience::Try)? else {
        return Ok(None);
    };
    if let Some(left) = read(path)? {
        left.undo()?;
    }
    Ok(Some(lock))
}

/// What our end of a container's pair of devices is called.
pub(super) fn device_name(ip: Ipv4Addr) -> String {
    format!("uc{:08x}", u32::from(ip))
}

fn read(path: &Path) -> Result<Option<Written>> {
    match fs::metadata(path) {
        Ok(found) if found.len() > MAX_FILE || found.len() == 0 => return Ok(None),
        Ok(_) => (),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    Ok(serde_json::from_slice(&fs::read(path)?).ok())
}

/// The files of leases; in none there is a directory.
fn files(room: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(room).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// Undoes what dead holders left.
pub(super) fn heal(room: &Path) {
    for path in files(room) {
        // What cannot be undone now is tried again by the next command.
        if let Ok(Some(_dead)) = lock(&path) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether somebody has an address of the network of a bridge.
pub(super) fn is_used(room: &Path, bridge: &str) -> bool {
    let prefix = format!("{bridge}_");
    let here = files(room).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&prefix))
    });
    here.into_iter()
        .any(|path| matches!(Lock::exclusive(&path, Patience::Try), Ok(None)))
}

/// The published ports of all who are on a bridge.
pub(super) fn redirects(room: &Path, bridge: &str) -> Vec<Redirect> {
    let written = files(room).filter_map(|path| read(&path).ok().flatten());
    let here = written.filter(|written| written.bridge == bridge);
    here.flat_map(|written| written.redirects()).collect()
}
