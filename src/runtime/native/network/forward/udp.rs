//! UDP: for each client a socket of its own, by which the container's answers are told apart. A
//! client that was silent for long, or longest when there are too many, is forgotten.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use super::{Door, Subject};

/// Longest datagram.
const MAX_DATAGRAM: usize = 64 << 10;
/// Clients of one container at once.
const MAX_PEERS: usize = 256;
/// How long a client may be silent (RFC 4787, section 4.3).
const IDLE: Duration = Duration::from_secs(300);
/// Datagrams that are moved before others get their turn.
const MAX_MOVES: u32 = 64;

/// A client: the port, its address, and the one of ours that it wrote to.
type Client = (usize, SocketAddr, Option<Own>);

/// One of the host's addresses, as the kernel says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Own(IpAddr);

/// Who was heard of lately.
#[derive(Debug, Default)]
pub(super) struct Peers {
    slots: Vec<Option<Peer>>,
    by_client: BTreeMap<Client, usize>,
}

#[derive(Debug)]
struct Peer {
    client: Client,
    server: OwnedFd,
    last: Instant,
}

/// Lets the kernel say to which of our addresses a datagram was sent: a client takes answers from
/// there only.
pub(super) fn prepare(socket: &OwnedFd, at: SocketAddr) -> nix::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    match at {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
    }
}

impl Peers {
    /// Passes on what clients sent to a port.
    pub(super) fn pass_on(&mut self, poll: &OwnedFd, place: usize, door: &Door) {
        let mut buffer = vec![0_u8; MAX_DATAGRAM];
        for _ in 0..MAX_MOVES {
            let Some((length, from, own)) = receive(&door.socket, &mut buffer) else {
                return;
            };
            let Ok(slot) = self.peer(poll, (place, from, own), door) else {
                continue;
            };
            if let Some(Some(peer)) = self.slots.get_mut(slot) {
                peer.last = Instant::now();
                let bytes = buffer.get(..length).unwrap_or_default();
                // The first may only tell that nobody served the last one (ICMP).
                for _ in 0..2 {
                    if send(&peer.server, bytes, SendFlags::NOSIGNAL) != Err(Errno::CONNREFUSED) {
                        break;
                    }
                }
            }
        }
    }

    /// Sends a container's answers to their client.
    pub(super) fn reply(&mut self, slot: usize, doors: &[Door]) {
        let Some(Some(peer)) = self.slots.get_mut(slot) else {
            return;
        };
        let (place, to, own) = peer.client;
        let Some(door) = doors.get(place) else {
            return;
        };
        let mut buffer = vec![0_u8; MAX_DATAGRAM];
        for _ in 0..MAX_MOVES {
            match recv(&peer.server, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    peer.last = Instant::now();
                    let bytes = buffer.get(..length).unwrap_or_default();
                    answer(&door.socket, bytes, to, own);
                }
                Err(Errno::CONNREFUSED | Errno::INTR) => (),
                Err(_) => return,
            }
        }
    }

    fn peer(&mut self, poll: &OwnedFd, client: Client, door: &Door) -> Result<usize, Errno> {
        if let Some(slot) = self.by_client.get(&client) {
            return Ok(*slot);
        }
        let slot = self.vacant();
        let to = door.to.first().ok_or(Errno::DESTADDRREQ)?;
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let server = socket_with(family, SocketType::DGRAM, flags, None)?;
        connect(&server, to)?;
        epoll::add(poll, &server, Subject::Peer(slot).number(), EventFlags::IN)?;
        let last = Instant::now();
        let peer = Peer {
            client,
            server,
            last,
        };
        match self.slots.get_mut(slot) {
            Some(vacant) => *vacant = Some(peer),
            None => self.slots.push(Some(peer)),
        }
        self.by_client.insert(client, slot);
        Ok(slot)
    }

    /// A slot without a peer, whose socket is closed then, and with that not watched any more.
    fn vacant(&mut self) -> usize {
        let idle: Vec<usize> = self.places(|peer| peer.last.elapsed() > IDLE);
        idle.into_iter().for_each(|slot| self.forget(slot));
        if let Some(slot) = self.slots.iter().position(Option::is_none) {
            return slot;
        }
        if self.slots.len() < MAX_PEERS {
            return self.slots.len();
        }
        let peers = self.slots.iter().enumerate();
        let peers = peers.filter_map(|(slot, peer)| Some((peer.as_ref()?.last, slot)));
        let oldest = peers.min().map_or(0, |(_, slot)| slot);
        self.forget(oldest);
        oldest
    }

    fn places(&self, wanted: impl Fn(&Peer) -> bool) -> Vec<usize> {
        let peers = self.slots.iter().enumerate();
        let found = peers.filter(|(_, peer)| peer.as_ref().is_some_and(&wanted));
        found.map(|(slot, _)| slot).collect()
    }

    fn forget(&mut self, slot: usize) {
        if let Some(peer) = self.slots.get_mut(slot).and_then(Option::take) {
            self.by_client.remove(&peer.client);
        }
    }
}

/// The next datagram, who sent it, and to which of our addresses.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<(usize, SocketAddr, Option<Own>)> {
    let mut space = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let received =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags).ok()?;
    let mut own = None;
    for message in received.cmsgs().ok()? {
        own = match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Own(std::net::Ipv4Addr::from(
                info.ipi_addr.s_addr.to_ne_bytes(),
            )
            .into())),
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(Own(std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr).into()))
            }
            _ => own,
        };
    }
    let from = received.address?;
    let v4 = from.as_sockaddr_in().map(|it| SocketAddr::V4((*it).into()));
    let v6 = from
        .as_sockaddr_in6()
        .map(|it| SocketAddr::V6((*it).into()));
    Some((received.bytes, v4.or(v6)?, own))
}

/// Sends a datagram from the address that the client wrote to. One that cannot be sent is lost, as
/// datagrams are.
fn answer(socket: &OwnedFd, bytes: &[u8], to: SocketAddr, own: Option<Own>) {
    let parts = [IoSlice::new(bytes)];
    let (v4, v6);
    let control: Vec<ControlMessage> = match own.map(|own| own.0) {
        Some(IpAddr::V4(address)) => {
            v4 = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            vec![ControlMessage::Ipv4PacketInfo(&v4)]
        }
        Some(IpAddr::V6(address)) => {
            v6 = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: address.octets(),
                },
                ipi6_ifindex: 0,
            };
            vec![ControlMessage::Ipv6PacketInfo(&v6)]
        }
        None => Vec::new(),
    };
    let to = SockaddrStorage::from(to);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let _ = sendmsg(socket.as_raw_fd(), &parts, &control, flags, Some(&to));
}
