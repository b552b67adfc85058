//! The life of one task: from what happens to it, what is told of it and what is done to it
//! (reference/mesos-ucr.md, sections 5.6, 5.8 and 5.10). Pure; times count from any one moment.
//!
//! ```text
//! Preparing ─► Running ─► Over         STARTING ─► RUNNING ─► [KILLING] ─► FINISHED, FAILED or KILLED
//!     └───────────────────►┘
//! ```

use std::net::IpAddr;
use std::time::Duration;

use super::api::{CheckStatus, Reason, State};
use crate::spec::SignalNumber;
use crate::sys::process::Exit;

/// Between SIGTERM and SIGKILL where nobody says anything.
pub const GRACE: Duration = Duration::from_secs(3);

/// What has to be known of a task's description.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Between SIGTERM and SIGKILL: its kill policy, or [`GRACE`].
    pub grace: Duration,
    /// How long it may run.
    pub max_completion: Option<Duration>,
    /// What its generic check says before it has said anything; `None` without a check.
    pub check: Option<CheckStatus>,
}

/// A description that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// [`Reason::TaskInvalid`] or [`Reason::TaskUnauthorized`].
    pub reason: Reason,
    /// Every finding.
    pub message: String,
}

/// Something that happens to a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// Its command is executed.
    Started {
        /// Its own addresses, if it has any.
        addresses: Vec<IpAddr>,
    },
    /// Its health check has a result that is to be told.
    Health {
        /// Whether it is well.
        healthy: bool,
        /// Why it has to end for it.
        fatal: Option<String>,
    },
    /// Its generic check has a result.
    Checked(CheckStatus),
    /// Its child has ended.
    Ended(End),
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The command ran and ended like this.
    Exited(Exit),
    /// The command was never executed.
    NotStarted {
        /// Why, for programs.
        reason: Reason,
        /// Why, for people.
        message: String,
    },
    /// The command ran, and how it ended is not known.
    Unseen {
        /// Why, for people.
        message: String,
    },
    /// The command ran out of something.
    Limited {
        /// [`Reason::MemoryLimit`] and its kind.
        reason: Reason,
        /// Of what and how much it had: `mem` or `disk`, in MiB.
        limitation: Option<(&'static str, f64)>,
        /// Of what, for people.
        message: String,
    },
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// The framework is to know it.
    Tell(News),
    /// Ask it to end.
    Terminate,
    /// End it.
    Kill,
}

/// What is new of a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    pub(super) state: State,
    pub(super) reason: Option<Reason>,
    pub(super) message: Option<String>,
    pub(super) limitation: Option<(&'static str, f64)>,
}

impl News {
    pub(super) fn plain(state: State) -> Self {
        Self {
            state,
            reason: None,
            message: None,
            limitation: None,
        }
    }

    pub(super) fn saying(state: State, message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::plain(state)
        }
    }

    fn because(self, reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            ..self
        }
    }
}

/// Why a task is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody said so: who and why.
    Asked(String),
    /// Its health check said so.
    Unhealthy(String),
    /// It ran for too long.
    TooLong,
}

/// A task that is to end.
#[derive(Debug)]
struct Killing {
    cause: Cause,
    begun: Duration,
    deadline: Duration,
    is_killed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Preparing,
    Running { since: Duration },
    Over,
}

/// One task. What stays the same from one update to the next is kept here.
#[derive(Debug)]
pub(super) struct Life {
    order: Order,
    phase: Phase,
    killing: Option<Killing>,
    pub(super) healthy: Option<bool>,
    pub(super) check: Option<CheckStatus>,
    pub(super) addresses: Vec<IpAddr>,
}

impl Life {
    /// One that begins: STARTING is to be told.
    pub(super) fn new(order: Order) -> Self {
        Self {
            check: order.check,
            order,
            phase: Phase::Preparing,
            killing: None,
            healthy: None,
            addresses: Vec::new(),
        }
    }

    /// Whether its terminal state was told.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// When something has to be done about it, if nothing happens.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match (&self.killing, self.phase) {
            (_, Phase::Over) => None,
            (Some(killing), _) => (!killing.is_killed).then_some(killing.deadline),
            (None, Phase::Running { since }) => {
                let limit = self.order.max_completion?;
                Some(since.saturating_add(limit))
            }
            (None, Phase::Preparing) => None,
        }
    }

    /// It is to end; said again, it can only be sooner. `tells`: the framework wants to hear of
    /// KILLING.
    pub(super) fn kill(
        &mut self,
        now: Duration,
        grace: Option<Duration>,
        cause: Cause,
        tells: bool,
    ) -> Vec<Step> {
        if self.is_over() {
            return Vec::new();
        }
        let grace = grace.unwrap_or(self.order.grace);
        if let Some(killing) = &mut self.killing {
            let deadline = killing.begun.saturating_add(grace);
            killing.deadline = killing.deadline.min(deadline);
            return self.tick(now, tells);
        }
        let is_running = matches!(self.phase, Phase::Running { .. });
        let mut steps = Vec::new();
        if tells && is_running && cause != Cause::TooLong {
            steps.push(Step::Tell(match &cause {
                Cause::Asked(why) | Cause::Unhealthy(why) => News::saying(State::Killing, why),
                Cause::TooLong => News::plain(State::Killing),
            }));
        }
        steps.push(Step::Terminate);
        self.killing = Some(Killing {
            cause,
            begun: now,
            deadline: now.saturating_add(grace),
            is_killed: false,
        });
        steps.extend(self.tick(now, tells));
        steps
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Duration, tells: bool) -> Vec<Step> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        match &mut self.killing {
            Some(killing) => {
                killing.is_killed = true;
                vec![Step::Kill]
            }
            None => self.kill(now, Some(Duration::ZERO), Cause::TooLong, tells),
        }
    }

    /// Something has happened.
    pub(super) fn happened(&mut self, now: Duration, what: Happening, tells: bool) -> Vec<Step> {
        match (what, self.phase) {
            (_, Phase::Over) => Vec::new(),
            (Happening::Started { addresses }, Phase::Preparing) => {
                self.phase = Phase::Running { since: now };
                self.addresses = addresses;
                // After the order to end it there is nothing between STARTING and the end.
                match self.killing {
                    Some(_) => Vec::new(),
                    None => vec![Step::Tell(News::plain(State::Running))],
                }
            }
            (Happening::Health { healthy, fatal }, Phase::Running { .. }) => {
                self.health(now, healthy, fatal, tells)
            }
            (Happening::Checked(status), Phase::Running { .. }) => self.checked(status),
            (Happening::Ended(end), _) => self.ended(end),
            (
                Happening::Started { .. } | Happening::Health { .. } | Happening::Checked(_),
                Phase::Preparing | Phase::Running { .. },
            ) => Vec::new(),
        }
    }

    fn health(
        &mut self,
        now: Duration,
        healthy: bool,
        fatal: Option<String>,
        tells: bool,
    ) -> Vec<Step> {
        if self.killing.is_some() {
            return Vec::new();
        }
        self.healthy = Some(healthy);
        let news = News::plain(State::Running).because(Reason::HealthCheckStatusUpdated);
        let mut steps = vec![Step::Tell(news)];
        if let Some(why) = fatal {
            steps.extend(self.kill(now, None, Cause::Unhealthy(why), tells));
        }
        steps
    }

    fn checked(&mut self, status: CheckStatus) -> Vec<Step> {
        if self.killing.is_some() || self.check == Some(status) {
            return Vec::new();
        }
        self.check = Some(status);
        let news = News::plain(State::Running).because(Reason::CheckStatusUpdated);
        vec![Step::Tell(news)]
    }

    fn ended(&mut self, end: End) -> Vec<Step> {
        let mut steps = Vec::new();
        let has_run = !matches!(end, End::NotStarted { .. });
        if self.phase == Phase::Preparing && self.killing.is_none() && has_run {
            steps.push(Step::Tell(News::plain(State::Running)));
        }
        self.phase = Phase::Over;
        steps.push(Step::Tell(match self.killing.take() {
            Some(killing) => after_kill(killing.cause, &end),
            None => by_itself(end),
        }));
        steps
    }
}

/// The terminal state of a task that was told to end: how it ended changes nothing.
fn after_kill(cause: Cause, end: &End) -> News {
    let how = match end {
        End::Exited(exit) => said(*exit),
        End::NotStarted { .. } => "Command was not started".to_owned(),
        End::Limited { message, .. } | End::Unseen { message } => message.clone(),
    };
    match cause {
        Cause::Asked(why) | Cause::Unhealthy(why) => {
            News::saying(State::Killed, format!("{why}. {how}"))
        }
        Cause::TooLong => News::saying(State::Failed, "Task exceeded max completion time")
            .because(Reason::MaxCompletionTime),
    }
}

fn by_itself(end: End) -> News {
    match end {
        End::Exited(Exit::Code(0)) => News::saying(State::Finished, said(Exit::Code(0))),
        End::Exited(exit) => News::saying(State::Failed, said(exit)),
        End::Unseen { message } => News::saying(State::Failed, message),
        End::NotStarted { reason, message } => {
            let state = match reason {
                Reason::TaskInvalid | Reason::TaskUnauthorized => State::Error,
                _ => State::Failed,
            };
            News::saying(state, message).because(reason)
        }
        End::Limited {
            reason,
            limitation,
            message,
        } => News {
            limitation,
            ..News::saying(State::Failed, message).because(reason)
        },
    }
}

/// In Mesos's words.
fn said(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => {
            let signal = code.checked_sub(128).and_then(signal_name);
            let signal = signal.map(|name| format!(" (as after signal {name})"));
            let signal = signal.unwrap_or_default();
            format!("Command exited with status {code}{signal}")
        }
        Exit::Signal(number) => {
            let name = signal_name(number).unwrap_or_else(|| number.to_string());
            format!("Command terminated with signal {name}")
        }
    }
}

fn signal_name(number: u8) -> Option<String> {
    let signal = number.to_string().parse::<SignalNumber>().ok()?;
    Some(signal.to_string())
}

#[cfg(test)]
mod tests;
