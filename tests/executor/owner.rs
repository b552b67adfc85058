//! Who owns an [`Agent`] in these tests: polls as the executor does, and keeps what it heard.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use ucr::executor::agent::{Agent, Heard, Times};
use ucr::executor::api::{Event, Identity};
use ucr::executor::environment::configuration;

use crate::support::fake_agent::{AGENT, EXECUTOR, FRAMEWORK, FakeAgent};

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Owner {
    pub agent: Agent,
    pub events: Vec<Event>,
    /// Reasons, and when they were heard.
    pub lost: Vec<(String, Instant)>,
    pub refused: Vec<(u16, String, &'static str)>,
    /// How often it was time for SUBSCRIBE.
    pub vacant: usize,
    /// `subscribe` of the next SUBSCRIBE.
    pub subscribe: Value,
}

/// Limits that tests can wait for.
pub const TIMES: Times = Times {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(10),
    heartbeat: Duration::from_secs(1800),
};

impl Owner {
    pub fn new(agent: &FakeAgent) -> Self {
        Self::with(agent.environment(), TIMES)
    }

    pub fn with(variables: Vec<(String, String)>, times: Times) -> Self {
        Self::try_with(variables, times).unwrap()
    }

    pub fn try_with(
        variables: Vec<(String, String)>,
        times: Times,
    ) -> Result<Self, ucr::error::Fault> {
        let get = |name: &str| {
            let found = variables.iter().rfind(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let configuration = configuration(&get)?;
        assert_eq!(
            configuration.identity,
            Identity {
                framework: FRAMEWORK.to_owned(),
                executor: EXECUTOR.to_owned()
            }
        );
        Ok(Self {
            agent: Agent::with(&configuration, times)?,
            events: Vec::new(),
            lost: Vec::new(),
            refused: Vec::new(),
            vacant: 0,
            subscribe: json!({"unacknowledged_tasks": [], "unacknowledged_updates": []}),
        })
    }

    /// One turn of the loop; `until` at the latest.
    pub fn turn(&mut self, until: Instant) {
        let due = self.agent.deadline().unwrap_or(until).min(until);
        let left = due.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let wanted = self.agent.wanted();
        let mut fds: Vec<PollFd> = wanted
            .iter()
            .map(|(fd, flags): &(_, PollFlags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        poll(&mut fds, Some(&left)).unwrap();
        for heard in self.agent.step() {
            match heard {
                Heard::Vacant => {
                    self.vacant += 1;
                    let call = json!({"type": "SUBSCRIBE", "subscribe": self.subscribe,
                        "framework_id": {"value": FRAMEWORK},
                        "executor_id": {"value": EXECUTOR}});
                    self.agent.subscribe(call.to_string().into_bytes());
                }
                Heard::Event(event) => self.events.push(event),
                Heard::Lost(why) => self.lost.push((why, Instant::now())),
                Heard::Refused { status, why, kind } => self.refused.push((status, why, kind)),
            }
        }
    }

    /// Goes on for a while.
    pub fn run(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(until);
        }
    }

    /// Goes on until something is so. Fails when the loop turns without anything to do.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        let mut turns = 0;
        while !is_so(self) {
            let glance = Instant::now() + Duration::from_millis(20);
            self.turn(glance.min(begin + PATIENCE));
            turns += 1;
            assert!(
                begin.elapsed() < PATIENCE && turns < 100_000,
                "{what}: not after {:?} and {turns} turns; lost: {:?}; events: {}",
                begin.elapsed(),
                self.lost,
                self.events.len()
            );
        }
    }

    /// Goes on until there have been so many SUBSCRIBED.
    pub fn subscribed(&mut self, times: usize) {
        self.until("SUBSCRIBED", |it| it.count_subscribed() >= times);
    }

    pub fn count_subscribed(&self) -> usize {
        let events = self.events.iter();
        events
            .filter(|it| matches!(it, Event::Subscribed(_)))
            .count()
    }

    pub fn update(&mut self, task: &str, state: &str, number: u8) {
        let uuid = uuid(number);
        let call = json!({"type": "UPDATE", "framework_id": {"value": FRAMEWORK},
            "executor_id": {"value": EXECUTOR}, "update": {"status": status(task, state, &uuid)}});
        self.agent.call(call.to_string().into_bytes(), "UPDATE");
    }

    /// The uuids that were acknowledged, in order.
    pub fn acknowledged(&self) -> usize {
        let events = self.events.iter();
        events
            .filter(|it| matches!(it, Event::Acknowledged { .. }))
            .count()
    }

    pub fn why(&self, number: usize) -> &str {
        &self.lost[number].0
    }
}

pub fn status(task: &str, state: &str, uuid: &str) -> Value {
    json!({"task_id": {"value": task}, "state": state, "uuid": uuid, "timestamp": 1.5,
        "source": "SOURCE_EXECUTOR", "agent_id": {"value": AGENT},
        "executor_id": {"value": EXECUTOR}})
}

/// Sixteen bytes as base64.
pub fn uuid(number: u8) -> String {
    use base64::Engine;
    let mut bytes = [7; 16];
    bytes[0] = number;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
