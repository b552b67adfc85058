//! The agent kills a task by its freezer cgroup: what is left right after that, and what after the next
//! command of ucr. Nothing is left that runs, or that would keep the agent waiting.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::image::Image;
use crate::support::layer::{Layer, Packing};
use crate::support::layout::Layout;
use crate::support::mesos_launcher::{Destroyed, Launcher, describe, marked};
use crate::support::scratch::mounts_below;
use crate::support::scripted_registry::Misbehaviour;
use crate::support::ucr::children;

use super::places::{assert_inside, elsewhere};
use super::{LIMIT, new_mark, run_words, started};
use crate::cni::{Plugged, bridge};
use crate::lan::{alone, eventually, ip, nft};
use crate::world::World;

/// Longer than anything here needs; the agent itself would wait for a minute.
pub const BOUND: Duration = Duration::from_secs(2);

/// What can be left of a task that was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trace {
    /// Its cgroups in hierarchies that the launcher does not use, empty.
    Cgroups,
    /// A record in the state directory, of which no process has the lock.
    Record,
    /// Its directory in the store.
    Directory,
    /// Who has which address.
    Lease,
    /// Redirections of published ports.
    Redirections,
    /// What a pull had written.
    Download,
}

use Trace::{Cgroups, Directory, Download, Lease, Record, Redirections};

/// Of a container without a network of its own.
const PLAIN: &[Trace] = &[Cgroups, Record, Directory];
const BRIDGED: &[Trace] = &[Cgroups, Record, Directory, Lease];
const PUBLISHED: &[Trace] = &[Cgroups, Record, Directory, Lease, Redirections];

pub fn traces(world: &World, id: &str) -> BTreeSet<Trace> {
    let store = world.ucr.root();
    let has = |directory: PathBuf| !children(&directory).is_empty();
    let downloads = ["tmp", "ingest"].map(|part| store.join(part));
    let found = [
        (Cgroups, !id.is_empty() && !elsewhere(id).is_empty()),
        (Record, has(world.ucr.state().join("containers"))),
        (Directory, has(store.join("containers"))),
        (Lease, has(world.ucr.state().join("network"))),
        (Redirections, nft("list ruleset").contains("elements")),
        (Download, downloads.into_iter().any(has)),
    ];
    found
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(what, _)| what)
        .collect()
}

/// Destroys a task; afterwards nothing runs, nothing is mounted, and the agent is not kept waiting.
#[track_caller]
pub fn destroy_all(name: &str, world: &World, launcher: &mut Launcher, mark: &str) -> Destroyed {
    assert!(assert_inside(launcher, mark) > 0, "{name}: nobody is there");
    let destroyed = launcher.destroy(BOUND);
    assert!(destroyed.in_the_way.is_empty(), "{name}: {destroyed:#?}");
    assert!(!destroyed.killed.is_empty(), "{name}");
    let deadline = Instant::now() + BOUND;
    while !marked(mark).is_empty() {
        let left: Vec<_> = marked(mark).into_iter().map(describe).collect();
        assert!(Instant::now() < deadline, "{name}: {left:#?}");
    }
    let mounts = mounts_below(world.ucr.scratch().path());
    assert!(mounts.is_empty(), "{name}: {mounts:#?}");
    eventually("no device is left", || !ip("-br link").contains("uc0a57"));
    destroyed
}

/// No process is in that namespace, nor is it mounted anywhere that this process sees.
#[track_caller]
fn assert_no_namespace(name: &str, namespace: &Path) {
    let text = namespace.to_string_lossy().into_owned();
    let is_mounted = fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .contains(&text);
    assert!(!is_mounted, "{name}: {text} is mounted");
    let inside = fs::read_dir("/proc").unwrap().flatten();
    let inside =
        inside.filter(|it| fs::read_link(it.path().join("ns/net")).is_ok_and(|it| it == namespace));
    assert_eq!(inside.count(), 0, "{name}: {text}");
}

fn running(world: &World, flags: &[&str], mark: &str) -> (Launcher, String, PathBuf) {
    running_with(world, flags, mark, &[])
}

/// A running container, its ID, and the network namespace of its first process.
pub fn running_with(
    world: &World,
    flags: &[&str],
    mark: &str,
    env: &[(&str, &str)],
) -> (Launcher, String, PathBuf) {
    let script = format!(": {mark}; sleep 1000 & echo ready; while :; do sleep 0.05; done");
    let words = run_words(world, flags, &["sh", "-c", &script]);
    let mut launcher = started(world, &words, env);
    launcher.wait_until("ready", LIMIT, |it| it.text("stdout").contains("ready"));
    let listed = world.ucr.run(["ps", "--format", "json"]).ok().json();
    let document = &listed[0];
    let id = document["id"].as_str().unwrap().to_owned();
    let namespace = fs::read_link(format!("/proc/{}/ns/net", document["pid"])).unwrap();
    (launcher, id, namespace)
}

#[test]
fn in_the_middle_of_a_run() {
    alone(|| {
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let rows: &[(&[&str], &[Trace])] = &[
            (&["--network=host"], PLAIN),
            (&["--network=none"], PLAIN),
            (&["--network=bridge"], BRIDGED),
            (&["-p", "8080:80", "-p", "53:53/udp"], PUBLISHED),
            (&["--init"], PLAIN),
            (&["-t"], PLAIN),
            (&["--restart=always"], PLAIN),
            (&["--restart=always", "-p", "8080:80"], PUBLISHED),
            (&["--memory=64m", "--cpus=0.5", "--pids-limit=90"], PLAIN),
            (&["--userns=auto"], PLAIN),
            (&["-v", "named:/data", "--tmpfs", "/scratch"], PLAIN),
        ];
        for (flags, left) in rows {
            let world = World::small();
            let (name, mark) = (flags.join(" "), new_mark());
            let (mut launcher, id, namespace) = running(&world, flags, &mark);
            let destroyed = destroy_all(&name, &world, &mut launcher, &mark);
            if namespace != own {
                assert_no_namespace(&name, &namespace);
            }
            let seen = traces(&world, &id);
            println!(
                "{name}: {} killed in {:?}, cgroups gone after {:?}, left: {seen:?}",
                destroyed.killed.len(),
                destroyed.killing,
                destroyed.took
            );
            assert_eq!(seen, left.iter().copied().collect(), "{name}");
            let begin = Instant::now();
            let listed = world.ucr.run(["ps", "--quiet"]).ok();
            assert_eq!(listed.text(), "", "{name}");
            println!("{name}: healed by ucr ps in {:?}", begin.elapsed());
            // A container with a restart policy is kept until it is removed.
            let kept = world.ucr.run(["ps", "--all", "--quiet"]).ok();
            if !kept.text().is_empty() {
                assert!(name.contains("restart"), "{name}");
                world.ucr.run(["rm", kept.text()]).ok();
            }
            assert_eq!(traces(&world, &id), BTreeSet::new(), "{name}");
            world.assert_clean();
        }
    });
}

/// The command has ended when it is killed: what watches the container is still the task's.
#[test]
fn in_the_background() {
    alone(|| {
        let world = World::small();
        let mark = new_mark();
        let script = format!(": {mark}; echo ready; while :; do sleep 0.05; done");
        let flags = ["-d", "-p", "8080:80"];
        let words = run_words(&world, &flags, &["sh", "-c", &script]);
        let mut launcher = started(&world, &words, &[]);
        assert_eq!(launcher.ended_within(LIMIT), Some(0));
        let id = launcher.text("stdout").trim().to_owned();
        let destroyed = destroy_all("-d", &world, &mut launcher, &mark);
        println!("-d: {destroyed:?}");
        assert_eq!(traces(&world, &id), PUBLISHED.iter().copied().collect());
        assert_eq!(world.ucr.run(["ps", "--quiet"]).ok().text(), "");
        // It is kept, as one that has ended.
        assert_eq!(traces(&world, &id), [Directory].into());
        world.ucr.run(["rm", &id]).ok();
        world.assert_clean();
    });
}

/// A container that plugins connect, from whatever directory it is started.
pub fn plugged_flags(plugged: &Plugged) -> Vec<String> {
    let scratch = plugged.world.ucr.scratch().path().display().to_string();
    let flags = plugged.flags().into_iter();
    let flags = flags.map(|it| it.replace("-dir=", &format!("-dir={scratch}/")));
    flags.chain(["-p".into(), "8080:80".into()]).collect()
}

/// The network namespace is kept for the plugins in the task's own namespace of mounts, and goes with
/// that: they are told that it is gone. Debian's bridge then leaves its masquerading behind.
#[test]
fn networks_of_plugins() {
    alone(|| {
        let plugged = Plugged::new(&bridge(&[]));
        let (world, mark) = (&plugged.world, new_mark());
        let flags = plugged_flags(&plugged);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let (mut launcher, id, namespace) = running(world, &flags, &mark);
        let destroyed = destroy_all("cni", world, &mut launcher, &mark);
        println!(
            "cni: {:?}, left: {:?}, {:?}",
            destroyed.took,
            traces(world, &id),
            plugged.traces()
        );
        assert_no_namespace("cni", &namespace);
        world.ucr.run(["ps"]).ok();
        println!("cni: after ucr ps: {:?}", plugged.traces());
        let is_masquerading = |it: &String| it.starts_with("-A ") && !it.contains("CNI-DN");
        let left = plugged.traces();
        assert!(left.iter().all(is_masquerading), "{left:#?}");
        world.assert_clean();
    });
}

/// One layer of many small files, three megabytes.
fn many_files() -> Layout {
    let add = |layer: Layer, number: u32| layer.file(&format!("many/{number}"), number.to_string());
    let layer = (0..3000).fold(Layer::new().packed(Packing::Plain), add);
    Layout::of("many", &Image::new().layer(layer).cmd(&["/x"]))
}

/// The registry stalls: before the manifest is whole, or when half of the layer is unpacked.
#[test]
fn in_a_pull_and_in_an_unpack() {
    alone(|| {
        let layout = many_files();
        let layer = layout.layer_digests(&layout.resolve("many")).remove(0);
        let half_a_layer = |store: PathBuf| {
            let staged = children(&store.join("tmp"));
            staged
                .iter()
                .any(|it| children(&it.join("fs/many")).len() > 100)
        };
        for (stalls, length, left) in [
            ("/manifests/", 10, &[][..]),
            (&format!("/blobs/{layer}"), 1_500_000, &[Download]),
        ] {
            let world = World::small();
            let mark = new_mark();
            let registry = layout.serve("many");
            registry.script(stalls, 99, Misbehaviour::StallAfter(length));
            let image = format!("{}/many:many", registry.host());
            let mut launcher = started(&world, &["run", "-e", &mark, &image, "/x"], &[]);
            launcher.wait_until(stalls, LIMIT, |_| {
                !registry.asked(stalls).is_empty()
                    && (left.is_empty() || half_a_layer(world.ucr.root()))
            });
            // ucr and the process that pulls.
            assert_eq!(launcher.processes("freezer").len(), 2);
            let destroyed = destroy_all(stalls, &world, &mut launcher, &mark);
            let seen = traces(&world, "");
            println!("{stalls}: {:?}, left: {seen:?}", destroyed.took);
            assert_eq!(seen, left.iter().copied().collect());
            world.ucr.run(["ps"]).ok();
            println!("{stalls}: after ucr ps: {:?}", traces(&world, ""));
            drop(registry);
            let registry = layout.serve("many");
            world.ucr.pull(&format!("{}/many:many", registry.host()));
            world.assert_clean();
        }
    });
}
