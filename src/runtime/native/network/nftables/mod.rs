//! The firewall rules of a bridged network, all in one nftables table with the name of its bridge,
//! so that nothing of anybody else's is touched and all of it goes with the table:
//!
//! * what comes for a published port of this host is redirected to its container, by a map that has
//!   one element for each port and each address it is published on;
//! * what leaves the network comes from the host's own address;
//! * nobody else opens connections into the network, but to published ports.
//!
//! Written for the messages themselves: no package of a fitting licence makes them.

mod expression;
mod message;

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;

use super::netlink::Socket;
use crate::spec::{Definition, Protocol};
use expression::{Base, Connection, FIRST, KNOWN, Meta, Program, REDIRECTED, Verdict, octets};
use message::{APPEND, Attributes, CREATE, DUMP, Messages, Verb, find};

/// A map to an address and a port of a container: from a protocol, an address and a port of the
/// host, or from a protocol and a port of any of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Map {
    name: &'static str,
    number: u32,
    v4: bool,
    any: bool,
}

const MAPS: [Map; 4] = [
    Map::new("ports4", 1, true, false),
    Map::new("ports6", 2, false, false),
    Map::new("any4", 3, true, true),
    Map::new("any6", 4, false, true),
];

impl Map {
    const fn new(name: &'static str, number: u32, v4: bool, any: bool) -> Self {
        Self {
            name,
            number,
            v4,
            any,
        }
    }

    fn has(self, redirect: &Redirect) -> bool {
        self.v4 == redirect.to.is_ipv4() && self.any == redirect.from.ip().is_unspecified()
    }

    fn key(self, redirect: &Redirect) -> Vec<u8> {
        let mut key = vec![number(redirect.protocol), 0, 0, 0];
        match self.any {
            true => key.extend([&redirect.from.port().to_be_bytes()[..], &[0; 2]].concat()),
            false => key.extend(value(redirect.from)),
        }
        key
    }
}

/// How many elements go into a message, which has at most 64 KiB.
const MAX_ELEMENTS: usize = 256;

/// A chain and its place: hook, priority, and whether it changes addresses.
const CHAINS: [(&str, u32, i32, &str); 3] = [
    ("prerouting", 0, -100, "nat"),
    ("forward", 2, 0, "filter"),
    ("postrouting", 4, 100, "nat"),
];

/// A port of the host that leads to one of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) protocol: Protocol,
    /// Of the host; an unspecified address stands for all.
    pub(super) from: SocketAddr,
    /// Of the container, of the same version.
    pub(super) to: SocketAddr,
}

/// The table of a network.
#[derive(Debug)]
pub(super) struct Table<'a> {
    socket: Socket,
    name: &'a str,
}

impl<'a> Table<'a> {
    pub(super) fn open(bridge: &'a str) -> io::Result<Self> {
        let socket = Socket::open(Some(NETFILTER))?;
        Ok(Self {
            socket,
            name: bridge,
        })
    }

    /// Whether nobody took a rule out.
    pub(super) fn is_complete(&self, network: &Definition) -> io::Result<bool> {
        let query = Messages::query(Verb::GetRule, DUMP, |rule| rule.text(1, self.name));
        let found = self.socket.ask(&query, &[Errno::NOENT])?;
        Ok(found.len() == rules(network).len())
    }

    /// Makes what is not there. Elements of maps stay.
    pub(super) fn make(&self, network: &Definition) -> io::Result<()> {
        let mut batch = Messages::batch();
        batch.push(Verb::NewTable, CREATE, |table| table.text(1, self.name));
        for (name, hook, priority, kind) in CHAINS {
            batch.push(Verb::NewChain, CREATE, |chain| {
                chain.text(1, self.name);
                chain.text(3, name);
                chain.nest(4, |place| {
                    place.number(1, hook);
                    place.bytes(2, &priority.to_be_bytes());
                });
                chain.text(7, kind);
            });
            batch.push(Verb::DeleteRule, 0, |rule| {
                rule.text(1, self.name);
                rule.text(2, name);
            });
        }
        for map in MAPS {
            batch.push(Verb::NewSet, CREATE, |set| self.map(set, map));
        }
        for (chain, rule) in rules(network) {
            batch.push(Verb::NewRule, CREATE | APPEND, |message| {
                message.text(1, self.name);
                message.text(2, chain);
                message.nest(4, |list| rule.write(&mut Program(list), network));
            });
        }
        self.socket.ask(&batch.finish(), &[]).map(drop)
    }

    fn map(&self, set: &mut Attributes, map: Map) {
        const MAP: u32 = 0x8;
        // What nft(8) shows: inet_proto . ip_addr . inet_service, six bits each.
        let address = if map.v4 { 7 } else { 8 };
        let length = if map.v4 { 4 } else { 16 };
        let (key, key_length) = match map.any {
            true => (12 << 6 | 13, 4 + 4),
            false => (12 << 12 | address << 6 | 13, 4 + length + 4),
        };
        set.text(1, self.name);
        set.text(2, map.name);
        set.number(3, MAP);
        set.number(4, key);
        set.number(5, key_length);
        set.number(6, address << 6 | 13);
        set.number(7, length + 4);
        set.number(10, map.number);
    }

    /// Removes the table and all in it.
    pub(super) fn remove(&self) -> io::Result<()> {
        let mut batch = Messages::batch();
        batch.push(Verb::DeleteTable, 0, |table| table.text(1, self.name));
        self.socket.ask(&batch.finish(), &[Errno::NOENT]).map(drop)
    }

    /// Redirects ports. An element that is there already was left by somebody dead: whoever adds
    /// one holds the port itself.
    pub(super) fn redirect(&self, all: &[Redirect]) -> io::Result<()> {
        match self.add(all) {
            // The one if it leads to the same place, the other if elsewhere.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EEXIST | libc::EBUSY)) => {
                self.replace(all)
            }
            added => added,
        }
    }

    fn replace(&self, all: &[Redirect]) -> io::Result<()> {
        for redirect in all {
            let one = std::slice::from_ref(redirect);
            self.delete(one, &[Errno::NOENT])?;
            self.add(one)?;
        }
        Ok(())
    }

    /// Ends redirections; what leads elsewhere meanwhile stays.
    pub(super) fn forget(&self, all: &[Redirect]) -> io::Result<()> {
        let mut ours = Vec::new();
        for (map, some) in by_map(all) {
            for redirect in some {
                let leads_to = self.destination(map, &redirect)?;
                if leads_to.as_deref() == Some(&value(redirect.to)) {
                    ours.push(redirect);
                }
            }
        }
        let one_by_one = || {
            let mut each = ours.chunks(1);
            each.try_for_each(|one| self.delete(one, &[Errno::NOENT]))
        };
        // One of them may be gone meanwhile, and then none is deleted.
        self.delete(&ours, &[]).or_else(|_| one_by_one())
    }

    /// All or none, in one transaction: for each the kernel waits until all processors have passed
    /// by.
    fn add(&self, all: &[Redirect]) -> io::Result<()> {
        let mut batch = Messages::batch();
        for (map, some) in by_map(all) {
            batch.push(Verb::NewElement, CREATE, |list| {
                self.elements(list, map, &some, true);
            });
        }
        self.socket.ask(&batch.finish(), &[]).map(drop)
    }

    fn delete(&self, all: &[Redirect], but: &[Errno]) -> io::Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let mut batch = Messages::batch();
        for (map, some) in by_map(all) {
            batch.push(Verb::DeleteElement, 0, |list| {
                self.elements(list, map, &some, false);
            });
        }
        self.socket.ask(&batch.finish(), but).map(drop)
    }

    /// Where a port leads to, as it is in the map.
    fn destination(&self, map: Map, redirect: &Redirect) -> io::Result<Option<Vec<u8>>> {
        let one = std::slice::from_ref(redirect);
        let query = Messages::query(Verb::GetElement, 0, |list| {
            self.elements(list, map, one, false);
        });
        let answers = self.socket.ask(&query, &[Errno::NOENT])?;
        let data = answers.first().and_then(|answer| {
            let list = find(answer.body.get(4..)?, 3)?;
            find(find(find(list, 1)?, 2)?, 1)
        });
        Ok(data.map(<[u8]>::to_vec))
    }

    fn elements(&self, list: &mut Attributes, map: Map, all: &[Redirect], with_data: bool) {
        list.text(1, self.name);
        list.text(2, map.name);
        list.nest(3, |elements| {
            for redirect in all {
                elements.nest(1, |element| {
                    element.nest(1, |key| key.bytes(1, &map.key(redirect)));
                    if with_data {
                        element.nest(2, |data| data.bytes(1, &value(redirect.to)));
                    }
                });
            }
        });
    }
}

fn by_map(all: &[Redirect]) -> impl Iterator<Item = (Map, Vec<Redirect>)> {
    MAPS.into_iter().flat_map(move |map| {
        let some: Vec<Redirect> = all.iter().filter(|it| map.has(it)).copied().collect();
        let parts: Vec<_> = some.chunks(MAX_ELEMENTS).map(<[_]>::to_vec).collect();
        parts.into_iter().map(move |part| (map, part))
    })
}

fn value(address: SocketAddr) -> Vec<u8> {
    let mut value = octets(address.ip());
    value.extend(address.port().to_be_bytes());
    value.extend([0; 2]);
    value
}

/// As in the header of a packet.
fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// A rule, and the chain it is in.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// To a port of one of the host's addresses, or of all.
    Redirect(Map),
    /// Between the containers of the network.
    Inside,
    /// Answers.
    Known,
    /// To published ports.
    Published,
    /// All else into the network.
    Closed,
    /// Out of a network that has no way out.
    NoWayOut,
    /// Out of the network.
    Outgoing { v4: bool },
}

fn rules(network: &Definition) -> Vec<(&'static str, Rule)> {
    let mut rules = Vec::new();
    rules.extend(MAPS.map(|map| ("prerouting", Rule::Redirect(map))));
    rules.push(("forward", Rule::Inside));
    if network.internal {
        rules.push(("forward", Rule::NoWayOut));
    } else {
        rules.push(("forward", Rule::Known));
        rules.push(("forward", Rule::Published));
    }
    rules.push(("forward", Rule::Closed));
    for v4 in [true, false] {
        if v4 || network.subnet6.is_some() {
            rules.push(("postrouting", Rule::Outgoing { v4 }));
        }
    }
    rules
}

impl Rule {
    fn write(self, program: &mut Program, network: &Definition) {
        let bridge = network.bridge.as_str();
        let subnet = |v4: bool| match v4 {
            true => Some(network.subnet),
            false => network.subnet6,
        };
        match self {
            Self::Redirect(map) => redirect(program, map, bridge),
            Self::Inside => {
                program.device(Meta::OutName, true, bridge);
                program.device(Meta::InName, true, bridge);
                program.verdict(Verdict::Accept);
            }
            Self::Known | Self::Published => {
                program.device(Meta::OutName, true, bridge);
                match self {
                    Self::Known => program.connection(Connection::State, KNOWN),
                    _ => program.connection(Connection::Status, REDIRECTED),
                }
                program.verdict(Verdict::Accept);
            }
            Self::Closed => {
                program.device(Meta::OutName, true, bridge);
                program.verdict(Verdict::Drop);
            }
            Self::NoWayOut => {
                program.device(Meta::InName, true, bridge);
                program.verdict(Verdict::Drop);
            }
            Self::Outgoing { v4 } => {
                let Some(subnet) = subnet(v4) else {
                    return;
                };
                program.is_from(&subnet);
                program.device(Meta::OutName, false, bridge);
                program.masquerade();
            }
        }
    }
}

/// But for what the network's own containers send: a bridge does not send a packet back where it
/// came from (br_netfilter redirects it that early), so those are passed on as the host's are.
fn redirect(program: &mut Program, map: Map, bridge: &str) {
    let (offset, length) = if map.v4 { (16, 4) } else { (24, 16) };
    let words = length / 4;
    let (second, to) = (FIRST + 1, FIRST + 8);
    program.device(Meta::InName, false, bridge);
    program.is_family(map.v4);
    program.is_for_us();
    program.load_meta(Meta::Protocol, FIRST);
    let port = match map.any {
        true => second,
        false => {
            program.load(Base::Network, offset, length, second);
            second + words
        }
    };
    program.load(Base::Transport, 2, 2, port);
    program.look_up(map.name, to);
    program.redirect(map.v4, to, to + words);
}

/// Whether packets for an address come from outside at all.
pub(super) fn is_reachable(address: IpAddr) -> bool {
    !address.is_loopback()
}
