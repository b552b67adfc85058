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
        End::Limited { message, .. } => message.clone(),
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
        Exit::Code(code) => format!("Command exited with status {code}"),
        Exit::Signal(number) => {
            let signal = number.to_string().parse::<SignalNumber>();
            let name = signal.map_or_else(|_| number.to_string(), |signal| signal.to_string());
            format!("Command terminated with signal {name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn order() -> Order {
        Order {
            grace: at(20),
            max_completion: None,
            check: None,
        }
    }

    fn running() -> Life {
        let mut life = Life::new(order());
        let started = Happening::Started {
            addresses: Vec::new(),
        };
        assert_eq!(
            states(&life.happened(at(0), started, true)),
            [State::Running]
        );
        life
    }

    fn asked() -> Cause {
        Cause::Asked("Killed on request".into())
    }

    fn states(steps: &[Step]) -> Vec<State> {
        let state = |step: &Step| match step {
            Step::Tell(news) => Some(news.state),
            Step::Terminate | Step::Kill => None,
        };
        steps.iter().filter_map(state).collect()
    }

    fn exited(code: u8) -> Happening {
        Happening::Ended(End::Exited(Exit::Code(code)))
    }

    fn last(steps: &[Step]) -> News {
        match steps.last() {
            Some(Step::Tell(news)) => news.clone(),
            other => panic!("{other:?} is no news"),
        }
    }

    #[test]
    fn ends_of_its_own() {
        let launch = End::NotStarted {
            reason: Reason::LaunchFailed,
            message: "pull x: denied".into(),
        };
        let memory = End::Limited {
            reason: Reason::MemoryLimit,
            limitation: Some(("mem", 64.0)),
            message: "Memory limit exceeded".into(),
        };
        let rows = [
            (
                End::Exited(Exit::Code(0)),
                State::Finished,
                "Command exited with status 0",
            ),
            (
                End::Exited(Exit::Code(3)),
                State::Failed,
                "Command exited with status 3",
            ),
            (
                End::Exited(Exit::Signal(11)),
                State::Failed,
                "Command terminated with signal SIGSEGV",
            ),
            (launch, State::Failed, "pull x: denied"),
            (memory, State::Failed, "Memory limit exceeded"),
        ];
        for (end, state, message) in rows {
            let mut life = running();
            let steps = life.happened(at(1), Happening::Ended(end.clone()), true);
            let news = last(&steps);
            assert_eq!(
                (news.state, news.message.as_deref()),
                (state, Some(message))
            );
            assert!(life.is_over());
            assert!(life.happened(at(1), Happening::Ended(end), true).is_empty());
            assert!(life.kill(at(1), None, asked(), true).is_empty());
        }
    }

    /// Graces of the orders at 0 s and 2 s; when it is killed.
    #[test]
    fn a_second_order_can_only_be_sooner() {
        let rows = [
            (20, 30, 20),
            (20, 20, 20),
            (20, 5, 5),
            (20, 1, 2),
            (5, 20, 5),
            (20, 0, 2),
        ];
        for (first, second, expected) in rows {
            let mut life = running();
            let steps = life.kill(at(0), Some(at(first)), asked(), true);
            assert!(steps.contains(&Step::Terminate) && !steps.contains(&Step::Kill));
            let steps = life.kill(at(2), Some(at(second)), asked(), true);
            assert!(!steps.contains(&Step::Terminate) && states(&steps).is_empty());
            if expected == 2 {
                assert_eq!(steps, [Step::Kill], "{first} {second}");
                continue;
            }
            assert_eq!(life.deadline(), Some(at(expected)), "{first} {second}");
            assert!(life.tick(at(expected - 1), true).is_empty());
            assert_eq!(life.tick(at(expected), true), [Step::Kill]);
            assert!(life.tick(at(100), true).is_empty(), "once");
        }
    }

    #[test]
    fn an_order_to_end_decides() {
        for tells in [true, false] {
            let mut life = running();
            let steps = life.kill(at(0), None, asked(), tells);
            let expected = if tells {
                vec![State::Killing]
            } else {
                Vec::new()
            };
            assert_eq!(states(&steps), expected);
            assert_eq!(life.deadline(), Some(at(20)), "its own grace");
            let news = last(&life.happened(at(1), exited(0), tells));
            assert_eq!((news.state, news.reason), (State::Killed, None));
            let message = news.message.unwrap();
            assert_eq!(message, "Killed on request. Command exited with status 0");
        }
    }

    #[test]
    fn no_grace_is_no_grace() {
        let mut life = running();
        let steps = life.kill(at(0), Some(at(0)), asked(), false);
        assert_eq!(steps, [Step::Terminate, Step::Kill]);
    }

    #[test]
    fn killed_while_its_image_is_pulled() {
        for late_start in [false, true] {
            let mut life = Life::new(order());
            assert_eq!(life.kill(at(0), None, asked(), true), [Step::Terminate]);
            let end = if late_start {
                let started = Happening::Started {
                    addresses: Vec::new(),
                };
                assert!(life.happened(at(1), started, true).is_empty());
                End::Exited(Exit::Signal(15))
            } else {
                End::NotStarted {
                    reason: Reason::LaunchFailed,
                    message: "interrupted".into(),
                }
            };
            let steps = life.happened(at(1), Happening::Ended(end), true);
            assert_eq!(states(&steps), [State::Killed]);
            assert_eq!(last(&steps).reason, None);
        }
    }

    #[test]
    fn what_ended_has_run() {
        let mut life = Life::new(order());
        let steps = life.happened(at(0), exited(0), true);
        assert_eq!(states(&steps), [State::Running, State::Finished]);
    }

    #[test]
    fn health() {
        let mut life = running();
        let result = |healthy, fatal: Option<&str>| Happening::Health {
            healthy,
            fatal: fatal.map(str::to_owned),
        };
        let news = last(&life.happened(at(1), result(true, None), true));
        assert_eq!(news.reason, Some(Reason::HealthCheckStatusUpdated));
        assert_eq!(life.healthy, Some(true));
        let steps = life.happened(at(2), result(false, Some("Failed 3 times")), true);
        assert_eq!(states(&steps), [State::Running, State::Killing]);
        assert_eq!(life.deadline(), Some(at(22)));
        assert!(
            life.happened(at(3), result(true, None), true).is_empty(),
            "paused"
        );
        let news = last(&life.happened(at(4), exited(0), true));
        assert_eq!((news.state, life.healthy), (State::Killed, Some(false)));
        assert!(news.message.unwrap().starts_with("Failed 3 times. "));
    }

    #[test]
    fn the_generic_check_tells_changes_only() {
        let mut life = Life::new(Order {
            check: Some(CheckStatus::Command(None)),
            ..order()
        });
        let mut told = Vec::new();
        life.happened(
            at(0),
            Happening::Started {
                addresses: Vec::new(),
            },
            true,
        );
        assert_eq!(life.check, Some(CheckStatus::Command(None)));
        for code in [0, 0, 1, 1, 0] {
            let checked = Happening::Checked(CheckStatus::Command(Some(code)));
            told.extend(life.happened(at(1), checked, true));
        }
        assert_eq!(told.len(), 3);
        assert_eq!(last(&told).reason, Some(Reason::CheckStatusUpdated));
    }

    #[test]
    fn too_long() {
        let mut life = Life::new(Order {
            max_completion: Some(at(1)),
            ..order()
        });
        assert_eq!(life.deadline(), None, "a pull is no run");
        life.happened(
            at(10),
            Happening::Started {
                addresses: Vec::new(),
            },
            true,
        );
        assert_eq!(life.deadline(), Some(at(11)));
        assert_eq!(life.tick(at(11), true), [Step::Terminate, Step::Kill]);
        let news = last(&life.happened(at(11), exited(137), true));
        assert_eq!(news.state, State::Failed);
        assert_eq!(news.reason, Some(Reason::MaxCompletionTime));
    }
}
