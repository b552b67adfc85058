//! ucr under the linux launcher of a Mesos agent: `ucr run` as a task's command, and the end by force.

mod engine;
mod executor_kill;
mod kill;
mod places;
mod plain;

use std::process::Command;
use std::time::Duration;

use crate::support::mesos_launcher::Launcher;

use super::world::World;

const LIMIT: Duration = Duration::from_secs(60);
/// In MiB; ucr's own programs and pulls are counted there, too.
const MEMORY: u64 = 512;

/// A ucr command line, not started yet.
fn command(world: &World, words: &[&str]) -> Command {
    let mut command = world.ucr.command();
    command.args(words);
    command
}

/// `ucr run FLAGS IMAGE sh -c SCRIPT` as a task.
fn task(world: &World, flags: &[&str], script: &str) -> Launcher {
    started(world, &run_words(world, flags, &["sh", "-c", script]), &[])
}

fn run_words<'a>(world: &'a World, flags: &[&'a str], words: &[&'a str]) -> Vec<&'a str> {
    [&["run"], flags, &[&world.image], words].concat()
}

/// Any command line as a task with these variables.
fn started(world: &World, words: &[&str], env: &[(&str, &str)]) -> Launcher {
    let mut launcher = Launcher::new(MEMORY);
    launcher.start(&command(world, words), env);
    launcher
}

/// A text that no other process has.
fn new_mark() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    format!("ucr-mark-{}", text.trim())
}
