//! Making and removing named networks: which addresses are free, this host's routes tell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

use super::link::Links;
use super::{bridge, lease};
use crate::error::{Fault, Kind};
use crate::runtime::State;
use crate::spec::{BRIDGE_PREFIX, Definition, Subnet, network_name};
use crate::store::Store;
use crate::sys;
use crate::sys::users;

/// What a network is to be like; what is unset is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Its addresses, at most one range of each version.
    pub subnets: Vec<Subnet>,
    /// The host's addresses on it.
    pub gateways: Vec<IpAddr>,
    /// Addresses for containers that do not ask.
    pub ip_range: Option<Subnet>,
    /// Addresses of version 6, too.
    pub ipv6: bool,
    /// No way out.
    pub internal: bool,
    /// Longest packet.
    pub mtu: Option<u32>,
}

/// Makes a network; its devices come with its first container.
pub fn create(store: &Store, asked: &Asked) -> Result<Definition> {
    network_name(&asked.name)?;
    if users::are_mapped() && !users::own_network()? {
        let message = "making networks needs root, who may make network devices";
        return Err(Fault::new(Kind::Unsupported, message)
            .hint("--network bridge works without root: a way out, and -p")
            .into());
    }
    let lock = store.lock_networks()?;
    let others = store.networks()?;
    let links = Links::open().context("reach rtnetlink")?;
    let free = Free {
        links: &links,
        others: &others,
    };
    let subnet = match one(asked, true)? {
        Some(subnet) => free.check(subnet)?,
        None => free.find(pool())?,
    };
    let subnet6 = match one(asked, false)? {
        Some(subnet) => Some(free.check(subnet)?),
        None if asked.ipv6 => Some(random_ula()?),
        None => None,
    };
    let first = |subnet: &Subnet| subnet.nth(1);
    let gateway4 = gateway(asked, true).or_else(|| first(&subnet));
    let gateway6 = gateway(asked, false).or_else(|| subnet6.as_ref().and_then(first));
    let hex = sys::random_name()?;
    let definition = Definition {
        name: asked.name.clone(),
        bridge: format!("{BRIDGE_PREFIX}{}", hex.get(..8).unwrap_or_default()),
        subnet,
        gateway: match gateway4 {
            Some(IpAddr::V4(gateway)) => gateway,
            _ => Ipv4Addr::UNSPECIFIED,
        },
        ip_range: asked.ip_range,
        subnet6,
        gateway6: match gateway6 {
            Some(IpAddr::V6(gateway)) => Some(gateway),
            _ => None,
        },
        internal: asked.internal,
        mtu: asked.mtu,
        created_at: sys::now(),
    };
    store.create_network(&lock, &definition)?;
    Ok(definition)
}

/// Removes the devices and rules of a network.
pub fn clear(definition: &Definition) -> Result<()> {
    bridge::remove(definition)
}

/// Removes those of the network that is always there. Fails with [`Kind::Usage`] while a container
/// is on it or about to be.
pub fn clear_built_in(state: &State) -> Result<()> {
    let definition = Definition::built_in();
    if lease::is_used(&state.network_room(), &definition.bridge) {
        let message = format!("network {} is in use", definition.name);
        return Err(Fault::new(Kind::Usage, message)
            .hint("'ucr ps' lists the running containers; stop those that are on it")
            .into());
    }
    bridge::remove(&definition)
}

fn gateway(asked: &Asked, v4: bool) -> Option<IpAddr> {
    let mut all = asked.gateways.iter();
    all.find(|gateway| gateway.is_ipv4() == v4).copied()
}

/// The range of a version that is asked for.
fn one(asked: &Asked, v4: bool) -> Result<Option<Subnet>, Fault> {
    let mut all = asked.subnets.iter().filter(|subnet| subnet.is_v4() == v4);
    let (first, second) = (all.next(), all.next());
    match second {
        None => Ok(first.copied()),
        Some(second) => {
            let message = format!("--subnet {second}: a network has one of each version");
            Err(Fault::new(Kind::Usage, message))
        }
    }
}

/// What nobody has.
struct Free<'a> {
    links: &'a Links,
    others: &'a [Definition],
}

impl Free<'_> {
    /// Who has some of these addresses.
    fn holder(&self, subnet: &Subnet) -> Result<Option<String>> {
        let built_in = Definition::built_in();
        let mut networks = self.others.iter().chain(std::iter::once(&built_in));
        let other = networks.find(|other| {
            let all = [Some(other.subnet), other.subnet6];
            all.into_iter().flatten().any(|it| it.overlaps(subnet))
        });
        if let Some(other) = other {
            return Ok(Some(format!("network {}", other.name)));
        }
        let route = bridge::taken(self.links, subnet, None)?;
        Ok(route.map(|route| format!("the host's route to {route}")))
    }

    fn check(&self, subnet: Subnet) -> Result<Subnet> {
        match self.holder(&subnet)? {
            None => Ok(subnet),
            Some(other) => {
                let message = format!("subnet {subnet} overlaps {other}");
                Err(Fault::new(Kind::Usage, message)
                    .hint("leave --subnet out for a free one")
                    .into())
            }
        }
    }

    fn find(&self, mut pool: impl Iterator<Item = Subnet>) -> Result<Subnet> {
        let free = pool.find_map(|subnet| match self.holder(&subnet) {
            Ok(None) => Some(Ok(subnet)),
            Ok(Some(_)) => None,
            Err(error) => Some(Err(error)),
        });
        free.unwrap_or_else(|| {
            let message = "no subnet is free in 10.87.0.0/16 and 192.168.0.0/16";
            Err(Fault::new(Kind::Limit, message)
                .hint("say one: --subnet")
                .into())
        })
    }
}

/// Subnets of networks that do not ask for one.
fn pool() -> impl Iterator<Item = Subnet> {
    let class = |first: u8, second: u8| {
        (0..=u8::MAX)
            .map(move |third| Subnet::whole(Ipv4Addr::new(first, second, third, 0).into(), 24))
    };
    class(10, 87).skip(1).chain(class(192, 168).skip(128))
}

/// RFC 4193, section 3.2: nobody else's by chance.
fn random_ula() -> Result<Subnet> {
    let hex = sys::random_name()?;
    let bits = u64::from_str_radix(hex.get(..10).unwrap_or_default(), 16)?;
    let address = 0xfd_u128 << 120 | u128::from(bits) << 80;
    Ok(Subnet::whole(Ipv6Addr::from(address).into(), 64))
}
