//! All tasks of an executor, its agent, and its end (reference/mesos-ucr.md, sections 5.6 to 5.9):
//! inputs in, actions out. Pure: clock and random numbers come from outside, and whoever does the
//! actions does them in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::api::{Call, CheckStatus, Event, State, Status, TASK_KILLING_STATE, Task, Uuid};
use super::task::{Cause, Happening, Life, News, Order, Refusal, Step};
use super::updates::Unacknowledged;

/// How long the last updates may go unacknowledged on an open stream.
const FAILSAFE: Duration = Duration::from_secs(60);
/// What is kept back of the time that a shutdown may take, for updates and for the end of ucr.
const SLACK: Duration = Duration::from_secs(2);

/// What the agent and the operator decide.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Our own ID.
    pub executor: String,
    /// The agent's, as far as it is known before it says so.
    pub agent: Option<String>,
    /// Tasks outlive a lost stream.
    pub checkpoint: bool,
    /// For how long they do.
    pub recovery_timeout: Duration,
    /// How long a shutdown may take.
    pub shutdown_grace: Duration,
    /// How long an executor without tasks waits for another one.
    pub linger: Duration,
}

/// When something happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Since the executor's start; never goes back.
    pub since: Duration,
    /// Seconds since 1970.
    pub epoch: f64,
}

/// A task and what is made of it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// As the agent describes it.
    pub task: Task,
    /// What that means.
    pub order: Result<Order, Refusal>,
}

/// Something happens.
#[derive(Clone, Debug)]
pub enum Input {
    /// LAUNCH, once it is understood.
    Launch(Box<Launch>),
    /// LAUNCH_GROUP, once it is understood.
    LaunchGroup(Vec<Launch>),
    /// The agent says anything else.
    Event(Event),
    /// There is no stream any more, or an attempt to open one has failed.
    Disconnected,
    /// Something happens to a task.
    Task(String, Happening),
    /// Nothing but time.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start it: pull its image, run it.
    Start(String),
    /// Ask it to end, whatever it does.
    Terminate(String),
    /// End it.
    Kill(String),
    /// Send an update, after those before it were answered.
    Send(Status),
    /// Tell whoever reads our log.
    Remark(String),
    /// Everything is over.
    Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Open,
    Lost { since: Duration },
}

/// A task and those that it lives and dies with.
#[derive(Debug)]
struct Member {
    life: Life,
    group: Option<u64>,
}

/// The executor.
#[derive(Debug)]
pub struct Machine {
    policy: Policy,
    stream: Stream,
    was_open: bool,
    tells_killing: bool,
    members: BTreeMap<String, Member>,
    groups: u64,
    updates: Unacknowledged,
    /// When updates were sent last.
    sent: Duration,
    /// Since when there is nothing to do; not before the first task.
    idle: Option<Duration>,
    had_tasks: bool,
    /// When a shutdown has to be over.
    end: Option<Duration>,
    is_over: bool,
}

/// One input that is being worked on.
struct Turn<'a> {
    machine: &'a mut Machine,
    now: Moment,
    uuid: &'a mut dyn FnMut() -> Uuid,
    actions: Vec<Action>,
}

impl Machine {
    /// One that has not subscribed yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            stream: Stream::Lost {
                since: Duration::ZERO,
            },
            was_open: false,
            tells_killing: false,
            members: BTreeMap::new(),
            groups: 0,
            updates: Unacknowledged::default(),
            sent: Duration::ZERO,
            idle: None,
            had_tasks: false,
            end: None,
            is_over: false,
        }
    }

    /// The call that opens a stream, with everything that the agent may not know.
    pub fn subscribe(&mut self) -> Call<'_> {
        self.updates.subscribe()
    }

    /// What follows from an input; each call of `uuid` gives another one.
    pub fn handle(
        &mut self,
        now: Moment,
        input: Input,
        uuid: &mut dyn FnMut() -> Uuid,
    ) -> Vec<Action> {
        if self.is_over {
            return Vec::new();
        }
        let mut turn = Turn {
            machine: self,
            now,
            uuid,
            actions: Vec::new(),
        };
        turn.take(input);
        turn.tick();
        turn.actions
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        if self.is_over {
            return None;
        }
        let lives = self.members.values();
        let lives = lives.filter_map(|member| member.life.deadline());
        let recovery = match (self.end, self.stream) {
            (None, Stream::Lost { since }) => {
                Some(since.saturating_add(self.policy.recovery_timeout))
            }
            _ => None,
        };
        let idle = self.idle.map(|it| it.saturating_add(self.policy.linger));
        let is_waiting = self.had_tasks && self.end.is_none() && self.all_over();
        let failsafe = (is_waiting && self.stream == Stream::Open && !self.updates.is_empty())
            .then(|| self.sent.saturating_add(FAILSAFE));
        let rest = [recovery, idle, failsafe, self.end].into_iter().flatten();
        lives.chain(rest).min()
    }

    fn all_over(&self) -> bool {
        self.members.values().all(|member| member.life.is_over())
    }
}

impl Turn<'_> {
    fn take(&mut self, input: Input) {
        match input {
            Input::Launch(launch) => self.launch(vec![*launch], None),
            Input::LaunchGroup(launches) => {
                self.machine.groups += 1;
                let group = self.machine.groups;
                self.launch(launches, Some(group));
            }
            Input::Event(event) => self.hear(event),
            Input::Disconnected => self.lose(),
            Input::Task(id, what) => {
                self.step(&id, |life, now, tells| life.happened(now, what, tells))
            }
            Input::Tick => (),
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Subscribed(it) => {
                self.machine.tells_killing = it.has_capability(TASK_KILLING_STATE);
                if it.agent.is_some() {
                    self.machine.policy.agent = it.agent;
                }
                self.machine.stream = Stream::Open;
                self.machine.was_open = true;
                self.machine.sent = self.now.since;
                let unsent = self.machine.updates.unsent();
                self.actions.extend(unsent.into_iter().map(Action::Send));
            }
            Event::Launch(task) => self.remark(format!("task {}: nobody understood it", task.id)),
            Event::LaunchGroup(_) => self.remark("a group of tasks: nobody understood it".into()),
            Event::Kill { task, grace } => {
                if !self.machine.members.contains_key(&task) {
                    self.remark(format!(
                        "task {task} is to be killed, but there is no such task"
                    ));
                }
                self.kill(&task, grace, "Killed on request");
            }
            Event::Acknowledged { task, uuid } => self.acknowledged(&task, uuid),
            Event::Shutdown => self.shut_down("The agent ended the executor"),
            Event::Error(message) => {
                self.remark(format!("the agent refuses this executor: {message}"));
                self.shut_down("The agent refused the executor");
            }
            Event::Message(_) => self.remark("a message of the framework: ignored".into()),
            Event::Heartbeat => (),
            Event::Unknown(kind) => self.remark(format!("an event of type {kind}: ignored")),
        }
    }

    fn remark(&mut self, text: String) {
        self.actions.push(Action::Remark(text));
    }

    /// All of them or none.
    fn launch(&mut self, launches: Vec<Launch>, group: Option<u64>) {
        // A name that a group says twice, too: it would have two ends.
        let mut names = BTreeSet::new();
        let (new, known): (Vec<_>, Vec<_>) = launches.into_iter().partition(|launch| {
            let id = &launch.task.id;
            !self.machine.members.contains_key(id) && names.insert(id.clone())
        });
        for launch in known {
            self.remark(format!("task {} is there already", launch.task.id));
        }
        let refused = new.iter().find(|launch| launch.order.is_err());
        let refused = refused.map(|launch| launch.task.id.clone());
        let obstacle = match (refused, self.machine.end) {
            (_, Some(_)) => Some("Not started: the executor is ending".to_owned()),
            (Some(id), None) => Some(format!("Not started: task {id} of its group is refused")),
            (None, None) => None,
        };
        for Launch { task, order } in new {
            self.machine.had_tasks = true;
            self.machine.idle = None;
            self.machine.updates.add_task(task.id.clone(), task.info);
            match (order, &obstacle) {
                (Err(Refusal { reason, message }), _) => {
                    let news = News {
                        reason: Some(reason),
                        ..News::saying(State::Error, message)
                    };
                    self.tell(&task.id, news, None);
                }
                (Ok(_), Some(why)) => self.tell(&task.id, News::saying(State::Killed, why), None),
                (Ok(order), None) => {
                    let life = Life::new(order);
                    let member = Member { life, group };
                    self.machine.members.insert(task.id.clone(), member);
                    self.tell_of(&task.id, News::plain(State::Starting));
                    self.actions.push(Action::Start(task.id));
                }
            }
        }
    }

    fn kill(&mut self, id: &str, grace: Option<Duration>, why: &str) {
        let cause = Cause::Asked(why.to_owned());
        self.step(id, |life, now, tells| life.kill(now, grace, cause, tells));
    }

    /// Does what follows for a task, and for those of its group if that was its end.
    fn step(&mut self, id: &str, what: impl FnOnce(&mut Life, Duration, bool) -> Vec<Step>) {
        let tells = self.machine.tells_killing;
        let Some(member) = self.machine.members.get_mut(id) else {
            return;
        };
        let group = member.group;
        let mut end = None;
        for step in what(&mut member.life, self.now.since, tells) {
            match step {
                Step::Tell(news) => {
                    end = Some(news.state).filter(|state| state.is_terminal());
                    self.tell_of(id, news);
                }
                Step::Terminate => self.actions.push(Action::Terminate(id.to_owned())),
                Step::Kill => self.actions.push(Action::Kill(id.to_owned())),
            }
        }
        if let (Some(group), Some(State::Failed | State::Killed | State::Error)) = (group, end) {
            self.end_group(group, id);
        }
    }

    fn end_group(&mut self, group: u64, first: &str) {
        let members = self.machine.members.iter();
        let rest = members.filter(|(_, it)| it.group == Some(group) && !it.life.is_over());
        let rest: Vec<String> = rest.map(|(id, _)| id.clone()).collect();
        for id in rest {
            self.kill(&id, None, &format!("Task {first} of its group has ended"));
        }
    }

    /// What is new of a task that lives.
    fn tell_of(&mut self, id: &str, news: News) {
        let Some(member) = self.machine.members.get(id) else {
            return;
        };
        let life = &member.life;
        let lasting = (life.healthy, life.check, life.addresses.clone());
        self.tell(id, news, Some(lasting));
    }

    fn tell(&mut self, id: &str, news: News, lasting: Option<Lasting>) {
        let (healthy, check, addresses) = lasting.unwrap_or_default();
        let machine = &mut *self.machine;
        let status = Status {
            task: id.to_owned(),
            state: news.state,
            uuid: (self.uuid)(),
            timestamp: self.now.epoch,
            agent: machine.policy.agent.clone(),
            executor: machine.policy.executor.clone(),
            reason: news.reason,
            message: news.message,
            healthy,
            check,
            addresses,
            limitation: news.limitation,
            data: Vec::new(),
        };
        let is_open = machine.stream == Stream::Open;
        machine.updates.add(status.clone(), is_open);
        if is_open {
            machine.sent = self.now.since;
            self.actions.push(Action::Send(status));
        }
    }

    fn acknowledged(&mut self, task: &str, uuid: Uuid) {
        // A stranger's, or for the second time: agents do that after they were restarted.
        if !self.machine.updates.acknowledge(task, uuid) {
            return;
        }
        let member = self.machine.members.get(task);
        let is_over = member.is_some_and(|member| member.life.is_over());
        if is_over && self.machine.updates.is_clear(task) {
            self.machine.members.remove(task);
        }
    }

    fn lose(&mut self) {
        if self.machine.stream != Stream::Open {
            return;
        }
        self.machine.stream = Stream::Lost {
            since: self.now.since,
        };
        if !self.machine.policy.checkpoint {
            self.shut_down("The agent is gone, and the framework does not checkpoint");
        }
    }

    fn shut_down(&mut self, why: &str) {
        if self.machine.end.is_some() {
            return;
        }
        let whole = self.machine.policy.shutdown_grace;
        let slack = SLACK.min(whole / 2);
        let grace = whole.saturating_sub(slack);
        let end = self
            .now
            .since
            .saturating_add(whole.saturating_sub(slack / 2));
        self.machine.end = Some(end);
        let ids: Vec<String> = self.machine.members.keys().cloned().collect();
        for id in ids {
            self.kill(&id, Some(grace), why);
        }
    }

    /// What is due, and whether that was all.
    fn tick(&mut self) {
        let now = self.now.since;
        let ids: Vec<String> = self.machine.members.keys().cloned().collect();
        for id in ids {
            self.step(&id, |life, now, tells| life.tick(now, tells));
        }
        if let Stream::Lost { since } = self.machine.stream {
            let deadline = since.saturating_add(self.machine.policy.recovery_timeout);
            if now >= deadline {
                self.shut_down(match self.machine.was_open {
                    true => "The agent did not come back",
                    false => "The agent never answered",
                });
            }
        }
        if self.is_the_end() {
            self.machine.is_over = true;
            self.actions.push(Action::Exit);
        }
    }

    fn is_the_end(&mut self) -> bool {
        let now = self.now.since;
        let machine = &mut *self.machine;
        let (all_over, all_known) = (machine.all_over(), machine.updates.is_empty());
        let is_open = machine.stream == Stream::Open;
        if let Some(end) = machine.end {
            return now >= end || all_over && (all_known || !is_open);
        }
        if !machine.had_tasks || !all_over {
            return false;
        }
        if all_known {
            let idle = *machine.idle.get_or_insert(now);
            return now >= idle.saturating_add(machine.policy.linger);
        }
        is_open && now >= machine.sent.saturating_add(FAILSAFE)
    }
}

/// What every update of a task says again: health, generic check, addresses.
type Lasting = (Option<bool>, Option<CheckStatus>, Vec<IpAddr>);

#[cfg(test)]
mod tests;
