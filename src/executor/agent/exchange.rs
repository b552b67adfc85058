//! One connection, and on it one request and its answer at a time.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::PollFlags;
use zeroize::Zeroizing;

use super::Peer;
use super::connect::Link;
use super::http::{Answer, Part};

/// Most bytes that are read in one go; poll tells of the rest. Others want their turn.
const MAX_TURN: usize = 256 << 10;

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// More is to come.
    Unfinished,
    /// The answer is whole.
    Whole,
    /// The connection ended too early.
    Cut,
}

/// A connection that is in use.
pub(super) struct Exchange {
    link: Link,
    /// May hold a token; gone as soon as it is written.
    head: Zeroizing<Vec<u8>>,
    body: Vec<u8>,
    /// Of head or, when that is gone, body.
    written: usize,
    answer: Answer,
}

impl Exchange {
    /// On a connection that is just being made.
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            head: Zeroizing::default(),
            body: Vec::new(),
            written: 0,
            answer: Answer::default(),
        }
    }

    /// Goes on connecting; whether that is done.
    pub(super) fn connect(
        &mut self,
        peer: &mut Peer,
        until: Instant,
        now: Instant,
    ) -> Result<bool, String> {
        let result = match self.link.connect() {
            Ok(false) if now >= until => {
                let limit = peer.times.connect;
                Err(format!("connect to the agent: not done in {limit:?}"))
            }
            result => result,
        };
        if result.is_err() {
            peer.connector.failed();
        }
        result
    }

    /// A request, to be written by [`Self::write`]. The one before is answered.
    pub(super) fn ask(&mut self, head: Zeroizing<Vec<u8>>, body: Vec<u8>) {
        self.head = head;
        self.body = body;
        self.written = 0;
        self.answer = Answer::default();
    }

    /// Whether some of the request is still to be written.
    pub(super) fn has_more(&self) -> bool {
        !self.head.is_empty() || !self.body.is_empty()
    }

    /// What to poll for.
    pub(super) fn wanted(&self) -> (BorrowedFd<'_>, PollFlags) {
        self.link.wanted(self.has_more())
    }

    /// Writes as much as is taken now. A peer that takes no more may have answered before: reading
    /// tells.
    pub(super) fn write(&mut self) -> Result<(), String> {
        while self.has_more() {
            let is_head = !self.head.is_empty();
            let bytes = match is_head {
                true => &self.head[self.written..],
                false => &self.body[self.written..],
            };
            match self.link.write(bytes) {
                Ok(count) => self.written += count,
                Err(error) => return tolerated(&error),
            }
            let length = match is_head {
                true => self.head.len(),
                false => self.body.len(),
            };
            if self.written == length {
                self.written = 0;
                match is_head {
                    // Wiped.
                    true => self.head = Zeroizing::default(),
                    false => self.body = Vec::new(),
                }
            }
        }
        match self.link.flush() {
            Ok(()) => Ok(()),
            Err(error) => tolerated(&error),
        }
    }

    /// Reads as much as is there, within limits. `take` fails with what is wrong.
    pub(super) fn read(
        &mut self,
        take: &mut dyn FnMut(Part<'_>) -> Result<(), String>,
    ) -> Result<Outcome, String> {
        let mut buffer = [0; 16 << 10];
        let mut turn = 0;
        // Poll knows nothing of what TLS has read already.
        while turn < MAX_TURN || self.link.is_holding() {
            let count = match self.link.read(&mut buffer) {
                Ok(0) => return Ok(self.end()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(self.end()),
                Err(error) => return Err(format!("the connection failed: {error}")),
            };
            turn += count;
            let mut input = &buffer[..count];
            while let Some(part) = self.answer.next(&mut input)? {
                let is_end = part == Part::End;
                take(part)?;
                if is_end && input.is_empty() {
                    return Ok(Outcome::Whole);
                }
            }
        }
        Ok(Outcome::Unfinished)
    }

    fn end(&self) -> Outcome {
        match self.answer.may_end() {
            true => Outcome::Whole,
            false => Outcome::Cut,
        }
    }

    /// Between two requests: whether the peer has closed the connection, which it may then.
    pub(super) fn is_closed(&mut self) -> Result<bool, String> {
        match self.link.read(&mut [0]) {
            Ok(0) => Ok(true),
            Ok(_) => Err("the agent answered what was not asked".to_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(_) => Ok(true),
        }
    }
}

fn tolerated(error: &std::io::Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Ok(()),
        _ => Err(format!("the connection failed: {error}")),
    }
}
