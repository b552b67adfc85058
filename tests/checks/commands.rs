//! Commands: what they return and print, and that nothing of them outlives their time.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Instant;

use ucr::checks::{Check, Command, Event, State, Watch};
use ucr::sys::process::{Exit, Namespaces, die_with_parent, spawn};

use crate::Test;
use crate::follow::{LIMIT, events, is_kill, leaving_nothing, ms, pace, patience, run_here, shell};
use crate::support::scratch;

pub const TESTS: &[Test] = &[
    ("commands::results", results),
    ("commands::killed_when_late", killed_when_late),
    ("commands::one_that_will_not_end", one_that_will_not_end),
];

/// The first result, of a check that kills at its first failure.
fn result(text: &str, timeout: u64, run: &ucr::checks::RunCommand) -> (State, String) {
    let check = Check::mesos(shell(text), ms(0), pace(60_000, timeout), patience(0, 1));
    let mut watch = Watch::new(vec![check], None, Box::new(run)).unwrap();
    let all = events(&mut watch, LIMIT, |it| !it.is_empty());
    let Some(Event::Health { standing, .. }) = all.first() else {
        panic!("{all:?}");
    };
    assert_eq!(is_kill(&all), standing.state == State::Unhealthy, "{all:?}");
    (standing.state, standing.cause.clone().unwrap_or_default())
}

fn results() {
    leaving_nothing(|| {
        let rows = [
            ("true", State::Healthy, ""),
            ("read x; test -z \"$x\"", State::Healthy, ""),
            ("exit 3", State::Unhealthy, "exit code 3"),
            (
                "echo out; echo err >&2; exit 1",
                State::Unhealthy,
                "exit code 1: out\nerr",
            ),
            (
                "echo said; exec sleep 99",
                State::Unhealthy,
                "no result within 2s: said",
            ),
        ];
        for (text, state, cause) in rows {
            assert_eq!(
                result(text, 2000, &run_here),
                (state, cause.to_owned()),
                "{text}"
            );
        }
        let (_, cause) = result("yes | head -c 3000000; exit 9", 60_000, &run_here);
        assert!(cause.starts_with("exit code 9: y\ny"), "{cause}");
        assert!((4000..4200).contains(&cause.len()), "{}", cause.len());
        let missing = |_: &Command| anyhow::bail!("the task has no {}", "/bin/sh");
        let (_, cause) = result("true", 2000, &missing);
        assert_eq!(cause, "the task has no /bin/sh");
    });
}

/// As `ucr exec` does in a native container: a session of its own, and the end of the parent.
fn run_apart(command: &Command) -> anyhow::Result<Exit> {
    let child = spawn(Namespaces::default(), || {
        die_with_parent().unwrap();
        rustix::process::setsid().unwrap();
        let argv = command.argv();
        let error = std::process::Command::new(&argv[0]).args(&argv[1..]).exec();
        panic!("{error}")
    })?;
    Ok(child.wait()?)
}

fn is_there(pid: &str) -> bool {
    // A zombie of this machine's init is none of ours.
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn killed_when_late() {
    for run in [run_here, run_apart] {
        leaving_nothing(|| {
            let dir = scratch::Scratch::new();
            let file = dir.path().join("pids");
            let text = format!(
                "sleep 1000 & echo $! >> {0}; echo $$ >> {0}; trap '' TERM; wait; sleep 1000",
                file.display()
            );
            let (state, cause) = result(&text, 2000, &run);
            assert_eq!((state, &*cause), (State::Unhealthy, "no result within 2s"));
            let pids = fs::read_to_string(&file).unwrap();
            assert_eq!(pids.lines().count(), 2, "{pids}");
            let start = Instant::now();
            while pids.lines().any(is_there) {
                assert!(start.elapsed() < ms(5000), "{pids}: one of them lives");
                std::thread::sleep(ms(10));
            }
        });
    }
}

/// What goes on after its command was killed is killed itself.
fn one_that_will_not_end() {
    leaving_nothing(|| {
        let run = |command: &Command| {
            loop {
                let _ = run_here(command);
            }
        };
        let start = Instant::now();
        let (_, cause) = result("sleep 1000", 300, &run);
        assert_eq!(cause, "no result within 300ms");
        assert!(start.elapsed() >= ms(1000), "it was let finish");
    });
}
