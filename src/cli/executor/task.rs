//! One task: the `ucr run` that it is, and what that says.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::fs::{MemfdFlags, memfd_create};

use super::order::Surroundings;
use crate::checks::{self, Check, Watch};
use crate::cli::app::{Line, Status, fetch_all, in_task, part_in_silence, work};
use crate::cli::context::Context;
use crate::cli::pull::{AppPull, PullOptions};
use crate::cli::run::{Given, Run};
use crate::cli::start::Listener;
use crate::cli::stop::{Kill, Stop};
use crate::cli::{Command, Format, output, perform, run_app};
use crate::error::{self, Kind};
use crate::executor::api::{CheckStatus, Reason};
use crate::executor::launch;
use crate::executor::task::{End, Happening};
use crate::exit::{self, Exit, Outcome};
use crate::fetch::Options;
use crate::frontend::mesos::{Containerizer, TaskDefinition};
use crate::spec::SignalNumber;
use crate::sys::proc::Proc;
use crate::sys::process::{Child, Namespaces, close_all_but, die_with_parent, spawn};
use crate::sys::root::Root;
use crate::sys::signal::unblock;

/// How long a `ucr run` may take to go once its container is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest pull where nobody says how long, as for apps.
const PULL_TIMEOUT: Duration = Duration::from_secs(600);
/// Largest pull secret that is read, in bytes.
const MAX_SECRET: u64 = 1 << 20;
/// Between a stop signal and SIGKILL as `ucr stop` is told: it is the machine of tasks that ends the
/// wait.
const ENDLESS: u32 = 7 * 24 * 3600;
/// Longest container name that is made of a task's ID, in bytes.
const MAX_NAME: usize = 100;

/// How tasks are run.
pub(super) struct Means<'a> {
    pub(super) context: &'a Context,
    pub(super) surroundings: &'a Surroundings,
    pub(super) options: &'a PullOptions,
    /// Options of `ucr run` that hold for all.
    pub(super) words: &'a [String],
}

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
    /// Its kind and the words.
    failure: Option<(Option<Kind>, String)>,
}

impl Means<'_> {
    /// Begins: fetches, pulls, runs.
    pub(super) fn start(&self, id: &str, definition: TaskDefinition) -> Result<Task> {
        let runtime = match definition.containerizer {
            Containerizer::Mesos => crate::runtime::RuntimeName::Native,
            Containerizer::Docker => crate::runtime::RuntimeName::Docker,
        };
        let context = match definition.app {
            // It says itself which.
            Some(_) => self.context.clone(),
            None => self.context.with_runtime(runtime),
        };
        let (checks, is_app) = (launch::checks(&definition), definition.app.is_some());
        let memory = definition.spec.resources.memory;
        let (status, write) = Status::pipe()?;
        let child = {
            let body = || self.body(&context, id, definition, write);
            spawn(Namespaces::default(), body).context("start a process")?
        };
        Ok(Task {
            id: id.to_owned(),
            context: Rc::new(context),
            child,
            status,
            container: String::new(),
            checks,
            watch: None,
            helpers: Vec::new(),
            is_app,
            memory,
            seen: Seen::default(),
            force_at: None,
        })
    }

    /// In a process of its own, with nothing of the executor's but what it knows.
    fn body(&self, context: &Context, id: &str, definition: TaskDefinition, status: OwnedFd) -> u8 {
        let listener = Listener::of(&status);
        let ready = unblock()
            .and_then(|()| die_with_parent())
            .and_then(|()| close_all_but(listener.as_fd().into_iter().chain([status.as_fd()])))
            // The agent's signals to our group are for the executor.
            .and_then(|()| Ok(rustix::process::setpgid(None, None)?));
        let outcome = ready
            .map_err(Into::into)
            .and_then(|()| self.run(context, id, definition, (&listener, status)));
        if let Err(error) = &outcome {
            output::error(error, context.wants_json(Format::Text));
        }
        exit::code(&outcome)
    }

    fn run(
        &self,
        context: &Context,
        id: &str,
        definition: TaskDefinition,
        (listener, status): (&Listener, OwnedFd),
    ) -> Result<Outcome> {
        if let failed @ Exit::Code(1..) | failed @ Exit::Signal(_) =
            self.fetch(context, &definition, listener)?
        {
            return Ok(Outcome::Exited(failed));
        }
        let document = definition.app.as_ref().map(document).transpose();
        let prepared = document.and_then(|document| {
            let run = self.command(id, definition, document.as_ref(), status)?;
            Ok((document, run))
        });
        listener.hear(&prepared);
        // What is in memory is open until it was read.
        let (document, run) = prepared?;
        match document {
            Some(_) => run_app(run, context),
            None => perform(Command::Run(Box::new(run)), context),
        }
    }

    /// Gets what it wants in its sandbox.
    fn fetch(
        &self,
        context: &Context,
        definition: &TaskDefinition,
        listener: &Listener,
    ) -> Result<Exit> {
        if definition.artifacts.is_empty() {
            return Ok(Exit::Code(0));
        }
        let options = Options {
            cache: Some(self.surroundings.store().root().join("artifacts")),
            ..Options::default()
        };
        let sandbox = self.surroundings.sandbox();
        let fetching = fetch_all(context, &definition.artifacts, sandbox, &options, listener)?;
        Ok(fetching.wait()?)
    }

    /// The command that runs it, which from now on has the descriptor.
    fn command(
        &self,
        id: &str,
        definition: TaskDefinition,
        app: Option<&File>,
        status: OwnedFd,
    ) -> Result<Run> {
        let secret = pull_secret(&definition, self.surroundings.sandbox())?;
        let document = app.map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()));
        let sandbox = format!("--sandbox={}", self.surroundings.sandbox().display());
        let name = name(id)?;
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match &document {
            Some(path) => words.extend(["--app", path, &sandbox, "--name", &name]),
            None => words.extend(["--spec", "-"]),
        }
        let mut run = Run::of_words(&words)?;
        run.options = self.options.clone();
        if document.is_none() {
            run.options.app = Some(AppPull {
                force: definition.force_pull,
                secret,
                creds: None,
                timeout: PULL_TIMEOUT,
            });
            let mut spec = definition.spec;
            spec.name = Some(name);
            let values = definition.secrets;
            run.given = Some(Given { spec, values }.into());
        }
        run.start.status_fd = Some(status.into_raw_fd());
        Ok(run)
    }
}

/// An app definition in memory.
fn document(app: &serde_json::Value) -> Result<File> {
    let mut memory = File::from(memfd_create("app", MemfdFlags::CLOEXEC)?);
    memory.write_all(&serde_json::to_vec(app)?)?;
    Ok(memory)
}

/// The agent's, or what a file has, which starts in the sandbox.
fn pull_secret(definition: &TaskDefinition, sandbox: &Path) -> Result<Option<Vec<u8>>> {
    if let Some(name) = &definition.pull_secret {
        return Ok(definition.secrets.get(name).map(<[u8]>::to_vec));
    }
    let Some(file) = &definition.pull_secret_file else {
        return Ok(None);
    };
    let path = Path::new(file);
    let (root, path) = match path.strip_prefix("/") {
        Ok(path) => (Root::open(Path::new("/"))?, path),
        Err(_) => (Root::open(sandbox)?, path),
    };
    let found = root.read_small(path, MAX_SECRET);
    let found = found.with_context(|| format!("label ucr.pull-secret: {file}"))?;
    let missing = || {
        let message = format!("label ucr.pull-secret: there is no file {file}");
        error::Fault::new(Kind::NotFound, message).hint("relative paths start in the sandbox")
    };
    Ok(Some(found.ok_or_else(missing)?))
}

/// A container's name of a task's ID, which may have what names cannot.
fn name(id: &str) -> Result<String> {
    let plain = |c: char| match c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
        true => c,
        false => '_',
    };
    let plain: String = id.chars().map(plain).take(MAX_NAME).collect();
    let tail = crate::sys::random_name()?;
    Ok(format!("mesos-{plain}.{tail}"))
}

impl Task {
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
        self.help(Command::Stop(stop))
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
        self.help(Command::Kill(kill))
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
        let helpers = std::mem::take(&mut self.helpers);
        for helper in helpers {
            match helper.has_ended(Duration::ZERO)? {
                true => drop(helper.wait()?),
                false => self.helpers.push(helper),
            }
        }
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
        let launch_failed = |message| End::NotStarted {
            reason: Reason::LaunchFailed,
            message,
        };
        if let Some((kind, message)) = seen.failure.take() {
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

    /// Nobody saw how its container ended: what it left is cleared up by another process.
    pub(super) fn is_unfinished(&self) -> bool {
        self.seen.is_started && self.seen.exit_code.is_none()
    }

    /// Clears that up.
    pub(super) fn heal(&self) -> Result<Child> {
        let context = &self.context;
        work(context, || {
            context.heal()?;
            Ok(Outcome::Done)
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

fn status(report: checks::Report) -> CheckStatus {
    match report {
        checks::Report::Command(code) => CheckStatus::Command(code.map(i32::from)),
        checks::Report::Http(status) => CheckStatus::Http(status),
        checks::Report::Tcp(is_open) => CheckStatus::Tcp(is_open),
    }
}
