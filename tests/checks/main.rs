//! `ucr::checks` against servers on loopback and in network namespaces. Probes are forks, which
//! need a process with one thread: so this is no harness of threads but a list, and servers are
//! processes. Needs root for the namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and this program is its own harness"
)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod copies;
mod follow;
mod http;
mod native;
mod places;
mod schedule;
mod server;

use std::panic::catch_unwind;
use std::process::ExitCode;

use ucr::runtime::native::reaper;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // A command enters a container by a copy of the program that asks for it, which is this one.
    if reaper::is_wanted(&arguments) {
        return ExitCode::from(reaper::run(arguments));
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = words.iter().filter(|it| !it.starts_with('-')).collect();
    let all = [
        http::TESTS,
        schedule::TESTS,
        commands::TESTS,
        copies::TESTS,
        places::TESTS,
        native::TESTS,
    ];
    let is_wanted = |name: &str| filters.is_empty() || filters.iter().any(|it| name.contains(*it));
    let tests: Vec<Test> = all
        .concat()
        .into_iter()
        .filter(|it| is_wanted(it.0))
        .collect();
    if words.iter().any(|word| word == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", tests.len());
    let mut failed = 0;
    for (name, test) in &tests {
        let is_ok = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if is_ok { "ok" } else { "FAILED" });
        failed += usize::from(!is_ok);
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let passed = tests.len() - failed;
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured\n");
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
