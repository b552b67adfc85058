//! What the figures of a benchmark depend on.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::support::process::tool as run;

/// What may run beside the benchmark, in cores.
const QUIET: f64 = 0.1;

/// What the figures depend on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// When the run began, UTC.
    pub date: String,
    /// `uname -r`.
    pub kernel: String,
    /// Its model.
    pub cpu: String,
    /// How many of them.
    pub cores: usize,
    /// Cores that others, or other machines on the same host, kept busy just before.
    pub busy: f64,
    /// Of ucr and of the Debian packages of the peers.
    pub versions: BTreeMap<String, String>,
}

impl Machine {
    /// Whether the figures may be believed.
    pub fn is_quiet(&self) -> bool {
        self.busy <= QUIET
    }

    /// This machine now, with these Debian packages of the peers.
    pub fn look(cache: &Path, ucr: &Path, packages: &[&str]) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").expect("/proc/cpuinfo");
        let models = cpuinfo
            .lines()
            .filter(|line| line.starts_with("model name"));
        let model = models
            .filter_map(|line| line.split_once(": "))
            .map(|(_, model)| model);
        Self {
            date: line(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M"])),
            kernel: line(Command::new("uname").arg("-r")),
            cpu: model.clone().next().unwrap_or("unknown").into(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            busy: busy(Duration::from_secs(1)),
            versions: versions(cache, ucr, packages),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = self.versions.iter();
        let versions: Vec<_> = versions
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        write!(
            f,
            "{}, Linux {}, {} × {}, {:.1} cores busy before\n{}\n\n",
            self.date,
            self.kernel,
            self.cores,
            self.cpu,
            self.busy,
            versions.join(", ")
        )
    }
}

/// How many cores are busy for this long, on average.
pub fn busy(time: Duration) -> f64 {
    let (all, idle) = ticks();
    std::thread::sleep(time);
    let (all_then, idle_then) = ticks();
    let all = all_then - all;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    cores * (all - (idle_then - idle)) / all
}

/// proc(5): all ticks since boot, and those in which nothing ran. What guests took is in `user`.
fn ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").expect("/proc/stat");
    let words = stat.split_whitespace().skip(1).take(8);
    let fields: Vec<f64> = words.map(|word| word.parse().expect("a number")).collect();
    (fields.iter().sum(), fields[3] + fields[4])
}

fn versions(cache: &Path, ucr: &Path, packages: &[&str]) -> BTreeMap<String, String> {
    let mut packages = packages.to_vec();
    packages.sort_unstable();
    packages.dedup();
    let mut versions = BTreeMap::new();
    if !packages.is_empty() {
        let listed = run(Command::new("dpkg-query")
            .arg("--admindir")
            .arg(cache.join("sid/var/lib/dpkg"))
            .args(["--show", "--showformat", "${Package} ${Version}\n"])
            .args(packages));
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        versions.extend(pairs.map(|(name, version)| (name.to_owned(), version.to_owned())));
    }
    let ucr = line(Command::new(ucr).arg("--version"));
    versions.insert("ucr".into(), ucr.trim_start_matches("ucr ").into());
    versions
}

fn line(command: &mut Command) -> String {
    run(command).trim().into()
}
