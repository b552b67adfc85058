//! ucr inside a container: as the built-in init (`--init`), which is pid 1, has the command as its
//! child, passes signals on, reaps what is orphaned and ends as the command ends; or as a relay
//! that only executes the command.
//!
//! This is ucr's own program, executed from a read-only handle with the container's identity: it
//! trusts nothing but its arguments, opens nothing of its own, and hides its memory.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::apparmor;
use super::command::{INSIDE_NAME, Role, execute};
use super::seccomp::Filter;
use super::status::Reporter;
use crate::exit;
use crate::sys::process::{Exit, Namespaces, adopt, become_undumpable, die_with_parent, spawn};
use crate::sys::signal::{Inbox, is_forwarded, reset, send};
use crate::sys::tty;

/// Whether this program was started inside a container.
pub fn is_wanted(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|name| name == INSIDE_NAME)
}

/// Does what the arguments say; the result is the program's exit code.
pub fn run(arguments: Vec<OsString>) -> u8 {
    let text = |word: OsString| word.to_string_lossy().into_owned();
    let arguments: Vec<String> = arguments.into_iter().map(text).collect();
    match inside(&arguments) {
        Ok(exit) => exit.code(),
        Err(_) => exit::FAULT,
    }
}

fn inside(arguments: &[String]) -> Result<Exit> {
    become_undumpable()?;
    let [_, role, channel, filter, label, argv @ ..] = arguments else {
        anyhow::bail!("too few arguments")
    };
    let reporter = Reporter::from_fd(adopt(channel.parse()?)?);
    // Hiding this program from its first moment has undone it.
    die_with_parent()?;
    reporter.expect_monitor()?;
    let filter = match filter.as_str() {
        "" => None,
        number => Some(Filter::from_memory(adopt(number.parse()?)?)?),
    };
    let confine = || filter.as_ref().map_or(Ok(()), Filter::load);
    let label = Some(label.as_str()).filter(|label| !label.is_empty());
    // Of what is executed only: a profile need not know ucr's program, which has no path inside, nor
    // allow what it inherits.
    let confine_next = || {
        label
            .map_or(Ok(()), apparmor::confine_next)
            .and_then(|()| confine())
    };
    let env: Vec<Vec<u8>> = std::env::vars_os()
        .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat())
        .collect();
    if role == Role::Relay.name() {
        reset()?;
        let Err(error) = confine_next().and_then(|()| execute(argv, &env, None));
        reporter.failed(&error);
        return Err(error);
    }
    let inbox = Inbox::open()?;
    // The command is executed when we are ready for what comes then, and not if we cannot be.
    let (mut may_go, mut go) = std::io::pipe()?;
    let child = spawn(Namespaces::default(), || {
        if may_go.read_exact(&mut [0]).is_err() {
            return exit::FAULT;
        }
        let Err(error) = confine_next().and_then(|()| start(argv, &env));
        reporter.failed(&error);
        exit::code(&Err(error))
    })
    .context("start the command")?;
    // Not before: the filter refuses clone3.
    let confined = label
        .map_or(Ok(()), apparmor::confine_self)
        .and_then(|()| confine());
    confined.inspect_err(|error| reporter.failed(error))?;
    // Only the command's is left, whose end tells that it was executed.
    drop(reporter);
    go.write_all(b"x")?;
    let command = child.pid();
    // Nothing but what is read from now on stays open in a container.
    drop((go, may_go, child));
    attend(command, &inbox)
}

/// The command gets a process group of its own, in front of the terminal if there is one.
fn start(argv: &[String], env: &[Vec<u8>]) -> Result<std::convert::Infallible> {
    rustix::process::setpgid(None, None)?;
    let stdin = std::io::stdin();
    if tty::is_terminal(stdin.as_fd()) {
        // SIGTTOU is still blocked, so this cannot stop us.
        let _ = rustix::termios::tcsetpgrp(stdin.as_fd(), rustix::process::getpid());
    }
    reset()?;
    execute(argv, env, None)
}

fn attend(command: Pid, inbox: &Inbox) -> Result<Exit> {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        match poll(&mut [PollFd::new(inbox, PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
        while let Some(number) = inbox.next()? {
            if is_forwarded(number) {
                // It may be gone already; its end is reaped below.
                let _ = send(command, number);
            }
        }
        if let Some(exit) = reap(command)? {
            return Ok(exit);
        }
    }
}

/// Reaps everything that has ended; the command's end ends us.
fn reap(command: Pid) -> Result<Option<Exit>> {
    let mut ended = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == command => ended = exit_of(status),
            Ok(Some(_)) => (),
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(ended),
            Err(error) => return Err(error.into()),
        }
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    let low = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    let code = status.exit_status().map(|code| Exit::Code(low(code)));
    code.or_else(|| {
        status
            .terminating_signal()
            .map(|signal| Exit::Signal(low(signal)))
    })
}
