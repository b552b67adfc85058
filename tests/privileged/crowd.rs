//! Many containers: at once and killed at random, and one after the other. Nothing may be left, and
//! nothing may grow. `UCR_CROWD` and `UCR_ROW` say how many, `UCR_CROWD_SEED` repeats an order.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::cgroups::Place;
use crate::support::process::{Running, spawn};
use crate::support::samples;

use super::world::World;

const LIMIT: Duration = Duration::from_secs(120);

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().unwrap())
}

/// xorshift64*: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

/// The namespaces of all processes on this machine that no process of ours is in, by kind.
fn namespaces_of(mark: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if !String::from_utf8_lossy(&line).contains(mark) {
            continue;
        }
        for kind in ["mnt", "pid", "ipc", "uts", "net", "cgroup", "user"] {
            let link = fs::read_link(entry.path().join("ns").join(kind));
            found.extend(link.map(|link| link.to_string_lossy().into_owned()));
        }
    }
    found
}

/// 100 at once, of every kind, each ended in its own way: by itself, by a signal to its ucr, by
/// SIGKILL to its ucr or to its first process, at a random moment.
#[test]
fn a_crowd_killed_at_random() {
    let world = World::of(&samples::small());
    let place = Place::new();
    let count = number("UCR_CROWD", 100);
    let seed = number("UCR_CROWD_SEED", u64::from(std::process::id()) | 1);
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let mark = format!("ucr-crowd-{seed}");
    let kinds: [&[&str]; 6] = [
        &[],
        &["--init"],
        &["--network", "none"],
        &["-v", "/usr:/mnt/usr:ro"],
        &["-m", "64m", "--cpus", "0.5"],
        &["--userns", "auto"],
    ];
    let mut crowd: Vec<Running> = Vec::new();
    for place_in_crowd in 0..count {
        let flags = kinds[place_in_crowd as usize % kinds.len()];
        let script = format!(
            "sleep 300 & sleep {}; : {mark}",
            dice.throw(20) as f64 / 10.0
        );
        let mut command = world.ucr.command();
        command.arg("run").args(flags).arg(&world.image);
        command.args(["sh", "-c", &script]);
        crowd.push(spawn(&mut place.enter(command), b""));
    }
    let start = Instant::now();
    let mut order: Vec<usize> = (0..crowd.len()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, dice.throw(last as u64 + 1) as usize);
    }
    for member in order {
        std::thread::sleep(Duration::from_millis(dice.throw(30)));
        match dice.throw(4) {
            0 => (),
            1 => crowd[member].signal(Signal::SIGTERM),
            2 => crowd[member].signal(Signal::SIGKILL),
            _ => {
                let own = crowd[member].pid();
                let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
                for child in children.unwrap_or_default().split_whitespace() {
                    let _ = kill(Pid::from_raw(child.parse().unwrap()), Signal::SIGKILL);
                }
            }
        }
    }
    for running in crowd {
        // SIGTERM does not end a first process that has no handler; its own time does.
        running.finish(LIMIT);
    }
    println!("{count} ended within {:?}", start.elapsed());
    // The next command heals what ucrs that were killed could not.
    world.ucr.run(["ps"]).ok();
    let deadline = Instant::now() + LIMIT;
    while !namespaces_of(&mark).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(namespaces_of(&mark), BTreeSet::new());
    assert_eq!(place.children(), Vec::<&Path>::new());
    world.ucr.run(["prune"]).ok();
    world.assert_clean();
}

/// What could grow with every start.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    mounts: usize,
    cgroups: usize,
    entries: usize,
    blocks: u64,
}

fn counts(world: &World, place: &Place) -> Counts {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let below = world.ucr.scratch().path().to_str().unwrap().to_owned();
    let mut counts = Counts {
        mounts: mounts.lines().filter(|line| line.contains(&below)).count(),
        cgroups: place.children().len(),
        entries: 0,
        blocks: 0,
    };
    count(world.ucr.scratch().path(), &mut counts);
    counts
}

fn count(directory: &Path, counts: &mut Counts) {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let found = entry.metadata().unwrap();
        counts.entries += 1;
        counts.blocks += found.blocks();
        if found.is_dir() {
            count(&entry.path(), counts);
        }
    }
}

/// 1,000 one after the other: no mount, cgroup, file or block more than after the first ten.
#[test]
fn a_row_leaves_no_trace() {
    let world = World::of(&samples::small());
    let place = Place::new();
    let row = |count: u64| {
        let mut command = world.ucr.command();
        command.args(["run", "--network", "none", &world.image, "true"]);
        let mut shell = std::process::Command::new("sh");
        let script =
            format!("i=0; while [ $i -lt {count} ]; do \"$@\" || exit 1; i=$((i+1)); done");
        shell.args(["-c", &script, "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        let done = spawn(&mut place.enter(shell), b"").finish(Duration::from_secs(600));
        assert_eq!(done.expect_code(0).stderr, "");
    };
    row(10);
    let before = counts(&world, &place);
    let start = Instant::now();
    let count = number("UCR_ROW", 1000);
    row(count);
    println!("{count} starts in {:?}", start.elapsed());
    assert_eq!(counts(&world, &place), before);
    world.assert_clean();
}
