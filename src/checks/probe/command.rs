//! What a command in the task returns.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::{Outcome, RunCommand};
use crate::checks::plan::Command;

/// Runs it by the caller's means, with streams that are nobody else's.
pub(super) fn run(command: &Command, printed: BorrowedFd, run: &RunCommand) -> Result<Outcome> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let null = openat(CWD, "/dev/null", flags, Mode::empty()).context("open /dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(printed)?;
    dup2_stderr(printed)?;
    run(command).map(Outcome::Exited)
}
