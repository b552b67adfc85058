//! One task: the `ucr run` that it is, and what that says.

use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::warden::Estate;
use crate::checks::{self, Check, Watch};
use crate::cli::Command;
use crate::cli::app::{Line, Status, in_task, part_in_silence, work};
use crate::cli::context::Context;
use crate::cli::stop::{Kill, Stop};
use crate::error::{self, Kind};
use crate::executor::api::{CheckStatus, Reason};
use crate::executor::launch;
use crate::executor::task::{End, Happening};
use crate::exit::{Exit, Outcome};
use crate::frontend::mesos::{Containerizer, TaskDefinition};
use crate::spec::SignalNumber;
use crate::sys::proc::Proc;
use crate::sys::process::Child;

/// How long a `ucr run` may take to go once its container is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between a stop signal and SIGKILL as `ucr stop` is told: it is the machine of tasks that ends the
/// wait.
const ENDLESS: u32 = 7 * 24 * 3600;

/// A task that was started.
pub(super) struct Task {
    id: String,
    context: Rc<Context>,
    child: Child,
    status: Status,
    container: String,
    checks: Vec<Check>,
    watch: Option<Watch<'static>>,
    /// Stop it, kill it.
    helpers: Vec<Child>,
    is_app: bool,
    /// Docker Engine may have something of it.
    is_docker: bool,
    memory: Option<u64>,
    seen: Seen,
    /// When the `ucr run` itself is killed.
    force_at: Option<Instant>,
}

/// What its `ucr run` has said.
#[derive(Debug, Default)]
struct Seen {
    is_started: bool,
    exit_code: Option<u8>,
    is_out_of_memory: bool,
    /// It had no time to clear up.
    is_killed: bool,
    /// Its kind and the words.
    failure: Option<(Option<Kind>, String)>,
}

impl Task {
    pub(super) fn new(
        id: &str,
        context: Context,
        definition: &TaskDefinition,
        child: Child,
        status: Status,
    ) -> Self {
        Self {
            id: id.to_owned(),
            context: Rc::new(context),
            child,
            status,
            container: String::new(),
            checks: launch::checks(definition),
            watch: None,
            helpers: Vec::new(),
            is_app: definition.app.is_some(),
            // Which runtime an app is for is found out by its child.
            is_docker: definition.app.is_some()
                || definition.containerizer == Containerizer::Docker,
            memory: definition.spec.resources.memory,
            seen: Seen::default(),
            force_at: None,
        }
    }

    /// What to wait for.
    pub(super) fn handles(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let status = self.status.is_open().then(|| self.status.handle());
        let watch = self.watch.as_ref().map(Watch::handle);
        let helpers = self.helpers.iter().map(Child::handle);
        std::iter::once(self.child.handle())
            .chain(status)
            .chain(watch)
            .chain(helpers)
    }

    /// When something has to be done, if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.force_at
    }

    /// Asks it to end, however far it is.
    pub(super) fn terminate(&mut self) -> Result<()> {
        if self.is_app || !self.seen.is_started {
            return Ok(self.child.signal(libc::SIGTERM)?);
        }
        let stop = Stop {
            time: Some(ENDLESS),
            signal: None,
            names: vec![self.container.clone()],
            done: Vec::new(),
        };
        // Without a process for that, its `ucr run` passes on a signal, if not the image's.
        let asked = self.help(Command::Stop(stop));
        asked.or_else(|_| Ok(self.child.signal(libc::SIGTERM)?))
    }

    /// Ends it.
    pub(super) fn kill(&mut self) -> Result<()> {
        if !self.seen.is_started {
            return Ok(self.child.signal(libc::SIGKILL)?);
        }
        self.force_at = Some(Instant::now() + PATIENCE);
        let kill = Kill {
            signal: SignalNumber::KILL,
            names: vec![self.container.clone()],
            done: Vec::new(),
        };
        // It takes its container along.
        let killed = self.help(Command::Kill(kill));
        killed.or_else(|_| Ok(self.child.signal(libc::SIGKILL)?))
    }

    fn help(&mut self, command: Command) -> Result<()> {
        self.helpers.push(part_in_silence(&self.context, command)?);
        Ok(())
    }

    /// Does what can be done now, and says what has happened.
    pub(super) fn step(&mut self) -> Result<Vec<Happening>> {
        let mut happenings = Vec::new();
        if self.force_at.take_if(|it| *it <= Instant::now()).is_some() {
            self.child.signal(libc::SIGKILL)?;
        }
        reap(&mut self.helpers)?;
        // First, for what it says is all there when it has ended.
        let has_ended = self.child.has_ended(Duration::ZERO)?;
        for text in self.status.read() {
            if let Ok(line) = serde_json::from_str::<Line>(&text) {
                self.hear(line, &mut happenings)?;
            }
        }
        self.check(&mut happenings)?;
        if has_ended {
            self.watch = None;
            let exit = self.child.wait()?;
            happenings.push(Happening::Ended(self.end(exit)));
        }
        Ok(happenings)
    }

    fn hear(&mut self, line: Line, happenings: &mut Vec<Happening>) -> Result<()> {
        match line.event.as_str() {
            "started" => {
                self.seen.is_started = true;
                self.container = line.id;
                let addresses = line.ip.into_iter().collect();
                happenings.push(Happening::Started { addresses });
                if !self.checks.is_empty() {
                    self.watch = self.begin_checks(line.pid)?;
                }
            }
            "exited" => {
                self.seen.exit_code = line.exit_code;
                self.seen.is_out_of_memory = line.oom_killed;
            }
            "failed" => {
                let hint = line.hint.map(|hint| format!(" (hint: {hint})"));
                let message = line.message + &hint.unwrap_or_default();
                self.seen.failure = Some((Kind::from_name(&line.kind), message));
            }
            // An app's own checks are made by its `ucr run`.
            "health" if self.is_app => {
                let health = |healthy| Happening::Health {
                    healthy,
                    fatal: None,
                };
                happenings.extend(line.healthy().map(health));
            }
            "killed" if self.is_app => happenings.push(Happening::Health {
                healthy: false,
                fatal: Some(line.reason),
            }),
            _ => (),
        }
        Ok(())
    }

    /// None if it is over already.
    fn begin_checks(&self, pid: Option<i32>) -> Result<Option<Watch<'static>>> {
        let task = pid.map(|pid| checks::Task {
            pid,
            start_time: None,
        });
        let (context, id) = (Rc::clone(&self.context), self.container.clone());
        let execute = move |command: &checks::Command| in_task(&context, &id, command);
        let watch = Watch::new(self.checks.clone(), task, Box::new(execute));
        let proc = Proc::open()?;
        let is_gone = |pid| proc.start_time(pid).is_none() || proc.is_ending(pid);
        match watch {
            Err(_) if pid.is_some_and(is_gone) => Ok(None),
            watch => watch.map(Some),
        }
    }

    /// Nothing is known of it any more, or can be done to it: it is ended for that.
    pub(super) fn give_up(&mut self, why: &anyhow::Error) -> Result<Vec<Happening>> {
        self.watch = None;
        self.seen.failure = Some((Some(error::kind(why)), error::render(why)));
        self.child.signal(libc::SIGKILL)?;
        Ok(Vec::new())
    }

    fn check(&mut self, happenings: &mut Vec<Happening>) -> Result<()> {
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        for event in watch.step()? {
            match event {
                checks::Event::Health { standing, .. } => happenings.push(Happening::Health {
                    healthy: standing.state == checks::State::Healthy,
                    fatal: None,
                }),
                // The failure that it follows from is the last thing that was told.
                checks::Event::Kill {
                    failures, cause, ..
                } => {
                    if let Some(Happening::Health { fatal, .. }) = happenings.last_mut() {
                        *fatal = Some(format!(
                            "Health check failed {failures} times in a row: {cause}"
                        ));
                    }
                }
                checks::Event::Checked { report, .. } => {
                    happenings.push(Happening::Checked(status(report)));
                }
                checks::Event::Ready { .. } | checks::Event::NotReady { .. } => (),
            }
        }
        Ok(())
    }

    fn end(&mut self, exit: Exit) -> End {
        let seen = &mut self.seen;
        seen.is_killed = matches!(exit, Exit::Signal(_));
        let launch_failed = |message| End::NotStarted {
            reason: Reason::LaunchFailed,
            message,
        };
        if let Some((kind, message)) = seen.failure.take() {
            if seen.is_started {
                return End::Unseen { message };
            }
            let reason = match kind {
                Some(Kind::Spec | Kind::Usage | Kind::Reference) => Reason::TaskInvalid,
                _ => Reason::LaunchFailed,
            };
            return End::NotStarted { reason, message };
        }
        match (seen.is_started, seen.is_out_of_memory) {
            (false, _) => launch_failed(format!(
                "its ucr ended with {} before the command was executed: see stderr in the sandbox",
                exit.code()
            )),
            (true, true) => {
                let limit = self.memory.map(|bytes| bytes as f64 / f64::from(1 << 20));
                let text = limit.map_or(String::new(), |limit| format!(" of {limit} MiB"));
                End::Limited {
                    reason: Reason::MemoryLimit,
                    limitation: limit.map(|limit| ("mem", limit)),
                    message: format!("Memory limit{text} exceeded: the kernel killed it"),
                }
            }
            (true, false) => End::Exited(seen.exit_code.map_or(exit, Exit::Code)),
        }
    }

    /// Nobody saw how its container ended, or whether there was one: what it left is cleared up by
    /// another process.
    pub(super) fn is_unfinished(&self) -> bool {
        let seen = &self.seen;
        (seen.is_started || seen.is_killed) && seen.exit_code.is_none()
    }

    /// Clears that up.
    pub(super) fn heal(&self) -> Result<Child> {
        let context = &self.context;
        let estate = self.is_docker.then(|| Estate::of(context)).transpose()?;
        work(context, || {
            match estate {
                // What an Engine goes on making is there later.
                Some(estate) => estate.heal(true),
                None => context.heal()?,
            }
            Ok(Outcome::Done)
        })
    }

    /// Who may still be at work on it.
    pub(super) fn helpers(&mut self) -> Vec<Child> {
        std::mem::take(&mut self.helpers)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Those that have ended are no more.
pub(super) fn reap(helpers: &mut Vec<Child>) -> Result<()> {
    for helper in std::mem::take(helpers) {
        match helper.has_ended(Duration::ZERO)? {
            true => drop(helper.wait()?),
            false => helpers.push(helper),
        }
    }
    Ok(())
}

fn status(report: checks::Report) -> CheckStatus {
    match report {
        checks::Report::Command(code) => CheckStatus::Command(code.map(i32::from)),
        checks::Report::Http(status) => CheckStatus::Http(status),
        checks::Report::Tcp(is_open) => CheckStatus::Tcp(is_open),
    }
}
