//! One task: rows of what happens and what is told.

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
        (
            End::Exited(Exit::Code(139)),
            State::Failed,
            "Command exited with status 139 (as after signal SIGSEGV)",
        ),
        (
            End::Exited(Exit::Code(255)),
            State::Failed,
            "Command exited with status 255",
        ),
        (
            End::Unseen {
                message: "docker is gone".into(),
            },
            State::Failed,
            "docker is gone",
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
