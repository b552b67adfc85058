//! The bridge of a network: made when a container first needs it, and mended when somebody took a
//! part of it away.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};

use super::lease;
use super::link::{Device, Links, Requests};
use super::nftables::Table;
use crate::error::{Fault, Kind};
use crate::spec::{Definition, Mac, Subnet};
use crate::sys::proc::Proc;

/// Makes sure that a bridge is there with all that belongs to it.
pub(super) fn ensure(links: &Links, network: &Definition, room: &Path) -> Result<Device> {
    let what = || format!("network {}", network.name);
    let found = links.find(&network.bridge).with_context(what)?;
    let device = match found.filter(|device| device.is_up) {
        Some(device) => device,
        None => make(links, network).with_context(what)?,
    };
    let table = Table::open(&network.bridge).context("reach nftables")?;
    if !table.is_complete(network).context("read nftables")? {
        table.make(network).map_err(without_nftables)?;
        // Of containers that run and whose elements went with the table.
        table.redirect(&lease::redirects(room, &network.bridge))?;
    }
    if !network.internal {
        forward(network.subnet6.is_some()).context("forward packets")?;
    }
    Ok(device)
}

/// Removes a bridge and all that belongs to it; the next container would make it again.
pub(super) fn remove(network: &Definition) -> Result<()> {
    let links = Links::open()?;
    if let Some(device) = links.find(&network.bridge)? {
        let mut requests = Requests::default();
        requests.remove(device.index);
        links.make(&requests)?;
    }
    Ok(Table::open(&network.bridge)?.remove()?)
}

fn without_nftables(error: std::io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        // What a kernel says that lacks one of the expressions.
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT) => {
            let message = format!("make nftables rules: {error}");
            Fault::new(Kind::Unsupported, message)
                .hint("the kernel needs nf_tables with nat, masq, fib and ct for inet")
                .into()
        }
        _ => anyhow::Error::new(error).context("make nftables rules"),
    }
}

fn make(links: &Links, network: &Definition) -> Result<Device> {
    check_routes(links, network)?;
    let mut requests = Requests::default();
    requests.bridge(&network.bridge, Mac::of(network.gateway), network.mtu);
    links.ensure(&requests)?;
    let device = links.find(&network.bridge)?.context("the bridge is gone")?;
    let mut requests = Requests::default();
    let mut address = |address: IpAddr, subnet: &Subnet| {
        requests.address(device.index, address, subnet.prefix());
    };
    address(network.gateway.into(), &network.subnet);
    if let (Some(gateway), Some(subnet)) = (network.gateway6, &network.subnet6) {
        address(gateway.into(), subnet);
    }
    requests.up(device.index);
    links.ensure(&requests)?;
    Ok(device)
}

/// Addresses that this host sends elsewhere would be lost to it.
fn check_routes(links: &Links, network: &Definition) -> Result<()> {
    let own = links.find(&network.bridge)?.map(|device| device.index);
    for subnet in [Some(network.subnet), network.subnet6]
        .into_iter()
        .flatten()
    {
        if let Some(other) = taken(links, &subnet, own)? {
            let message = format!("subnet {subnet} overlaps the host's route to {other}");
            return Err(Fault::new(Kind::Unsupported, message)
                .hint("'ucr network create NAME' finds a free subnet; then say --network NAME")
                .into());
        }
    }
    Ok(())
}

/// A route of the host's to some of these addresses, but through this device.
pub(super) fn taken(links: &Links, subnet: &Subnet, own: Option<u32>) -> Result<Option<Subnet>> {
    let routes = links.routes(subnet.is_v4()).context("read routes")?;
    let other = routes
        .into_iter()
        .find(|(to, device)| to.overlaps(subnet) && (own.is_none() || *device != own));
    Ok(other.map(|(to, _)| to))
}

/// Lets the host send on what is not for itself.
fn forward(v6: bool) -> Result<()> {
    let proc = Proc::open()?;
    let is_off = |path: &str| proc.read(path).is_ok_and(|value| value.trim() == "0");
    if is_off("sys/net/ipv4/ip_forward") {
        proc.write("sys/net/ipv4/ip_forward", "1")?;
    }
    let v6_forward = "sys/net/ipv6/conf/all/forwarding";
    if v6 && is_off(v6_forward) {
        keep_advertised_routes(&proc);
        proc.write(v6_forward, "1")?;
    }
    Ok(())
}

/// A host that forwards no longer listens to routers, and would lose its own way out, unless it is
/// told to go on (ip-sysctl, accept_ra).
fn keep_advertised_routes(proc: &Proc) {
    let devices = std::fs::read_dir("/proc/sys/net/ipv6/conf")
        .into_iter()
        .flatten();
    for device in devices.flatten() {
        let name = device.file_name().to_string_lossy().into_owned();
        let path = format!("sys/net/ipv6/conf/{name}/accept_ra");
        if proc.read(&path).is_ok_and(|value| value.trim() == "1") {
            let _ = proc.write(&path, "2");
        }
    }
}
