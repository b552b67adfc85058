//! What a container uses, as its cgroups and its network count it. What nothing counts is not
//! guessed: it is unknown, and a note says why.

use std::time::Instant;

use anyhow::Result;

use super::processes::used_by_processes;
use super::{cgroups, first, gone, is_same};
use crate::runtime::Container;
use crate::sys::cgroup::{Directory, Version};
use crate::sys::proc::Proc;

/// What was used so far, at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was taken.
    pub at: Instant,
    /// Processor time, in nanoseconds.
    pub cpu: Option<u64>,
    /// Memory without what the kernel would give up first: files that were read long ago.
    pub memory: Option<u64>,
    /// Most memory that it may have, or that there is.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Most of these.
    pub pids_limit: Option<u64>,
    /// Bytes read from disks and written to them.
    pub block: Option<[u64; 2]>,
    /// Bytes received and sent.
    pub network: Option<[u64; 2]>,
    /// Why something is unknown.
    pub notes: Vec<String>,
}

/// Takes one. Fails with [`crate::error::Kind::NotFound`] if the container ended.
pub fn sample(container: &Container) -> Result<Sample> {
    let started = first(container)?;
    let proc = Proc::open()?;
    let groups = Groups(cgroups(container));
    let memory = groups.memory();
    let total = total_memory(&proc.read("meminfo").unwrap_or_default());
    let counted = groups.cpu();
    // Also where version 1 has cpu without cpuacct: the kernel counts for each process.
    let cpu = counted.or_else(|| used_by_processes(container, &proc).ok());
    let mut sample = Sample {
        at: Instant::now(),
        cpu,
        memory: memory.map(|(used, _)| used),
        memory_limit: memory.and_then(|(_, limit)| limit.into_iter().chain(total).min()),
        pids: groups.number("pids.current"),
        pids_limit: groups.number("pids.max"),
        block: groups.block(),
        network: network(&proc, started.pid),
        notes: Vec::new(),
    };
    sample.notes = notes(&sample, counted.is_none());
    match is_same(&proc, started) {
        true => Ok(sample),
        false => Err(gone(container).into()),
    }
}

fn notes(sample: &Sample, by_process: bool) -> Vec<String> {
    let uncounted = [
        (sample.memory.is_none(), "memory", "memory", "--memory"),
        (sample.pids.is_none(), "processes", "pids", "--pids-limit"),
        (
            sample.block.is_none(),
            "disk accesses",
            "blkio",
            "--blkio-weight",
        ),
    ];
    let uncounted = uncounted.iter().filter(|(is_unknown, ..)| *is_unknown);
    let mut notes: Vec<_> = uncounted
        .map(|(_, what, controller, flag)| {
            format!(
                "{what}: not counted, it is in no cgroup of the {controller} controller; a limit \
                 ({flag}) puts it in one"
            )
        })
        .collect();
    if by_process {
        let what = "processor time: of the processes that are there, counted one by one";
        notes.push(format!("{what}: no cgroup of the container counts it"));
    }
    if sample.network.is_none() {
        notes.push("network: not counted, it has the host's".to_owned());
    }
    notes
}

/// All cgroups of a container; the first that has a file counts.
struct Groups(Vec<Directory>);

impl Groups {
    fn read(&self, file: &str) -> Option<String> {
        self.0.iter().find_map(|group| group.read(file).ok())
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.read(file)?.trim().parse().ok()
    }

    fn of(&self, version: Version, file: &str) -> Option<String> {
        let mut groups = self.0.iter().filter(|group| group.version() == version);
        groups.find_map(|group| group.read(file).ok())
    }

    fn cpu(&self) -> Option<u64> {
        if let Some(nanoseconds) = self.number("cpuacct.usage") {
            return Some(nanoseconds);
        }
        // Version 1 has a file of this name with other words in it.
        let stat = self.of(Version::V2, "cpu.stat")?;
        word(&stat, "usage_usec")?.checked_mul(1000)
    }

    /// What is used, and the limit if there is one.
    fn memory(&self) -> Option<(u64, Option<u64>)> {
        let stat = self.read("memory.stat")?;
        let (used, limit, inactive) = match self.number("memory.usage_in_bytes") {
            // Those of cgroups below it count as well.
            Some(used) => (used, "memory.limit_in_bytes", "total_inactive_file"),
            None => (
                self.number("memory.current")?,
                "memory.max",
                "inactive_file",
            ),
        };
        let inactive = word(&stat, inactive).unwrap_or(0);
        Some((used.saturating_sub(inactive), self.number(limit)))
    }

    fn block(&self) -> Option<[u64; 2]> {
        let v1 = [
            "blkio.throttle.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes",
        ];
        if let Some(text) = v1.iter().find_map(|file| self.read(file)) {
            return Some(["Read", "Write"].map(|kind| v1_sum(&text, kind)));
        }
        let text = self.of(Version::V2, "io.stat")?;
        Some(["rbytes=", "wbytes="].map(|key| v2_sum(&text, key)))
    }
}

/// The number behind a word at the beginning of a line.
fn word(text: &str, word: &str) -> Option<u64> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    let (_, number) = pairs.find(|(name, _)| *name == word)?;
    number.trim().parse().ok()
}

/// Lines as `8:0 Read 4096`.
fn v1_sum(text: &str, kind: &str) -> u64 {
    let numbers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (words.next()? == kind).then(|| words.next()?.parse::<u64>().ok())?
    });
    numbers.fold(0, u64::saturating_add)
}

/// Lines as `8:0 rbytes=4096 wbytes=0 …`.
fn v2_sum(text: &str, key: &str) -> u64 {
    let words = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(key));
    let numbers = words.filter_map(|number| number.parse::<u64>().ok());
    numbers.fold(0, u64::saturating_add)
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes = line.trim().trim_end_matches(" kB").parse::<u64>().ok()?;
    kibibytes.checked_mul(1024)
}

/// All interfaces of its network but the loopback; `None` if the network is ours.
fn network(proc: &Proc, pid: i32) -> Option<[u64; 2]> {
    let namespace = |pid: &str| {
        let file = proc.open_file(&format!("{pid}/ns/net")).ok()?;
        rustix::fs::fstat(file).ok().map(|stat| stat.st_ino)
    };
    if namespace("self") == namespace(&pid.to_string()) {
        return None;
    }
    Some(traffic(&proc.read(&format!("{pid}/net/dev")).ok()?))
}

/// Two lines of heads, then `eth0: ` with bytes received first and bytes sent ninth.
fn traffic(text: &str) -> [u64; 2] {
    let mut sums = [0_u64; 2];
    for (name, fields) in text.lines().filter_map(|line| line.split_once(':')) {
        let fields: Vec<_> = fields.split_whitespace().collect();
        for (sum, place) in sums.iter_mut().zip([0, 8]) {
            let number = fields
                .get(place)
                .and_then(|field| field.parse::<u64>().ok());
            if name.trim() != "lo" {
                *sum = sum.saturating_add(number.unwrap_or(0));
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel() {
        let v1 = "8:0 Read 4096\n8:0 Write 10\n8:0 Sync 1\n8:16 Read 4\n8:0 Total 9\nTotal 9\n";
        assert_eq!(["Read", "Write"].map(|kind| v1_sum(v1, kind)), [4100, 10]);
        let v2 = "8:0 rbytes=5 wbytes=7 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=2 wbytes=0\n";
        assert_eq!(["rbytes=", "wbytes="].map(|key| v2_sum(v2, key)), [7, 7]);
        let stat = "cache 1\ninactive_file 2\ntotal_inactive_file 3\n";
        assert_eq!(word(stat, "inactive_file"), Some(2));
        assert_eq!(word(stat, "total_inactive_file"), Some(3));
        assert_eq!(word(stat, "file"), None);
        assert_eq!(
            total_memory("MemTotal:       16 kB\nMemFree: 1 kB\n"),
            Some(16384)
        );
        let dev = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n\
                       lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n\
                     eth0: 100 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n\
                     eth1:7 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n";
        assert_eq!(traffic(dev), [107, 53]);
    }
}
