//! When probes are made, what they lead to, and that they end.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use ucr::checks::{Check, Event, Question, Report, Scheme, State, Task, Watch, overall};
use ucr::sys::process::{Exit, Namespaces, spawn};

use crate::Test;
use crate::follow::{
    LIMIT, events, is_kill, leaving_nothing, ms, no_command, once, pace, patience, port, run_here,
    shell,
};
use crate::server::Server;
use crate::support::scratch;

pub const TESTS: &[Test] = &[
    (
        "schedule::killed_by_the_rules_of_each_family",
        killed_by_the_rules_of_each_family,
    ),
    ("schedule::ready_once", ready_once),
    ("schedule::told_when_it_changes", told_when_it_changes),
    ("schedule::one_at_a_time", one_at_a_time),
    ("schedule::dropped_and_stopped", dropped_and_stopped),
    (
        "schedule::the_end_of_the_task_is_no_failure",
        the_end_of_the_task_is_no_failure,
    ),
    ("schedule::healthy_if_all_are", healthy_if_all_are),
    ("schedule::nothing_to_do", nothing_to_do),
];

fn own() -> Task {
    Task {
        pid: i32::try_from(std::process::id()).unwrap(),
        start_time: None,
    }
}

/// A port that nobody listens on.
fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// C70: number 3 of Marathon, number 2 of Mesos, never, and the first.
fn killed_by_the_rules_of_each_family() {
    leaving_nothing(|| {
        let address = refusing();
        let marathon = |max| {
            Check::marathon(
                Question::Connect,
                address,
                pace(100, 5000),
                patience(0, max),
                false,
            )
        };
        let mesos = |max| {
            let subject = port(address.port(), Question::Connect);
            Check::mesos(subject, ms(0), pace(100, 5000), patience(0, max))
        };
        let rows = [
            (marathon(2), Some(3)),
            (mesos(2), Some(2)),
            (marathon(0), None),
            (mesos(0), Some(1)),
        ];
        for (check, expected) in rows {
            let run = no_command;
            let mut watch = Watch::new(vec![check.clone()], Some(own()), Box::new(&run)).unwrap();
            let limit = if expected.is_some() { LIMIT } else { ms(1000) };
            let all = events(&mut watch, limit, is_kill);
            let failures = all.iter().find_map(|event| match event {
                Event::Kill {
                    failures, cause, ..
                } => {
                    assert!(cause.contains("refused"), "{cause}");
                    Some(*failures)
                }
                _ => None,
            });
            assert_eq!(failures, expected, "{check:?}");
            let told = all
                .iter()
                .filter(|it| matches!(it, Event::Health { .. }))
                .count();
            match expected {
                Some(number) => assert_eq!(told, number as usize, "{all:?}"),
                None => assert!(told > 3, "{all:?}"),
            }
            // Checks stop during the kill.
            if expected.is_some() {
                assert_eq!(events(&mut watch, ms(400), |_| false), []);
            }
        }
    });
}

fn ready_once() {
    leaving_nothing(|| {
        let address = refusing();
        let get = (Scheme::Http, "/400".to_owned());
        let codes = BTreeSet::from([400]);
        let check = Check::readiness("r".into(), get, address, pace(100, 3000), codes);
        let run = no_command;
        let mut watch = Watch::new(vec![check], None, Box::new(&run)).unwrap();
        let all = events(&mut watch, ms(700), |_| false);
        assert_eq!(
            all,
            [Event::NotReady {
                index: 0,
                status: 504
            }]
        );
        let listener = TcpListener::bind(address).unwrap();
        let server = Server::on(listener);
        let all = events(&mut watch, LIMIT, |it| !it.is_empty());
        assert_eq!(
            all,
            [Event::Ready {
                index: 0,
                status: 400
            }]
        );
        drop(server);
        assert_eq!(events(&mut watch, ms(500), |_| false), []);
        assert_eq!(watch.standings().count(), 0);
    });
}

/// Mesos's case 74: 0, 0, 1, 1, 0.
fn told_when_it_changes() {
    leaving_nothing(|| {
        let dir = scratch::Scratch::new();
        let file = dir.path().join("n").display().to_string();
        let text = format!("echo >> {file}; n=$(wc -l < {file}); test $n -lt 3 -o $n -gt 4");
        let check = Check::report(shell(&text), ms(0), pace(100, 5000));
        let mut watch = Watch::new(vec![check], None, Box::new(&run_here)).unwrap();
        let all = events(&mut watch, LIMIT, |it| it.len() == 3);
        let codes = [0, 1, 0].map(|code| Event::Checked {
            index: 0,
            report: Report::Command(Some(code)),
        });
        assert_eq!(all, codes);
        assert_eq!(events(&mut watch, ms(400), |_| false), []);
    });
}

/// A tick while a probe is made is skipped, and another check does not wait for it.
fn one_at_a_time() {
    leaving_nothing(|| {
        let dir = scratch::Scratch::new();
        let file = dir.path().join("log");
        let slow = format!(
            "echo begin >> {0}; sleep 0.8; echo end >> {0}",
            file.display()
        );
        let checks = vec![
            Check::mesos(shell(&slow), ms(0), pace(100, 0), patience(0, 1)),
            Check::report(shell("exit 7"), ms(0), pace(100, 0)),
        ];
        let mut watch = Watch::new(checks, None, Box::new(&run_here)).unwrap();
        let start = Instant::now();
        let all = events(&mut watch, LIMIT, |it| !it.is_empty());
        let seven = Report::Command(Some(7));
        assert_eq!(
            all,
            [Event::Checked {
                index: 1,
                report: seven
            }]
        );
        assert!(start.elapsed() < ms(800), "it waited for the other");
        events(&mut watch, ms(3000), |_| false);
        let log = std::fs::read_to_string(&file).unwrap();
        let pairs = log.matches("begin\nend\n").count();
        assert!((2..=4).contains(&pairs), "{log}");
        assert!(!log.contains("begin\nbegin"), "{log}");
        assert_eq!(watch.standings().next().unwrap().state, State::Healthy);
    });
}

fn dropped_and_stopped() {
    leaving_nothing(|| {
        let server = Server::start();
        let hang = Question::Get(Scheme::Http, "/hang".to_owned());
        let started = std::cell::Cell::new(0);
        let checks = || {
            let pace = pace(100, 0);
            vec![
                Check::marathon(hang.clone(), server.address, pace, patience(0, 1), false),
                Check::mesos(shell("sleep 1000"), ms(0), pace, patience(0, 1)),
            ]
        };
        let run = |command: &_| {
            started.set(started.get() + 1);
            run_here(command)
        };
        let mut watch = Watch::new(checks(), None, Box::new(&run)).unwrap();
        assert_eq!(events(&mut watch, ms(600), |_| false), []);
        assert_eq!(
            crate::follow::children().len(),
            3,
            "the server and two probes"
        );
        let start = Instant::now();
        drop(watch);
        assert!(start.elapsed() < ms(1000), "{:?}", start.elapsed());
        assert_eq!(crate::follow::children().len(), 1);
        let mut watch = Watch::new(checks(), None, Box::new(&run)).unwrap();
        assert_eq!(events(&mut watch, ms(400), |_| false), []);
        watch.stop();
        assert_eq!(events(&mut watch, ms(800), |_| false), []);
        assert_eq!(crate::follow::children().len(), 1);
    });
}

fn the_end_of_the_task_is_no_failure() {
    leaving_nothing(|| {
        let task = spawn(Namespaces::default(), || {
            loop {
                std::thread::park();
            }
        });
        let task = task.unwrap();
        let known = Task {
            pid: task.pid().as_raw_nonzero().get(),
            start_time: None,
        };
        let check = Check::mesos(
            port(refusing().port(), Question::Connect),
            ms(300),
            pace(100, 0),
            patience(0, 0),
        );
        let run = no_command;
        let mut watch = Watch::new(vec![check], Some(known), Box::new(&run)).unwrap();
        task.signal(libc::SIGKILL).unwrap();
        assert_eq!(events(&mut watch, ms(800), |_| false), []);
        assert_eq!(task.wait().unwrap(), Exit::Signal(9));
    });
}

fn healthy_if_all_are() {
    leaving_nothing(|| {
        let server = Server::start();
        let get = |path: &str| Question::Get(Scheme::Http, path.to_owned());
        let checks = vec![
            once(get("/ok"), server.address, false),
            Check::mesos(
                shell("sleep 0.3; exit 4"),
                ms(1600),
                pace(9000, 0),
                patience(9000, 9),
            ),
            Check::report(shell("true"), ms(0), pace(9000, 0)),
        ];
        let mut watch = Watch::new(checks, None, Box::new(&run_here)).unwrap();
        assert_eq!(overall(watch.standings()), Some(State::Unknown));
        events(&mut watch, ms(2600), |_| false);
        let standings: Vec<_> = watch.standings().cloned().collect();
        assert_eq!(overall(&standings), Some(State::Unknown), "in its grace");
        assert_eq!(standings[0].state, State::Healthy);
        assert_eq!(standings[1].cause.as_deref(), Some("exit code 4"));
    });
}

fn nothing_to_do() {
    leaving_nothing(|| {
        let run = no_command;
        let mut watch = Watch::new(Vec::new(), None, Box::new(&run)).unwrap();
        assert_eq!(events(&mut watch, ms(100), |_| false), []);
        assert_eq!(overall(watch.standings()), None);
    });
}
