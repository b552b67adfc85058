//! Which network a container is on, and what its end of it is like. Pure: whether there is such a
//! network, the runtime finds out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Not;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ContainerSpec;
use super::port::{Exposed, Publish};
use crate::error::{Fault, Kind};

/// Longest name of a network: what docker's and podman's tools show in one column.
const MAX_NAME: usize = 63;

/// What means something else.
const RESERVED: [&str; 7] = [
    "host",
    "none",
    "bridge",
    "default",
    "container",
    "cni",
    "ns",
];

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Network {
    /// The host's.
    Host,
    /// Nothing but its own loopback.
    None,
    /// The bridge that every host has.
    Bridge,
    /// One that was made with `ucr network create`.
    Named(String),
    /// One that a CNI configuration list describes.
    Cni(String),
    /// That of another container.
    Container(String),
}

impl Network {
    /// Whether the container's devices, addresses and ports are nobody else's.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Host | Self::Container(_))
    }

    /// Whether ucr connects it through a bridge of its own.
    pub fn is_bridged(&self) -> bool {
        matches!(self, Self::Bridge | Self::Named(_))
    }

    /// Whether a container has addresses on it, and may have ports of the host.
    pub fn has_endpoints(&self) -> bool {
        self.is_bridged() || matches!(self, Self::Cni(_))
    }
}

impl FromStr for Network {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let other = |what: &str, name: &str| match name {
            "" => Err(refuse(format!("network '{text}' names no {what}"))),
            name => Ok(name.to_owned()),
        };
        match (text, text.split_once(':')) {
            ("host", _) => Ok(Self::Host),
            ("none", _) => Ok(Self::None),
            ("bridge", _) => Ok(Self::Bridge),
            (_, Some(("cni", name))) => Ok(Self::Cni(plain_name(&other("network", name)?)?)),
            (_, Some(("container", id))) => Ok(Self::Container(other("container", id)?)),
            _ => network_name(text).map(Self::Named),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::None => f.write_str("none"),
            Self::Bridge => f.write_str("bridge"),
            Self::Named(name) => f.write_str(name),
            Self::Cni(name) => write!(f, "cni:{name}"),
            Self::Container(id) => write!(f, "container:{id}"),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// A name that a network may have; it is also the name of a file in the store.
pub fn network_name(name: &str) -> Result<String, Fault> {
    let name = plain_name(name)?;
    if RESERVED.contains(&name.as_str()) {
        return Err(refuse(format!("'{name}' cannot be the name of a network")));
    }
    Ok(name)
}

fn plain_name(name: &str) -> Result<String, Fault> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts_well || !name.chars().all(inner) || name.len() > MAX_NAME {
        let message = format!("network '{name}' is not supported");
        return Err(Fault::new(Kind::Usage, message).hint(
            "there are host, none, bridge, container:ID, and those of 'ucr network ls', whose names \
             are letters and digits, then also '_', '.', '-'",
        ));
    }
    Ok(name.to_owned())
}

fn refuse(message: String) -> Fault {
    Fault::new(Kind::Usage, message).hint("say host, none, bridge, or the name of a network")
}

/// A container's end of its network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Ports of the host that lead to ports of the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<Publish>,
    /// A free port of the host leads to every port that the image or `expose` names.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub publish_all: bool,
    /// Ports that the container serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<Exposed>,
    /// Its IPv4 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip6: Option<Ipv6Addr>,
    /// The hardware address of its device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<Mac>,
}

impl Endpoint {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether ports of the host are asked for.
    pub fn publishes(&self) -> bool {
        self.publish_all || !self.publish.is_empty()
    }

    /// Refuses what the network does not have.
    pub(super) fn check(&self, network: &Network) -> Result<(), Fault> {
        let asked = [
            (!self.publish.is_empty(), "--publish"),
            (self.publish_all, "--publish-all"),
            (self.ip.is_some(), "--ip"),
            (self.ip6.is_some(), "--ip6"),
            (self.mac_address.is_some(), "--mac-address"),
        ];
        let asked = asked.iter().find(|(asked, _)| *asked);
        let Some((_, option)) = asked.filter(|_| !network.has_endpoints()) else {
            return Ok(());
        };
        let message = format!("{option} does not go with --network {network}");
        let hint = match network {
            Network::Host => {
                "what the container serves is on the host's addresses already, unless \
                              --network bridge is said"
            }
            Network::None => "say --network bridge",
            _ => "say it for the container whose network it is",
        };
        Err(Fault::new(Kind::Usage, message).hint(hint))
    }
}

/// Most networks of one container.
const MAX_NETWORKS: usize = 32;

/// A network that a container is on beside its first one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherNetwork {
    /// Which.
    pub network: Network,
    /// The container's end of it.
    #[serde(default, skip_serializing_if = "Endpoint::is_default")]
    pub endpoint: Endpoint,
}

/// Refuses several networks that cannot be together whoever makes them.
pub(super) fn check_further(spec: &ContainerSpec) -> Result<(), Fault> {
    let mut known = vec![spec.network()];
    for (place, further) in spec.more_networks.iter().enumerate() {
        let refuse = |why: &str| {
            let network = &further.network;
            let message = format!("more_networks[{place}] (--network {network}): {why}");
            Fault::new(Kind::Usage, message)
        };
        let both = [&known[0], &further.network];
        if let Some(network) = both.into_iter().find(|it| !it.has_endpoints()) {
            return Err(refuse(&format!("'{network}' goes with no other network"))
                .hint("several networks are those that a container has addresses on"));
        }
        if known.contains(&further.network) {
            return Err(refuse("it is said twice").hint("leave one out"));
        }
        if place + 1 >= MAX_NETWORKS {
            return Err(refuse(&format!("more than {MAX_NETWORKS} networks")));
        }
        if further.endpoint.publish_all || !further.endpoint.expose.is_empty() {
            return Err(refuse("publish_all and expose are for the first network")
                .hint("say publish, with each port"));
        }
        further.endpoint.check(&further.network)?;
        known.push(further.network.clone());
    }
    Ok(())
}

/// A hardware address of one device: neither a group's nor zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        let is_digits =
            |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
        let mut byte = || {
            let part = parts.next().filter(is_digits)?;
            u8::from_str_radix(part, 16).ok()
        };
        let complete = bytes
            .iter_mut()
            .all(|to| byte().map(|value| *to = value).is_some());
        let is_one_device = bytes[0] & 1 == 0 && bytes != [0; 6];
        if !complete || parts.next().is_some() || !is_one_device {
            let message = format!("'{text}' is no hardware address of a device");
            return Err(Fault::new(Kind::Usage, message).hint("say it as in 02:42:ac:11:00:02"));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl TryFrom<String> for Mac {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

/// Whether an address can be that of a container or a gateway.
pub fn is_usable(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_said_in_words() {
        for text in [
            "host",
            "none",
            "bridge",
            "web-1",
            "container:ab12",
            "cni:podman",
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), text);
            let json = serde_json::to_string(&network).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Network>(&json).unwrap(), network);
        }
        for text in [
            "",
            "..",
            "a/b",
            "-x",
            "container:",
            "cni:",
            "cni:../x",
            "default",
            "ns:/x",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert!("a".repeat(MAX_NAME + 1).parse::<Network>().is_err());
    }

    #[test]
    fn several_networks() {
        for (keys, refused) in [
            (
                r#""network":"cni:a","more_networks":[{"network":"cni:b"}]"#,
                None,
            ),
            (
                r#""network":"a","more_networks":[{"network":"b","endpoint":{"publish":["1:1"]}}]"#,
                None,
            ),
            (
                r#""network":"cni:a","more_networks":[{"network":"cni:a"}]"#,
                Some("[0] (--network cni:a): it is said twice"),
            ),
            (
                r#""network":"a","more_networks":[{"network":"b"},{"network":"b"}]"#,
                Some("[1] (--network b): it is said twice"),
            ),
            (
                r#""more_networks":[{"network":"cni:a"}]"#,
                Some("'host' goes with no other"),
            ),
            (
                r#""network":"a","more_networks":[{"network":"none"}]"#,
                Some("'none' goes with no other"),
            ),
            (
                r#""network":"a","more_networks":[{"network":"b","endpoint":{"publish_all":true}}]"#,
                Some("publish_all"),
            ),
        ] {
            let text = format!(r#"{{"version":1,"image":"x",{keys}}}"#);
            let checked = ContainerSpec::parse(text.as_bytes()).unwrap().check();
            match (checked, refused) {
                (Ok(()), None) => (),
                (Err(fault), Some(why)) => assert!(fault.to_string().contains(why), "{fault}"),
                (other, _) => panic!("{keys}: {other:?}"),
            }
        }
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(
            "02-42-AC-11-00-02".parse::<Mac>().unwrap().to_string(),
            "02:42:ac:11:00:02"
        );
        for text in [
            "",
            "02:42",
            "02:42:ac:11:00:02:03",
            "01:00:5e:00:00:01",
            "+2:42:ac:11:00:02",
            "00:00:00:00:00:00",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn ends_fit_their_networks() {
        let endpoint = Endpoint {
            publish: vec!["80".parse().unwrap()],
            ..Endpoint::default()
        };
        for (network, fits) in [
            (Network::Host, false),
            (Network::None, false),
            (Network::Container("x".into()), false),
            (Network::Bridge, true),
            (Network::Named("x".into()), true),
            (Network::Cni("x".into()), true),
        ] {
            assert_eq!(endpoint.check(&network).is_ok(), fits, "{network}");
        }
    }
}
