//! Peak memory: the sum of RSS over everything that runs inside a cell, every 10 ms.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::process::Running;

const INTERVAL: Duration = Duration::from_millis(10);

/// The shell that measures.
const OWN: &str = "bash";

/// Watches a cell until it ends; the largest sum, in KiB.
pub fn peak(cell: &Running, limit: Duration) -> u64 {
    let deadline = Instant::now() + limit;
    let mut peak = 0;
    let mut next = Instant::now() + INTERVAL;
    while !cell.ended_within(next.saturating_duration_since(Instant::now())) {
        next = Instant::now() + INTERVAL;
        peak = peak.max(resident(cell.pid().as_raw()));
        if next > deadline {
            break;
        }
    }
    peak
}

fn resident(cell: i32) -> u64 {
    let processes = processes();
    let below = |pid: &i32| ancestors(&processes, *pid).any(|pid| pid == cell);
    let inside = processes.keys().filter(|pid| below(pid));
    inside.filter_map(|pid| own_memory(*pid)).sum()
}

/// All processes with their parents. Those that end meanwhile are left out.
fn processes() -> BTreeMap<i32, i32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect()
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn ancestors(parents: &BTreeMap<i32, i32>, pid: i32) -> impl Iterator<Item = i32> {
    std::iter::successors(parents.get(&pid).copied(), |pid| parents.get(pid).copied())
}

/// The RSS in KiB of a process of the tool's: it is in the cell's chroot (`mkfs` is not), and it is
/// not the shell.
fn own_memory(pid: i32) -> Option<u64> {
    let root = fs::read_link(format!("/proc/{pid}/root")).ok()?;
    if root == Path::new("/") {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()
    };
    if field("Name:")? == OWN {
        return None;
    }
    field("VmRSS:")?.parse().ok()
}
