//! The parent's part while a container lives: start-up reports, signals, terminal bytes, the end.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Error, Result};
use rustix::event::{PollFd, PollFlags, poll};

use super::plan::Plan;
use super::status::{Listener, Message};
use crate::error::{Fault, Kind};
use crate::runtime::Published;
use crate::sys::process::{Child, Exit};
use crate::sys::signal::{Inbox, is_forwarded};
use crate::sys::tty;

/// A third request to stop is meant: the first process of a container may ignore SIGTERM simply
/// because it has no handler for it.
const PATIENCE: u32 = 3;

/// Watches one container.
#[derive(Debug)]
pub struct Monitor {
    inbox: Inbox,
    reads_terminal: bool,
}

/// The container's terminal as seen from our side.
struct Terminal<'a> {
    master: File,
    /// Typed, but not taken by the container yet.
    pending: Vec<u8>,
    reads: bool,
    /// Nobody inside has it open: polling it would only report that again and again.
    is_hung_up: bool,
    _raw: Option<tty::Raw<'a>>,
}

/// What is known so far.
#[derive(Default)]
struct Progress {
    failure: Option<Error>,
    record: Option<Published>,
    stopped_by: Option<i32>,
    stop_requests: u32,
}

impl Monitor {
    /// Blocks signals and reads them from now on, so that none is lost around the start.
    pub fn prepare(plan: &Plan) -> Result<Self> {
        if plan.tty && plan.stdin && !io::stdin().is_terminal() {
            return Err(
                Fault::new(Kind::Usage, "-t with -i needs a terminal on standard input")
                    .hint("leave out -t, or -i")
                    .into(),
            );
        }
        let inbox = Inbox::open().context("read signals")?;
        Ok(Self {
            inbox,
            reads_terminal: plan.tty && plan.stdin,
        })
    }

    /// Watches until the end. `started` is called once the command is executing.
    pub fn attend(
        &self,
        child: &Child,
        listener: Listener,
        started: impl FnOnce() -> Result<Published>,
    ) -> Result<Exit> {
        let stdin = io::stdin();
        let mut listener = Some(listener);
        let mut started = Some(started);
        let mut terminal: Option<Terminal> = None;
        let mut progress = Progress::default();
        loop {
            let ready = self.wait(child, listener.as_ref(), terminal.as_ref(), stdin.as_fd())?;
            if ready.report
                && let Some(stage) = &listener
            {
                match stage.next()? {
                    Message::Terminal(master) => {
                        terminal = Some(self.open_terminal(master, stdin.as_fd())?);
                    }
                    Message::Failed(error) => progress.failure = Some(error),
                    Message::Closed => {
                        listener = None;
                        if progress.failure.is_none()
                            && let Some(started) = started.take()
                        {
                            progress.record = Some(started()?);
                        }
                    }
                }
            }
            self.signals(child, listener.is_none(), terminal.as_ref(), &mut progress)?;
            if let Some(terminal) = &mut terminal {
                terminal.shovel(&ready, &mut stdin.lock())?;
            }
            // Its last report comes before its end: read that first.
            if ready.ended && listener.is_none() {
                return conclude(child, terminal, progress);
            }
        }
    }

    fn wait(
        &self,
        child: &Child,
        listener: Option<&Listener>,
        terminal: Option<&Terminal>,
        stdin: BorrowedFd,
    ) -> Result<Ready> {
        let handle = child.handle();
        let mut fds = vec![
            PollFd::new(&handle, PollFlags::IN),
            PollFd::new(&self.inbox, PollFlags::IN),
        ];
        let report = listener.map(|listener| push(&mut fds, listener.as_fd(), PollFlags::IN));
        let (mut master, mut typed) = (None, None);
        if let Some(terminal) = terminal.filter(|terminal| !terminal.is_hung_up) {
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, !terminal.pending.is_empty());
            master = Some(push(&mut fds, terminal.master.as_fd(), events));
            if terminal.reads && terminal.pending.is_empty() {
                typed = Some(push(&mut fds, stdin, PollFlags::IN));
            }
        }
        while let Err(error) = poll(&mut fds, None) {
            if error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
        }
        let any =
            |place: Option<usize>| place.is_some_and(|place| !fds[place].revents().is_empty());
        Ok(Ready {
            ended: any(Some(0)),
            report: any(report),
            output: any(master),
            typed: any(typed),
        })
    }

    fn open_terminal<'a>(&self, master: OwnedFd, stdin: BorrowedFd<'a>) -> Result<Terminal<'a>> {
        rustix::io::ioctl_fionbio(&master, true)?;
        tty::copy_size(stdin, master.as_fd());
        let raw = if self.reads_terminal {
            tty::Raw::enter(stdin)?
        } else {
            None
        };
        Ok(Terminal {
            master: master.into(),
            pending: Vec::new(),
            reads: self.reads_terminal,
            is_hung_up: false,
            _raw: raw,
        })
    }

    fn signals(
        &self,
        child: &Child,
        is_running: bool,
        terminal: Option<&Terminal>,
        progress: &mut Progress,
    ) -> Result<()> {
        while let Some(number) = self.inbox.next()? {
            if number == libc::SIGWINCH
                && let Some(terminal) = terminal
            {
                // The kernel tells the programs inside when the size changes.
                tty::copy_size(io::stdin().as_fd(), terminal.master.as_fd());
                continue;
            }
            let stops = matches!(
                number,
                libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT
            );
            progress.stop_requests += u32::from(stops);
            if stops && (!is_running || progress.stop_requests >= PATIENCE) {
                progress.stopped_by.get_or_insert(number);
                child.signal(libc::SIGKILL)?;
            } else if is_running && is_forwarded(number) {
                child.signal(number)?;
            }
        }
        Ok(())
    }
}

fn push<'a>(fds: &mut Vec<PollFd<'a>>, fd: BorrowedFd<'a>, events: PollFlags) -> usize {
    fds.push(PollFd::from_borrowed_fd(fd, events));
    fds.len() - 1
}

/// What poll found.
struct Ready {
    ended: bool,
    report: bool,
    output: bool,
    typed: bool,
}

impl Terminal<'_> {
    /// Moves what is there in both directions without ever waiting for the container to read.
    fn shovel(&mut self, ready: &Ready, stdin: &mut impl Read) -> Result<()> {
        let mut buffer = [0_u8; 16 << 10];
        if ready.typed {
            let read = stdin.read(&mut buffer)?;
            self.pending.extend_from_slice(&buffer[..read]);
            self.reads = read > 0;
        }
        if !self.pending.is_empty() {
            match self.master.write(&self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                // The container closed its side; what was typed is lost as with any terminal.
                Err(_) => self.pending.clear(),
            }
        }
        if ready.output {
            self.print_some(&mut buffer)?;
        }
        Ok(())
    }

    /// Prints one buffer of output; `false` when there is none. EIO is how a terminal says that
    /// its last user is gone.
    fn print_some(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self.master.read(buffer) {
            Ok(0) => Ok(false),
            Ok(read) => {
                let mut out = io::stdout().lock();
                out.write_all(&buffer[..read])?;
                out.flush()?;
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(libc::EIO) => {
                self.is_hung_up = true;
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn conclude(child: &Child, terminal: Option<Terminal>, progress: Progress) -> Result<Exit> {
    let exit = child.wait().context("wait for the container")?;
    if let Some(mut terminal) = terminal {
        let mut buffer = [0_u8; 16 << 10];
        while terminal.print_some(&mut buffer)? {}
    }
    if let Some(failure) = progress.failure {
        return Err(failure);
    }
    if progress.record.is_none() && progress.stopped_by.is_none() {
        let message = format!("the container's first process ended during its start: {exit:?}");
        return Err(Fault::new(Kind::Kernel, message).into());
    }
    Ok(exit)
}
