//! What a console and those who are attached say to each other: packets, so that nobody has to
//! find where one ends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};

use crate::sys::process::Exit;
use crate::sys::tty::Size;

/// Longest packet, in bytes.
pub(super) const MAX_PACKET: usize = 32 << 10;

/// One side of a connection.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// From whoever is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ToConsole {
    /// What was typed.
    Typed(Vec<u8>),
    /// Nothing more will be.
    EndOfInput,
    /// The terminal's size.
    Size(Size),
    /// A signal for the container, by number.
    Signal(i32),
    /// The container is to go on without him.
    LetGo,
}

/// To whoever is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FromConsole {
    /// What the container printed: to standard output, or error.
    Printed { is_error: bool, bytes: Vec<u8> },
    /// The container ended.
    Ended { exit: Exit, oom_kills: u64 },
}

impl ToConsole {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Typed(bytes) => [b"t", &bytes[..]].concat(),
            Self::EndOfInput => b"e".to_vec(),
            Self::Size(size) => [b"s", &size.to_bytes()[..]].concat(),
            Self::Signal(number) => [b"k", &number.to_be_bytes()[..]].concat(),
            Self::LetGo => b"l".to_vec(),
        }
    }

    /// `None` if it means nothing.
    pub(super) fn decode(packet: &[u8]) -> Option<Self> {
        let (kind, rest) = packet.split_first()?;
        Some(match kind {
            b't' => Self::Typed(rest.to_vec()),
            b'e' => Self::EndOfInput,
            b's' => Self::Size(Size::from_bytes(rest.try_into().ok()?)),
            b'k' => Self::Signal(i32::from_be_bytes(rest.try_into().ok()?)),
            b'l' => Self::LetGo,
            _ => return None,
        })
    }
}

impl FromConsole {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Printed { is_error, bytes } => {
                let kind = if *is_error { b"2" } else { b"1" };
                [kind, &bytes[..]].concat()
            }
            Self::Ended { exit, oom_kills } => {
                let (kind, number) = match exit {
                    Exit::Code(code) => (b'x', *code),
                    Exit::Signal(signal) => (b'k', *signal),
                };
                [&[kind, number], &oom_kills.to_be_bytes()[..]].concat()
            }
        }
    }

    /// `None` if it means nothing.
    pub(super) fn decode(packet: &[u8]) -> Option<Self> {
        let (kind, rest) = packet.split_first()?;
        Some(match (kind, rest) {
            (b'1' | b'2', bytes) => Self::Printed {
                is_error: *kind == b'2',
                bytes: bytes.to_vec(),
            },
            (b'x' | b'k', [number, oom_kills @ ..]) => Self::Ended {
                exit: match kind {
                    b'x' => Exit::Code(*number),
                    _ => Exit::Signal(*number),
                },
                oom_kills: u64::from_be_bytes(oom_kills.try_into().ok()?),
            },
            _ => return None,
        })
    }
}

impl Channel {
    /// A connected pair, neither end of which blocks.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(one), Self(other)))
    }

    pub(super) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends one packet; `false` if the other side has to read first.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<bool> {
        match send(&self.0, packet, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The next packet; `None` if there is none now, empty at the end.
    pub(super) fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0_u8; MAX_PACKET];
        let received = match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
            // Said once, before what is still there to be read, if the other side left without
            // having heard all (unix(7)).
            Err(Errno::CONNRESET) => recv(&self.0, &mut buffer[..], RecvFlags::empty()),
            received => received,
        };
        match received {
            Ok((length, _)) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever leaves without having heard all has been heard.
    #[test]
    fn last_words_are_heard() {
        let (ours, theirs) = Channel::pair().unwrap();
        assert!(ours.send(b"typed too late").unwrap());
        assert!(theirs.send(b"the end").unwrap());
        drop(theirs);
        assert_eq!(ours.receive().unwrap().unwrap(), b"the end");
    }

    #[test]
    fn what_is_said_is_understood() {
        let size = Size {
            rows: 40,
            columns: 132,
        };
        for said in [
            ToConsole::Typed(b"ls\n".to_vec()),
            ToConsole::EndOfInput,
            ToConsole::Size(size),
            ToConsole::Signal(15),
            ToConsole::LetGo,
        ] {
            assert_eq!(ToConsole::decode(&said.encode()), Some(said));
        }
        for said in [
            FromConsole::Printed {
                is_error: true,
                bytes: vec![0, 255],
            },
            FromConsole::Ended {
                exit: Exit::Signal(9),
                oom_kills: 3,
            },
        ] {
            assert_eq!(FromConsole::decode(&said.encode()), Some(said));
        }
        for nonsense in [&b""[..], b"?", b"s12", b"k1"] {
            assert_eq!(ToConsole::decode(nonsense), None);
        }
    }
}
