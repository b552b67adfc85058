//! Connections of the host's own clients to published ports: what comes from outside, the firewall
//! redirects, but nothing redirects what the host sends to 127.0.0.1, ::1 or its own addresses
//! without leave to send that out of the machine. So whoever watches the container passes it on.
//!
//! There is one descriptor to wait for, and nothing here ever waits. Memory is bounded: so many
//! connections and peers at once, and for each direction of a connection a buffer that is there
//! only while the reader is slow.

mod tcp;
mod udp;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};

use super::lease::{Addresses, PublishedPort};
use super::ports::Bound;
use crate::spec::Protocol;
use tcp::Connection;
use udp::Peers;

/// Connections of one container at once; others wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;
/// Events that are looked at before others get their turn.
const MAX_EVENTS: usize = 64;

/// Passes on what comes to the published ports of one container.
#[derive(Debug)]
pub struct Forwarder {
    poll: OwnedFd,
    work: RefCell<Work>,
}

/// What goes on.
#[derive(Debug)]
struct Work {
    doors: Vec<Door>,
    connections: Vec<Option<Connection>>,
    peers: Peers,
    is_full: bool,
}

/// A published port.
#[derive(Debug)]
struct Door {
    socket: OwnedFd,
    port: PublishedPort,
    /// Where it leads; where the first is not served, the next is tried.
    to: Vec<SocketAddr>,
}

/// What an event is about; as a number, the kernel keeps it for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Door(usize),
    Client(usize),
    Server(usize),
    Peer(usize),
}

impl Subject {
    fn number(self) -> EventData {
        let (kind, place) = match self {
            Self::Door(place) => (0, place),
            Self::Client(place) => (1, place),
            Self::Server(place) => (2, place),
            Self::Peer(place) => (3, place),
        };
        EventData::new_u64((place as u64) << 2 | kind)
    }

    fn of(data: EventData) -> Option<Self> {
        let place = usize::try_from(data.u64() >> 2).ok()?;
        Some(match data.u64() & 3 {
            0 => Self::Door(place),
            1 => Self::Client(place),
            2 => Self::Server(place),
            _ => Self::Peer(place),
        })
    }
}

impl Forwarder {
    /// Of these ports to a container.
    pub(super) fn new(bound: Vec<Bound>, addresses: &Addresses) -> Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll")?;
        let mut doors = Vec::new();
        for (place, Bound { port, socket }) in bound.into_iter().enumerate() {
            if port.protocol == Protocol::Udp {
                udp::prepare(&socket, port.host).context("prepare a udp port")?;
            }
            epoll::add(
                &poll,
                &socket,
                Subject::Door(place).number(),
                EventFlags::IN,
            )
            .context("epoll")?;
            let v4 = SocketAddr::new(addresses.ip.into(), port.container);
            let v6 = addresses
                .ip6
                .map(|ip| SocketAddr::new(ip.into(), port.container));
            let mut to: Vec<_> = std::iter::once(v4).chain(v6).collect();
            if port.host.is_ipv6() {
                to.reverse();
            }
            doors.push(Door { socket, port, to });
        }
        let work = RefCell::new(Work {
            doors,
            connections: Vec::new(),
            peers: Peers::default(),
            is_full: false,
        });
        Ok(Self { poll, work })
    }

    /// Does what can be done now. To be called when [`AsFd::as_fd`] is readable.
    pub fn step(&self) {
        let mut events: Vec<Event> = Vec::with_capacity(MAX_EVENTS);
        let now = Timespec::default();
        if epoll::wait(&self.poll, spare_capacity(&mut events), Some(&now)).is_err() {
            return;
        }
        // New connections last: what is said of one that is over must not be taken for one in its
        // place.
        events.sort_by_key(|event| event.data.u64() & 3 == 0);
        let Ok(mut work) = self.work.try_borrow_mut() else {
            return;
        };
        for event in events {
            let (data, flags) = (event.data, event.flags);
            work.see(&self.poll, data, flags);
        }
    }
}

impl Work {
    fn see(&mut self, poll: &OwnedFd, data: EventData, flags: EventFlags) {
        match Subject::of(data) {
            Some(Subject::Door(place)) => self.answer(poll, place),
            Some(Subject::Client(place)) => self.move_bytes(poll, place, false, flags),
            Some(Subject::Server(place)) => self.move_bytes(poll, place, true, flags),
            Some(Subject::Peer(place)) => self.peers.reply(place, &self.doors),
            None => (),
        }
    }

    fn answer(&mut self, poll: &OwnedFd, place: usize) {
        let Some(door) = self.doors.get(place) else {
            return;
        };
        match door.port.protocol {
            Protocol::Udp => self.peers.pass_on(poll, place, door),
            Protocol::Tcp => self.accept(poll, place),
        }
    }

    fn accept(&mut self, poll: &OwnedFd, place: usize) {
        let Some(door) = self.doors.get(place) else {
            return;
        };
        let vacant = self.connections.iter().position(Option::is_none);
        let slot = vacant.unwrap_or(self.connections.len());
        if slot >= MAX_CONNECTIONS {
            self.listen(poll, false);
            return;
        }
        match Connection::accept(poll, slot, &door.socket, door.to.clone()) {
            Ok(connection) => match self.connections.get_mut(slot) {
                Some(vacant) => *vacant = connection,
                None => self.connections.push(connection),
            },
            // Descriptors are used up: later, when a connection ends.
            Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => self.listen(poll, false),
            Err(_) => (),
        }
    }

    fn move_bytes(&mut self, poll: &OwnedFd, place: usize, is_server: bool, flags: EventFlags) {
        let Some(slot) = self.connections.get_mut(place) else {
            return;
        };
        let is_over = match slot {
            Some(connection) => connection.step(poll, place, is_server, flags).is_over(),
            None => false,
        };
        if is_over {
            *slot = None;
            self.listen(poll, true);
        }
    }

    /// Whether new connections are taken.
    fn listen(&mut self, poll: &OwnedFd, wanted: bool) {
        if self.is_full != wanted {
            return;
        }
        self.is_full = !wanted;
        let tcp = |door: &&Door| door.port.protocol == Protocol::Tcp;
        let events = if wanted {
            EventFlags::IN
        } else {
            EventFlags::empty()
        };
        for (place, door) in self.doors.iter().enumerate().filter(|(_, door)| tcp(door)) {
            // A listening socket has nothing else to say, so it says nothing meanwhile.
            let _ = epoll::modify(poll, &door.socket, Subject::Door(place).number(), events);
        }
    }
}

impl AsFd for Forwarder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}
