//! The processes of a container: those in its cgroups, or, where it has none, in its namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;

use anyhow::Result;

use super::{cgroups, first, gone, is_same, root, small_file, users};
use crate::runtime::{Container, Started};
use crate::sys::cgroup::Directory;
use crate::sys::proc::Proc;
use crate::sys::users::Range;

/// Clock ticks in a second (USER_HZ): the same on every architecture that ucr runs on.
const TICKS: u64 = 100;
/// Cgroups below that of a container, made by itself, are looked for so deep.
const MAX_DEPTH: usize = 16;

/// A process, as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number on the host.
    pub pid: i32,
    /// Its parent's.
    pub ppid: i32,
    /// Its user in the container; the host's number if it is none of the container's.
    pub uid: u32,
    /// The name that the container's own files have for that user.
    pub user: Option<String>,
    /// Processor time that it used, in hundredths of a second.
    pub ticks: u64,
    /// Its command line, or its name in brackets, as `ps` shows it.
    pub command: String,
}

impl Process {
    /// Processor time that it used, in seconds.
    pub fn seconds(&self) -> u64 {
        self.ticks / TICKS
    }
}

/// All of a container's processes, oldest number first. Fails with [`crate::error::Kind::NotFound`]
/// if it ended.
pub fn processes(container: &Container) -> Result<Vec<Process>> {
    let started = first(container)?;
    let proc = Proc::open()?;
    let all = pids(container, &proc, started)?;
    let root = root(container)?;
    let names = names(&small_file(&root, "/etc/passwd"));
    let users = users(container)?;
    // One that ends meanwhile is left out.
    let look = |pid: &i32| look(&proc, *pid, &users, &names);
    let found: Vec<_> = all.iter().filter_map(look).collect();
    match is_same(&proc, started) {
        true => Ok(found),
        false => Err(gone(container).into()),
    }
}

/// Processor time of those that are there, and of what they have waited for, in nanoseconds.
pub(super) fn used_by_processes(container: &Container, proc: &Proc) -> Result<u64> {
    let all = pids(container, proc, first(container)?)?;
    let stats = all.iter().filter_map(|pid| Stat::read(proc, *pid));
    let ticks = stats.map(|stat| stat.ticks + stat.waited_for);
    Ok(ticks.sum::<u64>().saturating_mul(1_000_000_000 / TICKS))
}

fn pids(container: &Container, proc: &Proc, started: Started) -> Result<BTreeSet<i32>> {
    let mut found = BTreeSet::from([started.pid]);
    match cgroups(container).first() {
        Some(group) => in_cgroup(group, MAX_DEPTH, &mut found),
        None => in_namespace(proc, started.pid, &mut found)?,
    }
    Ok(found)
}

fn in_cgroup(group: &Directory, depth: usize, found: &mut BTreeSet<i32>) {
    let text = group.read("cgroup.procs").unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for child in group.children().unwrap_or_default() {
        if depth > 0
            && let Ok(child) = group.enter(child.as_c_str())
        {
            in_cgroup(&child, depth - 1, found);
        }
    }
}

/// With the host's namespace it is its descendants that are its own.
fn in_namespace(proc: &Proc, first: i32, found: &mut BTreeSet<i32>) -> Result<()> {
    let namespace = |pid: &str| {
        let path = format!("/proc/{pid}/ns/pid");
        std::fs::metadata(path).ok().map(|meta| meta.ino())
    };
    let (own, theirs) = (namespace("self"), namespace(&first.to_string()));
    let mut parents = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(pid) = name.parse::<i32>() else {
            continue;
        };
        if own != theirs {
            found.extend((namespace(&name) == theirs).then_some(pid));
        } else if let Some(stat) = Stat::read(proc, pid) {
            parents.insert(pid, stat.ppid);
        }
    }
    loop {
        let before = found.len();
        let children = parents.iter().filter(|(_, parent)| found.contains(parent));
        let children: Vec<_> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        if found.len() == before {
            return Ok(());
        }
    }
}

/// What `/proc/PID/stat` says (proc_pid_stat(5)).
struct Stat {
    name: String,
    ppid: i32,
    ticks: u64,
    waited_for: u64,
}

impl Stat {
    fn read(proc: &Proc, pid: i32) -> Option<Self> {
        Self::parse(&proc.read(&format!("{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name may contain anything, parentheses too.
        let (head, fields) = text.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Self {
            name: head.split_once('(')?.1.to_owned(),
            ppid: fields.get(1)?.parse().ok()?,
            ticks: ticks(11)?.saturating_add(ticks(12)?),
            waited_for: ticks(13)?.saturating_add(ticks(14)?),
        })
    }
}

fn look(proc: &Proc, pid: i32, users: &[Range], names: &BTreeMap<u32, String>) -> Option<Process> {
    let stat = Stat::read(proc, pid)?;
    let status = proc.read(&format!("{pid}/status")).ok()?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // Real, effective, saved, of filesystems: ps shows the second.
    let uid = uid.split_whitespace().nth(1)?.parse().ok()?;
    let inside = inside(users, uid);
    let line = proc
        .read_bytes(&format!("{pid}/cmdline"))
        .unwrap_or_default();
    Some(Process {
        pid,
        ppid: stat.ppid,
        uid: inside.unwrap_or(uid),
        user: inside.and_then(|uid| names.get(&uid).cloned()),
        ticks: stat.ticks,
        command: command(&line, &stat.name),
    })
}

fn inside(users: &[Range], uid: u32) -> Option<u32> {
    if users.is_empty() {
        return Some(uid);
    }
    users.iter().find_map(|(inside, outside, count)| {
        let distance = uid.checked_sub(*outside)?;
        (distance < *count).then_some(inside + distance)
    })
}

fn command(line: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    match text.is_empty() {
        true => format!("[{name}]"),
        false => text,
    }
}

/// The names of users in a passwd file; the first of a number counts (passwd(5)).
fn names(passwd: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1))
            && let Ok(uid) = uid.parse()
            && !name.is_empty()
        {
            names.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_contain_anything() {
        let text = "12 (a) R 1 (b) S 7 1 1 0 -1 4 0 0 0 0 150 25 3 4";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (stat.name.as_str(), stat.ppid, stat.ticks),
            ("a) R 1 (b", 7, 175)
        );
        assert_eq!(stat.waited_for, 7);
        assert!(Stat::parse("12 (a) S").is_none());
        assert!(Stat::parse("").is_none());
    }

    #[test]
    fn users_are_the_containers() {
        let users = [(0, 1000, 1), (1, 5000, 10)];
        let rows = [
            (1000, Some(0)),
            (5000, Some(1)),
            (5009, Some(10)),
            (5010, None),
            (0, None),
        ];
        for (outside, expected) in rows {
            assert_eq!(inside(&users, outside), expected, "{outside}");
        }
        let names = names("root:x:0:0::/:/bin/sh\ntoor:x:0:0\n\n:x:5:5\nweb:x:7\nbad:x:y:z\n");
        let expected = BTreeMap::from([(0, "root".to_owned()), (7, "web".to_owned())]);
        assert_eq!(names, expected);
    }

    #[test]
    fn commands_without_arguments_have_a_name() {
        assert_eq!(command(b"sh\0-c\0a b\0", "x"), "sh -c a b");
        assert_eq!(command(b"", "kworker"), "[kworker]");
    }
}
