//! What a rule of nf_tables is made of: a short program that loads parts of a packet into
//! registers, compares them, and says what becomes of the packet.

use std::net::IpAddr;

use super::message::Attributes;
use crate::spec::Subnet;

/// Registers: of four bytes each, 8 is the first.
pub(super) const FIRST: u32 = 8;

/// What is known about a packet (enum nft_meta_keys).
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Meta {
    InName = 6,
    OutName = 7,
    Family = 15,
    Protocol = 16,
}

/// What is known about its connection (enum nft_ct_keys).
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Connection {
    State = 0,
    Status = 2,
}

/// Connections of which packets were seen in both directions, or that belong to one.
pub(super) const KNOWN: u32 = 0x06;
/// Connections whose destination was changed.
pub(super) const REDIRECTED: u32 = 0x20;

/// Where a part of a packet is counted from.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Base {
    Network = 1,
    Transport = 2,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Verdict {
    Drop = 0,
    Accept = 1,
}

/// `NFPROTO_IPV4` or `NFPROTO_IPV6`.
pub(super) fn family(v4: bool) -> u32 {
    if v4 { 2 } else { 10 }
}

/// The expressions of a rule.
#[derive(Debug)]
pub(super) struct Program<'a, 'b>(pub(super) &'a mut Attributes<'b>);

impl Program<'_, '_> {
    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Attributes)) {
        self.0.nest(1, |expression| {
            expression.text(1, name);
            expression.nest(2, fill);
        });
    }

    pub(super) fn load_meta(&mut self, key: Meta, register: u32) {
        self.expression("meta", |data| {
            data.number(1, register);
            data.number(2, key as u32);
        });
    }

    pub(super) fn load(&mut self, base: Base, offset: u32, length: u32, register: u32) {
        self.expression("payload", |data| {
            data.number(1, register);
            data.number(2, base as u32);
            data.number(3, offset);
            data.number(4, length);
        });
    }

    fn compare(&mut self, is: bool, value: &[u8]) {
        self.expression("cmp", |data| {
            data.number(1, FIRST);
            data.number(2, u32::from(!is));
            data.nest(3, |inner| inner.bytes(1, value));
        });
    }

    fn mask(&mut self, mask: &[u8]) {
        self.expression("bitwise", |data| {
            data.number(1, FIRST);
            data.number(2, FIRST);
            data.number(3, u32::try_from(mask.len()).unwrap_or(0));
            data.nest(4, |inner| inner.bytes(1, mask));
            data.nest(5, |inner| inner.bytes(1, &vec![0; mask.len()]));
        });
    }

    /// Goes on if the device that a packet comes from or goes to is, or is not, this one.
    pub(super) fn device(&mut self, key: Meta, is: bool, name: &str) {
        let mut value = [0; 16];
        for (to, from) in value.iter_mut().zip(name.bytes().take(15)) {
            *to = from;
        }
        self.load_meta(key, FIRST);
        self.compare(is, &value);
    }

    /// Goes on if one of these bits is set in what is known about the connection.
    pub(super) fn connection(&mut self, key: Connection, bits: u32) {
        self.expression("ct", |data| {
            data.number(1, FIRST);
            data.number(2, key as u32);
        });
        self.mask(&bits.to_ne_bytes());
        self.compare(false, &[0; 4]);
    }

    /// Goes on if the packet is of this family.
    pub(super) fn is_family(&mut self, v4: bool) {
        self.load_meta(Meta::Family, FIRST);
        self.compare(true, &[u8::try_from(family(v4)).unwrap_or(0)]);
    }

    /// Goes on if the packet comes from one of these addresses.
    pub(super) fn is_from(&mut self, subnet: &Subnet) {
        self.is_family(subnet.is_v4());
        let (offset, length) = if subnet.is_v4() { (12, 4) } else { (8, 16) };
        self.load(Base::Network, offset, length, FIRST);
        self.mask(&octets(subnet.mask()));
        self.compare(true, &octets(subnet.address()));
    }

    /// Goes on if the packet is for this host.
    pub(super) fn is_for_us(&mut self) {
        const ADDRESS_TYPE: u32 = 3;
        const DESTINATION: u32 = 2;
        const LOCAL: u32 = 2;
        self.expression("fib", |data| {
            data.number(1, FIRST);
            data.number(2, ADDRESS_TYPE);
            data.number(3, DESTINATION);
        });
        self.compare(true, &LOCAL.to_ne_bytes());
    }

    /// Goes on with what the map has for the registers from the first one.
    pub(super) fn look_up(&mut self, map: &str, to: u32) {
        self.expression("lookup", |data| {
            data.text(1, map);
            data.number(2, FIRST);
            data.number(3, to);
        });
    }

    /// Sends the connection to the address and the port in these registers.
    pub(super) fn redirect(&mut self, v4: bool, address: u32, port: u32) {
        const DESTINATION: u32 = 1;
        self.expression("nat", |data| {
            data.number(1, DESTINATION);
            data.number(2, family(v4));
            data.number(3, address);
            data.number(5, port);
        });
    }

    /// Lets the connection come from our own address.
    pub(super) fn masquerade(&mut self) {
        self.expression("masq", |_| ());
    }

    pub(super) fn verdict(&mut self, verdict: Verdict) {
        self.expression("immediate", |data| {
            data.number(1, 0);
            data.nest(2, |inner| {
                inner.nest(2, |inner| inner.number(1, verdict as u32));
            });
        });
    }
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
