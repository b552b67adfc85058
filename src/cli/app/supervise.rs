//! Watches the `ucr run` of an app: passes signals on, ends it when it takes too long to start or is
//! not well, and starts it again where that was asked for.
//!
//! One thread; whatever may wait or needs threads is done in a process of its own. It never knows
//! which runtime serves.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::part::{part, part_in_silence};
use super::status::{Line, Status};
use crate::cli::context::Context;
use crate::cli::run::Run;
use crate::cli::stop::{Stop, Wait};
use crate::cli::{Command, output};
use crate::error::{Fault, Kind};
use crate::exit::Exit;
use crate::sys::process::Child;
use crate::sys::signal::{Inbox, is_forwarded, is_job_control, stop_ourselves};

/// How long a start that took too long has for its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long Docker Engine, or a container, may take to be gone after its end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// One start of an app.
pub(super) struct Supervisor<'a> {
    pub(super) context: &'a Context,
    pub(super) run: &'a Run,
    pub(super) inbox: &'a Inbox,
    /// Of the app, for messages.
    pub(super) name: &'a str,
    pub(super) deadline: Option<(Instant, Duration)>,
    /// Somebody else who wants to hear what happens.
    pub(super) listener: Option<&'a OwnedFd>,
    /// Seconds from SIGTERM to SIGKILL.
    pub(super) grace: Option<u32>,
}

/// How it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    /// Somebody asked for its end: it is not started again.
    pub(super) is_asked: bool,
    /// How long it ran.
    pub(super) ran: Duration,
}

/// What is known of the container so far.
#[derive(Debug, Default)]
struct Seen {
    id: Option<String>,
    started: Option<Instant>,
    exit_code: Option<u8>,
    is_asked: bool,
}

impl Supervisor<'_> {
    /// Starts it and returns when it has ended. `started` is told when it runs.
    pub(super) fn supervise(&self, started: &mut dyn FnMut() -> Result<()>) -> Result<Ended> {
        let (mut status, write) = Status::pipe()?;
        let mut run = self.run.clone();
        run.start.status_fd = Some(write.as_raw_fd());
        let mut child = part(self.context, Command::Run(Box::new(run)))?;
        drop(write);
        let mut seen = Seen::default();
        let mut exit = None;
        loop {
            self.wait(&child, exit.is_none(), &status)?;
            for line in status.read() {
                self.hear(&line, &mut seen, started)?;
            }
            self.pass_signals(&child, exit.is_none(), &mut seen)?;
            if exit.is_none() && is_over(&child)? {
                exit = Some(child.wait()?);
            }
            self.check_deadline(&child, exit.is_none(), &seen)?;
            match exit {
                Some(Exit::Code(0)) if self.is_detached() && seen.exit_code.is_none() => {
                    if !status.is_open() {
                        // Nobody of ours is with a container of Docker Engine's.
                        child = self.wait_for_end(&seen)?;
                        exit = Some(self.follow(&child, &mut seen)?);
                        return Ok(seen.ended(exit));
                    }
                }
                Some(_) if self.is_detached() => return Ok(seen.ended(exit)),
                Some(_) if !status.is_open() || seen.exit_code.is_some() => {
                    return Ok(seen.ended(exit));
                }
                _ => (),
            }
        }
    }

    fn is_detached(&self) -> bool {
        self.run.start.detach
    }

    fn wait(&self, child: &Child, is_running: bool, status: &Status) -> Result<()> {
        let mut all = vec![PollFd::from_borrowed_fd(self.inbox.as_fd(), PollFlags::IN)];
        if is_running {
            all.push(PollFd::from_borrowed_fd(child.handle(), PollFlags::IN));
        }
        if status.is_open() {
            all.push(PollFd::from_borrowed_fd(status.handle(), PollFlags::IN));
        }
        let left = self.deadline.map(|(deadline, _)| deadline);
        let left = left.map(|it| it.saturating_duration_since(Instant::now()));
        // What ended without a word is looked at again.
        let limit = if is_running { left } else { Some(LAST_WORDS) };
        let limit = limit.map(Timespec::try_from).transpose()?;
        match poll(&mut all, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn hear(
        &self,
        text: &str,
        seen: &mut Seen,
        started: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        if let Some(listener) = self.listener {
            // A reader that goes away early has what it wanted.
            let _ = rustix::io::write(listener, format!("{text}\n").as_bytes());
        }
        let Ok(line) = serde_json::from_str::<Line>(text) else {
            return Ok(());
        };
        match line.event.as_str() {
            "started" => {
                seen.id = Some(line.id);
                let is_first = seen.started.replace(Instant::now()).is_none();
                if is_first {
                    started()?;
                }
            }
            "exited" => seen.exit_code = line.exit_code,
            _ => (),
        }
        Ok(())
    }

    /// Those of the terminal, everybody in front of it has got.
    fn pass_signals(&self, child: &Child, is_running: bool, seen: &mut Seen) -> Result<()> {
        while let Some((number, is_sent)) = self.inbox.next_from()? {
            if is_job_control(number) {
                stop_ourselves()?;
            } else if is_forwarded(number) {
                seen.is_asked |= matches!(number, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT);
                if is_running && is_sent {
                    child.signal(number)?;
                }
                if !is_running && seen.is_asked {
                    self.stop(seen)?;
                }
            }
        }
        Ok(())
    }

    fn check_deadline(&self, child: &Child, is_running: bool, seen: &Seen) -> Result<()> {
        let Some((deadline, limit)) = self.deadline.filter(|_| seen.started.is_none()) else {
            return Ok(());
        };
        if !is_running || Instant::now() < deadline {
            return Ok(());
        }
        end(child)?;
        let _ = self.context.heal();
        let seconds = limit.as_secs();
        let message = format!("{}: it did not run within {seconds} s", self.name);
        Err(Fault::new(Kind::Interrupted, message)
            .hint("say a longer --launch-timeout, or pull the image before: ucr pull --app FILE")
            .into())
    }

    /// As `ucr stop` does.
    fn stop(&self, seen: &Seen) -> Result<()> {
        let Some(id) = seen.id.clone() else {
            return Ok(());
        };
        let stop = Stop {
            time: self.grace,
            signal: None,
            names: vec![id],
            done: Vec::new(),
        };
        part_in_silence(self.context, Command::Stop(stop))?.wait()?;
        Ok(())
    }

    fn wait_for_end(&self, seen: &Seen) -> Result<Child> {
        let wait = Wait {
            names: seen.id.iter().cloned().collect(),
            codes: Vec::new(),
        };
        part_in_silence(self.context, Command::Wait(wait))
    }

    fn follow(&self, waiter: &Child, seen: &mut Seen) -> Result<Exit> {
        loop {
            let mut all = [
                PollFd::from_borrowed_fd(self.inbox.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(waiter.handle(), PollFlags::IN),
            ];
            match poll(&mut all, None) {
                Ok(_) | Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
            self.pass_signals(waiter, false, seen)?;
            if is_over(waiter)? {
                return Ok(waiter.wait()?);
            }
        }
    }
}

impl Seen {
    fn ended(&self, exit: Option<Exit>) -> Ended {
        let own = self.exit_code.map(Exit::Code);
        Ended {
            exit: exit
                .filter(|it| *it != Exit::Code(0))
                .or(own)
                .or(exit)
                .unwrap_or(Exit::Code(0)),
            is_asked: self.is_asked,
            ran: self.started.map_or(Duration::ZERO, |it| it.elapsed()),
        }
    }
}

fn is_over(child: &Child) -> Result<bool> {
    let mut all = [PollFd::from_borrowed_fd(child.handle(), PollFlags::IN)];
    match poll(&mut all, Some(&Timespec::default())) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Asks a process to end, and kills it if it does not.
fn end(child: &Child) -> Result<()> {
    child.signal(libc::SIGTERM)?;
    let mut all = [PollFd::from_borrowed_fd(child.handle(), PollFlags::IN)];
    let limit = Timespec::try_from(PATIENCE)?;
    if let Ok(0) = poll(&mut all, Some(&limit)) {
        child.signal(libc::SIGKILL)?;
    }
    child.wait()?;
    output::remark("note", "the start was ended");
    Ok(())
}
