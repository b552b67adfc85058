//! The parent's part while a container lives: start-up reports, signals, streams, the end.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::console::{Console, Request};
use super::copies::Copy;
use super::health::Health;
use super::network::Forwarder;
use super::status::{Listener, Message};
use crate::runtime::stops::Stops;
use crate::sys::process::{Child, Exit};
use crate::sys::signal::{Inbox, is_forwarded, is_job_control, stop_ourselves};

/// How often it is asked during a pause whether it is over.
const STEP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Watches one container.
#[derive(Debug)]
pub struct Monitor {
    inbox: Inbox,
    stops: RefCell<Stops>,
}

/// What is moved between us and the container.
pub(super) struct Io<'a, 'b> {
    pub(super) copies: Vec<Copy>,
    pub(super) console: Option<&'a mut Console>,
    pub(super) health: Option<&'a mut Health<'b>>,
    pub(super) forwarders: Vec<&'a Forwarder>,
}

/// What is known of one start so far.
#[derive(Default)]
struct Progress {
    failure: Option<Error>,
    is_announced: bool,
}

impl Monitor {
    /// Blocks signals and reads them from now on, so that none is lost around the start.
    pub(super) fn prepare() -> Result<Self> {
        Ok(Self {
            inbox: Inbox::open().context("read signals")?,
            stops: RefCell::default(),
        })
    }

    /// Whether somebody asked ucr itself to end the container.
    pub(super) fn was_stopped(&self) -> bool {
        self.stops.borrow().any()
    }

    /// Waits so long, or until somebody asks for the end or `is_over` says that it is meant.
    pub(super) fn pause(
        &self,
        length: Duration,
        mut console: Option<&mut Console>,
        is_over: &dyn Fn() -> bool,
    ) -> Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end && !is_over() && !self.was_stopped() {
            let mut fds = vec![PollFd::new(&self.inbox, PollFlags::IN)];
            if let Some(console) = &console {
                push(&mut fds, console.handle(), PollFlags::IN);
            }
            wait(&mut fds, Some(&STEP))?;
            self.is_asked_to_end()?;
            for request in console.as_mut().map_or(Ok(Vec::new()), |it| it.step())? {
                match request {
                    Request::Signal(number) => self.note_end(number),
                    Request::Abandoned => self.note_end(libc::SIGTERM),
                }
            }
        }
        Ok(())
    }

    /// Whether a signal has asked for the end by now, while nothing runs that signals could be
    /// passed on to.
    pub(super) fn is_asked_to_end(&self) -> Result<bool> {
        while let Some(number) = self.inbox.next()? {
            self.note_end(number);
        }
        Ok(self.was_stopped())
    }

    fn note_end(&self, number: i32) {
        if is_end(number) {
            self.stops.borrow_mut().is_enough(Instant::now());
        }
    }

    /// Watches until the end of one start. `announce` is called when the command is executed.
    pub(super) fn attend(
        &self,
        child: &Child,
        listener: Listener,
        mut io: Io,
        announce: &dyn Fn() -> Result<()>,
    ) -> Result<Exit> {
        let mut listener = Some(listener);
        let mut progress = Progress::default();
        loop {
            let ready = self.wait(child, listener.as_ref(), &io)?;
            if ready.report
                && let Some(stage) = &listener
            {
                match stage.next()? {
                    Message::Handle(master) => {
                        let console = io.console.as_mut();
                        let console = console.context("internal: a terminal without a console")?;
                        console.take_terminal(master)?;
                    }
                    Message::Failed(error) => progress.failure = Some(error),
                    Message::Closed => listener = None,
                }
            }
            if listener.is_none() && progress.failure.is_none() && !progress.is_announced {
                progress.is_announced = true;
                announce()?;
                io.health.as_mut().map_or(Ok(()), |health| health.begin())?;
            }
            self.signals(child, listener.as_ref())?;
            self.streams(child, listener.as_ref(), &ready, &mut io)?;
            // Its last report comes before its end: read that first.
            if ready.ended && listener.is_none() {
                let exit = child.wait().context("wait for the container")?;
                io.copies.into_iter().for_each(Copy::finish);
                return progress.failure.map_or(Ok(exit), Err);
            }
        }
    }

    fn streams(
        &self,
        child: &Child,
        listener: Option<&Listener>,
        ready: &Ready,
        io: &mut Io,
    ) -> Result<()> {
        let found = io.copies.iter_mut().zip(&ready.copies);
        for (copy, _) in found.filter(|(_, ready)| **ready) {
            copy.step();
        }
        if let Some(health) = io.health.as_mut().filter(|_| ready.health) {
            health.step()?;
        }
        if ready.forwarders {
            io.forwarders.iter().for_each(|it| it.step());
        }
        let Some(console) = io.console.as_mut().filter(|_| ready.console) else {
            return Ok(());
        };
        for request in console.step()? {
            match request {
                Request::Signal(number) => self.pass_on(child, listener, number)?,
                Request::Abandoned => child.signal(libc::SIGKILL)?,
            }
        }
        Ok(())
    }

    fn wait(&self, child: &Child, listener: Option<&Listener>, io: &Io) -> Result<Ready> {
        let handle = child.handle();
        let mut fds = vec![
            PollFd::new(&handle, PollFlags::IN),
            PollFd::new(&self.inbox, PollFlags::IN),
        ];
        let report = listener.map(|listener| push(&mut fds, listener.as_fd(), PollFlags::IN));
        let console = io.console.as_ref();
        let console = console.map(|console| push(&mut fds, console.handle(), PollFlags::IN));
        let health = io.health.as_ref();
        let health = health.map(|health| push(&mut fds, health.handle(), PollFlags::IN));
        let mut copies = Vec::with_capacity(io.copies.len());
        for copy in &io.copies {
            let wanted = copy.waits_for();
            copies.push(wanted.map(|(stream, events)| push(&mut fds, stream, events)));
        }
        let forwarders = io.forwarders.iter();
        let forwarders: Vec<_> = forwarders
            .map(|it| Some(push(&mut fds, it.as_fd(), PollFlags::IN)))
            .collect();
        wait(&mut fds, None)?;
        let any =
            |place: Option<usize>| place.is_some_and(|place| !fds[place].revents().is_empty());
        Ok(Ready {
            ended: any(Some(0)),
            report: any(report),
            console: any(console),
            health: any(health),
            forwarders: forwarders.into_iter().any(any),
            copies: copies.into_iter().map(any).collect(),
        })
    }

    fn signals(&self, child: &Child, listener: Option<&Listener>) -> Result<()> {
        while let Some(number) = self.inbox.next()? {
            self.pass_on(child, listener, number)?;
        }
        Ok(())
    }

    fn pass_on(&self, child: &Child, listener: Option<&Listener>, number: i32) -> Result<()> {
        // Asked after the signal came: who sent it may have seen the command run.
        let is_running = listener.is_none_or(Listener::is_closed);
        let stops = matches!(number, libc::SIGINT | libc::SIGTERM);
        let is_enough = stops && self.stops.borrow_mut().is_enough(Instant::now());
        if is_end(number) && !is_running || is_enough {
            child.signal(libc::SIGKILL)?;
        } else if is_job_control(number) {
            // The shell wants its terminal back; the container goes on.
            stop_ourselves()?;
        } else if is_running && is_forwarded(number) {
            child.signal(number)?;
        }
        Ok(())
    }
}

/// Whether a signal is a request to end.
fn is_end(number: i32) -> bool {
    matches!(
        number,
        libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT
    )
}

fn wait(fds: &mut [PollFd], limit: Option<&Timespec>) -> Result<()> {
    while let Err(error) = poll(fds, limit) {
        if error != rustix::io::Errno::INTR {
            return Err(error.into());
        }
    }
    Ok(())
}

fn push<'a>(fds: &mut Vec<PollFd<'a>>, fd: BorrowedFd<'a>, events: PollFlags) -> usize {
    fds.push(PollFd::from_borrowed_fd(fd, events));
    fds.len() - 1
}

/// What poll found.
struct Ready {
    copies: Vec<bool>,
    console: bool,
    health: bool,
    forwarders: bool,
    ended: bool,
    report: bool,
}
