//! Devices, addresses and routes: the requests of rtnetlink(7) that a bridged container needs, in
//! the namespace in which a [`Links`] was opened.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, Parseable,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkHeader, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

use super::netlink::{Answer, Socket};
use crate::spec::{Mac, Subnet};

/// The devices of one network namespace.
#[derive(Debug)]
pub(super) struct Links(Socket);

/// Requests that are sent together.
#[derive(Debug, Default)]
pub(super) struct Requests(Vec<u8>);

/// A device that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) index: u32,
    pub(super) is_up: bool,
}

/// A pair of devices: one on a bridge, the other, `eth0`, in a container.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    /// Our end's name.
    pub(super) name: &'a str,
    /// Our end's bridge.
    pub(super) bridge: Device,
    /// The container's end's.
    pub(super) mac: Mac,
    pub(super) mtu: Option<u32>,
    /// The container's network namespace.
    pub(super) namespace: BorrowedFd<'a>,
}

/// What the container's end is called inside.
pub(super) const INSIDE: &str = "eth0";

impl Links {
    pub(super) fn open() -> io::Result<Self> {
        Socket::open(None).map(Self)
    }

    /// A device by name.
    pub(super) fn find(&self, name: &str) -> io::Result<Option<Device>> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.into()));
        let mut requests = Requests::default();
        requests.push(RouteNetlinkMessage::GetLink(message), 0);
        let answers = self.0.ask(&requests.0, &[Errno::NODEV])?;
        Ok(answers.first().and_then(device))
    }

    /// Does all of it; what is there already is fine.
    pub(super) fn ensure(&self, requests: &Requests) -> io::Result<()> {
        self.0.ask(&requests.0, &[Errno::EXIST]).map(drop)
    }

    /// The same, where what is gone already is fine.
    pub(super) fn remove(&self, requests: &Requests) -> io::Result<()> {
        self.0.ask(&requests.0, &[Errno::NODEV]).map(drop)
    }

    /// Does all of it.
    pub(super) fn make(&self, requests: &Requests) -> io::Result<()> {
        self.0.ask(&requests.0, &[]).map(drop)
    }

    /// Where packets are sent, but for those that have no better route.
    pub(super) fn routes(&self, v4: bool) -> io::Result<Vec<(Subnet, Option<u32>)>> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(v4);
        let mut requests = Requests::default();
        requests.push(RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP);
        let answers = self.0.ask(&requests.0, &[])?;
        Ok(answers.iter().filter_map(route).collect())
    }
}

impl Requests {
    fn push(&mut self, message: RouteNetlinkMessage, flags: u16) {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let start = self.0.len();
        self.0.resize(start + message.buffer_len(), 0);
        if let Some(place) = self.0.get_mut(start..) {
            message.serialize(place);
        }
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn make(&mut self, message: RouteNetlinkMessage) {
        self.push(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    }

    /// A bridge, down. Its hardware address is given, for it would otherwise change with the
    /// devices on it, and neighbours would talk to nobody.
    pub(super) fn bridge(&mut self, name: &str, mac: Mac, mtu: Option<u32>) {
        let mut message = LinkMessage::default();
        let kind = vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::ForwardDelay(0)])),
        ];
        message.attributes = vec![
            LinkAttribute::IfName(name.into()),
            LinkAttribute::Address(mac.0.to_vec()),
            LinkAttribute::LinkInfo(kind),
        ];
        message.attributes.extend(mtu.map(LinkAttribute::Mtu));
        self.make(RouteNetlinkMessage::NewLink(message));
    }

    /// A pair of devices, made where they belong: moving one later would wait for all processors.
    pub(super) fn pair(&mut self, pair: &Pair) {
        let mut inside = LinkMessage::default();
        inside.attributes = vec![
            LinkAttribute::IfName(INSIDE.into()),
            LinkAttribute::Address(pair.mac.0.to_vec()),
            LinkAttribute::NetNsFd(pair.namespace.as_raw_fd()),
        ];
        inside.attributes.extend(pair.mtu.map(LinkAttribute::Mtu));
        let kind = vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inside))),
        ];
        let mut message = LinkMessage::default();
        message.header = up(0);
        message.attributes = vec![
            LinkAttribute::IfName(pair.name.into()),
            LinkAttribute::Controller(pair.bridge.index),
            LinkAttribute::LinkInfo(kind),
        ];
        message.attributes.extend(pair.mtu.map(LinkAttribute::Mtu));
        self.make(RouteNetlinkMessage::NewLink(message));
    }

    /// Brings a device up.
    pub(super) fn up(&mut self, index: u32) {
        let mut message = LinkMessage::default();
        message.header = up(index);
        self.push(RouteNetlinkMessage::SetLink(message), NLM_F_ACK);
    }

    /// Removes a device.
    pub(super) fn remove(&mut self, index: u32) {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.push(RouteNetlinkMessage::DelLink(message), NLM_F_ACK);
    }

    /// Gives a device an address. One of version 6 works at once: nobody else can have it, so
    /// nobody is asked for a second (RFC 4862, section 5.4).
    pub(super) fn address(&mut self, index: u32, address: IpAddr, prefix: u8) {
        let mut message = AddressMessage::default();
        message.header.family = family(address.is_ipv4());
        message.header.prefix_len = prefix;
        message.header.index = index;
        message.attributes = vec![AddressAttribute::Local(address)];
        match address {
            IpAddr::V4(_) => message.attributes.push(AddressAttribute::Address(address)),
            IpAddr::V6(_) => {
                message.header.flags = AddressHeaderFlags::Nodad;
                let flags = AddressAttribute::Flags(AddressFlags::Nodad);
                message.attributes.push(flags);
            }
        }
        self.make(RouteNetlinkMessage::NewAddress(message));
    }

    /// Sends what has no better route to a neighbour.
    pub(super) fn default_route(&mut self, index: u32, gateway: IpAddr) {
        let mut message = RouteMessage::default();
        message.header.address_family = family(gateway.is_ipv4());
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = RouteScope::Universe;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![
            RouteAttribute::Gateway(RouteAddress::from(gateway)),
            RouteAttribute::Oif(index),
        ];
        self.make(RouteNetlinkMessage::NewRoute(message));
    }
}

fn up(index: u32) -> LinkHeader {
    LinkHeader {
        index,
        flags: LinkFlags::Up,
        change_mask: LinkFlags::Up,
        ..LinkHeader::default()
    }
}

fn family(v4: bool) -> AddressFamily {
    match v4 {
        true => AddressFamily::Inet,
        false => AddressFamily::Inet6,
    }
}

fn device(answer: &Answer) -> Option<Device> {
    let header = LinkHeader::parse(&answer.body).ok()?;
    Some(Device {
        index: header.index,
        is_up: header.flags.contains(LinkFlags::Up),
    })
}

fn route(answer: &Answer) -> Option<(Subnet, Option<u32>)> {
    let message = RouteMessage::parse(&answer.body).ok()?;
    let prefix = message.header.destination_prefix_length;
    let mut found = (None, None);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(to)) => found.0 = Some(to.into()),
            RouteAttribute::Destination(RouteAddress::Inet6(to)) => found.0 = Some(to.into()),
            RouteAttribute::Oif(index) => found.1 = Some(index),
            _ => (),
        }
    }
    let to: IpAddr = found.0.filter(|_| prefix != 0)?;
    Some((Subnet::whole(to, prefix), found.1))
}
