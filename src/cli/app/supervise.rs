//! Watches the `ucr run` of an app: passes signals on, ends it when it takes too long to start or is
//! not well, and says what happens.
//!
//! One thread; whatever may wait or needs threads is done in a process of its own. It never knows
//! which runtime serves.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde_json::Value;

use super::health::Checked;
use super::part::{in_task, part, part_in_silence};
use super::results::{Consequence, Results};
use super::status::{Line, Status};
use crate::checks::{Task, Watch};
use crate::cli::context::Context;
use crate::cli::rm::Rm;
use crate::cli::run::Run;
use crate::cli::stop::{Stop, Wait};
use crate::cli::{Command, delegate, output};
use crate::error::{Fault, Kind};
use crate::exit::Exit;
use crate::runtime::RuntimeName;
use crate::sys::process::Child;
use crate::sys::signal::{Inbox, is_forwarded, is_job_control, stop_ourselves};

/// How long a start that took too long has for its end.
const PATIENCE: Duration = Duration::from_secs(10);

/// One start of an app.
pub(super) struct Supervisor<'a> {
    pub(super) context: &'a Context,
    pub(super) run: &'a Run,
    pub(super) inbox: &'a Inbox,
    pub(super) checked: Checked<'a>,
    pub(super) deadline: Option<(Instant, Duration)>,
    /// Somebody else who wants to hear what happens.
    pub(super) listener: Option<&'a OwnedFd>,
    /// Seconds from SIGTERM to SIGKILL.
    pub(super) grace: Option<u32>,
}

/// What others wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Its command is executed.
    Running,
    /// Its readiness check says so, if it has one.
    Ready,
}

/// How it went.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// Of the container; empty if there never was one.
    pub(super) id: String,
    pub(super) exit: Exit,
    /// Its command was executed; else the fault is not of a kind that another start mends.
    pub(super) has_run: bool,
    /// Somebody asked for its end: it is not started again.
    pub(super) is_asked: bool,
    /// How long it ran.
    pub(super) ran: Duration,
}

/// What is known of the container so far.
#[derive(Debug, Default)]
struct Seen {
    started: Option<Instant>,
    exit_code: Option<u8>,
    is_asked: bool,
    /// Its checks ended it, which is a failure like others.
    is_killed: bool,
}

/// Who hears of a moment.
pub(super) type Hears<'a> = dyn FnMut(Moment) -> Result<()> + 'a;

impl Supervisor<'_> {
    /// Starts it and returns when it has ended.
    pub(super) fn supervise(&self, hears: &mut Hears) -> Result<Ended> {
        let (mut status, write) = Status::pipe()?;
        let mut run = self.run.clone();
        run.start.status_fd = Some(write.as_raw_fd());
        let mut child = part(self.context, Command::Run(Box::new(run)))?;
        drop(write);
        let mut seen = Seen::default();
        let id = RefCell::new(String::new());
        let execute = |command: &_| in_task(self.context, &id.borrow(), command);
        let mut watch = None;
        let mut exit: Option<Exit> = None;
        // In the background nobody waits any more once he hears: it has printed its ID before.
        let mut has_printed = !self.run.start.detach;
        let mut moments = Vec::new();
        loop {
            let is_running = exit.is_none();
            let checks = watch.as_ref().map(|(watch, _): &(Watch, Results)| watch);
            self.wait(is_running.then_some(&child), &status, checks)?;
            for text in status.read() {
                self.tell(&text);
                let Ok(line) = serde_json::from_str::<Line>(&text) else {
                    continue;
                };
                if line.event == "exited" {
                    seen.exit_code = line.exit_code;
                    seen.is_asked |= line.stopped && !seen.is_killed;
                }
                if line.event == "started" && seen.started.replace(Instant::now()).is_none() {
                    id.replace(line.id);
                    watch = self.begin(&id.borrow(), line.pid, &execute)?;
                    moments.push(Moment::Running);
                    if !self.checked.has_readiness() {
                        moments.push(Moment::Ready);
                    }
                }
            }
            if let Some((checks, results)) = &mut watch {
                for event in checks.step()? {
                    match results.take(event) {
                        Consequence::Tell(event) => self.tell_value(&event),
                        Consequence::Ready(event) => {
                            self.tell_value(&event);
                            moments.push(Moment::Ready);
                        }
                        Consequence::End(why) => {
                            checks.stop();
                            seen.is_killed = true;
                            self.end_for(&why, &id.borrow())?;
                        }
                    }
                }
            }
            self.pass_signals(is_running.then_some(&child), &id.borrow(), &mut seen)?;
            if is_running && is_over(&child)? {
                exit = Some(child.wait()?);
                has_printed |= exit == Some(Exit::Code(0));
            }
            if has_printed {
                moments.drain(..).try_for_each(&mut *hears)?;
            }
            self.check_deadline(is_running.then_some(&child), &seen)?;
            match exit {
                None => (),
                // In the background another process is with it, whose end of the pipe is open.
                Some(Exit::Code(0)) if self.run.start.detach => {
                    if seen.exit_code.is_some() {
                        return Ok(seen.ended(exit, &id.borrow()));
                    }
                    if !status.is_open() {
                        // Docker Engine is with it.
                        child = self.wait_for_end(&id.borrow())?;
                        exit = None;
                        seen.exit_code = Some(0);
                    }
                }
                Some(_) => return Ok(seen.ended(exit, &id.borrow())),
            }
        }
    }

    fn wait(&self, child: Option<&Child>, status: &Status, watch: Option<&Watch>) -> Result<()> {
        let mut all = vec![self.inbox.as_fd()];
        all.extend(child.map(Child::handle));
        all.extend(status.is_open().then(|| status.handle()));
        all.extend(watch.map(Watch::handle));
        let mut all: Vec<_> = all
            .into_iter()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let left = self.deadline.map(|(deadline, _)| deadline);
        let left = left.map(|it| it.saturating_duration_since(Instant::now()));
        // Once it is over, that moment does not come again.
        let left = left.filter(|it| !it.is_zero() || child.is_some());
        let limit = left.map(Timespec::try_from).transpose()?;
        match poll(&mut all, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks it from now on, if there is something to check.
    fn begin<'w>(
        &'w self,
        id: &str,
        pid: Option<i32>,
        execute: &'w crate::checks::RunCommand<'w>,
    ) -> Result<Option<(Watch<'w>, Results<'w>)>> {
        if !self.checked.has_checks() {
            return Ok(None);
        }
        let own = match self.checked.needs_address() {
            true => delegate::container(self.context, id)?.and_then(|it| it.address()),
            false => None,
        };
        let task = pid.map(|pid| Task {
            pid,
            start_time: None,
        });
        let state = self.context.state()?;
        let is_native = self.context.runtimes().only() == Some(RuntimeName::Native);
        let mark = match is_native {
            true => None,
            false => state.tell_health(id)?,
        };
        let results = Results::new(self.checked, id, state.publish_health(id)?, mark);
        let watch = Watch::new(self.checked.all(own), task, execute)?;
        Ok(Some((watch, results)))
    }

    fn tell(&self, line: &str) {
        if let Some(listener) = self.listener {
            // A reader that goes away early has what it wanted.
            let _ = rustix::io::write(listener, format!("{line}\n").as_bytes());
        }
    }

    fn tell_value(&self, event: &Value) {
        self.tell(&event.to_string());
    }

    fn end_for(&self, why: &str, id: &str) -> Result<()> {
        let text = format!("{}: killed: {why}", self.checked.app.id);
        output::remark("error", &text);
        self.tell_value(&serde_json::json!({ "event": "killed", "id": id, "reason": why }));
        self.stop(id)
    }

    /// Those of the terminal, everybody in front of it has got.
    fn pass_signals(&self, child: Option<&Child>, id: &str, seen: &mut Seen) -> Result<()> {
        while let Some((number, is_sent)) = self.inbox.next_from()? {
            if is_job_control(number) {
                stop_ourselves()?;
            } else if is_forwarded(number) {
                let ends = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];
                seen.is_asked |= ends.contains(&number);
                match child {
                    Some(child) if !self.run.start.detach && is_sent => child.signal(number)?,
                    Some(_) if !self.run.start.detach => (),
                    _ if ends.contains(&number) => self.stop(id)?,
                    _ => (),
                }
            }
        }
        Ok(())
    }

    fn check_deadline(&self, child: Option<&Child>, seen: &Seen) -> Result<()> {
        let (Some((deadline, limit)), Some(child)) = (self.deadline, child) else {
            return Ok(());
        };
        if seen.started.is_some() || Instant::now() < deadline {
            return Ok(());
        }
        end(child)?;
        let _ = self.context.heal();
        Err(too_long(&self.checked.app.id, limit).into())
    }

    /// As `ucr stop` does.
    fn stop(&self, id: &str) -> Result<()> {
        if id.is_empty() {
            return Ok(());
        }
        let stop = Stop {
            time: self.grace,
            signal: None,
            names: vec![id.to_owned()],
            done: Vec::new(),
        };
        part_in_silence(self.context, Command::Stop(stop))?.wait()?;
        Ok(())
    }

    /// One in the background stays after its end, with its name, which the next one is to have.
    pub(super) fn make_room(&self, ended: &Ended) -> Result<()> {
        if !self.run.start.detach || ended.id.is_empty() {
            return Ok(());
        }
        let rm = Rm {
            force: true,
            names: vec![ended.id.clone()],
            removed: Vec::new(),
        };
        part_in_silence(self.context, Command::Rm(rm))?.wait()?;
        Ok(())
    }

    fn wait_for_end(&self, id: &str) -> Result<Child> {
        let wait = Wait {
            names: vec![id.to_owned()],
            codes: Vec::new(),
        };
        part_in_silence(self.context, Command::Wait(wait))
    }
}

impl Seen {
    fn ended(&self, exit: Option<Exit>, id: &str) -> Ended {
        let own = self.exit_code.map(Exit::Code);
        let exit = match exit {
            Some(Exit::Code(0)) | None => own.or(exit),
            failed => failed,
        };
        Ended {
            id: id.to_owned(),
            has_run: self.started.is_some(),
            exit: exit.unwrap_or(Exit::Code(0)),
            is_asked: self.is_asked,
            ran: self.started.map_or(Duration::ZERO, |it| it.elapsed()),
        }
    }
}

/// The launch timeout is over.
pub(super) fn too_long(name: &str, limit: Duration) -> Fault {
    let seconds = limit.as_secs();
    let message = format!("{name}: it did not run within {seconds} s [E:launch-timeout]");
    Fault::new(Kind::Network, message)
        .hint("say a longer --launch-timeout, or pull the image before: ucr pull --app FILE")
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
pub(super) fn end(child: &Child) -> Result<()> {
    child.signal(libc::SIGTERM)?;
    let mut all = [PollFd::from_borrowed_fd(child.handle(), PollFlags::IN)];
    let limit = Timespec::try_from(PATIENCE)?;
    if let Ok(0) = poll(&mut all, Some(&limit)) {
        child.signal(libc::SIGKILL)?;
    }
    child.wait()?;
    Ok(())
}
