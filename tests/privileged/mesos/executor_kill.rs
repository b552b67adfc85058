//! The agent kills an executor with its tasks: its warden keeps nobody waiting, and does what the next
//! command of ucr would do, unasked.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::engine::known;
use super::kill::{BOUND, destroy_all, plugged_flags, running_with, traces};
use super::places::cgroups;
use super::{LIMIT, MEMORY, command, new_mark, run_words};
use crate::cni::{Plugged, bridge};
use crate::engine_life::Host;
use crate::lan::alone;
use crate::support::mesos_launcher::{Launcher, describe, marked};
use crate::world::World;

/// The warden's own bound, and a little.
const SOON: Duration = Duration::from_secs(12);
/// What a process that only waits may have, in KiB; it shares nearly all of that.
const MOST: u64 = 12 << 10;

/// The wardens among the processes with this mark.
fn wardens(mark: &str) -> Vec<i32> {
    let is_one = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "ucr-warden")
    };
    marked(mark).into_iter().filter(is_one).collect()
}

#[track_caller]
fn the_warden(mark: &str) -> i32 {
    let found = wardens(mark);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

/// In KiB, by a line of smaps_rollup.
fn memory(pid: i32, what: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(what));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

/// It has nothing of the executor's that others could wait for.
#[track_caller]
fn assert_apart(pid: i32) {
    let inside: Vec<_> = cgroups(pid)
        .into_iter()
        .filter(|(_, path)| path != "/")
        .collect();
    assert!(inside.is_empty(), "{inside:?}");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // Its process group and its session.
    let fields: Vec<&str> = fields.split_whitespace().skip(2).take(2).collect();
    assert_eq!(fields, [pid.to_string(), pid.to_string()]);
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        std::path::Path::new("/")
    );
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let open = open.map(|it| fs::read_link(it.path()).unwrap_or_default());
    let open: Vec<String> = open.map(|it| it.to_string_lossy().into_owned()).collect();
    let count = |what: &str| open.iter().filter(|it| it.starts_with(what)).count();
    assert_eq!((count("/dev/null"), count("pipe:")), (3, 1), "{open:?}");
    assert_eq!(open.len(), 5, "and the executor: {open:?}");
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < SOON, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begin.elapsed()
}

#[test]
fn nothing_is_left_for_the_next_command() {
    alone(|| {
        for flags in [
            &["--network=none"][..],
            &["-p", "8080:80", "-p", "53:53/udp"],
            &["--memory=64m", "--cpus=0.5", "-t"],
        ] {
            let world = World::small();
            let (name, mark) = (flags.join(" "), new_mark());
            let env = [("UCR_WARDEN_HOOK", "1")];
            let (mut launcher, id, _) = running_with(&world, flags, &mark, &env);
            let warden = the_warden(&mark);
            assert_apart(warden);
            let (rss, pss) = (memory(warden, "Rss:"), memory(warden, "Pss:"));
            let own = memory(warden, "Private_Dirty:");
            assert!(rss < MOST, "{rss} KiB");
            let destroyed = launcher.destroy(BOUND);
            assert!(destroyed.in_the_way.is_empty(), "{name}: {destroyed:#?}");
            let healed = wait_until("healed", || traces(&world, &id).is_empty());
            let gone = wait_until("gone", || marked(&mark).is_empty());
            println!(
                "{name}: rss {rss} KiB, pss {pss}, private dirty {own}; {} killed, cgroups gone after {:?}, \
                 healed {healed:?} later, warden gone {gone:?} later",
                destroyed.killed.len(),
                destroyed.took
            );
            world.assert_clean();
        }
    });
}

/// Killed alone, it takes its tasks along; the warden waits until they are gone.
#[test]
fn an_executor_that_is_killed_alone() {
    alone(|| {
        let world = World::small();
        let mark = new_mark();
        let env = [("UCR_WARDEN_HOOK", "1")];
        let (mut launcher, id, _) = running_with(&world, &["-p", "8080:80"], &mark, &env);
        launcher.signal(Signal::SIGKILL);
        assert_eq!(launcher.ended_within(LIMIT), Some(-9));
        let healed = wait_until("healed", || traces(&world, &id).is_empty());
        let gone = wait_until("gone", || marked(&mark).is_empty());
        println!("alone: healed after {healed:?}, warden gone {gone:?} later");
        let destroyed = launcher.destroy(BOUND);
        assert!(destroyed.in_the_way.is_empty(), "{destroyed:#?}");
        world.assert_clean();
    });
}

/// It sees the network namespace where it is kept, so that plugins find all that they did.
#[test]
fn networks_of_plugins() {
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        let (world, mark) = (&plugged.world, new_mark());
        let flags = plugged_flags(&plugged);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let env = [("UCR_WARDEN_HOOK", "1")];
        let (mut launcher, id, _) = running_with(world, &flags, &mark, &env);
        let destroyed = launcher.destroy(BOUND);
        assert!(destroyed.in_the_way.is_empty(), "{destroyed:#?}");
        let is_clean = || traces(world, &id).is_empty() && plugged.traces().is_empty();
        let healed = wait_until("healed", is_clean);
        wait_until("gone", || marked(&mark).is_empty());
        println!("cni: healed after {healed:?}");
        plugged.assert_no_traces();
    });
}

/// What Docker Engine runs for a task that was killed is removed, too.
#[test]
fn docker_engine() {
    let host = Host::new();
    let (mark, label) = (new_mark(), new_mark());
    let mut command = host.ucr.command();
    command.args(["--runtime=docker", "run", "-e", &format!("MARK={mark}")]);
    let script = "echo ready; while :; do sleep 0.05; done";
    command.args(["--label", &label, &host.image, "sh", "-c", script]);
    let mut launcher = Launcher::new(MEMORY);
    let env = [
        ("DOCKER_HOST", &*host.host()),
        ("UCR_WARDEN_HOOK", "docker"),
    ];
    launcher.start(&command, &env);
    launcher.wait_until("ready", LIMIT, |it| it.text("stdout").contains("ready"));
    assert_apart(the_warden(&mark));
    let destroyed = launcher.destroy(BOUND);
    assert!(destroyed.in_the_way.is_empty(), "{destroyed:#?}");
    let healed = wait_until("healed", || host.private().is_empty());
    let gone = wait_until("gone", || marked(&mark).is_empty());
    println!("docker: healed {healed:?} later, all gone {gone:?} later");
    assert_eq!(known(&host, &label), "");
}

/// With nothing left to do it does not stay.
#[test]
fn an_executor_that_leaves_nothing() {
    let world = World::small();
    let mark = new_mark();
    let env = [("UCR_WARDEN_HOOK", "dismiss")];
    let (mut launcher, _, _) = running_with(&world, &[], &mark, &env);
    assert_eq!(wardens(&mark), Vec::<i32>::new());
    let all: BTreeSet<_> = launcher.processes("freezer").into_iter().collect();
    let others = marked(&mark).into_iter().filter(|pid| !all.contains(pid));
    assert_eq!(
        others.map(describe).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    destroy_all("dismissed", &world, &mut launcher, &mark);
}

/// It would keep the agent waiting, so there is none; all else goes on.
#[test]
fn where_it_cannot_leave() {
    let world = World::small();
    let mark = new_mark();
    let script = format!(": {mark}; echo ready; while :; do sleep 0.05; done");
    let words = run_words(&world, &[], &["sh", "-c", &script]);
    let run = command(&world, &words);
    let mut hidden = Command::new("sh");
    hidden.args([
        "-c",
        "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"",
        "sh",
    ]);
    hidden.arg(run.get_program()).args(run.get_args());
    let mut launcher = Launcher::new(MEMORY);
    launcher.start(&hidden, &[("UCR_WARDEN_HOOK", "1")]);
    launcher.wait_until("ready", LIMIT, |it| it.text("stdout").contains("ready"));
    assert_eq!(wardens(&mark), Vec::<i32>::new());
    let said = launcher.text("stderr");
    assert!(
        said.contains("no warden") && said.contains("its top is not mounted"),
        "{said}"
    );
    destroy_all("hidden", &world, &mut launcher, &mark);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}
