//! What an executor does from its start to its end: one thread, one poll.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Executor;
use super::order::Surroundings;
use super::start::Means;
use super::task::{Task, reap};
use super::warden::Warden;
use crate::cli::context::Context;
use crate::cli::output;
use crate::error::render;
use crate::executor::agent::{Agent, Heard};
use crate::executor::api::{self, Call, Event, Reason, Status, Uuid};
use crate::executor::environment::Configuration;
use crate::executor::machine::{Action, Input, Launch, Machine, Moment, Policy};
use crate::executor::task::{End, Happening};
use crate::exit::Outcome;
use crate::frontend::mesos::{Containerizer, TaskDefinition};
use crate::sys;
use crate::sys::process::Child;
use crate::sys::signal::Inbox;

/// How long the last calls may wait for their answers once everything is over.
const FAREWELL: Duration = Duration::from_secs(1);
/// Signals by which somebody else than the agent ends the executor.
const ENDS: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];

/// Everything at work.
struct Work<'a> {
    means: Means<'a>,
    configuration: &'a Configuration,
    agent: Agent,
    machine: Machine,
    inbox: Inbox,
    began: Instant,
    /// Those that are understood and not started yet.
    definitions: BTreeMap<String, TaskDefinition>,
    tasks: Vec<Task>,
    /// They clear up after tasks.
    helpers: Vec<Child>,
    /// They were to end tasks that are over, and have nothing left to do.
    stragglers: Vec<Child>,
    is_over: bool,
    /// Who is there if this is killed.
    warden: Warden,
}

/// Serves the agent until it, or the last task, ends this.
pub(super) fn work(
    executor: &Executor,
    context: &Context,
    configuration: &Configuration,
    warden: Warden,
) -> Result<Outcome> {
    if let Some(why) = warden.remark() {
        say(&why);
    }
    let surroundings = Surroundings::new(executor, context, &configuration.sandbox)?;
    let words = executor.words_for_run();
    let policy = Policy {
        executor: configuration.identity.executor.clone(),
        agent: configuration.agent.clone(),
        checkpoint: configuration.checkpoint,
        recovery_timeout: configuration.recovery_timeout,
        shutdown_grace: configuration.shutdown_grace,
        linger: executor.linger,
    };
    let mut work = Work {
        means: Means {
            context,
            surroundings: &surroundings,
            options: &executor.options,
            words: &words,
        },
        configuration,
        agent: Agent::new(configuration)?,
        machine: Machine::new(policy),
        inbox: Inbox::open()?,
        began: Instant::now(),
        definitions: BTreeMap::new(),
        tasks: Vec::new(),
        helpers: Vec::new(),
        stragglers: Vec::new(),
        is_over: false,
        warden,
    };
    while !work.is_over {
        work.wait()?;
        work.turn()?;
    }
    work.say_goodbye()?;
    if work.tasks.is_empty() && work.helpers.is_empty() {
        work.warden.dismiss();
    }
    Ok(Outcome::Done)
}

impl Work<'_> {
    /// Until something can be done.
    fn wait(&self) -> Result<()> {
        let mut all = vec![PollFd::from_borrowed_fd(self.inbox.as_fd(), PollFlags::IN)];
        let wanted = self.agent.wanted().into_iter();
        all.extend(wanted.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        let tasks = self.tasks.iter().flat_map(Task::handles);
        let helpers = self.helpers.iter().chain(&self.stragglers);
        let theirs = tasks.chain(helpers.map(Child::handle));
        all.extend(theirs.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let due = self.machine.deadline();
        let due = due.and_then(|due| self.began.checked_add(due));
        let others = self.tasks.iter().filter_map(Task::deadline);
        let due = others.chain(due).chain(self.agent.deadline()).min();
        // Rounded up, so that what is due is due when we wake.
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        let left = left.map(|left| left.saturating_add(Duration::from_millis(1)));
        let limit = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut all, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Does all that can be done now.
    fn turn(&mut self) -> Result<()> {
        let mut inputs = VecDeque::from([Input::Tick]);
        self.read_signals(&mut inputs)?;
        self.step_tasks(&mut inputs)?;
        for heard in self.agent.step() {
            self.hear(heard, &mut inputs)?;
            // SUBSCRIBE has to have what follows from all that was heard before.
            self.give(&mut inputs)?;
        }
        self.give(&mut inputs)
    }

    fn read_signals(&mut self, inputs: &mut VecDeque<Input>) -> Result<()> {
        while let Some(number) = self.inbox.next()? {
            if ENDS.contains(&number) {
                say(&format!("signal {number}: everything is ended"));
                inputs.push_back(Input::Event(Event::Shutdown));
            }
        }
        Ok(())
    }

    fn step_tasks(&mut self, inputs: &mut VecDeque<Input>) -> Result<()> {
        let mut ended = Vec::new();
        for (index, task) in self.tasks.iter_mut().enumerate() {
            let happenings = task.step().or_else(|error| task.give_up(&error))?;
            for happening in happenings {
                if matches!(happening, Happening::Ended(_)) {
                    ended.push(index);
                }
                inputs.push_back(Input::Task(task.id().to_owned(), happening));
            }
        }
        for index in ended.into_iter().rev() {
            let mut task = self.tasks.swap_remove(index);
            self.stragglers.append(&mut task.helpers());
            if task.is_unfinished() {
                match task.heal() {
                    Ok(helper) => self.helpers.push(helper),
                    Err(error) => say(&format!("task {}: {}", task.id(), render(&error))),
                }
            }
        }
        reap(&mut self.helpers)?;
        reap(&mut self.stragglers)
    }

    fn hear(&mut self, heard: Heard, inputs: &mut VecDeque<Input>) -> Result<()> {
        match heard {
            Heard::Vacant => {
                let call = self.machine.subscribe();
                let body = call.to_json(&self.configuration.identity)?;
                self.agent.subscribe(body);
            }
            Heard::Event(Event::Launch(task)) => {
                let launch = Box::new(self.understand(task));
                inputs.push_back(Input::Launch(launch));
            }
            Heard::Event(Event::LaunchGroup(tasks)) => {
                let launches = tasks.into_iter().map(|task| self.understand(task));
                inputs.push_back(Input::LaunchGroup(launches.collect()));
            }
            Heard::Event(event) => {
                if let Event::Subscribed(_) = &event {
                    say("subscribed");
                }
                inputs.push_back(Input::Event(event));
            }
            Heard::Lost(why) => {
                say(&format!("no connection to the agent: {why}"));
                inputs.push_back(Input::Disconnected);
            }
            Heard::Refused { status, why, kind } => {
                say(&format!("the agent refuses {kind} with {status}: {why}"));
            }
        }
        Ok(())
    }

    fn understand(&mut self, task: api::Task) -> Launch {
        let id = task.id.clone();
        let (launch, definition) = self.means.surroundings.understand(task);
        // Of one that is there already it is not looked at.
        self.definitions
            .extend(definition.map(|definition| (id, definition)));
        launch
    }

    /// Does what follows from each, and from what that has as a consequence.
    fn give(&mut self, inputs: &mut VecDeque<Input>) -> Result<()> {
        while let Some(input) = inputs.pop_front() {
            let now = self.now();
            for action in self.machine.handle(now, input, &mut uuid) {
                if let Some(consequence) = self.act(action)? {
                    inputs.push_back(consequence);
                }
            }
        }
        // What is not started by now never is: the machine has refused it.
        self.definitions.clear();
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<Option<Input>> {
        match action {
            Action::Start(id) => return Ok(self.start(id)),
            Action::Terminate(id) => self.with(&id, Task::terminate)?,
            Action::Kill(id) => self.with(&id, Task::kill)?,
            Action::Send(status) => self.send(&status)?,
            Action::Remark(text) => say(&text),
            Action::Exit => self.is_over = true,
        }
        Ok(None)
    }

    fn start(&mut self, id: String) -> Option<Input> {
        let definition = self.definitions.remove(&id)?;
        // Which runtime an app is for is found out by its child.
        if definition.containerizer == Containerizer::Docker || definition.app.is_some() {
            self.warden.docker_is_used();
        }
        match self.means.start(&id, &definition) {
            Ok(task) => {
                self.tasks.push(task);
                None
            }
            Err(error) => {
                let (reason, message) = (Reason::LaunchFailed, render(&error));
                let end = End::NotStarted { reason, message };
                Some(Input::Task(id, Happening::Ended(end)))
            }
        }
    }

    fn with(&mut self, id: &str, what: impl FnOnce(&mut Task) -> Result<()>) -> Result<()> {
        match self.tasks.iter_mut().find(|task| task.id() == id) {
            Some(task) => what(task).or_else(|error| task.give_up(&error).map(drop)),
            None => Ok(()),
        }
    }

    fn send(&mut self, status: &Status) -> Result<()> {
        say(&format!("task {}: {}", status.task, described(status)));
        let call = Call::Update(status);
        let body = call.to_json(&self.configuration.identity)?;
        self.agent.call(body, call.kind());
        Ok(())
    }

    fn now(&self) -> Moment {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Moment {
            since: self.began.elapsed(),
            epoch: epoch.map_or(0.0, |it| it.as_secs_f64()),
        }
    }

    /// Lets the agent take what was said last.
    fn say_goodbye(&mut self) -> Result<()> {
        let deadline = Instant::now() + FAREWELL;
        self.agent.give_up();
        while self.agent.has_unsent() && Instant::now() < deadline {
            let wanted = self.agent.wanted().into_iter();
            let mut all: Vec<_> = wanted
                .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
                .collect();
            let due = self
                .agent
                .deadline()
                .map_or(deadline, |it| it.min(deadline));
            let left = due.saturating_duration_since(Instant::now());
            match poll(&mut all, Some(&Timespec::try_from(left)?)) {
                Ok(_) | Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
            drop(self.agent.step());
        }
        Ok(())
    }
}

fn described(status: &Status) -> String {
    let message = status.message.as_deref();
    let message = message.map_or(String::new(), |text| format!(": {text}"));
    let healthy = match status.healthy {
        Some(true) => ", healthy",
        Some(false) => ", not healthy",
        None => "",
    };
    format!("{}{healthy}{message}", status.state.name())
}

fn uuid() -> Uuid {
    // There are always random numbers once a machine is up.
    let number = || sys::random_number().unwrap_or_default();
    let [high, low] = [number().to_be_bytes(), number().to_be_bytes()];
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high);
    bytes[8..].copy_from_slice(&low);
    Uuid::random(bytes)
}

/// For whoever reads the sandbox's stderr.
fn say(text: &str) {
    output::remark("executor", text);
}
