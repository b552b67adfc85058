//! Signals, and the end of things: what ucr passes on, and what is left when it is killed.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::process::Running;

use super::world::World;

const LIMIT: Duration = Duration::from_secs(30);

/// Starts a script that says `ready` when it is.
fn ready(world: &World, flags: &[&str], script: &str) -> Running {
    let script = format!("{script}; echo ready; while :; do sleep 0.1; done");
    let running = world.command(flags, &["sh", "-c", &script]).spawn();
    running.wait_until("line 'ready'", LIMIT, || {
        running.stdout_so_far().contains("ready")
    });
    running
}

#[test]
fn signals_are_forwarded() {
    let world = World::small();
    for flags in [&[][..], &["--init"]] {
        for (signal, name, code) in [
            (Signal::SIGTERM, "TERM", 11),
            (Signal::SIGINT, "INT", 12),
            (Signal::SIGHUP, "HUP", 13),
            (Signal::SIGUSR1, "USR1", 14),
            (Signal::SIGUSR2, "USR2", 15),
            (Signal::SIGQUIT, "QUIT", 16),
        ] {
            let running = ready(&world, flags, &format!("trap 'exit {code}' {name}"));
            running.signal(signal);
            running.finish(LIMIT).expect_code(code);
        }
    }
    world.assert_clean();
}

/// With an init the command has default actions, so that a forwarded SIGTERM ends it.
#[test]
fn an_init_gives_signals_their_meaning() {
    let world = World::small();
    let running = ready(&world, &["--init"], ":");
    running.signal(Signal::SIGTERM);
    running.finish(LIMIT).expect_code(143);
    world.assert_clean();
}

/// `kill -9` of ucr takes the container along, and the next command cleans up after both.
#[test]
fn a_killed_ucr_leaves_nothing_behind() {
    for flags in [&[][..], &["--init"]] {
        let world = World::small();
        let mark = format!("ucr-mark-{}", std::process::id());
        let running = ready(&world, flags, &format!("sleep 987654321 & : {mark}"));
        running.signal(Signal::SIGKILL);
        assert_eq!(running.finish(LIMIT).code, -9);
        let deadline = std::time::Instant::now() + LIMIT;
        while !processes_with(&mark).is_empty() {
            assert!(
                std::time::Instant::now() < deadline,
                "still there: {:?}",
                processes_with(&mark)
            );
            std::thread::yield_now();
        }
        assert_eq!(world.script(&[], "echo again"), "again");
        world.assert_clean();
        world.ucr.run(["prune"]).ok();
    }
}

/// When the command ends, what it left running ends with it.
#[test]
fn the_end_of_the_command_is_the_end_of_all() {
    let world = World::small();
    let mark = format!("ucr-orphan-{}", std::process::id());
    let script = format!("sh -c 'while :; do sleep 1; done; : {mark}' & exit 4");
    for flags in [&[][..], &["--init"]] {
        world.run(flags, &["sh", "-c", &script]).expect_code(4);
        assert!(processes_with(&mark).is_empty());
    }
    world.assert_clean();
}

/// An image in use is not pruned away below its container.
#[test]
fn a_running_container_keeps_its_layers() {
    let world = World::small();
    let running = ready(&world, &[], "trap 'cat /etc/group; exit 0' TERM");
    world.ucr.run(["rm", &world.image]).ok();
    world.ucr.run(["prune"]).ok();
    running.signal(Signal::SIGTERM);
    let output = running.finish(LIMIT).ok().stdout;
    assert!(output.contains("engines"), "{output}");
    world.ucr.run(["prune"]).ok();
    assert!(world.ucr.entries(&["layers"]).is_empty());
}

/// A container is listed while it runs; the keys are those of ucr-inspect(1).
#[test]
fn a_running_container_is_listed() {
    let world = World::small();
    let running = ready(&world, &["-e", "A=1"], "trap 'exit 0' TERM");
    let listed = world.ucr.run(["ps", "--format", "json"]).ok().json();
    let container = &listed[0];
    let keys: Vec<_> = container.as_object().unwrap().keys().collect();
    let expected = [
        "argv",
        "connection",
        "created_at",
        "id",
        "image",
        "kind",
        "manifest_digest",
        "name",
        "pid",
        "restarts",
        "spec",
        "started_at",
        "status",
    ];
    assert_eq!(keys, expected);
    assert_eq!(container["kind"], "container");
    assert_eq!(container["image"], world.image.as_str());
    assert_eq!(container["argv"][0], "sh");
    let id = container["id"].as_str().unwrap();
    assert_eq!(&world.ucr.run(["inspect", id]).ok().json(), container);
    let pid = container["pid"].as_u64().unwrap();
    let inside = std::fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    assert_ne!(inside, std::fs::read_link("/proc/self/ns/pid").unwrap());
    running.signal(Signal::SIGTERM);
    running.finish(LIMIT).ok();
    assert_eq!(world.ucr.run(["ps", "--format", "json"]).ok().text(), "[]");
}

/// Several containers of one image at once.
#[test]
fn side_by_side() {
    let world = World::small();
    let all: Vec<_> = (0..8)
        .map(|n| {
            let script = format!("echo {n} >/tmp/own; sleep 0.3; cat /tmp/own");
            world.command(&[], &["sh", "-c", &script]).spawn()
        })
        .collect();
    for (n, running) in all.into_iter().enumerate() {
        assert_eq!(running.finish(LIMIT).ok().text(), n.to_string());
    }
    world.assert_clean();
}

/// The pids of processes of containers whose command line has a mark; ucr's own has it, too, but
/// is gone when this is asked.
fn processes_with(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let marked = entries.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    });
    marked
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
