//! Scripts of inputs, and what has to come of them; cases 64 to 77 of reference/mesos-ucr.md as far
//! as they are decisions.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::executor::api::Subscribed;
use crate::executor::task::End;
use crate::sys::process::Exit;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn policy() -> Policy {
    Policy {
        executor: "e".into(),
        agent: Some("a".into()),
        checkpoint: true,
        recovery_timeout: at(900),
        shutdown_grace: at(5),
        linger: Duration::ZERO,
    }
}

/// A machine with a clock that goes when it is told to.
struct Script {
    machine: Machine,
    now: Duration,
    last_uuid: u8,
    sent: Vec<Status>,
}

impl Script {
    fn new(policy: Policy) -> Self {
        Self {
            machine: Machine::new(policy),
            now: Duration::ZERO,
            last_uuid: 0,
            sent: Vec::new(),
        }
    }

    fn open(policy: Policy) -> Self {
        let mut script = Self::new(policy);
        script.subscribed(&["TASK_KILLING_STATE"]);
        script
    }

    fn give(&mut self, input: Input) -> Vec<Action> {
        let now = Moment {
            since: self.now,
            epoch: 1e9,
        };
        let last = &mut self.last_uuid;
        let mut uuid = || {
            *last += 1;
            Uuid::random([*last; 16])
        };
        let actions = self.machine.handle(now, input, &mut uuid);
        self.sent.extend(actions.iter().filter_map(|it| match it {
            Action::Send(status) => Some(status.clone()),
            _ => None,
        }));
        actions
    }

    fn subscribed(&mut self, capabilities: &[&str]) -> Vec<Action> {
        self.give(subscribed(capabilities))
    }

    fn launch(&mut self, id: &str) -> Vec<Action> {
        self.give(Input::Launch(Box::new(launch(id))))
    }

    fn start(&mut self, id: &str) -> Vec<Action> {
        let addresses = Vec::new();
        self.give(Input::Task(id.into(), Happening::Started { addresses }))
    }

    fn exit(&mut self, id: &str, code: u8) -> Vec<Action> {
        let end = End::Exited(Exit::Code(code));
        self.give(Input::Task(id.into(), Happening::Ended(end)))
    }

    fn kill(&mut self, id: &str, grace: Option<Duration>) -> Vec<Action> {
        let task = id.into();
        self.give(Input::Event(Event::Kill { task, grace }))
    }

    /// Of all that was sent.
    fn acknowledge(&mut self) -> Vec<Action> {
        let all: Vec<_> = self
            .sent
            .iter()
            .map(|it| (it.task.clone(), it.uuid))
            .collect();
        let mut actions = Vec::new();
        for (task, uuid) in all {
            actions.extend(self.give(Input::Event(Event::Acknowledged { task, uuid })));
        }
        actions
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        self.now = now;
        self.give(Input::Tick)
    }

    fn states(&self, id: &str) -> Vec<State> {
        let own = self.sent.iter().filter(|it| it.task == id);
        own.map(|it| it.state).collect()
    }

    /// Tasks and updates of the next SUBSCRIBE.
    fn unacknowledged(&mut self) -> (usize, Vec<State>) {
        match self.machine.subscribe() {
            Call::Subscribe { tasks, updates } => {
                (tasks.len(), updates.iter().map(|it| it.state).collect())
            }
            other => panic!("{other:?}"),
        }
    }
}

fn subscribed(capabilities: &[&str]) -> Input {
    let subscribed = Subscribed {
        executor: json!({}),
        framework: None,
        user: None,
        capabilities: capabilities.iter().map(|it| (*it).to_owned()).collect(),
        agent: Some("a".into()),
        host_name: None,
        container: None,
    };
    Input::Event(Event::Subscribed(Box::new(subscribed)))
}

fn launch(id: &str) -> Launch {
    Launch {
        task: Task {
            id: id.into(),
            info: json!({ "task_id": { "value": id } }),
        },
        order: Ok(Order {
            grace: at(3),
            max_completion: None,
            check: None,
        }),
    }
}

fn refused(id: &str) -> Launch {
    Launch {
        order: Err(Refusal {
            reason: crate::executor::api::Reason::TaskInvalid,
            message: "/container: is required".into(),
        }),
        ..launch(id)
    }
}

fn ends(actions: &[Action]) -> bool {
    actions.contains(&Action::Exit)
}

const ALL: [State; 3] = [State::Starting, State::Running, State::Finished];

#[test]
fn a_task_from_beginning_to_end() {
    let mut script = Script::open(policy());
    assert!(script.launch("t").contains(&Action::Start("t".into())));
    script.start("t");
    assert!(!ends(&script.exit("t", 0)));
    assert_eq!(script.states("t"), ALL);
    let uuids: BTreeSet<_> = script.sent.iter().map(|it| it.uuid).collect();
    assert_eq!(uuids.len(), 3);
    assert!(
        script
            .sent
            .iter()
            .all(|it| it.agent.as_deref() == Some("a") && it.executor == "e")
    );
    assert!(ends(&script.acknowledge()));
    assert_eq!(script.machine.deadline(), None);
    assert!(script.launch("u").is_empty(), "it is over");
}

#[test]
fn what_the_agent_may_not_know_is_said_again() {
    let mut script = Script::open(policy());
    script.launch("t");
    script.start("t");
    script.give(Input::Disconnected);
    let both = (1, vec![State::Starting, State::Running]);
    assert_eq!(script.unacknowledged(), both);
    // Made while the call is on its way: not in it, and so sent as soon as the stream is open.
    assert!(script.exit("t", 0).is_empty());
    let actions = script.subscribed(&[]);
    assert!(matches!(&actions[..], [Action::Send(status)] if status.state == State::Finished));
    let first = script.sent[0].clone();
    script.give(Input::Event(Event::Acknowledged {
        task: "t".into(),
        uuid: first.uuid,
    }));
    let rest = (0, vec![State::Running, State::Finished]);
    assert_eq!(script.unacknowledged(), rest);
    script.give(Input::Disconnected);
    script.machine.subscribe();
    assert!(script.subscribed(&[]).is_empty(), "they were in the call");
    assert!(ends(&script.acknowledge()));
}

#[test]
fn acknowledgements_come_at_any_time() {
    let mut script = Script::new(policy());
    let unknown = Event::Acknowledged {
        task: "x".into(),
        uuid: Uuid::random([9; 16]),
    };
    assert!(script.give(Input::Event(unknown.clone())).is_empty());
    script.subscribed(&[]);
    script.launch("t");
    script.acknowledge();
    script.acknowledge();
    script.give(Input::Event(unknown));
    assert_eq!(script.unacknowledged(), (0, Vec::new()));
}

#[test]
fn without_checkpoint_a_lost_stream_is_the_end() {
    let mut script = Script::open(Policy {
        checkpoint: false,
        ..policy()
    });
    script.launch("t");
    script.start("t");
    assert!(
        script
            .give(Input::Disconnected)
            .contains(&Action::Terminate("t".into()))
    );
    assert!(script.tick(at(3)).contains(&Action::Kill("t".into())));
    assert!(ends(&script.exit("t", 137)));
    assert_eq!(script.unacknowledged().1.last(), Some(&State::Killed));
}

#[test]
fn with_checkpoint_tasks_live_until_the_recovery_timeout() {
    let mut script = Script::open(policy());
    script.launch("t");
    script.start("t");
    script.now = at(10);
    script.give(Input::Disconnected);
    for seconds in [11, 100, 909] {
        script.now = at(seconds);
        assert!(
            script.give(Input::Disconnected).is_empty(),
            "nor is it put off"
        );
    }
    assert_eq!(script.machine.deadline(), Some(at(910)));
    assert!(
        script
            .tick(at(910))
            .contains(&Action::Terminate("t".into()))
    );
    assert!(ends(&script.exit("t", 0)));

    let mut script = Script::open(policy());
    script.launch("t");
    script.give(Input::Disconnected);
    script.now = at(800);
    script.subscribed(&[]);
    assert!(script.tick(at(2000)).is_empty(), "it came back");
}

#[test]
fn shutdown() {
    let mut script = Script::open(policy());
    for id in ["a", "b"] {
        script.launch(id);
        script.start(id);
    }
    let actions = script.give(Input::Event(Event::Shutdown));
    for id in ["a", "b"] {
        assert!(actions.contains(&Action::Terminate(id.into())));
    }
    script.exit("a", 143);
    assert!(script.tick(at(3)).contains(&Action::Kill("b".into())));
    assert!(!ends(&script.exit("b", 137)));
    assert_eq!(script.states("b").last(), Some(&State::Killed));
    script.launch("c");
    assert_eq!(script.states("c"), [State::Killed]);
    assert_eq!(script.machine.deadline(), Some(at(4)));
    assert!(ends(&script.tick(at(4))), "acknowledged or not");

    let mut idle = Script::open(policy());
    assert!(ends(&idle.give(Input::Event(Event::Shutdown))));
    let mut refused = Script::open(policy());
    assert!(ends(&refused.give(Input::Event(Event::Error("no".into())))));
    let mut hung = Script::open(policy());
    hung.launch("t");
    hung.give(Input::Event(Event::Shutdown));
    assert!(ends(&hung.tick(at(4))), "no matter what hangs");
    assert!(hung.states("t").iter().all(|state| !state.is_terminal()));
}

#[test]
fn an_end_that_nobody_acknowledges() {
    let mut script = Script::open(policy());
    script.launch("t");
    script.start("t");
    script.now = at(7);
    script.exit("t", 0);
    assert_eq!(script.machine.deadline(), Some(at(67)));
    assert!(!ends(&script.tick(at(66))));
    // On a new stream it is said again.
    script.give(Input::Disconnected);
    assert!(!ends(&script.tick(at(68))));
    script.machine.subscribe();
    script.subscribed(&[]);
    assert!(!ends(&script.tick(at(127))));
    assert!(ends(&script.tick(at(128))));
}

#[test]
fn an_executor_may_wait_for_more() {
    let linger = at(10);
    let mut script = Script::open(Policy { linger, ..policy() });
    assert_eq!(
        script.machine.deadline(),
        None,
        "as long as there was nothing"
    );
    script.launch("a");
    script.start("a");
    script.exit("a", 0);
    assert!(!ends(&script.acknowledge()));
    assert!(!ends(&script.tick(at(9))));
    script.launch("b");
    assert!(!ends(&script.tick(at(30))));
    script.exit("b", 0);
    script.acknowledge();
    assert_eq!(script.machine.deadline(), Some(at(40)));
    assert!(ends(&script.tick(at(40))));
}

#[test]
fn two_tasks_are_two_tasks() {
    let mut script = Script::open(policy());
    for id in ["a", "b"] {
        script.launch(id);
        script.start(id);
    }
    script.exit("a", 3);
    assert!(!ends(&script.acknowledge()));
    assert_eq!(script.states("b"), [State::Starting, State::Running]);
    script.exit("b", 0);
    assert!(ends(&script.acknowledge()));
    assert_eq!(script.states("a").last(), Some(&State::Failed));
}

#[test]
fn a_group_dies_of_a_failure_only() {
    for (code, expected) in [(0, State::Running), (1, State::Killing)] {
        let mut script = Script::open(policy());
        let group = ["a", "b", "c"].map(launch).to_vec();
        let actions = script.give(Input::LaunchGroup(group));
        let starts = actions.iter().filter(|it| matches!(it, Action::Start(_)));
        assert_eq!(starts.count(), 3);
        script.launch("alone");
        for id in ["a", "b", "c", "alone"] {
            script.start(id);
        }
        script.exit("c", 0);
        script.exit("b", code);
        assert_eq!(script.states("a").last(), Some(&expected));
        assert_eq!(script.states("alone").last(), Some(&State::Running));
        assert_eq!(script.states("c"), ALL);
        if code == 1 {
            assert!(script.tick(at(3)).contains(&Action::Kill("a".into())));
            script.exit("a", 137);
            assert_eq!(script.states("a").last(), Some(&State::Killed));
        }
    }
}

#[test]
fn a_member_that_is_killed_takes_the_others_along() {
    let mut script = Script::open(policy());
    script.give(Input::LaunchGroup(["a", "b"].map(launch).to_vec()));
    script.start("a");
    script.kill("a", Some(at(30)));
    assert_eq!(
        script.states("b"),
        [State::Starting],
        "not before it has ended"
    );
    assert!(
        script
            .exit("a", 143)
            .contains(&Action::Terminate("b".into()))
    );
}

#[test]
fn a_group_starts_whole_or_not() {
    let mut script = Script::open(policy());
    let group = vec![launch("a"), refused("b"), launch("c")];
    let actions = script.give(Input::LaunchGroup(group));
    assert!(!actions.iter().any(|it| matches!(it, Action::Start(_))));
    let states = ["a", "b", "c"].map(|id| script.states(id));
    assert_eq!(
        states.concat(),
        [State::Killed, State::Error, State::Killed]
    );
    assert_eq!(script.unacknowledged().0, 3);
    assert!(ends(&script.acknowledge()));
}

/// The same task can neither start nor end twice.
#[test]
fn a_member_that_is_said_twice_is_one() {
    let mut script = Script::open(policy());
    let twice = vec![launch("t"), launch("u"), launch("t"), refused("u")];
    let actions = script.give(Input::LaunchGroup(twice));
    let starts = actions.iter().filter(|it| matches!(it, Action::Start(_)));
    assert_eq!(starts.count(), 2, "{actions:?}");
    assert_eq!(script.unacknowledged().0, 2);
    for id in ["t", "u"] {
        script.start(id);
        script.exit(id, 0);
        assert_eq!(script.states(id), ALL, "{id}");
    }
}

#[test]
fn a_refusal_is_an_error_with_its_reason() {
    let mut script = Script::open(policy());
    script.give(Input::Launch(Box::new(refused("t"))));
    let status = &script.sent[0];
    assert_eq!(status.state, State::Error);
    let reason = crate::executor::api::Reason::TaskInvalid;
    assert_eq!(status.reason, Some(reason));
    assert_eq!(status.message.as_deref(), Some("/container: is required"));
}

#[test]
fn killing_is_told_to_those_who_know_it() {
    let mut script = Script::new(policy());
    script.subscribed(&[]);
    script.launch("t");
    script.start("t");
    let actions = script.kill("t", None);
    assert_eq!(actions, [Action::Terminate("t".into())]);
    assert!(matches!(
        &script.kill("nobody", None)[..],
        [Action::Remark(_)]
    ));
    assert!(
        matches!(&script.launch("t")[..], [Action::Remark(_)]),
        "it is there"
    );
}

#[test]
fn what_lasts_is_repeated() {
    let mut script = Script::open(policy());
    let mut launch = launch("t");
    launch.order.as_mut().unwrap().check = Some(CheckStatus::Tcp(None));
    script.give(Input::Launch(Box::new(launch)));
    let addresses = vec!["10.9.8.7".parse().unwrap()];
    script.give(Input::Task("t".into(), Happening::Started { addresses }));
    let health = Happening::Health {
        healthy: true,
        fatal: None,
    };
    script.give(Input::Task("t".into(), health));
    script.exit("t", 0);
    assert!(
        script
            .sent
            .iter()
            .all(|it| it.check == Some(CheckStatus::Tcp(None)))
    );
    let found: Vec<_> = script
        .sent
        .iter()
        .map(|it| (it.addresses.len(), it.healthy))
        .collect();
    let expected = [(0, None), (1, None), (1, Some(true)), (1, Some(true))];
    assert_eq!(found, expected);
}

/// A machine that anything happens to, and what it has told so far.
struct Chance {
    machine: Machine,
    dice: u64,
    told: Vec<Status>,
    tasks: u64,
    is_open: bool,
    count: u128,
}

impl Chance {
    fn new(seed: u64) -> Self {
        Self {
            machine: Machine::new(Policy {
                linger: at(1_000_000),
                ..policy()
            }),
            dice: seed,
            told: Vec::new(),
            tasks: 0,
            is_open: false,
            count: 0,
        }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        let next = self.dice.wrapping_mul(6_364_136_223_846_793_005);
        self.dice = next.wrapping_add(1);
        (self.dice >> 33) % sides
    }

    fn give(&mut self, step: u64, input: Input) {
        let now = Moment {
            since: Duration::from_millis(step * 100),
            epoch: 0.0,
        };
        let count = &mut self.count;
        let mut uuid = || {
            *count += 1;
            Uuid::random((*count << 64 | *count).to_be_bytes())
        };
        for action in self.machine.handle(now, input, &mut uuid) {
            if let Action::Send(status) = action {
                assert!(
                    self.told.iter().all(|it| it.uuid != status.uuid),
                    "sent twice"
                );
                self.told.push(status);
            }
        }
    }

    fn subscribe(&mut self, step: u64) {
        if let Call::Subscribe { updates, .. } = self.machine.subscribe() {
            for update in updates {
                if self.told.iter().all(|it| it.uuid != update.uuid) {
                    self.told.push(update.clone());
                }
            }
        }
        self.is_open = true;
        self.give(step, subscribed(&[TASK_KILLING_STATE]));
    }

    /// Anything.
    fn happen(&mut self, step: u64) {
        let task = format!("t{}", self.roll(6));
        let input = match self.roll(12) {
            0 => return self.subscribe(step),
            1 => {
                self.is_open = false;
                Input::Disconnected
            }
            2 | 3 if self.tasks < 6 => {
                self.tasks += 1;
                Input::Launch(Box::new(launch(&format!("t{}", self.tasks - 1))))
            }
            4 | 5 => Input::Task(task, Happening::Started { addresses: vec![] }),
            6 => Input::Event(Event::Kill { task, grace: None }),
            7 => Input::Task(task, Happening::Ended(End::Exited(Exit::Code(0)))),
            8 => {
                let fatal = Some("no".into());
                let healthy = false;
                Input::Task(task, Happening::Health { healthy, fatal })
            }
            _ => {
                let place = usize::try_from(self.roll(20)).unwrap();
                match self.told.get(place) {
                    Some(status) => acknowledged(status),
                    None => Input::Tick,
                }
            }
        };
        self.give(step, input);
    }

    fn check(&self) {
        for task in 0..self.tasks {
            let own = self.told.iter().filter(|it| it.task == format!("t{task}"));
            let states: Vec<State> = own.map(|it| it.state).collect();
            let terminal = states.iter().filter(|it| it.is_terminal()).count();
            assert_eq!(terminal, 1, "{states:?}");
            let rank = |state: &State| match state {
                State::Starting => 0,
                State::Running => 1,
                State::Killing => 2,
                _ => 3,
            };
            assert!(states.is_sorted_by_key(rank), "{states:?}");
            assert_eq!(states[0], State::Starting);
        }
    }
}

fn acknowledged(status: &Status) -> Input {
    Input::Event(Event::Acknowledged {
        task: status.task.clone(),
        uuid: status.uuid,
    })
}

/// Any order of events: exactly one terminal state each, in the right order, everything told once
/// the agent is there, and nothing kept.
#[test]
fn chance() {
    for seed in 1..=400 {
        let mut chance = Chance::new(seed);
        (0..260).for_each(|step| chance.happen(step));
        for task in 0..6 {
            let end = Happening::Ended(End::Exited(Exit::Signal(9)));
            chance.give(260, Input::Task(format!("t{task}"), end));
        }
        if !chance.is_open {
            chance.subscribe(261);
        }
        chance.check();
        for status in chance.told.clone() {
            chance.give(262, acknowledged(&status));
        }
        let machine = &chance.machine;
        assert!(
            machine.members.is_empty() && machine.updates.is_empty(),
            "seed {seed}"
        );
    }
}
