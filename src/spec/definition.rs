//! What a bridged network is like: the built-in one, and those that `ucr network create` makes.
//! Pure: whether its addresses are free, the runtime finds out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Not;

use serde::{Deserialize, Serialize};

use super::network::{is_usable, network_name};
use super::{Mac, Subnet};
use crate::error::{Fault, Kind};

/// What the device of a network that was made is called: with eight hex digits.
pub const BRIDGE_PREFIX: &str = "ucr-";

/// A bridged network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The bridge device, and the nftables table.
    pub bridge: String,
    /// Its addresses of version 4.
    pub subnet: Subnet,
    /// The bridge's.
    pub gateway: Ipv4Addr,
    /// Those that containers get which do not ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<Subnet>,
    /// Its addresses of version 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet6: Option<Subnet>,
    /// The bridge's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway6: Option<Ipv6Addr>,
    /// Nothing but its containers and the host.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub internal: bool,
    /// Longest packet; the kernel's default if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

impl Definition {
    /// The network that is always there. Podman's subnets begin at 10.88, docker's at 172.17.
    pub fn built_in() -> Self {
        let address = |address: Ipv4Addr| IpAddr::V4(address);
        let ula = Ipv6Addr::new(0xfd75, 0x6372, 0, 0, 0, 0, 0, 0);
        Self {
            name: "bridge".into(),
            bridge: "ucr0".into(),
            subnet: Subnet::whole(address(Ipv4Addr::new(10, 87, 0, 0)), 24),
            gateway: Ipv4Addr::new(10, 87, 0, 1),
            ip_range: None,
            subnet6: Some(Subnet::whole(ula.into(), 64)),
            gateway6: Some(Ipv6Addr::new(0xfd75, 0x6372, 0, 0, 0, 0, 0, 1)),
            internal: false,
            mtu: None,
            created_at: 0,
        }
    }

    /// Refuses what contradicts itself, also in a file that somebody wrote.
    pub fn check(&self) -> Result<(), Fault> {
        network_name(&self.name)?;
        let digits = self.bridge.strip_prefix(BRIDGE_PREFIX).unwrap_or_default();
        if digits.len() != 8 || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(bad(format!("'{}' is no bridge of ucr's", self.bridge)));
        }
        if !self.subnet.is_v4() || !(8..=29).contains(&self.subnet.prefix()) {
            return Err(bad(format!(
                "subnet {} is not one of IPv4, /8 to /29",
                self.subnet
            )));
        }
        is_inside(&self.subnet, self.gateway.into())?;
        if let Some(range) = &self.ip_range
            && (!range.is_v4()
                || !self.subnet.overlaps(range)
                || range.prefix() < self.subnet.prefix())
        {
            return Err(bad(format!(
                "range {range} is not of subnet {}",
                self.subnet
            )));
        }
        match (&self.subnet6, self.gateway6) {
            (None, None) => (),
            (Some(subnet), Some(gateway)) => {
                if subnet.is_v4() || !(8..=96).contains(&subnet.prefix()) {
                    return Err(bad(format!(
                        "subnet {subnet} is not one of IPv6, /8 to /96"
                    )));
                }
                is_inside(subnet, gateway.into())?;
            }
            _ => return Err(bad("IPv6 needs a subnet and a gateway".into())),
        }
        match self.mtu {
            // RFC 8200, section 5; the largest that a veth pair takes.
            Some(mtu) if !(1280..=65535).contains(&mtu) => {
                Err(bad(format!("mtu {mtu} is not between 1280 and 65535")))
            }
            _ => Ok(()),
        }
    }

    /// The places of the addresses that containers get which do not ask.
    pub fn places(&self) -> impl Iterator<Item = u32> + '_ {
        let range = self.ip_range.unwrap_or(self.subnet);
        let first = self.subnet.place(range.address()).unwrap_or(0);
        let last = (first + range.last()).min(self.subnet.last() - 1);
        let gateway = self.subnet.place(self.gateway.into());
        let places = (first.max(1)..=last).filter(move |place| Some(*place) != gateway);
        places.filter_map(|place| u32::try_from(place).ok())
    }

    /// The address of version 4 at a place.
    pub fn v4(&self, place: u32) -> Option<Ipv4Addr> {
        match self.subnet.nth(place.into())? {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }

    /// The address of version 6 at the same place.
    pub fn v6(&self, place: u32) -> Option<Ipv6Addr> {
        match self.subnet6?.nth(place.into())? {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        }
    }
}

impl Subnet {
    /// One whose bits behind the prefix are cleared.
    pub fn whole(address: IpAddr, prefix: u8) -> Self {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.min(bits);
        let cut = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(u32::from(bits - prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(u32::from(bits - prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(v6) & mask).into())
            }
        };
        Self::cut(cut, prefix)
    }
}

impl Mac {
    /// A locally administered one that belongs to an address, so that neighbours that knew the last
    /// holder of the address need not ask again.
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x75, a, b, c, d])
    }
}

fn is_inside(subnet: &Subnet, address: IpAddr) -> Result<(), Fault> {
    match subnet.place(address) {
        Some(place) if place != 0 && place < subnet.last() && is_usable(address) => Ok(()),
        _ => Err(bad(format!("{address} is no address of subnet {subnet}"))),
    }
}

fn bad(message: String) -> Fault {
    Fault::new(Kind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        Definition {
            name: "web".into(),
            bridge: "ucr-0123abcd".into(),
            ..Definition::built_in()
        }
    }

    #[test]
    fn places_leave_out_what_is_nobodys() {
        let places: Vec<_> = definition().places().collect();
        assert_eq!((places[0], places.len()), (2, 253));
        assert_eq!(places.last(), Some(&254));
        let small = Definition {
            ip_range: Some("10.87.0.128/30".parse().unwrap()),
            ..definition()
        };
        assert_eq!(small.places().collect::<Vec<_>>(), [128, 129, 130, 131]);
        assert_eq!(small.v4(129).unwrap().to_string(), "10.87.0.129");
        assert_eq!(small.v6(129).unwrap().to_string(), "fd75:6372::81");
    }

    type Change = fn(&mut Definition);

    #[test]
    fn contradictions_are_refused() {
        definition().check().unwrap();
        let changes: &[(Change, &str)] = &[
            (|it| it.name = "host".into(), "host"),
            (|it| it.name = "../x".into(), "../x"),
            (|it| it.bridge = "eth0".into(), "eth0"),
            (|it| it.bridge = "ucr-../../xx".into(), "no bridge"),
            (|it| it.subnet = "10.0.0.0/30".parse().unwrap(), "/30"),
            (|it| it.subnet = "fd00::/64".parse().unwrap(), "fd00"),
            (|it| it.gateway = "10.88.0.1".parse().unwrap(), "10.88.0.1"),
            (
                |it| it.gateway = "10.87.0.255".parse().unwrap(),
                "10.87.0.255",
            ),
            (|it| it.ip_range = "10.0.0.0/8".parse().ok(), "10.0.0.0/8"),
            (
                |it| it.ip_range = "10.88.0.0/28".parse().ok(),
                "10.88.0.0/28",
            ),
            (|it| it.gateway6 = None, "IPv6"),
            (|it| it.subnet6 = "fd00::/120".parse().ok(), "/96"),
            (|it| it.mtu = Some(100), "mtu 100"),
        ];
        for (change, why) in changes {
            let mut wrong = definition();
            change(&mut wrong);
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
