//! The flags about a container's network.

use std::net::{Ipv4Addr, Ipv6Addr};

use clap::Args;

use crate::spec::{Endpoint, Exposed, FurtherNetwork, Mac, Network, Publish};

/// Networks and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Network options")]
pub struct NetworkFlags {
    /// Network: host (default), none, bridge, container:ID, cni:NAME, or one of 'ucr network ls';
    /// repeatable with cni:NAME: eth0, eth1 and so on; options about addresses and ports are for
    /// the first
    #[arg(long, alias = "net", value_name = "NETWORK")]
    network: Vec<Network>,
    /// Let a port of the host, or a free one, lead to one of the container, which is on a bridge
    /// unless the network is said; repeatable
    #[arg(long, short, value_name = "[[ADDRESS:]PORT:]PORT[/udp]")]
    publish: Vec<Publish>,
    /// Let free ports of the host lead to all that the image or --expose names
    #[arg(long, short = 'P')]
    publish_all: bool,
    /// Name ports that the container serves, for --publish-all; repeatable
    #[arg(long, value_name = "PORT[-PORT][/udp]")]
    expose: Vec<Exposed>,
    /// IPv4 address of the container, of its network's
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// IPv6 address of the container, of its network's
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// Hardware address of the container's device
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<Mac>,
}

impl NetworkFlags {
    pub(super) fn network(&self) -> Option<Network> {
        self.network.first().cloned()
    }

    pub(super) fn further(&self) -> Vec<FurtherNetwork> {
        let further = |network: &Network| FurtherNetwork {
            network: network.clone(),
            endpoint: Endpoint::default(),
        };
        self.network.iter().skip(1).map(further).collect()
    }

    /// The container whose network is shared.
    pub(super) fn joined(&self) -> Option<&str> {
        self.network.iter().find_map(|network| match network {
            Network::Container(id) => Some(id.as_str()),
            _ => None,
        })
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint {
            publish: self.publish.clone(),
            publish_all: self.publish_all,
            expose: self.expose.clone(),
            ip: self.ip,
            ip6: self.ip6,
            mac_address: self.mac_address,
        }
    }
}
