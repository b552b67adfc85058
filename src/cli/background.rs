//! Containers that a process in the background watches: those of `run -d`, and those with a
//! terminal, which can be let go of. No daemon: each has its own, which ends with it.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stdin};

use super::output;
use crate::error::{Fault, Kind};
use crate::exit::{self, Outcome};
use crate::runtime::native::{Attached, Attachment, Channel, Owner, attach};
use crate::sys::memory::let_program_go;
use crate::sys::process::{Child, Namespaces, close_all_but, spawn};
use crate::sys::tty::Saved;

/// What the process in the background has of the one in the foreground.
pub(super) struct Background {
    /// Whoever is attached from the start.
    pub(super) owner: Option<Owner>,
    started: Option<OwnedFd>,
}

impl Background {
    /// Says that the container runs. From then on nobody reads what is printed here.
    pub(super) fn started(&mut self) -> io::Result<()> {
        let Some(started) = self.started.take() else {
            return Ok(());
        };
        dup2_stderr(null()?)?;
        rustix::io::write(started, b"s")?;
        // What comes is to wait, and there may be many of us.
        let _ = let_program_go();
        Ok(())
    }
}

fn null() -> io::Result<OwnedFd> {
    let mut options = std::fs::OpenOptions::new();
    let null = options.read(true).write(true).open("/dev/null")?;
    Ok(null.into())
}

/// Does `watch` in a process of its own and returns when the container runs: attached to it until
/// it ends or is let go of, or `None` at once. What that process has to say until then, it says
/// itself, also why it failed. `kept` stays open there.
pub(super) fn start(
    how: Option<&Attachment>,
    as_json: bool,
    kept: Option<BorrowedFd>,
    watch: impl FnOnce(Background) -> Result<()>,
) -> Result<Option<Outcome>> {
    let (mut started, to_start) = io::pipe()?;
    let (ours, theirs) = match how {
        Some(_) => Channel::pair().map(|(ours, theirs)| (Some(ours), Some(theirs)))?,
        None => (None, None),
    };
    let background = Background {
        owner: theirs.map(|channel| owner(channel, how)).transpose()?,
        started: Some(to_start.into()),
    };
    let child = in_own_process(background, as_json, kept, watch)?;
    let is_started = started.read(&mut [0])? == 1;
    match (is_started, ours, how) {
        (false, _, _) => Ok(Some(Outcome::Exited(child.wait()?))),
        (true, Some(channel), Some(how)) => follow(channel, how).map(Some),
        (true, _, _) => Ok(None),
    }
}

/// With his terminal, if he is going to change its modes.
fn owner(channel: Channel, how: Option<&Attachment>) -> io::Result<Owner> {
    let is_raw = how.is_some_and(|how| how.tty && how.stdin);
    let terminal = match is_raw {
        true => Saved::of(stdin())?,
        false => None,
    };
    Ok(Owner { channel, terminal })
}

fn in_own_process(
    background: Background,
    as_json: bool,
    kept: Option<BorrowedFd>,
    watch: impl FnOnce(Background) -> Result<()>,
) -> Result<Child> {
    let body = || match detach(&background, kept).and_then(|()| watch(background)) {
        Ok(()) => 0,
        Err(error) => {
            output::error(&error, as_json);
            exit::code(&Err(error))
        }
    };
    spawn(Namespaces::default(), body).context("start a process in the background")
}

/// Leaves the terminal, the pipes and the directory of whoever started this.
fn detach(background: &Background, kept: Option<BorrowedFd>) -> Result<()> {
    rustix::process::setsid()?;
    rustix::process::chdir("/")?;
    let null = null()?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    drop(null);
    let owner = background.owner.as_ref();
    let terminal = owner
        .and_then(|owner| owner.terminal.as_ref())
        .map(AsFd::as_fd);
    let owner = owner.map(|owner| owner.channel.as_fd());
    let started = background.started.as_ref().map(AsFd::as_fd);
    let needed = [started, owner, terminal, kept];
    Ok(close_all_but(needed.into_iter().flatten())?)
}

/// Attaches, and says what became of the container.
pub(super) fn follow(channel: Channel, how: &Attachment) -> Result<Outcome> {
    match attach(channel, how)? {
        Attached::Detached => Ok(Outcome::Done),
        Attached::Exited { exit, oom_kills } => {
            warn_of_oom(oom_kills);
            Ok(Outcome::Exited(exit))
        }
    }
}

/// Says that the kernel killed some of it.
pub(super) fn warn_of_oom(kills: u64) {
    if kills > 0 {
        let processes = output::count(kills, "process");
        let text = format!("out of memory: the kernel killed {processes}");
        output::remark("warning", &text);
    }
}

/// What of a container is attached to; docker's words.
pub(super) fn streams(words: &[String]) -> Result<[bool; 3], Fault> {
    let mut streams = [false; 3];
    for word in words {
        let place = ["stdin", "stdout", "stderr"]
            .iter()
            .position(|name| word.eq_ignore_ascii_case(name));
        match place {
            Some(place) => streams[place] = true,
            None => {
                let message = format!("--attach '{word}': it is no stream");
                return Err(Fault::new(Kind::Usage, message).hint("say stdin, stdout or stderr"));
            }
        }
    }
    Ok(streams)
}
