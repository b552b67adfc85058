//! A netlink socket (netlink(7)): requests out, acknowledgements in. The kernel works on a request
//! while it is sent, so every answer is there when the sending returns, and nobody waits.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// Longest datagram of answers: what the kernel makes for dumps.
const MAX_ANSWER: usize = 32 << 10;
const HEADER: usize = 16;
/// linux/netlink.h: an acknowledgement or an error, and the end of a dump.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A socket to a part of the kernel, in the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// One message: its type, and what follows the header.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) kind: u16,
    pub(super) body: Vec<u8>,
}

impl Socket {
    /// To a part of the kernel; `None` is rtnetlink(7).
    pub(super) fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        Ok(Self(socket))
    }

    /// Sends requests and reads what comes back. Fails with the first error, of whichever of them,
    /// unless it is one of those that are fine.
    pub(super) fn ask(&self, requests: &[u8], fine: &[Errno]) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        let mut failure = None;
        let sent = send(&self.0, requests, SendFlags::empty())?;
        if sent != requests.len() {
            return Err(io::Error::from(io::ErrorKind::WriteZero));
        }
        let mut buffer = vec![0; MAX_ANSWER];
        loop {
            let received = match recv(&self.0, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((received, _)) => received,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for answer in messages(buffer.get(..received).unwrap_or_default()) {
                match outcome(&answer) {
                    None => answers.push(answer),
                    Some(Err(error)) if !fine.contains(&error) => {
                        failure.get_or_insert(error);
                    }
                    Some(_) => (),
                }
            }
        }
        failure.map_or(Ok(answers), |error| Err(error.into()))
    }
}

/// How a request ended, if that is what an answer says.
fn outcome(answer: &Answer) -> Option<Result<(), Errno>> {
    if !matches!(answer.kind, ERROR | DONE) {
        return None;
    }
    let code = answer.body.get(..4).and_then(|code| code.try_into().ok());
    let code = i32::from_ne_bytes(code.unwrap_or_default());
    Some(match code.checked_neg() {
        // What the kernel has for errors; the length of what was dumped is not negative.
        Some(error @ 1..=4095) => Err(Errno::from_raw_os_error(error)),
        Some(..=0) => Ok(()),
        _ => Err(Errno::IO),
    })
}

fn messages(mut bytes: &[u8]) -> Vec<Answer> {
    let mut found = Vec::new();
    while let Some((length, kind)) = header(bytes) {
        let body = bytes.get(HEADER..length).unwrap_or_default().to_vec();
        found.push(Answer { kind, body });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The length and type of the first message, if it is whole.
fn header(bytes: &[u8]) -> Option<(usize, u16)> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    (HEADER..=bytes.len())
        .contains(&length)
        .then_some((length, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of a change of the rules is where an error would be.
    #[test]
    fn only_what_says_so_is_an_error() {
        let answer = |kind, body: [u8; 4]| Answer {
            kind,
            body: body.to_vec(),
        };
        for (kind, body, expected) in [
            (0xa06, [1, 0, 0x12, 0xff], None),
            (ERROR, [0; 4], Some(Ok(()))),
            (DONE, 7_i32.to_ne_bytes(), Some(Ok(()))),
            (ERROR, (-2_i32).to_ne_bytes(), Some(Err(Errno::NOENT))),
            (ERROR, (-5000_i32).to_ne_bytes(), Some(Err(Errno::IO))),
            (ERROR, i32::MIN.to_ne_bytes(), Some(Err(Errno::IO))),
        ] {
            assert_eq!(outcome(&answer(kind, body)), expected);
        }
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        let mut bytes = vec![20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(messages(&bytes).is_empty());
        bytes.extend((-17_i32).to_ne_bytes());
        let found = messages(&bytes);
        assert_eq!(outcome(&found[0]), Some(Err(Errno::EXIST)));
        bytes[0] = 0;
        assert!(messages(&bytes).is_empty());
    }
}
