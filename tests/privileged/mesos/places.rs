//! Where the processes of a task are, in every hierarchy of cgroups.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::mesos_launcher::{Launcher, USED, describe, marked};
use crate::support::process;

use super::{LIMIT, command, new_mark, task};
use crate::lan::alone;
use crate::world::World;

/// The cgroup of a process in each version 1 hierarchy, by its names.
pub fn cgroups(pid: i32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let each = names
            .split(',')
            .map(|name| (name.to_owned(), path.to_owned()));
        Some(each.collect::<Vec<_>>())
    };
    text.lines().filter_map(line).flatten().collect()
}

/// All processes with the mark are at or below the task's cgroup where it has one; how many there are.
#[track_caller]
pub fn assert_inside(launcher: &Launcher, mark: &str) -> usize {
    let own = launcher.cgroup_path();
    let found = marked(mark);
    for &pid in &found {
        let places = cgroups(pid);
        for hierarchy in USED.iter().filter(|_| !places.is_empty()) {
            let place = &places[*hierarchy];
            let is_inside = *place == own || place.starts_with(&format!("{own}/"));
            assert!(is_inside, "{hierarchy} {place}: {}", describe(pid));
        }
    }
    found.len()
}

/// The cgroups of ucr's that are in hierarchies which the launcher does not use.
pub fn elsewhere(id: &str) -> Vec<PathBuf> {
    let tops = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
    let tops = tops.filter(|it| !USED.iter().any(|name| it.file_name() == *name));
    let of = |top: fs::DirEntry| {
        let inside = fs::read_dir(top.path()).into_iter().flatten().flatten();
        let inside = inside.map(|it| it.path());
        inside
            .filter(|it| it.to_string_lossy().contains(id))
            .collect::<Vec<_>>()
    };
    tops.flat_map(of).collect()
}

#[test]
fn every_process_stays_with_the_task() {
    alone(|| {
        let world = World::small();
        let rows: &[(&[&str], usize)] = &[
            // ucr and the command.
            (&[], 2),
            (&["--network=bridge", "-p", "80"], 2),
            (&["--memory=64m", "--cpus=0.5", "--pids-limit=50"], 2),
            (&["--init", "--memory=64m", "--cpu-shares=100"], 3),
            (&["--cpuset-cpus=0", "--blkio-weight=300"], 2),
            // Who watches it, too.
            (&["-t"], 3),
            (&["--restart=always"], 2),
        ];
        for (flags, count) in rows {
            let mark = new_mark();
            let script =
                format!(": {mark}; trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done");
            let mut launcher = task(&world, flags, &script);
            launcher.wait_until("ready", LIMIT, |it| it.text("stdout").contains("ready"));
            let id = &world.ucr.run(["ps", "--quiet"]).ok().text().to_owned();
            let script = format!("echo inside; exec sleep 60; : {mark}");
            let exec = command(&world, &["exec", id, "sh", "-c", &script]);
            let exec = process::spawn(&mut launcher.enter(&exec), b"");
            exec.wait_until("exec", LIMIT, || exec.stdout_so_far().contains("inside"));
            let found = assert_inside(&launcher, &mark);
            assert!(found > *count, "{flags:?}: {found}");
            assert!(
                !elsewhere(id).is_empty(),
                "limits of processes are somewhere"
            );
            drop(exec);
            if flags.contains(&"--restart=always") {
                world.ucr.run(["stop", id]).ok();
            } else {
                launcher.signal(Signal::SIGTERM);
            }
            assert!(launcher.ended_within(LIMIT).is_some());
            assert_eq!(elsewhere(id), Vec::<PathBuf>::new(), "{flags:?}");
            let destroyed = launcher.destroy(Duration::from_secs(2));
            assert!(destroyed.in_the_way.is_empty(), "{flags:?} {destroyed:?}");
            world.ucr.run(["rm", "--force", id]);
        }
    });
}

/// The launcher of these tests sees what would keep a real agent waiting.
#[test]
fn a_process_that_leaves_one_hierarchy_is_in_the_way() {
    let mark = new_mark();
    let mut launcher = Launcher::new(64);
    let script = format!(
        "sh -c 'echo 0 >/sys/fs/cgroup/freezer/cgroup.procs; echo ready; sleep 60; : {mark}' & wait"
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    launcher.start(&shell, &[]);
    launcher.wait_until("ready", LIMIT, |it| it.text("stdout").contains("ready"));
    let limit = Duration::from_millis(500);
    let destroyed = launcher.destroy(limit);
    assert!(
        destroyed.took >= limit && destroyed.killed.len() == 1,
        "{destroyed:?}"
    );
    let seen = destroyed.in_the_way.join("\n");
    for word in ["/memory/", "/cpu/", &mark, "Device or resource busy"] {
        assert!(seen.contains(word), "no {word} in\n{seen}");
    }
    assert!(!seen.contains("/freezer/ucr"), "{seen}");
    drop(launcher);
    assert_eq!(marked(&mark), Vec::<i32>::new());
}
