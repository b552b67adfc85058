//! The agent kills an executor with its tasks: its warden keeps nobody waiting, and does what the next
//! command of ucr would do, unasked.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::kill::{BOUND, destroy_all, traces};
use super::places::cgroups;
use super::{LIMIT, MEMORY, command, new_mark};
use crate::engine_life::Host;
use crate::executor::data;
use crate::lan::alone;
use crate::support::fake_agent::FakeAgent;
use crate::support::layout::Layout;
use crate::support::mesos_launcher::{Launcher, marked};
use crate::support::samples;
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

/// An executor under a launcher, with one task.
struct Killed {
    agent: FakeAgent,
    launcher: Launcher,
    mark: String,
}

impl Killed {
    /// Starts both; they run when this returns.
    fn begin(ucr: &[&str], env: &[(&str, &str)], container: &Value) -> Self {
        let (agent, mark) = (FakeAgent::start(), new_mark());
        let mut launcher = Launcher::new(MEMORY);
        let mut command = Command::new(ucr[0]);
        command.args(&ucr[1..]);
        let own = agent.environment();
        let own = own
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let env: Vec<_> = own
            .chain(env.iter().copied())
            .chain([("MARK", mark.as_str())])
            .collect();
        launcher.start(&command, &env);
        let script = format!(": {mark}; echo ready; while :; do sleep 0.05; done");
        let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
        let ports = json!({"range": [{"begin": 8080, "end": 8080}]});
        agent.launch(json!({
            "task_id": {"value": "t"},
            "container": container,
            "data": data(&json!({"value": script})),
            "resources": [
                scalar("cpus", 0.1),
                scalar("mem", 64.0),
                {"name": "ports", "type": "RANGES", "ranges": ports},
            ],
        }));
        let is_running = |_: &Launcher| agent.states("t").contains(&"TASK_RUNNING".to_owned());
        launcher.wait_until("TASK_RUNNING", LIMIT, is_running);
        Self {
            agent,
            launcher,
            mark,
        }
    }

    /// With native containers.
    fn native(world: &World, network: &Value) -> Self {
        Self::hidden(world, &[], network)
    }

    /// The same, started by another program.
    fn hidden(world: &World, by: &[&str], network: &Value) -> Self {
        let registry = Layout::of("1", &samples::small()).serve("1");
        let name = format!("{}/small:1", registry.host());
        let image = json!({"type": "DOCKER", "docker": {"name": name}});
        let mut container = json!({"type": "MESOS", "mesos": {"image": image}});
        if let Value::Object(network) = network.clone() {
            container.as_object_mut().unwrap().extend(network);
        }
        Self::begin(
            &[
                by,
                &words(&command(world, &["executor", "--cgroups=best-effort"])),
            ]
            .concat(),
            &[],
            &container,
        )
    }
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

/// The program of a command, and its arguments.
fn words(command: &Command) -> Vec<&str> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.filter_map(|word| word.to_str()).collect()
}

/// What an agent may say of a container's network.
fn network(name: &str, ports: &[u16]) -> Value {
    let mapping = |port: &u16| json!({"host_port": port, "container_port": 80});
    let mappings: Vec<_> = ports.iter().map(mapping).collect();
    json!({"network_infos": [{"name": name, "port_mappings": mappings}]})
}

#[test]
fn nothing_is_left_for_the_next_command() {
    alone(|| {
        for network in [json!({}), network("front", &[8080])] {
            let world = World::small();
            world.ucr.run(["network", "create", "front"]).ok();
            let mut it = Killed::native(&world, &network);
            let id = world.ucr.run(["ps", "--quiet"]).ok().text().to_owned();
            let warden = the_warden(&it.mark);
            assert_apart(warden);
            let (rss, own) = (memory(warden, "Rss:"), memory(warden, "Private_Dirty:"));
            assert!(rss < MOST, "{rss} KiB");
            let destroyed = it.launcher.destroy(BOUND);
            assert!(destroyed.in_the_way.is_empty(), "{network}: {destroyed:#?}");
            assert!(!destroyed.killed.is_empty());
            let healed = wait_until("healed", || traces(&world, &id).is_empty());
            let gone = wait_until("gone", || marked(&it.mark).is_empty());
            println!(
                "{network}: rss {rss} KiB, private dirty {own}; {} killed, cgroups gone after {:?}, healed \
                 {healed:?} later, warden gone {gone:?} later",
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
        world.ucr.run(["network", "create", "front"]).ok();
        let mut it = Killed::native(&world, &network("front", &[8080]));
        let id = world.ucr.run(["ps", "--quiet"]).ok().text().to_owned();
        it.launcher.signal(Signal::SIGKILL);
        assert_eq!(it.launcher.ended_within(LIMIT), Some(-9));
        let healed = wait_until("healed", || traces(&world, &id).is_empty());
        let gone = wait_until("gone", || marked(&it.mark).is_empty());
        println!("alone: healed after {healed:?}, warden gone {gone:?} later");
        let destroyed = it.launcher.destroy(BOUND);
        assert!(destroyed.in_the_way.is_empty(), "{destroyed:#?}");
        world.assert_clean();
    });
}

/// What Docker Engine runs for a task that was killed is removed, too.
#[test]
fn docker_engine() {
    let host = Host::new();
    let container = json!({"type": "DOCKER", "docker": {"image": host.image}});
    let env = [("DOCKER_HOST", &*host.host())];
    let own = host.ucr.command();
    let mut it = Killed::begin(
        &[&words(&own)[..], &["executor"]].concat(),
        &env,
        &container,
    );
    assert_apart(the_warden(&it.mark));
    assert!(!host.run(&["ps", "--quiet"]).ok().text().is_empty());
    let destroyed = it.launcher.destroy(BOUND);
    assert!(destroyed.in_the_way.is_empty(), "{destroyed:#?}");
    let healed = wait_until("healed", || host.private().is_empty());
    let gone = wait_until("gone", || marked(&it.mark).is_empty());
    println!("docker: healed {healed:?} later, all gone {gone:?} later");
}

/// With nothing left to do it does not stay.
#[test]
fn an_executor_that_leaves_nothing() {
    let world = World::small();
    let mut it = Killed::native(&world, &json!({}));
    assert_eq!(wardens(&it.mark).len(), 1);
    it.agent.shutdown();
    assert_eq!(it.launcher.ended_within(LIMIT), Some(0));
    assert_eq!(marked(&it.mark), Vec::<i32>::new());
    let destroyed = it.launcher.destroy(BOUND);
    assert!(destroyed.killed.is_empty(), "{destroyed:?}");
    assert!(destroyed.in_the_way.is_empty(), "{destroyed:?}");
    world.assert_clean();
}

/// It would keep the agent waiting, so there is none; all else goes on.
#[test]
fn where_it_cannot_leave() {
    let world = World::small();
    let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";
    let mut it = Killed::hidden(&world, &["sh", "-c", script, "sh"], &json!({}));
    assert_eq!(wardens(&it.mark), Vec::<i32>::new());
    let said = it.launcher.text("stderr");
    assert!(said.contains("no warden"), "{said}");
    assert!(said.contains("its top is not mounted"), "{said}");
    destroy_all("hidden", &world, &mut it.launcher, &it.mark);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}
