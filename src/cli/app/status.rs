//! What the `ucr run` of an app says on its status descriptor, line by line.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::ioctl_fionbio;
use serde::Deserialize;

/// Longest line that is waited for, in bytes: they are ucr's own.
const MAX_LINE: usize = 64 << 10;

/// Something that happened.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Line {
    pub(in crate::cli) event: String,
    #[serde(default)]
    pub(in crate::cli) id: String,
    pub(in crate::cli) pid: Option<i32>,
    /// Its own address.
    pub(in crate::cli) ip: Option<IpAddr>,
    pub(in crate::cli) exit_code: Option<u8>,
    #[serde(default)]
    pub(in crate::cli) oom_killed: bool,
    /// Somebody asked for its end.
    #[serde(default)]
    pub(in crate::cli) stopped: bool,
    /// Of a failure.
    #[serde(default)]
    pub(in crate::cli) kind: String,
    #[serde(default)]
    pub(in crate::cli) message: String,
    pub(in crate::cli) hint: Option<String>,
    /// Why checks ended it.
    #[serde(default)]
    pub(in crate::cli) reason: String,
    /// Its health, or what a readiness check was answered.
    #[serde(default)]
    status: serde_json::Value,
}

impl Line {
    /// What its health is, where that is known.
    pub(in crate::cli) fn healthy(&self) -> Option<bool> {
        match self.status.as_str() {
            Some("healthy") => Some(true),
            Some("unhealthy") => Some(false),
            _ => None,
        }
    }
}

/// The reading end.
pub(in crate::cli) struct Status {
    file: File,
    bytes: Vec<u8>,
    is_open: bool,
}

impl Status {
    /// Both ends.
    pub(in crate::cli) fn pipe() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = io::pipe()?;
        ioctl_fionbio(&read, true)?;
        let status = Self {
            file: OwnedFd::from(read).into(),
            bytes: Vec::new(),
            is_open: true,
        };
        Ok((status, write.into()))
    }

    pub(in crate::cli) fn handle(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Whether more may come.
    pub(in crate::cli) fn is_open(&self) -> bool {
        self.is_open
    }

    /// The lines that are there, as they are.
    pub(in crate::cli) fn read(&mut self) -> Vec<String> {
        let mut buffer = [0_u8; 4096];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => self.is_open = false,
                Ok(count) if self.bytes.len() < MAX_LINE => {
                    self.bytes.extend_from_slice(&buffer[..count]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Ok(_) | Err(_) => self.is_open = false,
            }
            break;
        }
        let whole = self.bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |place| place + 1);
        let rest = self.bytes.split_off(whole);
        let text = std::mem::replace(&mut self.bytes, rest);
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_the_end_is_seen() {
        let (mut status, write) = Status::pipe().unwrap();
        let say = |text: &str| rustix::io::write(&write, text.as_bytes()).unwrap();
        assert_eq!(status.read(), [""; 0]);
        say("{\"event\":\"started\",\"id\":\"a\",\"pid\":7}\n{\"ev");
        let lines = status.read();
        let line: Line = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            (lines.len(), line.event.as_str(), line.pid),
            (1, "started", Some(7))
        );
        say("ent\":\"exited\",\"exit_code\":3}\n");
        let line: Line = serde_json::from_str(&status.read()[0]).unwrap();
        assert_eq!((line.event.as_str(), line.exit_code), ("exited", Some(3)));
        assert!(status.is_open());
        drop(write);
        status.read();
        assert!(!status.is_open());
    }
}
