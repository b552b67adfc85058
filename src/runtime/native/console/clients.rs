//! Those who are attached to a console.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

use crate::sys::process::Exit;

use super::wire::{Channel, FromConsole, MAX_PACKET, ToConsole};
use super::{FIRST_CLIENT, check};

/// Most that is kept for one who reads slowly before the container has to wait, in bytes.
const MAX_BEHIND: usize = 256 << 10;
/// Most who can be attached at once.
const MAX_CLIENTS: usize = 64;

/// Who is attached.
#[derive(Debug, Default)]
pub(super) struct Clients {
    listener: Option<Listener>,
    attached: Vec<Client>,
    next: u64,
    is_abandoned: bool,
}

#[derive(Debug)]
struct Listener {
    socket: OwnedFd,
    path: PathBuf,
}

#[derive(Debug)]
struct Client {
    token: u64,
    channel: Channel,
    waiting: VecDeque<Vec<u8>>,
    behind: usize,
    /// Who started the container, as long as he has not let go of it.
    is_owner: bool,
    is_gone: bool,
    watched: EventFlags,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The place of a container's socket, by a handle of its directory: the path of a socket has at
/// most 107 bytes (unix(7)).
pub(super) fn address(directory: BorrowedFd, id: &str) -> Result<SocketAddrUnix> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}/{id}", directory.as_raw_fd());
    Ok(SocketAddrUnix::new(path)?)
}

impl Clients {
    pub(super) fn listen(&mut self, directory: &Path, id: &str) -> Result<BorrowedFd<'_>> {
        let what = || format!("listen in {}", directory.display());
        check(directory)?;
        let handle = std::fs::File::open(directory).with_context(what)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&socket, &address(handle.as_fd(), id)?).with_context(what)?;
        listen(&socket, 16).with_context(what)?;
        let path = directory.join(id);
        Ok(self
            .listener
            .insert(Listener { socket, path })
            .socket
            .as_fd())
    }

    /// Takes the next one; `None` if there is none, or too many are there.
    pub(super) fn accept(&mut self) -> Option<u64> {
        let listener = self.listener.as_ref()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accepted = accept_with(&listener.socket, flags).ok()?;
        let is_full = self.attached.len() >= MAX_CLIENTS;
        (!is_full).then(|| self.add(Channel::from_fd(accepted), false))
    }

    pub(super) fn add(&mut self, channel: Channel, is_owner: bool) -> u64 {
        let token = FIRST_CLIENT + self.next;
        self.next += 1;
        self.attached.push(Client {
            token,
            channel,
            waiting: VecDeque::new(),
            behind: 0,
            is_owner,
            is_gone: false,
            watched: EventFlags::IN,
        });
        token
    }

    pub(super) fn channel(&self, token: u64) -> Option<BorrowedFd<'_>> {
        let found = self.attached.iter().find(|client| client.token == token);
        found.map(|client| client.channel.as_fd())
    }

    /// Whether the one who started the container is gone without a word.
    pub(super) fn is_abandoned(&mut self) -> bool {
        std::mem::take(&mut self.is_abandoned)
    }

    /// Whether the one who started the container is attached.
    pub(super) fn have_owner(&self) -> bool {
        self.attached.iter().any(|client| client.is_owner)
    }

    pub(super) fn are_behind(&self) -> bool {
        self.attached
            .iter()
            .any(|client| client.behind > MAX_BEHIND)
    }

    pub(super) fn print(&mut self, number: usize, bytes: &[u8]) {
        for client in &mut self.attached {
            // A packet's first byte says what it is.
            for part in bytes.chunks(MAX_PACKET - 1) {
                let printed = FromConsole::Printed {
                    is_error: number == 1,
                    bytes: part.to_vec(),
                };
                client.say(&printed);
            }
        }
    }

    /// What one of them says, and the sending of what waits for him.
    pub(super) fn serve(&mut self, token: u64) -> Vec<ToConsole> {
        let Some(client) = self.attached.iter_mut().find(|it| it.token == token) else {
            return Vec::new();
        };
        client.flush();
        client.listen()
    }

    /// Decides what is waited for, and forgets who is gone.
    pub(super) fn balance(&mut self, epoll: BorrowedFd, may_type: bool) -> Result<()> {
        self.is_abandoned |= self.attached.iter().any(|it| it.is_gone && it.is_owner);
        for client in self.attached.iter().filter(|client| client.is_gone) {
            // Copies of a descriptor keep it in the list.
            let _ = epoll::delete(epoll, &client.channel);
        }
        self.attached.retain(|client| !client.is_gone);
        for client in &mut self.attached {
            let mut wanted = EventFlags::empty();
            wanted.set(EventFlags::IN, may_type);
            wanted.set(EventFlags::OUT, !client.waiting.is_empty());
            if wanted != client.watched {
                let data = EventData::new_u64(client.token);
                epoll::modify(epoll, &client.channel, data, wanted)?;
                client.watched = wanted;
            }
        }
        Ok(())
    }

    /// Tells everybody the end, and waits until they have heard it or are gone.
    pub(super) fn say_goodbye(&mut self, exit: Exit, oom_kills: u64) {
        self.listener = None;
        for client in &mut self.attached {
            client.say(&FromConsole::Ended { exit, oom_kills });
        }
        loop {
            self.attached
                .retain(|it| !it.is_gone && !it.waiting.is_empty());
            let mut wanted: Vec<_> = self.attached.iter().map(Client::wants_out).collect();
            if wanted.is_empty() || poll(&mut wanted, None).is_err() {
                return;
            }
            self.attached.iter_mut().for_each(Client::flush);
        }
    }
}

impl Client {
    fn wants_out(&self) -> PollFd<'_> {
        PollFd::new(&self.channel, PollFlags::OUT)
    }

    fn say(&mut self, words: &FromConsole) {
        let packet = words.encode();
        self.behind += packet.len();
        self.waiting.push_back(packet);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(packet) = self.waiting.front() {
            match self.channel.send(packet) {
                Ok(true) => {
                    self.behind -= packet.len();
                    self.waiting.pop_front();
                }
                Ok(false) => return,
                Err(_) => return self.lose(),
            }
        }
    }

    fn lose(&mut self) {
        self.is_gone = true;
        self.waiting.clear();
        self.behind = 0;
    }

    /// All that was said so far, within reason: who talks without end has to wait his turn.
    fn listen(&mut self) -> Vec<ToConsole> {
        let mut said = Vec::new();
        for _ in 0..8 {
            match self.channel.receive() {
                Ok(None) => break,
                Ok(Some(packet)) if packet.is_empty() => {
                    self.lose();
                    break;
                }
                Ok(Some(packet)) => match ToConsole::decode(&packet) {
                    Some(ToConsole::LetGo) => self.is_owner = false,
                    // As in docker: others come and go.
                    Some(ToConsole::EndOfInput) if !self.is_owner => (),
                    Some(words) => said.push(words),
                    None => {
                        self.lose();
                        break;
                    }
                },
                Err(_) => {
                    self.lose();
                    break;
                }
            }
        }
        said
    }
}

/// Connects to a container's console.
pub(super) fn connect(directory: &Path, id: &str) -> io::Result<Channel> {
    let handle = std::fs::File::open(directory)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let address = address(handle.as_fd(), id).map_err(io::Error::other)?;
    rustix::net::connect(&socket, &address)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(Channel::from_fd(socket))
}
