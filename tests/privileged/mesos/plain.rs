//! `ucr run` as the command of a task: how it ends, what it writes, what it knows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::layout::Layout;
use crate::support::mesos_launcher::{Launcher, marked};
use crate::support::samples;
use crate::support::scripted_registry::Misbehaviour;
use crate::support::ucr::children;

use super::{LIMIT, command, new_mark, run_words, started, task};
use crate::world::World;

/// As the command executor does if nobody has said a kill policy.
const GRACE: Duration = Duration::from_secs(3);
/// A shell that runs until it is asked to end; a trap is not called before a sleep is over.
const SERVES: &str = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
/// What an agent gives an executor (mesos-live.md, section 1), and a token.
const AGENTS: &[(&str, &str)] = &[
    ("LIBPROCESS_IP", "127.0.0.1"),
    ("LIBPROCESS_PORT", "0"),
    ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"),
    ("MESOS_ALLOCATION_ROLE", "*"),
    ("MESOS_CHECKPOINT", "0"),
    ("MESOS_DIRECTORY", "/nowhere"),
    ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "t0ken-of-executor"),
    ("MESOS_EXECUTOR_ID", "e"),
    ("MESOS_FRAMEWORK_ID", "f"),
    ("MESOS_NATIVE_LIBRARY", "/usr/lib/libmesos.so"),
    ("MESOS_SLAVE_ID", "s"),
    ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
];

#[track_caller]
fn ended(launcher: &mut Launcher) -> i32 {
    let code = launcher.ended_within(LIMIT);
    code.unwrap_or_else(|| panic!("it does not end:\n{}", launcher.text("stderr")))
}

#[track_caller]
fn ready(launcher: &mut Launcher) {
    launcher.wait_until("ready", LIMIT, |it| it.text("stdout").contains("ready"));
}

/// Of every task that has ended by itself.
#[track_caller]
fn assert_gone(launcher: &mut Launcher) {
    let destroyed = launcher.destroy(Duration::from_secs(2));
    assert!(
        destroyed.killed.is_empty() && destroyed.in_the_way.is_empty(),
        "{destroyed:?}"
    );
}

#[test]
fn exit_codes_pass_through() {
    let world = World::small();
    let rows: &[(&[&str], &[&str], i32, &str)] = &[
        (&[], &["true"], 0, ""),
        (&[], &["sh", "-c", "exit 3"], 3, ""),
        (&["--init"], &["sh", "-c", "kill -KILL $$"], 137, ""),
        (&["--init"], &["sh", "-c", "kill -SEGV $$"], 139, ""),
        (&[], &["/etc/passwd"], 126, "cannot be executed"),
        (&[], &["/nope"], 127, "not in the image"),
        (&["--memory=1"], &["true"], 125, "--memory"),
        (
            &["--memory=24m", "--memory-swap=24m"],
            &[
                "busybox",
                "dd",
                "if=/dev/zero",
                "of=/dev/null",
                "bs=64M",
                "count=1",
            ],
            137,
            "out of memory",
        ),
    ];
    for (flags, words, code, said) in rows {
        let mut launcher = started(&world, &run_words(&world, flags, words), &[]);
        let seen = ended(&mut launcher);
        let stderr = launcher.text("stderr");
        assert_eq!(seen, *code, "{flags:?} {words:?}: {stderr}");
        assert!(stderr.contains(said), "{flags:?} {words:?}: {stderr}");
        assert_gone(&mut launcher);
    }
    world.assert_clean();
}

/// The agent's limit counts ucr and its container together; the kernel kills who has most.
#[test]
fn more_memory_than_the_agent_gives() {
    let world = World::small();
    let mut launcher = Launcher::new(64);
    let words = [
        "busybox",
        "dd",
        "if=/dev/zero",
        "of=/dev/null",
        "bs=128M",
        "count=1",
    ];
    launcher.start(&command(&world, &run_words(&world, &[], &words)), &[]);
    assert_eq!(ended(&mut launcher), 137, "{}", launcher.text("stderr"));
    assert_gone(&mut launcher);
    world.assert_clean();
}

/// The command executor sends SIGTERM to the whole tree, and SIGKILL after the grace.
#[test]
fn a_kill_ends_it_within_the_grace() {
    let world = World::small();
    for (flags, code) in [
        (&["--stop-timeout=2"][..], 7),
        (&["--stop-timeout=2", "--init"], 7),
        (&["--network=bridge", "-p", "80"], 7),
        (&["-t"], 7),
    ] {
        let mut launcher = task(&world, flags, SERVES);
        ready(&mut launcher);
        let begin = Instant::now();
        launcher.signal_tree(Signal::SIGTERM);
        assert_eq!(ended(&mut launcher), code, "{flags:?}");
        assert!(begin.elapsed() < GRACE, "{flags:?}: {:?}", begin.elapsed());
        assert_gone(&mut launcher);
        world.assert_clean();
    }
    let mark = new_mark();
    let mut launcher = task(&world, &["-e", &format!("MARK={mark}")], DEAF);
    ready(&mut launcher);
    launcher.signal_tree(Signal::SIGTERM);
    assert_eq!(launcher.ended_within(Duration::from_secs(1)), None);
    launcher.signal_tree(Signal::SIGKILL);
    assert_eq!(ended(&mut launcher), -9);
    let deadline = Instant::now() + Duration::from_secs(2);
    while !marked(&mark).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", marked(&mark));
    }
    assert_gone(&mut launcher);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

#[test]
fn a_signal_to_ucr_alone() {
    let world = World::small();
    let mut launcher = task(&world, &[], SERVES);
    ready(&mut launcher);
    launcher.signal(Signal::SIGTERM);
    assert_eq!(ended(&mut launcher), 7);
    assert_gone(&mut launcher);
    world.assert_clean();
}

#[test]
fn a_kill_while_it_pulls() {
    let world = World::small();
    let registry = Layout::of("slow", &samples::small()).serve("slow");
    registry.script("/manifests/", 9, Misbehaviour::StallAfter(10));
    let image = format!("{}/small:slow", registry.host());
    let mut launcher = started(&world, &["run", &image, "true"], &[]);
    launcher.wait_until("a pull", LIMIT, |_| {
        !registry.asked("/manifests/").is_empty()
    });
    let begin = Instant::now();
    launcher.signal_tree(Signal::SIGTERM);
    let code = ended(&mut launcher);
    assert!([-15, 143].contains(&code), "{code}");
    assert!(begin.elapsed() < GRACE, "{:?}", begin.elapsed());
    assert_gone(&mut launcher);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

/// What is written is in the sandbox, and nothing of ucr's own is.
#[test]
fn the_sandbox() {
    let world = World::small();
    let mut launcher = Launcher::new(super::MEMORY);
    let sandbox = launcher.sandbox();
    let flag = format!("--sandbox={}", sandbox.display());
    let script = "echo to stdout; echo to stderr >&2; echo $MESOS_SANDBOX; echo kept >$MESOS_SANDBOX/file; \
                  echo lost >/tmp/file";
    let words = run_words(&world, &[&flag], &["sh", "-c", script]);
    launcher.start(&command(&world, &words), AGENTS);
    assert_eq!(ended(&mut launcher), 0, "{}", launcher.text("stderr"));
    assert_eq!(launcher.text("stdout"), "to stdout\n/mnt/mesos/sandbox\n");
    assert_eq!(launcher.text("stderr"), "Marked '/' as rslave\nto stderr\n");
    assert_eq!(launcher.text("file"), "kept\n");
    let names = children(&sandbox);
    let names: Vec<_> = names
        .iter()
        .filter_map(|it| it.file_name()?.to_str())
        .collect();
    assert_eq!(names, ["file", "stderr", "stdout"]);
    for (name, mode) in [("", 0o750), ("stdout", 0o644), ("stderr", 0o644)] {
        let found = fs::metadata(sandbox.join(name)).unwrap().permissions();
        assert_eq!(found.mode() & 0o7777, mode, "{name}");
    }
    assert_gone(&mut launcher);
    world.assert_clean();
}

/// A container knows nothing of the agent's but what it is given.
#[test]
fn the_environment_of_an_executor() {
    let world = World::small();
    let script = "cat /proc/[0-9]*/environ | tr '\\0' '\\n'; env";
    for init in [&[][..], &["--init"]] {
        let words = run_words(&world, init, &["sh", "-c", script]);
        let mut launcher = started(&world, &words, AGENTS);
        assert_eq!(ended(&mut launcher), 0, "{}", launcher.text("stderr"));
        let seen = launcher.text("stdout");
        assert!(seen.contains("PATH="), "{seen}");
        for word in ["MESOS_", "LIBPROCESS_", "t0ken", "127.0.0.1"] {
            assert!(!seen.contains(word), "{word} in\n{seen}");
        }
        assert_gone(&mut launcher);
    }
    let words = run_words(&world, &["-e", "MESOS_SLAVE_ID"], &["env"]);
    let mut launcher = started(&world, &words, AGENTS);
    assert_eq!(ended(&mut launcher), 0);
    let seen = launcher.text("stdout");
    let given: Vec<_> = seen.lines().filter(|it| it.contains("MESOS")).collect();
    assert_eq!(given, ["MESOS_SLAVE_ID=s"]);
}
