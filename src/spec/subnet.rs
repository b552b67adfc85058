//! Ranges of addresses: `10.87.0.0/24`, `fd75:6372::/64`. Pure arithmetic.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};

/// All addresses with the same first bits; the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    address: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// `None` if the address has bits behind the prefix, or the prefix more than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let subnet = Self { address, prefix };
        let is_whole = prefix <= bits(address) && number(address) & subnet.host_mask() == 0;
        is_whole.then_some(subnet)
    }

    /// One whose bits are known to be whole.
    pub(super) fn cut(address: IpAddr, prefix: u8) -> Self {
        Self { address, prefix }
    }

    /// Its first address, which is nobody's.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits are the same.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether its addresses are of version 4.
    pub fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// The address at a place, counted from 0; `None` behind its end.
    pub fn nth(&self, place: u128) -> Option<IpAddr> {
        (place <= self.host_mask()).then(|| address(self.address, number(self.address) + place))
    }

    /// The place of an address of it.
    pub fn place(&self, address: IpAddr) -> Option<u128> {
        let is_inside = address.is_ipv4() == self.is_v4()
            && number(address) & !self.host_mask() == number(self.address);
        is_inside.then(|| number(address) & self.host_mask())
    }

    /// The place of its last address.
    pub fn last(&self) -> u128 {
        self.host_mask()
    }

    /// Whether an address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.place(other.address).is_some() || other.place(self.address).is_some()
    }

    /// Ones where its addresses are the same.
    pub fn mask(&self) -> IpAddr {
        address(self.address, !self.host_mask() & all(self.address))
    }

    fn host_mask(&self) -> u128 {
        let rest = u32::from(bits(self.address).saturating_sub(self.prefix));
        1_u128.checked_shl(rest).map_or(u128::MAX, |end| end - 1)
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn all(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(_) => u128::from(u32::MAX),
        IpAddr::V6(_) => u128::MAX,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// Of the same version as another one.
fn address(like: IpAddr, number: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from(number).into(),
    }
}

impl FromStr for Subnet {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            let is_number = !prefix.starts_with('+');
            Self::new(
                address.parse().ok()?,
                prefix.parse().ok().filter(|_| is_number)?,
            )
        };
        parse().ok_or_else(|| {
            let message = format!("'{text}' is no subnet");
            Fault::new(Kind::Usage, message)
                .hint("say its first address and how many bits count, as in 10.90.1.0/24")
        })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for Subnet {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn places() {
        let v4 = subnet("10.87.0.0/24");
        assert_eq!(v4.nth(1).unwrap().to_string(), "10.87.0.1");
        assert_eq!((v4.last(), v4.nth(256)), (255, None));
        assert_eq!(v4.place("10.87.0.9".parse().unwrap()), Some(9));
        assert_eq!(v4.place("10.87.1.9".parse().unwrap()), None);
        assert_eq!(v4.place("::9".parse().unwrap()), None);
        assert_eq!(v4.mask().to_string(), "255.255.255.0");
        let v6 = subnet("fd75:6372::/64");
        assert_eq!(v6.nth(9).unwrap().to_string(), "fd75:6372::9");
        assert_eq!(v6.mask().to_string(), "ffff:ffff:ffff:ffff::");
        assert_eq!(subnet("0.0.0.0/0").last(), u128::from(u32::MAX));
        assert_eq!(subnet("::/0").last(), u128::MAX);
        assert_eq!(subnet("10.0.0.1/32").last(), 0);
    }

    #[test]
    fn overlaps() {
        for (one, other, expected) in [
            ("10.0.0.0/8", "10.87.0.0/24", true),
            ("10.87.0.0/24", "10.87.1.0/24", false),
            ("0.0.0.0/0", "10.0.0.0/8", true),
            ("::/0", "10.0.0.0/8", false),
        ] {
            assert_eq!(subnet(one).overlaps(&subnet(other)), expected);
            assert_eq!(subnet(other).overlaps(&subnet(one)), expected);
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.1/24",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "x/8",
        ] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }
}
