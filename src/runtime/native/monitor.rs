//! The parent's part while a container lives: start-up reports, signals, terminal bytes, the end.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use rustix::event::{PollFd, PollFlags, poll};

use super::copies::Copy;
use super::network::Forwarder;
use super::plan::Plan;
use super::status::{Listener, Message};
use crate::error::{Fault, Kind};
use crate::sys::process::{Child, Exit};
use crate::sys::signal::{Inbox, is_forwarded, is_job_control, stop_ourselves};
use crate::sys::tty;

/// Requests to stop, within [`PATIENCE`], after which a container is killed.
const REQUESTS: u32 = 3;
/// How long requests to stop count together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watches one container.
#[derive(Debug)]
pub struct Monitor {
    inbox: Inbox,
    reads_terminal: bool,
}

/// The container's terminal as seen from our side.
struct Terminal<'a> {
    master: File,
    /// The container's end, held so that the terminal lives through moments when nobody inside has
    /// it open; let go at the end, which makes what was printed last complete.
    slave: Option<OwnedFd>,
    /// Typed, but not taken by the container yet.
    pending: Vec<u8>,
    reads: bool,
    /// Nobody reads our output any more; the container need not care.
    is_mute: bool,
    _raw: Option<tty::Raw<'a>>,
}

/// What is known so far.
#[derive(Default)]
struct Progress {
    failure: Option<Error>,
    stops: Stops,
}

/// Requests to stop: a third one soon after the first is meant. The first process of a container
/// may ignore SIGTERM simply because it has no handler for it.
#[derive(Default)]
struct Stops {
    first: Option<Instant>,
    count: u32,
}

impl Stops {
    /// Whether this request, at this time, is one too many.
    fn is_enough(&mut self, now: Instant) -> bool {
        if self
            .first
            .is_none_or(|first| now.duration_since(first) > PATIENCE)
        {
            *self = Self {
                first: Some(now),
                count: 0,
            };
        }
        self.count += 1;
        self.count >= REQUESTS
    }
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

    /// Watches until the end.
    pub fn attend(
        &self,
        child: &Child,
        listener: Listener,
        mut copies: Vec<Copy>,
        mut forwarder: Option<&mut Forwarder>,
    ) -> Result<Exit> {
        let stdin = io::stdin();
        let mut listener = Some(listener);
        let mut terminal: Option<Terminal> = None;
        let mut progress = Progress::default();
        loop {
            let streams = Streams {
                terminal: terminal.as_ref(),
                stdin: stdin.as_fd(),
                copies: &copies,
                forwarder: forwarder.as_deref(),
            };
            let ready = self.wait(child, listener.as_ref(), &streams)?;
            if ready.report
                && let Some(stage) = &listener
            {
                match stage.next()? {
                    Message::Handle(master) => {
                        terminal = Some(self.open_terminal(master, stdin.as_fd())?);
                    }
                    Message::Failed(error) => progress.failure = Some(error),
                    Message::Closed => listener = None,
                }
            }
            self.signals(child, listener.as_ref(), terminal.as_ref(), &mut progress)?;
            if let Some(terminal) = &mut terminal {
                terminal.shovel(&ready, &mut stdin.lock())?;
            }
            let found = copies.iter_mut().zip(&ready.copies);
            for (copy, _) in found.filter(|(_, ready)| **ready) {
                copy.step();
            }
            if let Some(forwarder) = forwarder.as_mut().filter(|_| ready.forwards) {
                forwarder.step();
            }
            // Its last report comes before its end: read that first.
            if ready.ended && listener.is_none() {
                let exit = conclude(child, terminal, progress);
                copies.into_iter().for_each(Copy::finish);
                return exit;
            }
        }
    }

    fn wait(&self, child: &Child, listener: Option<&Listener>, streams: &Streams) -> Result<Ready> {
        let handle = child.handle();
        let mut fds = vec![
            PollFd::new(&handle, PollFlags::IN),
            PollFd::new(&self.inbox, PollFlags::IN),
        ];
        let report = listener.map(|listener| push(&mut fds, listener.as_fd(), PollFlags::IN));
        let (mut master, mut typed) = (None, None);
        if let Some(terminal) = streams.terminal {
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, !terminal.pending.is_empty());
            master = Some(push(&mut fds, terminal.master.as_fd(), events));
            if terminal.reads && terminal.pending.is_empty() {
                typed = Some(push(&mut fds, streams.stdin, PollFlags::IN));
            }
        }
        let mut copies = Vec::with_capacity(streams.copies.len());
        for copy in streams.copies {
            let wanted = copy.waits_for();
            copies.push(wanted.map(|(stream, events)| push(&mut fds, stream, events)));
        }
        let forwarder = streams.forwarder;
        let forwarder = forwarder.map(|it| push(&mut fds, it.as_fd(), PollFlags::IN));
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
            forwards: any(forwarder),
            copies: copies.into_iter().map(any).collect(),
        })
    }

    fn open_terminal<'a>(&self, master: OwnedFd, stdin: BorrowedFd<'a>) -> Result<Terminal<'a>> {
        rustix::io::ioctl_fionbio(&master, true)?;
        let slave = Some(tty::peer(master.as_fd())?);
        tty::copy_size(stdin, master.as_fd());
        let raw = if self.reads_terminal {
            tty::Raw::enter(stdin)?
        } else {
            None
        };
        let (pending, reads) = (Vec::new(), self.reads_terminal);
        Ok(Terminal {
            master: master.into(),
            slave,
            pending,
            reads,
            is_mute: false,
            _raw: raw,
        })
    }

    fn signals(
        &self,
        child: &Child,
        listener: Option<&Listener>,
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
            // Asked after the signal came: who sent it may have seen the command run.
            let is_running = listener.is_none_or(Listener::is_closed);
            let stops = matches!(number, libc::SIGINT | libc::SIGTERM);
            let ends = stops || matches!(number, libc::SIGHUP | libc::SIGQUIT);
            if ends && !is_running || stops && progress.stops.is_enough(Instant::now()) {
                child.signal(libc::SIGKILL)?;
            } else if is_job_control(number) {
                // The shell wants its terminal back; the container goes on.
                stop_ourselves()?;
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

/// What is moved between us and the container.
struct Streams<'a> {
    terminal: Option<&'a Terminal<'a>>,
    stdin: BorrowedFd<'a>,
    copies: &'a [Copy],
    forwarder: Option<&'a Forwarder>,
}

/// What poll found.
struct Ready {
    copies: Vec<bool>,
    ended: bool,
    report: bool,
    output: bool,
    typed: bool,
    forwards: bool,
}

impl Terminal<'_> {
    /// Moves what is there in both directions without ever waiting for the container to read.
    fn shovel(&mut self, ready: &Ready, stdin: &mut impl Read) -> Result<()> {
        let mut buffer = [0_u8; 16 << 10];
        if ready.typed {
            // EIO: our own terminal is gone, or belongs to another job.
            let read = stdin.read(&mut buffer).unwrap_or(0);
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
                if !self.is_mute {
                    self.is_mute = print(&buffer[..read])? == Reader::Gone;
                }
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether somebody reads our standard output.
#[derive(PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

/// Writes everything to standard output, also where it is a descriptor that does not block.
fn print(mut bytes: &[u8]) -> Result<Reader> {
    let stdout = io::stdout();
    let out = stdout.as_fd();
    while !bytes.is_empty() {
        match rustix::io::write(out, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => (),
            Err(rustix::io::Errno::AGAIN) => {
                poll(&mut [PollFd::from_borrowed_fd(out, PollFlags::OUT)], None)?;
            }
            Err(rustix::io::Errno::PIPE) => return Ok(Reader::Gone),
            Err(error) => return Err(std::io::Error::from(error)).context("standard output"),
        }
    }
    Ok(Reader::There)
}

fn conclude(child: &Child, terminal: Option<Terminal>, progress: Progress) -> Result<Exit> {
    let exit = child.wait().context("wait for the container")?;
    if let Some(mut terminal) = terminal {
        terminal.slave = None;
        let mut buffer = [0_u8; 16 << 10];
        while terminal.print_some(&mut buffer)? {}
    }
    if let Some(failure) = progress.failure {
        return Err(failure);
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_requests_count_only_together() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let answers = |times: &[u64]| {
            let mut stops = Stops::default();
            times
                .iter()
                .map(|time| stops.is_enough(after(*time)))
                .collect::<Vec<_>>()
        };
        assert_eq!(answers(&[0, 1, 2]), [false, false, true]);
        assert_eq!(
            answers(&[0, 1, 60, 61, 62]),
            [false, false, false, false, true]
        );
    }
}
