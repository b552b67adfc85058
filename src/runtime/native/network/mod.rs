//! The networks of containers: a bridge, leased addresses, published ports.
//!
//! ```text
//! before the clone    lease an address, bind the ports of the host
//! after it            bridge, pair of devices, addresses, routes, redirections; the stage builds
//!                     the root filesystem meanwhile
//! while it lives      pass on what the host itself sends to the ports
//! at its end          redirections go; the devices went with the network namespace
//! ```
//!
//! All by messages to the kernel, about a millisecond. What has to be undone is written into the
//! lease before it is done, so that the next command undoes it for a ucr that was killed.

mod bridge;
mod carriage;
mod carrier;
pub mod cni;
mod create;
mod forward;
mod joined;
mod lease;
mod link;
mod netlink;
mod nftables;
mod ports;

use std::cell::Cell;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::plan::Bridged;
use crate::error::{Fault, Kind};
use crate::runtime::State;
use crate::spec::{Definition, Mac, Network};
use crate::store::{NetworkUse, Store};
use crate::sys;
use crate::sys::proc::Proc;
use crate::sys::process::Child;

pub(super) use carriage::{Carriage, Carrying};
pub use carrier::{Carrier, WayOut};
pub use create::{Asked, clear, clear_built_in, create};
pub use forward::Forwarder;
pub use joined::Names;
pub(super) use joined::{Joined, join};
pub use lease::{Addresses, PublishedPort};

/// How a container is connected, for its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// The name of its network.
    pub network: String,
    /// Its addresses.
    #[serde(flatten)]
    pub addresses: Addresses,
    /// Its device's.
    pub mac_address: Mac,
    /// Ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
}

/// A container's place on a bridged network, which goes when this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    definition: Definition,
    links: link::Links,
    lease: lease::Lease,
    forwarder: Option<Forwarder>,
    ports: Vec<PublishedPort>,
    mac: Mac,
    room: PathBuf,
    used: Option<NetworkUse>,
    was_connected: Cell<bool>,
}

impl Connection {
    /// Takes addresses and ports, where there is a bridge to be on.
    pub(super) fn prepare(
        plan: Option<&Bridged>,
        store: &Store,
        state: &State,
    ) -> Result<Option<Self>> {
        let Some(plan) = plan.filter(|plan| plan.way_out.is_none()) else {
            return Ok(None);
        };
        let used = match &plan.network {
            Network::Named(name) => Some(store.use_network(name)?),
            _ => None,
        };
        let mut definition = match &used {
            Some(used) => used.definition.clone(),
            None => Definition::built_in(),
        };
        if !has_v6() {
            (definition.subnet6, definition.gateway6) = (None, None);
        }
        let endpoint = &plan.endpoint;
        if definition.internal && !endpoint.publish.is_empty() {
            let name = &definition.name;
            let message = format!("--publish does not go with the internal network {name}");
            return Err(Fault::new(Kind::Usage, message)
                .hint("say another --network")
                .into());
        }
        let room = state.network_room();
        sys::make_private(&room)?;
        let links = link::Links::open().context("reach rtnetlink")?;
        let bound = ports::bind_all(&endpoint.publish, has_v6())?;
        let mut lease = lease::Lease::take(&links, &room, &definition, endpoint)?;
        let ports: Vec<_> = bound.iter().map(|bound| bound.port).collect();
        let forwarder = match ports.is_empty() {
            true => None,
            false => {
                lease.write(&definition.bridge, &ports)?;
                Some(Forwarder::new(bound, &lease.addresses)?)
            }
        };
        let mac = endpoint.mac_address.unwrap_or(Mac::of(lease.addresses.ip));
        Ok(Some(Self {
            definition,
            links,
            lease,
            forwarder,
            ports,
            mac,
            room,
            used,
            was_connected: Cell::new(false),
        }))
    }

    /// Passes on what the host sends, where ports are published.
    pub(super) fn forwarder(&self) -> Option<&Forwarder> {
        self.forwarder.as_ref()
    }

    /// What holds locks of this process.
    pub(super) fn locks(&self) -> Vec<BorrowedFd<'_>> {
        let mut locks = self.lease.locks();
        locks.extend(self.used.as_ref().map(NetworkUse::lock));
        locks
    }

    /// What a record says.
    pub(super) fn record(&self) -> ConnectionRecord {
        ConnectionRecord {
            network: self.definition.name.clone(),
            addresses: self.lease.addresses,
            mac_address: self.mac,
            ports: self.ports.clone(),
        }
    }

    /// Connects the container, whose first process is another's business meanwhile.
    pub(super) fn connect(&self, child: &Child) -> Result<()> {
        let network = &self.definition;
        let links = &self.links;
        let bridge = bridge::ensure(links, network, &self.room)?;
        let namespace = namespace_of(child).context("reach the container's network")?;
        let name = lease::device_name(self.lease.addresses.ip);
        let mut requests = link::Requests::default();
        requests.pair(&link::Pair {
            name: &name,
            bridge,
            mac: self.mac,
            mtu: network.mtu,
            namespace: namespace.as_fd(),
        });
        if self.was_connected.replace(true) {
            self.remove_old(&name)?;
        }
        links
            .make(&requests)
            .context("make a pair of network devices")?;
        let inside = links_inside(&namespace).context("enter the container's network")?;
        self.set_up(&inside)
            .context("set up the container's network")?;
        let addresses = &self.lease.addresses;
        let redirects: Vec<_> = self
            .ports
            .iter()
            .filter_map(|port| port.redirect(addresses))
            .collect();
        if !redirects.is_empty() {
            let table = nftables::Table::open(&network.bridge)?;
            table.redirect(&redirects).context("redirect ports")?;
        }
        Ok(())
    }

    /// The pair of the last start, which the kernel may not have got round to removing.
    fn remove_old(&self, name: &str) -> Result<()> {
        if let Some(old) = self.links.find(name)? {
            let mut requests = link::Requests::default();
            requests.remove(old.index);
            self.links
                .remove(&requests)
                .context("remove a pair of network devices")?;
        }
        Ok(())
    }

    fn set_up(&self, links: &link::Links) -> Result<()> {
        let network = &self.definition;
        let device = links.find(link::INSIDE)?.context("the device is gone")?;
        let addresses = &self.lease.addresses;
        let mut requests = link::Requests::default();
        requests.up(device.index);
        requests.address(device.index, addresses.ip.into(), network.subnet.prefix());
        if let (Some(ip6), Some(subnet)) = (addresses.ip6, network.subnet6) {
            requests.address(device.index, ip6.into(), subnet.prefix());
        }
        let v6 = network.gateway6.filter(|_| addresses.ip6.is_some());
        let gateways = [Some(IpAddr::V4(network.gateway)), v6.map(IpAddr::V6)];
        for gateway in gateways.into_iter().flatten().filter(|_| !network.internal) {
            requests.default_route(device.index, gateway);
        }
        Ok(links.make(&requests)?)
    }
}

/// Undoes what dead holders of addresses left.
pub(crate) fn heal(state: &State) {
    lease::heal(&state.network_room());
    cni::heal(&state.cni_rooms());
}

/// Whether this kernel has IPv6.
fn has_v6() -> bool {
    std::path::Path::new("/proc/net/if_inet6").exists()
}

/// The network namespace of a process of ours.
pub(super) fn namespace_of(child: &Child) -> Result<OwnedFd> {
    let pid = child.pid().as_raw_nonzero();
    Ok(Proc::open()?.open_file(&format!("{pid}/ns/net"))?)
}

/// A socket belongs to the namespace in which it was opened, wherever its owner is afterwards.
fn links_inside(namespace: &OwnedFd) -> Result<link::Links> {
    let own = Proc::open()?.open_file("self/ns/net")?;
    join(namespace)?;
    let links = link::Links::open();
    join(&own).context("return to the host's network")?;
    Ok(links?)
}
