//! Where the time of one `ucr run` goes: the kernel's own tracer notes every system call, page
//! fault, fork, exec and exit of ucr and its child, which costs each call about a microsecond; under
//! strace it would be fifty. Calls that mark the beginning of a phase cut each process's time up.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::timed;

const TRACEFS: &str = "/run/tracefs";
/// An instance of our own leaves whoever else traces alone; it goes with the last mount of tracefs,
/// so it is removed by name.
const INSTANCE: &str = "/run/tracefs/instances/ucr-bench";
/// By this name, which nobody else's process has, ucr is known to the tracer.
pub const PROGRAM: &str = "/run/ucr-traced";
const FILTER: &str = "comm == \"ucr-traced\" || comm == \"busybox\"";
const EVENTS: [&str; 4] = [
    "syscalls",
    "sched/sched_process_fork",
    "sched/sched_process_exit",
    "exceptions/page_fault_user",
];
/// How many calls are listed.
const LISTED: usize = 16;

/// Calls whose time is somebody else's.
const WAITING: [&str; 4] = ["ppoll", "waitid", "recvfrom", "exec returned"];

/// A phase, and the call that begins it.
type Phase = (&'static str, &'static str);

/// The process that the user starts.
const PARENT: &[Phase] = &[
    ("program start, words", ""),
    ("image from the store", "getcwd"),
    ("state and healing", "mkdir"),
    ("host facts, plan", "uname"),
    ("container directory", "flock"),
    ("signals, record", "signalfd4"),
    ("cgroups", "mkdirat"),
    ("channel, clone", "socketpair"),
    ("meanwhile: close, record", "close"),
    ("wait: stage, command", "ppoll"),
    ("reap, cgroups", "waitid"),
    ("record, directory", "unlink"),
    ("exit", "exit_group"),
];

/// Its child, which becomes the command.
const CHILD: &[Phase] = &[
    ("clone's own end", ""),
    ("session, cgroups", "setsid"),
    ("cgroup and mount namespace", "unshare"),
    ("layers, upper", "openat"),
    ("overlay", "fsopen"),
    ("accounts", "openat2"),
    ("kernel filesystems, /dev", "mkdirat"),
    ("own files", "write"),
    ("host name, network, sysctls", "sethostname"),
    ("streams", "dup2"),
    ("enter the root", "pivot_root"),
    ("close, directory, limits", "close_range"),
    ("capabilities, user", "setgroups"),
    ("signals", "rt_sigaction"),
    ("wait for the record", "recvfrom"),
    ("filter, look", "seccomp"),
    ("exec", "execve"),
    ("the command itself", "exec returned"),
    ("exit: mounts, namespaces", "exit_group"),
];

/// What the tracer said about one process.
#[derive(Debug, Default)]
struct Process {
    /// Begin and end in µs, and the name.
    calls: Vec<(f64, f64, String)>,
    faults: Vec<f64>,
    end: f64,
}

/// Sums of a phase.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    wall: f64,
    in_calls: f64,
    calls: f64,
    faults: f64,
}

/// Traces this many runs of a command that starts [`PROGRAM`], and renders the medians.
pub fn table(runs: usize, command: &mut dyn FnMut() -> Command) -> String {
    let tracer = Tracer::start();
    let mut all = Vec::new();
    for _ in 0..runs {
        tracer.clear();
        timed(&mut command());
        all.push(parse(&tracer.read()));
    }
    drop(tracer);
    render(&all)
}

struct Tracer;

impl Tracer {
    fn start() -> Self {
        fs::create_dir_all(TRACEFS).expect("mkdir");
        timed(Command::new("mount").args(["-t", "tracefs", "tracefs", TRACEFS]));
        fs::create_dir(INSTANCE).expect("an instance of the tracer");
        let this = Self;
        this.set("buffer_size_kb", "4096");
        this.set("trace_clock", "mono");
        for event in EVENTS {
            this.set(&format!("events/{event}/filter"), FILTER);
            this.set(&format!("events/{event}/enable"), "1");
        }
        this
    }

    fn set(&self, file: &str, value: &str) {
        let path = Path::new(INSTANCE).join(file);
        fs::write(&path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn clear(&self) {
        self.set("trace", "");
    }

    fn read(&self) -> String {
        fs::read_to_string(Path::new(INSTANCE).join("trace")).expect("the trace")
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = fs::remove_dir(INSTANCE);
    }
}

/// `comm-pid [cpu] flags seconds: event` → the parent and the child.
fn parse(trace: &str) -> [Process; 2] {
    let mut processes: BTreeMap<u32, Process> = BTreeMap::new();
    let (mut parent, mut child) = (0, 0);
    for line in trace.lines().filter(|line| !line.starts_with('#')) {
        let Some((head, event)) = line.split_once(": ") else {
            continue;
        };
        let mut words = head.split_whitespace();
        let task = words.next().unwrap_or_default();
        let time = words.next_back().and_then(|it| it.parse::<f64>().ok());
        let pid = task.rsplit_once('-').and_then(|(_, it)| it.parse().ok());
        let (Some(time), Some(pid)) = (time, pid) else {
            continue;
        };
        if parent == 0 && task.starts_with("ucr-traced") {
            parent = pid;
        }
        let forked = event.strip_prefix("sched_process_fork:");
        if let (Some(forked), true) = (forked, pid == parent) {
            let word = forked.rsplit_once("child_pid=").expect("a pid").1;
            child = word.trim().parse().expect("a pid");
        }
        processes.entry(pid).or_default().note(time * 1e6, event);
    }
    [parent, child].map(|pid| processes.remove(&pid).unwrap_or_default())
}

impl Process {
    fn note(&mut self, time: f64, event: &str) {
        self.end = time;
        if event.starts_with("page_fault_user") {
            self.faults.push(time);
        } else if event.starts_with("sys_execve ->") {
            self.close(time);
            self.calls.push((time, time, "exec returned".into()));
        } else if let Some(call) = event.strip_prefix("sys_") {
            match call.split_once('(') {
                Some((name, _)) => self.calls.push((time, f64::NAN, plain(name))),
                None => self.close(time),
            }
        }
    }

    /// The end of the call that was begun last.
    fn close(&mut self, time: f64) {
        if let Some((_, end, _)) = self.calls.last_mut().filter(|call| call.1.is_nan()) {
            *end = time;
        }
    }

    /// When each phase begins; one whose call does not come has no length.
    fn beginnings(&self, phases: &[Phase]) -> Vec<f64> {
        let mut begins = vec![self.calls.first().map_or(0.0, |call| call.0)];
        let mut from = 0;
        for (_, mark) in &phases[1..] {
            let found = self.calls[from..].iter().position(|call| call.2 == *mark);
            let begin = found.map(|place| {
                from += place + 1;
                self.calls[from - 1].0
            });
            begins.push(begin.unwrap_or(f64::NAN));
        }
        begins.push(self.end);
        for place in (1..begins.len() - 1).rev() {
            if begins[place].is_nan() {
                begins[place] = begins[place + 1];
            }
        }
        begins
    }

    /// How long the calls of each phase took, by name.
    fn by_phase<'a>(&'a self, phases: &[Phase]) -> BTreeMap<(&'static str, &'a str), Vec<f64>> {
        let begins = self.beginnings(phases);
        let mut all: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for (begin, end, name) in self.calls.iter().filter(|call| !call.1.is_nan()) {
            let later = begins[1..phases.len()].iter().take_while(|it| *it <= begin);
            if !WAITING.contains(&name.as_str()) {
                let key = (phases[later.count()].0, name.as_str());
                all.entry(key).or_default().push(end - begin);
            }
        }
        all
    }

    fn costs(&self, phases: &[Phase]) -> Vec<Cost> {
        let begins = self.beginnings(phases);
        let cost = |span: &[f64]| {
            let is_in = |time: f64| time >= span[0] && time < span[1];
            let calls = self.calls.iter().filter(|call| is_in(call.0));
            let calls = calls.filter(|call| call.2 != "exec returned");
            Cost {
                wall: span[1] - span[0],
                in_calls: calls.clone().map(|it| (it.1 - it.0).max(0.0)).sum(),
                calls: calls.count() as f64,
                faults: self.faults.iter().filter(|time| is_in(**time)).count() as f64,
            }
        };
        begins.windows(2).map(cost).collect()
    }
}

/// The kernel's names of old calls that were made anew.
fn plain(name: &str) -> String {
    name.strip_prefix("new").unwrap_or(name).to_owned()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn render(runs: &[[Process; 2]]) -> String {
    let mut text = format!(
        "{:<36}{:>9}{:>9}{:>9}{:>9}\n",
        format!("µs, median of {}", runs.len()),
        "wall",
        "in calls",
        "calls",
        "faults"
    );
    for (number, (title, phases)) in [("ucr", PARENT), ("its child", CHILD)].iter().enumerate() {
        let costs: Vec<_> = runs.iter().map(|run| run[number].costs(phases)).collect();
        let of = |phase: usize, field: fn(&Cost) -> f64| {
            median(costs.iter().map(|run| field(&run[phase])).collect())
        };
        let _ = writeln!(text, "{title}");
        for (place, (phase, _)) in phases.iter().enumerate() {
            line(&mut text, &format!("  {phase}"), |field| of(place, field));
        }
        line(&mut text, "  all", |field| {
            median(
                costs
                    .iter()
                    .map(|run| run.iter().map(field).sum())
                    .collect(),
            )
        });
    }
    text + &dearest(runs)
}

fn line(text: &mut String, title: &str, of: impl Fn(fn(&Cost) -> f64) -> f64) {
    let _ = writeln!(
        text,
        "{title:<36}{:>9.0}{:>9.0}{:>9.0}{:>9.0}",
        of(|it| it.wall),
        of(|it| it.in_calls),
        of(|it| it.calls),
        of(|it| it.faults)
    );
}

/// The calls that took most, by phase, without those that wait.
fn dearest(runs: &[[Process; 2]]) -> String {
    let mut sums: BTreeMap<(&str, &str), (Vec<f64>, usize)> = BTreeMap::new();
    for run in runs {
        for (process, phases) in run.iter().zip([PARENT, CHILD]) {
            for (key, times) in process.by_phase(phases) {
                let sum = sums.entry(key).or_default();
                sum.0.push(times.iter().sum());
                sum.1 = times.len();
            }
        }
    }
    let rows = sums.into_iter();
    let mut rows: Vec<_> = rows
        .map(|(key, (times, count))| (key, median(times), count))
        .collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let rows = rows
        .iter()
        .take(LISTED)
        .map(|((phase, name), time, count)| {
            format!(
                "  {:<36}{time:>7.0} µs in {count}\n",
                format!("{name}: {phase}")
            )
        });
    format!("dearest calls\n{}", rows.collect::<String>())
}
