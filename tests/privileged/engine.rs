//! The Engine that other tests use does what they need of it, and nothing of it stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::engine::Engine;
use crate::support::layout::Layout;
use crate::support::process;
use crate::support::registry::Registry;
use crate::support::samples::{self, TAG};
use crate::support::scratch::mounts_below;

const LIMIT: Duration = Duration::from_secs(60);
const SLEEPS: &[&str] = &[
    "sh",
    "-c",
    "trap 'exit 0' TERM; while :; do sleep 0.1; done",
];

/// Version of the Engine, if it answers.
fn version(engine: &Engine, limit: Duration) -> Option<String> {
    let mut command = engine.docker(["version", "--format", "{{.Server.Version}}"]);
    let child = process::spawn(&mut command, b"");
    if !child.ended_within(limit) {
        return None;
    }
    let done = child.finish(LIMIT);
    (done.code == 0).then(|| done.text().to_owned())
}

fn image(engine: &Engine) -> String {
    engine.on_its_machine(|| {
        let registry = Registry::open();
        let name = registry.push(&Layout::of(TAG, &samples::small()), TAG, "engine/small:1");
        engine.ask(["pull", "--quiet", &name]);
        name
    })
}

/// Processes that have this path in their command line.
fn processes(path: &Path) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    let path = path.to_str().expect("text");
    lines.filter(|line| line.contains(path)).collect()
}

/// The cgroups of its containers.
fn cgroups(engine: &Engine) -> Vec<PathBuf> {
    let mut find = Command::new("find");
    find.args(["/sys/fs/cgroup", "-type", "d", "-path"]);
    find.arg(format!("*/{}*", engine.cgroup()));
    let found = process::tool(&mut find);
    found.lines().map(PathBuf::from).collect()
}

#[test]
fn it_can_be_stopped_and_started() {
    let engine = Engine::new();
    let first = version(&engine, LIMIT).expect("it answers");
    let image = image(&engine);
    engine.stop();
    assert_eq!(version(&engine, LIMIT), None);
    engine.start();
    assert_eq!(version(&engine, LIMIT), Some(first.clone()));
    engine.hang();
    assert_eq!(version(&engine, Duration::from_secs(1)), None);
    engine.resume();
    assert_eq!(version(&engine, LIMIT), Some(first));
    assert!(engine.ask(["images", "--format", "{{.Repository}}:{{.Tag}}"]) == image);
}

/// Not even of a container that was left running, nor where dockerd was killed.
#[test]
fn nothing_of_it_stays() {
    let engine = Engine::new();
    let image = image(&engine);
    let run = ["run", "--detach", "--publish", "127.0.0.1::80", &image];
    engine.ask([&run, SLEEPS].concat());
    let other = engine.ask([&["run", "--detach", &image], SLEEPS].concat());
    engine.ask(["pause", &other]);
    let directory = engine.directory().to_owned();
    assert!(processes(&directory).len() > 3);
    let mine = cgroups(&engine);
    assert!(!mine.is_empty());
    engine.kill();
    drop(engine);
    assert_eq!(processes(&directory), [""; 0]);
    assert!(!directory.exists(), "{} stays", directory.display());
    assert!(mounts_below(&directory).is_empty());
    let stay: Vec<_> = mine.iter().filter(|group| group.exists()).collect();
    assert!(stay.is_empty(), "{stay:?}");
}
