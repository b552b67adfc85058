//! Looking at a running container from outside: its processes, what it uses, its files.
//!
//! The container may be hostile: nothing is executed in it, names and numbers come from the kernel,
//! and files of its own are read by handle, inside its root, up to a bound.

mod processes;
mod stopped;
mod usage;

use std::path::Path;

use anyhow::Result;

use super::join::root_of;
use crate::error::{Fault, Kind};
use crate::runtime::{Container, Started};
use crate::sys::cgroup::Directory;
use crate::sys::proc::Proc;
use crate::sys::root::Root;
use crate::sys::users::Range;

pub use processes::{Process, processes};
pub use stopped::Stopped;
pub use usage::{Sample, sample};

/// How the fault of a container that has just ended begins.
fn gone(container: &Container) -> Fault {
    let message = format!("container {} is not running", container.record.name());
    Fault::new(Kind::NotFound, message).hint("'ucr ps --all' says how it ended")
}

/// Its first process.
fn first(container: &Container) -> Result<Started, Fault> {
    container.process().ok_or_else(|| gone(container))
}

/// Whether the number still is of the process that is meant; asked after something was opened by it.
fn is_same(proc: &Proc, started: Started) -> bool {
    started.start_time.is_some() && proc.start_time(started.pid) == started.start_time
}

/// The root directory that its first process has, with all that is mounted there. Fails with
/// [`Kind::NotFound`] if it ended.
pub fn root(container: &Container) -> Result<Root> {
    let started = first(container)?;
    let proc = Proc::open()?;
    match root_of(&proc, started.pid) {
        root if is_same(&proc, started) => root,
        _ => Err(gone(container).into()),
    }
}

/// The users of a running container, as this process sees them; none if they are the same here and
/// there.
pub fn users(container: &Container) -> Result<Vec<Range>> {
    let started = first(container)?;
    let proc = Proc::open()?;
    let namespace = |pid: &str| {
        let file = proc.open_file(&format!("{pid}/ns/user")).ok()?;
        rustix::fs::fstat(file).ok().map(|found| found.st_ino)
    };
    // Who is in a namespace sees in its map what those outside are.
    if namespace("self") == namespace(&started.pid.to_string()) {
        return Ok(Vec::new());
    }
    let map = proc.read(&format!("{}/uid_map", started.pid))?;
    Ok(map.lines().filter_map(range).collect())
}

fn range(line: &str) -> Option<Range> {
    let mut numbers = line.split_whitespace().map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    Some((next()?, next()?, next()?))
}

/// Its cgroups that are there.
fn cgroups(container: &Container) -> Vec<Directory> {
    let open = |path: &std::path::PathBuf| Directory::open(path).ok();
    container.record.cgroups.iter().filter_map(open).collect()
}

/// A small file of the container, as text; empty if it has none that can be read.
fn small_file(root: &Root, path: &str) -> String {
    const MAX: u64 = 1 << 20;
    let found = root.read_small(Path::new(path), MAX).ok().flatten();
    String::from_utf8_lossy(&found.unwrap_or_default()).into_owned()
}
