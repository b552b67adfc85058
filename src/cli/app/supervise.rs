//! Watches the `ucr run` of an app: passes signals on, ends it when it takes too long to start or is
//! not well, and says what happens.
//!
//! One thread; whatever may wait or needs threads is done in a process of its own. It never knows
//! which runtime serves.

use std::io::{PipeReader, Read as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::health::Checked;
use super::part::{in_task, part, part_in_silence, part_that_prints};
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
/// As what an app counts that went when its checks failed: by SIGTERM.
const ENDED: Exit = Exit::Signal(15);

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
    /// Of the `ucr run`.
    exit: Option<Exit>,
    /// Of the container.
    exit_code: Option<u8>,
    is_asked: bool,
    /// In the background: the container's ID is printed.
    has_printed: bool,
    /// Its checks ended it, which is a failure like others.
    is_killed: bool,
}

/// One container, from its start to its end.
struct Life<'a> {
    supervisor: &'a Supervisor<'a>,
    /// The `ucr run`, or who waits for the container's end, while it is there.
    child: Option<Child>,
    status: Status,
    /// What is printed by who waits.
    code: Option<PipeReader>,
    id: String,
    checks: Option<(Watch<'a>, Results<'a>)>,
    /// It was told to end: then it is made to.
    killed_at: Option<Instant>,
    seen: Seen,
    /// What has come, and nobody has heard of.
    moments: Vec<Moment>,
}

/// Who hears of a moment.
pub(super) type Hears<'a> = dyn FnMut(Moment) -> Result<()> + 'a;

impl Supervisor<'_> {
    /// Starts it and returns when it has ended.
    pub(super) fn supervise(&self, hears: &mut Hears) -> Result<Ended> {
        let (status, write) = Status::pipe()?;
        let mut run = self.run.clone();
        run.start.status_fd = Some(write.as_raw_fd());
        let child = part(self.context, Command::Run(Box::new(run)))?;
        drop(write);
        let mut life = Life {
            supervisor: self,
            child: Some(child),
            status,
            code: None,
            id: String::new(),
            checks: None,
            killed_at: None,
            seen: Seen::default(),
            moments: Vec::new(),
        };
        loop {
            life.wait()?;
            life.hear()?;
            life.check()?;
            life.pass_signals()?;
            life.reap()?;
            life.announce(hears)?;
            life.check_deadline()?;
            life.check_grace()?;
            if let Some(ended) = life.ended()? {
                return Ok(ended);
            }
        }
    }

    fn is_detached(&self) -> bool {
        self.run.start.detach
    }

    fn tell(&self, line: &str) {
        if let Some(listener) = self.listener {
            // A reader that goes away early has what it wanted.
            let _ = rustix::io::write(listener, format!("{line}\n").as_bytes());
        }
    }

    fn end_for(&self, why: &str, id: &str) -> Result<()> {
        let text = format!("{}: killed: {why}", self.checked.app.id);
        output::remark("error", &text);
        let event = serde_json::json!({ "event": "killed", "id": id, "reason": why });
        self.tell(&event.to_string());
        self.stop(id, self.grace)
    }

    /// As `ucr stop` does.
    fn stop(&self, id: &str, grace: Option<u32>) -> Result<()> {
        if id.is_empty() {
            return Ok(());
        }
        let stop = Stop {
            time: grace,
            signal: None,
            names: vec![id.to_owned()],
            done: Vec::new(),
        };
        part_in_silence(self.context, Command::Stop(stop))?.wait()?;
        Ok(())
    }

    /// One in the background stays after its end, with its name, which the next one is to have.
    pub(super) fn make_room(&self, ended: &Ended) -> Result<()> {
        if !self.is_detached() || ended.id.is_empty() {
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

    fn wait_for_end(&self, id: &str) -> Result<(Child, PipeReader)> {
        let wait = Wait {
            names: vec![id.to_owned()],
            codes: Vec::new(),
        };
        part_that_prints(self.context, Command::Wait(wait))
    }
}

impl Life<'_> {
    /// Until something can be done.
    fn wait(&self) -> Result<()> {
        let mut all = vec![self.supervisor.inbox.as_fd()];
        all.extend(self.child.as_ref().map(Child::handle));
        all.extend(self.status.is_open().then(|| self.status.handle()));
        all.extend(self.checks.as_ref().map(|(watch, _)| watch.handle()));
        let mut all: Vec<_> = all
            .into_iter()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let deadline = self
            .supervisor
            .deadline
            .filter(|_| self.seen.started.is_none());
        let moments = deadline.map(|(it, _)| it).into_iter().chain(self.killed_at);
        let left = moments.min();
        let left = left.map(|it| it.saturating_duration_since(Instant::now()));
        let limit = left.map(Timespec::try_from).transpose()?;
        match poll(&mut all, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the `ucr run` says.
    fn hear(&mut self) -> Result<()> {
        for text in self.status.read() {
            self.supervisor.tell(&text);
            let Ok(line) = serde_json::from_str::<Line>(&text) else {
                continue;
            };
            match line.event.as_str() {
                "exited" => {
                    self.seen.exit_code = line.exit_code;
                    self.seen.is_asked |= line.stopped && !self.seen.is_killed;
                }
                "started" if self.seen.started.is_none() => {
                    self.seen.started = Some(Instant::now());
                    self.id = line.id;
                    self.begin(line.pid)?;
                    self.moments.push(Moment::Running);
                    if !self.supervisor.checked.has_readiness() {
                        self.moments.push(Moment::Ready);
                    }
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// Checks it from now on, if there is something to check.
    fn begin(&mut self, pid: Option<i32>) -> Result<()> {
        let supervisor = self.supervisor;
        let (checked, context) = (supervisor.checked, supervisor.context);
        if !checked.has_checks() {
            return Ok(());
        }
        let id = self.id.clone();
        let own = match checked.needs_address() {
            true => delegate::container(context, &id)?.and_then(|it| it.address()),
            false => None,
        };
        let task = pid.map(|pid| Task {
            pid,
            start_time: None,
        });
        let state = context.state()?;
        let is_native = context.runtimes().only() == Some(RuntimeName::Native);
        let mark = match is_native {
            true => None,
            false => state.tell_health(&id)?,
        };
        let results = Results::new(checked, &id, state.publish_health(&id)?, mark);
        let execute = Box::new(move |command: &_| in_task(context, &id, command));
        let watch = Watch::new(checked.all(own), task, execute)?;
        self.checks = Some((watch, results));
        Ok(())
    }

    /// What its checks say.
    fn check(&mut self) -> Result<()> {
        let Some((watch, results)) = &mut self.checks else {
            return Ok(());
        };
        let supervisor = self.supervisor;
        for event in watch.step()? {
            match results.take(event) {
                Consequence::Tell(event) => supervisor.tell(&event.to_string()),
                Consequence::Ready(event) => {
                    supervisor.tell(&event.to_string());
                    self.moments.push(Moment::Ready);
                }
                Consequence::End(why) => {
                    watch.stop();
                    self.seen.is_killed = true;
                    supervisor.end_for(&why, &self.id)?;
                }
            }
        }
        Ok(())
    }

    /// Those of the terminal, everybody in front of it has got.
    fn pass_signals(&mut self) -> Result<()> {
        const ENDS: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];
        let supervisor = self.supervisor;
        while let Some((number, is_sent)) = supervisor.inbox.next_from()? {
            if is_job_control(number) {
                stop_ourselves()?;
                continue;
            }
            if !is_forwarded(number) {
                continue;
            }
            let is_end = ENDS.contains(&number);
            self.seen.is_asked |= is_end;
            if number == libc::SIGTERM {
                let grace = supervisor.grace.map(|it| Duration::from_secs(it.into()));
                let end = grace.map(|grace| Instant::now() + grace);
                self.killed_at = self.killed_at.or(end);
            }
            match &self.child {
                Some(child) if is_sent && !supervisor.is_detached() => child.signal(number)?,
                Some(_) if !supervisor.is_detached() => (),
                _ if is_end => supervisor.stop(&self.id, supervisor.grace)?,
                _ => (),
            }
        }
        Ok(())
    }

    fn reap(&mut self) -> Result<()> {
        if let Some(child) = &self.child
            && child.has_ended(Duration::ZERO)?
        {
            self.seen.exit = Some(child.wait()?);
            self.seen.has_printed = true;
            self.child = None;
            if let Some(mut code) = self.code.take() {
                let mut text = String::new();
                code.read_to_string(&mut text)?;
                // What nobody saw is as if it had been killed, as for `ucr wait`.
                let code = text.trim().parse().unwrap_or(Exit::Signal(9).code());
                self.seen.exit_code = Some(code);
            }
        }
        Ok(())
    }

    /// In the background nobody waits any more once he hears: the `ucr run` has to have printed the
    /// container's ID, and be over.
    fn announce(&mut self, hears: &mut Hears) -> Result<()> {
        match self.seen.has_printed || !self.supervisor.is_detached() {
            true => self.moments.drain(..).try_for_each(hears),
            false => Ok(()),
        }
    }

    fn check_deadline(&mut self) -> Result<()> {
        let Some((deadline, limit)) = self.supervisor.deadline else {
            return Ok(());
        };
        let is_late = self.seen.started.is_none() && deadline <= Instant::now();
        let Some(child) = self.child.take_if(|_| is_late) else {
            return Ok(());
        };
        end(&child)?;
        let _ = self.supervisor.context.heal();
        Err(too_long(&self.supervisor.checked.app.id, limit).into())
    }

    /// Whoever sends SIGTERM wants its end, even if the command does not hear.
    fn check_grace(&mut self) -> Result<()> {
        let is_over = |it: &mut Instant| *it <= Instant::now();
        if self.killed_at.take_if(is_over).is_none() || self.child.is_none() {
            return Ok(());
        }
        self.supervisor.stop(&self.id, Some(0))
    }

    /// In the background the `ucr run` is over long before its container is.
    fn ended(&mut self) -> Result<Option<Ended>> {
        let Some(exit) = self.seen.exit else {
            return Ok(None);
        };
        let goes_on = self.supervisor.is_detached() && exit == Exit::Code(0);
        if !goes_on || self.seen.exit_code.is_some() {
            return Ok(Some(self.seen.ended(exit, &self.id)));
        }
        // Natively another process of ours is with it, whose end of the pipe is open.
        if !self.status.is_open() && self.child.is_none() {
            let (child, code) = self.supervisor.wait_for_end(&self.id)?;
            (self.child, self.code, self.seen.exit) = (Some(child), Some(code), None);
        }
        Ok(None)
    }
}

impl Seen {
    fn ended(&self, exit: Exit, id: &str) -> Ended {
        let own = self.exit_code.map(Exit::Code);
        let exit = own.filter(|_| exit == Exit::Code(0)).unwrap_or(exit);
        Ended {
            id: id.to_owned(),
            has_run: self.started.is_some(),
            // It went as it was told to, but it had failed.
            exit: match exit {
                Exit::Code(0) if self.is_killed => ENDED,
                exit => exit,
            },
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
