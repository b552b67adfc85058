//! What a container prints on its way through ucr: as it comes, but for a beginning that is not the
//! container's own, which is held back until it is known.
//!
//! When a command cannot be executed, docker or the OCI runtime writes a line where the container's
//! own would be. What ucr says instead is better, and the same under both runtimes.

use std::fs::File;
use std::io::{ErrorKind, Read, Write, stderr, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Result;

/// What such a line begins with.
const SUSPECTS: [&str; 11] = [
    "Error response from daemon: ",
    "OCI runtime exec failed: ",
    "unable to find user ",
    "unable to find group ",
    "Cannot connect to the Docker daemon",
    "error during connect: ",
    "failed to connect to the docker API",
    "Error: failed to start containers",
    "exec ",
    "standard_init_linux.go:",
    "[FATAL tini",
];
/// Longest beginning that is held back, in bytes.
const MAX_HELD: usize = 8 << 10;
/// How long it is held back: whoever prints such a line ends at once.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// Ours.
    Stdout,
    /// Ours.
    Stderr,
}

/// From a stream of the CLI's to the same of ours.
#[derive(Debug)]
pub(super) struct Relay {
    from: Option<File>,
    to: To,
    held: Held,
}

/// What is held back.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    since: Option<Instant>,
    is_through: bool,
}

impl Held {
    /// What may be printed by now.
    fn add(&mut self, bytes: &[u8], now: Instant) -> Option<Vec<u8>> {
        self.bytes.extend_from_slice(bytes);
        let since = *self.since.get_or_insert(now);
        let is_suspect = SUSPECTS.iter().any(|it| {
            let length = it.len().min(self.bytes.len());
            self.bytes[..length] == it.as_bytes()[..length]
        });
        let is_late = now.duration_since(since) > PATIENCE;
        if self.is_through || is_late || !is_suspect || self.bytes.len() > MAX_HELD {
            self.is_through = true;
            return Some(std::mem::take(&mut self.bytes));
        }
        None
    }
}

impl Relay {
    pub(super) fn new(from: Option<OwnedFd>, to: To) -> Self {
        let from = from.map(File::from);
        if let Some(from) = &from {
            // A pipe of our own; where this fails, reading blocks only until there is something.
            let _ = rustix::io::ioctl_fionbio(from, true);
        }
        Self {
            from,
            to,
            held: Held::default(),
        }
    }

    /// Becomes readable when [`Self::step`] has something to do.
    pub(super) fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.from.as_ref().map(AsFd::as_fd)
    }

    /// Whether something is held back, which time alone may let go.
    pub(super) fn holds(&self) -> bool {
        !self.held.bytes.is_empty()
    }

    /// Passes on what is there.
    pub(super) fn step(&mut self) -> Result<()> {
        let mut buffer = [0; 32768];
        while let Some(from) = &mut self.from {
            match from.read(&mut buffer) {
                Ok(count @ 1..) => self.take(&buffer[..count])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Ok(0) | Err(_) => self.from = None,
            }
        }
        match self.holds() {
            true => self.take(&[]),
            false => Ok(()),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        match self.held.add(bytes, Instant::now()) {
            Some(bytes) if !self.to.print(&bytes)? => {
                // The CLI is to see that nobody reads, and ends.
                self.from = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What is still held back at the end.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>> {
        self.step()?;
        Ok(std::mem::take(&mut self.held.bytes))
    }
}

impl To {
    /// Whether somebody reads it. Who does not read stderr is no reason to end anything.
    pub(super) fn print(self, bytes: &[u8]) -> Result<bool> {
        let printed = match self {
            Self::Stdout => {
                let mut stdout = stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Self::Stderr => stderr().write_all(bytes),
        };
        match printed {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(self == Self::Stderr),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_suspect_beginning_is_held() {
        let now = Instant::now();
        let rows: [(&[&str], &str); 6] = [
            (&["hello"], "hello"),
            (&["exec /x: exec format error\n"], ""),
            (&["ex", "it"], "exit"),
            (&["ex", "ec /x"], ""),
            (&["a", "exec /x"], "aexec /x"),
            (&["Error: no"], "Error: no"),
        ];
        for (parts, printed) in rows {
            let mut held = Held::default();
            let all = parts
                .iter()
                .filter_map(|part| held.add(part.as_bytes(), now));
            assert_eq!(String::from_utf8(all.flatten().collect()).unwrap(), printed);
        }
        let mut held = Held::default();
        assert_eq!(held.add(b"exec ", now), None);
        let late = now + PATIENCE + Duration::from_millis(1);
        assert_eq!(held.add(b"", late).unwrap(), b"exec ");
        assert_eq!(
            held.add(b"exec ", late).unwrap(),
            b"exec ",
            "it is the container's"
        );
        let mut held = Held::default();
        let long = ["exec ", &"x".repeat(MAX_HELD)].concat();
        assert!(held.add(long.as_bytes(), now).is_some());
    }
}
