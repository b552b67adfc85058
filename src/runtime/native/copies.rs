//! Standard streams of a container without a terminal where ours are one: the container gets pipes,
//! and ucr copies. A terminal itself would let it read what is typed for others, and change how the
//! terminal behaves.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionbio};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};

use super::console::MAX_LEFT;
use super::plan::Plan;
use crate::sys::tty::is_terminal;

/// The container's ends of pipes: standard input, output, error.
pub(super) type Inside = [Option<OwnedFd>; 3];

/// One direction of one stream.
#[derive(Debug)]
pub struct Copy {
    /// From where to where. `None` when there is nothing more to copy, or nobody to copy it to: who
    /// still writes is told by the pipe's end.
    ends: Option<(File, File)>,
    pending: Vec<u8>,
    /// How much it was so far.
    copied: usize,
    is_output: bool,
}

/// Makes pipes for the streams that are terminals of ours.
pub(super) fn prepare(plan: &Plan) -> Result<(Inside, Vec<Copy>)> {
    let (mut inside, mut copies) = ([None, None, None], Vec::new());
    if plan.tty {
        return Ok((inside, copies));
    }
    let make = || -> io::Result<(OwnedFd, OwnedFd)> {
        let (read, write) = io::pipe()?;
        Ok((read.into(), write.into()))
    };
    let own = |stream: BorrowedFd| -> io::Result<OwnedFd> { Ok(fcntl_dupfd_cloexec(stream, 3)?) };
    if plan.stdin && is_terminal(stdin()) {
        let (read, write) = make().context("make a pipe")?;
        ioctl_fionbio(&write, true)?;
        copies.push(Copy::new(own(stdin())?, write, false));
        inside[0] = Some(read);
    }
    for (number, stream) in [(1, stdout()), (2, stderr())] {
        if is_terminal(stream) {
            let (read, write) = make().context("make a pipe")?;
            ioctl_fionbio(&read, true)?;
            copies.push(Copy::new(read, own(stream)?, true));
            inside[number] = Some(write);
        }
    }
    Ok((inside, copies))
}

/// Puts the container's ends in their places, in the stage.
pub(super) fn connect(inside: &Inside) -> io::Result<()> {
    let [input, output, error] = inside;
    if let Some(input) = input {
        dup2_stdin(input)?;
    }
    if let Some(output) = output {
        dup2_stdout(output)?;
    }
    if let Some(error) = error {
        dup2_stderr(error)?;
    }
    Ok(())
}

impl Copy {
    fn new(from: OwnedFd, to: OwnedFd, is_output: bool) -> Self {
        Self {
            ends: Some((from.into(), to.into())),
            pending: Vec::new(),
            copied: 0,
            is_output,
        }
    }

    /// What it waits for.
    pub(super) fn waits_for(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let (from, to) = self.ends.as_ref()?;
        Some(match self.pending.is_empty() {
            true => (from.as_fd(), PollFlags::IN),
            false => (to.as_fd(), PollFlags::OUT),
        })
    }

    /// Moves what is there; `false` if nothing could be moved.
    pub(super) fn step(&mut self) -> bool {
        let Some((from, to)) = &mut self.ends else {
            return false;
        };
        let moved = move_some(from, to, &mut self.pending);
        match moved {
            Ok(moved) => {
                self.copied = self.copied.wrapping_add(moved);
                true
            }
            Err(error) if is_later(&error) => false,
            // Its end, or our terminal is gone, or belongs to another job.
            Err(_) => {
                self.ends = None;
                false
            }
        }
    }

    /// Copies what is left of the container's output, when it writes no more: of somebody else, to
    /// whom it gave the pipe, no more than a pipe's worth.
    pub(super) fn finish(mut self) {
        let mut left = MAX_LEFT;
        while self.is_output && left > 0 {
            let before = self.copied;
            if !self.step() && !self.is_blocked() {
                break;
            }
            left = left.saturating_sub(self.copied.wrapping_sub(before));
        }
    }

    /// Waits until more can be written; `false` if there is nothing to write.
    fn is_blocked(&self) -> bool {
        match &self.ends {
            Some((_, to)) if !self.pending.is_empty() => {
                let mut wanted = [PollFd::new(to, PollFlags::OUT)];
                matches!(poll(&mut wanted, None), Ok(_) | Err(Errno::INTR))
            }
            _ => false,
        }
    }
}

fn move_some(from: &mut File, to: &mut File, pending: &mut Vec<u8>) -> io::Result<usize> {
    if pending.is_empty() {
        let mut buffer = [0_u8; 16 << 10];
        match from.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => pending.extend_from_slice(&buffer[..read]),
        }
    }
    let written = to.write(pending)?;
    pending.drain(..written);
    Ok(written)
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
