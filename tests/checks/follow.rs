//! Drives a watch as ucr's loop does, with a limit.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ucr::checks::{
    Check, Command, Event, IpVersion, Pace, Patience, Question, State, Subject, Watch,
};
use ucr::sys::proc::Proc;
use ucr::sys::process::Exit;

/// Nothing here takes longer, however busy the machine is.
pub const LIMIT: Duration = Duration::from_secs(30);

pub const fn ms(length: u64) -> Duration {
    Duration::from_millis(length)
}

pub fn pace(interval: u64, timeout: u64) -> Pace {
    Pace {
        interval: ms(interval),
        timeout: ms(timeout),
    }
}

pub fn patience(grace: u64, max_failures: u32) -> Patience {
    Patience {
        grace: ms(grace),
        max_failures,
    }
}

/// A Marathon check that never kills.
pub fn once(question: Question, address: SocketAddr, ignores_1xx: bool) -> Check {
    // The first is made after min(interval, 5 s).
    let pace = pace(1000, 3000);
    Check::marathon(question, address, pace, patience(0, 0), ignores_1xx)
}

pub fn port(port: u16, question: Question) -> Subject {
    Subject::Port {
        ip: IpVersion::V4,
        port,
        question,
    }
}

pub fn shell(text: &str) -> Subject {
    Subject::Command(Command::Shell(text.to_owned()))
}

pub fn no_command(_: &Command) -> anyhow::Result<Exit> {
    anyhow::bail!("no command is asked for")
}

/// Executes it here.
pub fn run_here(command: &Command) -> anyhow::Result<Exit> {
    let argv = command.argv();
    let status = std::process::Command::new(&argv[0])
        .args(&argv[1..])
        .status()?;
    let code = status
        .code()
        .map_or(255, |code| u8::try_from(code).unwrap());
    Ok(Exit::Code(code))
}

/// Steps until this much has been told, or the time is over; which is no failure.
pub fn events(
    watch: &mut Watch,
    limit: Duration,
    mut is_enough: impl FnMut(&[Event]) -> bool,
) -> Vec<Event> {
    let end = Instant::now() + limit;
    let mut all = Vec::new();
    while !is_enough(&all) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let handle = watch.handle();
        let left = Timespec::try_from(left).unwrap();
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&left)).unwrap();
        all.extend(watch.step().unwrap());
    }
    all
}

/// The first result of each of these health checks, made side by side, once so many have one; the
/// others get a moment more.
pub fn first_results(checks: Vec<Check>, count: usize) -> Vec<Option<(State, Option<String>)>> {
    let mut results = vec![None; checks.len()];
    let run = no_command;
    let mut watch = Watch::new(checks, None, Box::new(&run)).unwrap();
    let mut take = |all: Vec<Event>| {
        for event in all {
            let Event::Health { index, standing } = event else {
                panic!("{event:?}");
            };
            results[index].get_or_insert((standing.state, standing.cause));
        }
        results.iter().flatten().count()
    };
    let end = Instant::now() + LIMIT;
    while take(events(&mut watch, LIMIT, |it| !it.is_empty())) < count {
        assert!(Instant::now() < end, "not all have a result");
    }
    take(events(&mut watch, ms(300), |_| false));
    results
}

pub fn is_kill(events: &[Event]) -> bool {
    events
        .iter()
        .any(|event| matches!(event, Event::Kill { .. }))
}

/// The processes that this one has started and not reaped.
pub fn children() -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap();
    Proc::open().unwrap().children(own)
}

/// Runs a test that must leave no process behind.
pub fn leaving_nothing(test: impl FnOnce()) {
    let before = children();
    test();
    assert_eq!(children(), before, "processes are left");
}
