//! One TCP connection: between a client of the host's and the container, both ways, each of which
//! ends by itself.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_linger, set_tcp_nodelay, socket_error};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, accept_with, connect,
    recv, send, shutdown, socket_with,
};

use super::Subject;

/// What is read at once, and at most kept for a reader that is slow.
const BUFFER: usize = 16 << 10;
/// Buffers that are moved before others get their turn.
const MAX_MOVES: u32 = 16;

/// Both ends.
#[derive(Debug)]
pub(super) struct Connection {
    client: End,
    server: End,
    /// Places that are tried where the server does not answer.
    others: Vec<SocketAddr>,
    is_connecting: bool,
    up: Way,
    down: Way,
}

#[derive(Debug)]
struct End {
    socket: OwnedFd,
    /// What the kernel was told to look for.
    watched: Option<EventFlags>,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    pending: Vec<u8>,
    is_read: bool,
    is_shut: bool,
}

/// Whether anything is left to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    Over,
}

impl Step {
    pub(super) fn is_over(&self) -> bool {
        *self == Self::Over
    }
}

impl Connection {
    /// Takes the next client, and begins to connect it; `None` if that cannot even begin.
    pub(super) fn accept(
        poll: &OwnedFd,
        slot: usize,
        door: &OwnedFd,
        mut to: Vec<SocketAddr>,
    ) -> Result<Option<Self>, Errno> {
        let client = accept_with(door, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        let _ = set_tcp_nodelay(&client, true);
        to.reverse();
        let Some(server) = begin(&mut to) else {
            refuse(&client);
            return Ok(None);
        };
        let end = |socket| End {
            socket,
            watched: None,
        };
        let mut connection = Self {
            client: end(client),
            server: end(server),
            others: to,
            is_connecting: true,
            up: Way::default(),
            down: Way::default(),
        };
        connection.watch(poll, slot)?;
        Ok(Some(connection))
    }

    /// Does what can be done.
    pub(super) fn step(
        &mut self,
        poll: &OwnedFd,
        slot: usize,
        is_server: bool,
        flags: EventFlags,
    ) -> Step {
        match self.try_step(is_server, flags) {
            Ok(true) => Step::Over,
            Ok(false) if self.watch(poll, slot).is_ok() => Step::More,
            _ => {
                // The others hear that it did not end well.
                refuse(&self.client.socket);
                refuse(&self.server.socket);
                Step::Over
            }
        }
    }

    fn try_step(&mut self, is_server: bool, flags: EventFlags) -> Result<bool, Errno> {
        if self.is_connecting {
            if !is_server {
                return match flags.intersects(EventFlags::ERR | EventFlags::HUP) {
                    true => Err(Errno::CONNRESET),
                    false => Ok(false),
                };
            }
            if let Err(error) = socket_error(&self.server.socket)? {
                let next = begin(&mut self.others).ok_or(error)?;
                self.server = End {
                    socket: next,
                    watched: None,
                };
                return Ok(false);
            }
            self.is_connecting = false;
            let _ = set_tcp_nodelay(&self.server.socket, true);
        }
        self.up.pump(&self.client.socket, &self.server.socket)?;
        self.down.pump(&self.server.socket, &self.client.socket)?;
        Ok(self.up.is_shut && self.down.is_shut)
    }

    fn watch(&mut self, poll: &OwnedFd, slot: usize) -> Result<(), Errno> {
        let wanted = |reads: &Way, writes: &Way| {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::IN, !reads.is_read && reads.pending.is_empty());
            flags.set(EventFlags::OUT, !writes.pending.is_empty());
            flags
        };
        let (client, server) = match self.is_connecting {
            // Not read from yet; that it is gone altogether the kernel tells in any case.
            true => (EventFlags::ERR, EventFlags::OUT),
            false => (wanted(&self.up, &self.down), wanted(&self.down, &self.up)),
        };
        self.client.watch(poll, Subject::Client(slot), client)?;
        self.server.watch(poll, Subject::Server(slot), server)
    }
}

impl End {
    /// Nothing to look for means not to look at all: the kernel tells of a hang-up in any case, and
    /// again and again.
    fn watch(&mut self, poll: &OwnedFd, subject: Subject, flags: EventFlags) -> Result<(), Errno> {
        let wanted = (!flags.is_empty()).then_some(flags);
        match (self.watched, wanted) {
            (None, Some(flags)) => epoll::add(poll, &self.socket, subject.number(), flags)?,
            (Some(old), Some(flags)) if old != flags => {
                epoll::modify(poll, &self.socket, subject.number(), flags)?;
            }
            (Some(_), None) => epoll::delete(poll, &self.socket)?,
            _ => (),
        }
        self.watched = wanted;
        Ok(())
    }
}

impl Way {
    fn pump(&mut self, from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
        let mut buffer = [0_u8; BUFFER];
        for _ in 0..MAX_MOVES {
            if !self.pending.is_empty() {
                let pending = std::mem::take(&mut self.pending);
                self.write(to, &pending)?;
                if !self.pending.is_empty() {
                    return Ok(());
                }
            }
            if self.is_read {
                break;
            }
            match recv(from, &mut buffer, RecvFlags::empty()) {
                Ok((0, _)) => self.is_read = true,
                Ok((read, _)) => self.write(to, buffer.get(..read).unwrap_or_default())?,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => (),
                Err(error) => return Err(error),
            }
        }
        if self.is_read && self.pending.is_empty() && !self.is_shut {
            self.is_shut = true;
            // One that is gone altogether need not hear it.
            let _ = shutdown(to, Shutdown::Write);
        }
        Ok(())
    }

    /// Writes what is taken now, and keeps the rest.
    fn write(&mut self, to: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match send(to, bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => (),
                Err(error) => return Err(error),
            }
        }
        self.pending = bytes.to_vec();
        Ok(())
    }
}

/// Begins to connect to the last place that takes it.
fn begin(places: &mut Vec<SocketAddr>) -> Option<OwnedFd> {
    while let Some(to) = places.pop() {
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None).ok()?;
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => return Some(socket),
            Err(_) => (),
        }
    }
    None
}

/// Ends a connection so that the other side takes it for no ordinary end.
fn refuse(socket: impl AsFd) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}
