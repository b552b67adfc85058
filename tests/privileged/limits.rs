//! Limits on this machine's own cgroups, seen to bite: a child lets itself in, then allocates, forks
//! or spins.

use std::ffi::CString;
use std::io::Read;
use std::time::{Duration, Instant};

use ucr::error::{self, Kind};
use ucr::runtime::native::cgroup::{
    CgroupPlan, Cgroups, Controller, DeviceList, DeviceRule, Disks, Host, Wanted, destroy_left,
    plan,
};
use ucr::spec::Resources;
use ucr::sys;
use ucr::sys::proc::Proc;
use ucr::sys::process::{Exit, Namespaces, Words, exec, spawn_into};

use crate::support::need;

const LIMIT: Duration = Duration::from_secs(60);

fn host() -> Host {
    Host::detect(&Proc::open().unwrap()).unwrap()
}

fn decide(json: &str) -> CgroupPlan {
    need::root();
    let resources: Resources = serde_json::from_str(json).unwrap();
    let (host, id) = (host(), sys::random_name().unwrap());
    let devices = DeviceList {
        rules: &DeviceRule::DEFAULT,
        asked: None,
    };
    let wanted = Wanted {
        resources: &resources,
        devices: Some(devices),
        disks: &Disks::default(),
        holds_all: false,
    };
    plan(&wanted, &host, &id).unwrap()
}

fn make(json: &str) -> Cgroups {
    let cgroups = decide(json).create().unwrap();
    assert_eq!(cgroups.notes(), [""; 0], "{json}");
    assert!(!cgroups.paths().is_empty());
    cgroups
}

/// Runs a script inside; how it ended, and its stdout.
fn inside(cgroups: &Cgroups, script: &str) -> (Exit, String) {
    let seconds = LIMIT.as_secs().to_string();
    let words = ["timeout", "-s", "KILL", &seconds, "sh", "-c", script];
    let words = Words::new(words).unwrap();
    let env = Words::new(["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]).unwrap();
    let program = need::program("timeout", "coreutils");
    let program = CString::new(program.as_os_str().as_encoded_bytes()).unwrap();
    let (mut output, theirs) = std::io::pipe().unwrap();
    let child = spawn_into(Namespaces::default(), cgroups.clone_into(), || {
        let started = cgroups.attach_self().map_err(std::io::Error::other);
        let started = started.and_then(|()| Ok(rustix::stdio::dup2_stdout(&theirs)?));
        match started.and_then(|()| exec(&program, &words, &env)) {
            Ok(never) => match never {},
            Err(_) => 99,
        }
    });
    drop(theirs);
    let child = child.unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    (child.wait().unwrap(), text)
}

fn destroy(cgroups: Cgroups) {
    let paths = cgroups.paths();
    cgroups.destroy().unwrap();
    let left: Vec<_> = paths.iter().filter(|path| path.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn memory_runs_out_and_the_kill_is_counted() {
    let cgroups = make(r#"{"memory": 16777216, "memory_swap": 16777216}"#);
    let (exit, output) = inside(&cgroups, "echo small");
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(output, "small\n");
    assert_eq!(cgroups.oom_kills(), Some(0));
    // A variable grows to 64 MiB, and no further: without the limit nothing is killed.
    let grow = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26";
    let script = format!("sh -c 'x=a; {grow}; do x=$x$x; done'; echo $?");
    let (_, output) = inside(&cgroups, &script);
    assert_eq!(output, "137\n");
    assert!(cgroups.oom_kills() >= Some(1), "{:?}", cgroups.oom_kills());
    destroy(cgroups);
}

#[test]
fn without_a_limit_of_memory_nothing_is_known_of_kills() {
    let cgroups = make("{}");
    assert_eq!(cgroups.oom_kills(), None);
    destroy(cgroups);
}

#[test]
fn a_fork_bomb_stays_inside() {
    let cgroups = make(r#"{"pids_limit": 20}"#);
    let script = "for i in $(seq 40); do sleep 60 >/dev/null & done 2>/dev/null; echo unreached";
    let (exit, output) = inside(&cgroups, script);
    assert_ne!(exit, Exit::Code(0), "{output}");
    // Fewer than twenty are asleep now, and everything is gone at the end.
    destroy(cgroups);
}

#[test]
fn half_a_processor_is_half_of_the_time() {
    let cgroups = make(r#"{"cpus": 0.2, "cpu_shares": 512}"#);
    let script = "timeout 2 sh -c 'while :; do :; done'; times";
    let begin = Instant::now();
    let (_, output) = inside(&cgroups, script);
    let passed = begin.elapsed().as_secs_f64();
    let used = seconds(output.lines().last().unwrap());
    // A fifth of two seconds, and the first period.
    assert!(used < 0.35 * passed, "{used} of {passed}: {output}");
    assert!(used > 0.05, "{used}");
    destroy(cgroups);
}

/// The sum of `0m0.123s 0m0.456s`.
fn seconds(times: &str) -> f64 {
    let one = |word: &str| -> f64 {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    times.split_whitespace().map(one).sum()
}

#[test]
fn processors_can_be_chosen() {
    let cgroups = make(r#"{"cpuset_cpus": "0"}"#);
    let (_, output) = inside(&cgroups, "grep Cpus_allowed_list /proc/self/status");
    assert_eq!(output, "Cpus_allowed_list:\t0\n");
    destroy(cgroups);
}

#[test]
fn devices_that_are_not_listed_are_refused() {
    let cgroups = make("{}");
    let script = "true </dev/zero && echo zero; true </dev/kmsg || echo refused";
    let (_, output) = inside(&cgroups, script);
    assert_eq!(output, "zero\nrefused\n");
    destroy(cgroups);
}

#[test]
fn what_lingers_is_killed() {
    let cgroups = make(r#"{"memory": 16777216}"#);
    let (_, output) = inside(&cgroups, "sleep 1000 >/dev/null & echo $!");
    let state = || {
        // The field behind the name; nobody need have reaped it.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", output.trim())).ok()?;
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next())
    };
    assert!(
        matches!(state(), Some('S' | 'R')),
        "it lingers: {:?}",
        state()
    );
    destroy(cgroups);
    assert!(matches!(state(), None | Some('Z' | 'X')), "{:?}", state());
}

/// As on a fault after the container's first process was started.
#[test]
fn dropped_cgroups_are_destroyed_with_what_is_inside() {
    let cgroups = make("{}");
    let paths = cgroups.paths();
    inside(&cgroups, "sleep 1000 >/dev/null &");
    drop(cgroups);
    assert!(paths.iter().all(|path| !path.exists()), "{paths:?}");
}

/// As after `kill -9` of ucr: only the paths are known; cgroups below are gone, too.
#[test]
fn others_can_destroy_what_is_left() {
    let cgroups = make("{}");
    let paths = cgroups.paths();
    inside(&cgroups, "sleep 1000 >/dev/null &");
    std::fs::create_dir_all(paths[0].join("a/b")).unwrap();
    std::mem::forget(cgroups);
    destroy_left(&paths).unwrap();
    assert!(paths.iter().all(|path| !path.exists()));
    destroy_left(&paths).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let elsewhere = scratch.path().join("no-cgroup");
    std::fs::create_dir(&elsewhere).unwrap();
    destroy_left(std::slice::from_ref(&elsewhere)).unwrap();
    assert!(elsewhere.exists());
}

#[test]
fn only_what_has_a_limit_is_touched_and_it_is_below_our_own_cgroup() {
    let host = host();
    let made = decide(r#"{"cpus": 1}"#);
    let touched: Vec<_> = made
        .groups
        .iter()
        .flat_map(|g| g.controllers.clone())
        .collect();
    assert_eq!(
        touched,
        [Controller::Cpu, Controller::Pids, Controller::Devices]
    );
    for group in &made.groups {
        let own = host.v1_of(group.controllers[0]).unwrap();
        assert_eq!(group.parent, own.directory);
    }
}

/// Neither a default that fails nor a wish at best effort stops anything; a plain wish does.
#[test]
fn what_the_kernel_refuses() {
    let impossible = r#""cpuset_cpus": "0-4000""#;
    let cgroups = decide(&format!(r#"{{{impossible}, "cgroups": "best-effort"}}"#))
        .create()
        .unwrap();
    assert_eq!(cgroups.notes().len(), 1, "{:?}", cgroups.notes());
    assert!(cgroups.notes()[0].contains("--cpuset-cpus"));
    destroy(cgroups);
    let refused = decide(&format!("{{{impossible}}}"));
    let error = refused.create().unwrap_err();
    assert_eq!(error::kind(&error), Kind::Unsupported);
    assert!(error.to_string().contains("--cpuset-cpus"), "{error}");
    assert!(error::hint(&error).unwrap().contains("best-effort"));
    for group in &refused.groups {
        assert!(!group.path().exists(), "left: {}", group.path().display());
    }
}

/// A tmpfs that got a cgroup's place is not written to.
#[test]
fn nothing_is_made_outside_a_cgroup_filesystem() {
    let scratch = tempfile::tempdir().unwrap();
    let moved = |asked: bool| {
        let mut made = decide(r#"{"pids_limit": 5}"#);
        for group in &mut made.groups {
            group.parent = scratch.path().to_owned();
            for setting in &mut group.settings {
                setting.asked = asked;
            }
        }
        made
    };
    let error = moved(true).create().unwrap_err();
    assert!(
        format!("{error:#}").contains("not in a cgroup filesystem"),
        "{error:#}"
    );
    let cgroups = moved(false).create().unwrap();
    assert_eq!(cgroups.notes().len(), 2);
    assert!(cgroups.paths().is_empty());
    let other = host().v1_of(Controller::Cpu).unwrap().directory.clone();
    let mut wrong = decide(r#"{"pids_limit": 5}"#);
    wrong.groups[0].parent = other;
    let error = wrong.create().unwrap_err();
    assert!(
        error.to_string().contains("another filesystem"),
        "{error:#}"
    );
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}
