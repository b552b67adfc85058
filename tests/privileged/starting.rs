//! Containers that are still being started: for how long, a hook of a CDI device decides here.

use std::fs;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::life::{LIMIT, wait_for};
use super::world::World;
use crate::support::process::{self, Running};

/// A container called box that is being started until there is a file `go`.
fn starting(world: &World) -> Running {
    let host = world.ucr.scratch();
    let wait = format!(
        "#!/bin/sh\ntouch {0}/waits; while ! [ -e {0}/go ]; do sleep 0.02; done\n",
        host.path().display()
    );
    let program = host.file("hook", wait);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    host.dir("cdi");
    let text = format!(
        "cdiVersion: 0.6.0\nkind: v.com/c\ndevices:\n- name: x\n  containerEdits:\n    hooks:\n    \
         - {{hookName: createContainer, path: {}}}\n",
        program.display()
    );
    let cdi = host.file("cdi/v.yaml", text);
    let cdi = cdi.parent().unwrap().to_str().unwrap().to_owned();
    let flags = [
        "-d",
        "--name",
        "box",
        "--cdi-spec-dir",
        &cdi,
        "--device",
        "v.com/c=x",
    ];
    let running = world.command(&flags, &["sleep", "1000"]).spawn();
    running.wait_until("hook", LIMIT, || host.join("waits").exists());
    running
}

/// Its first process has the host's root filesystem, which is nobody's to execute anything on.
#[test]
fn a_command_is_not_executed_on_the_hosts_files() {
    let world = World::small();
    let starting = starting(&world);
    let made = world.ucr.scratch().join("made");
    let words = ["exec", "box", "touch", made.to_str().unwrap()];
    world
        .ucr
        .run(words)
        .expect_code(125)
        .refused(&["still being started"]);
    assert!(!made.exists(), "made on the host");
    // Nor to copy anything to or from, or to take names from.
    let source = world.ucr.scratch().file("source", "x");
    let into = format!("box:{}", made.display());
    let from = "box:/etc/hostname";
    let copied = world.ucr.scratch().join("copied");
    for words in [
        ["cp", source.to_str().unwrap(), &into],
        ["cp", from, copied.to_str().unwrap()],
    ] {
        world.ucr.run(words).refused(&["still being started"]);
    }
    assert!(!made.exists() && !copied.exists(), "copied on the host");
    world
        .run(&["--network", "container:box"], &["true"])
        .refused(&["still being started"]);
    world.ucr.scratch().file("go", "");
    starting.finish(LIMIT).ok();
    wait_for("command", || {
        world.ucr.run(["exec", "box", "true"]).code == 0
    });
    world.ucr.run(["rm", "-f", "box"]).ok();
    world.assert_clean();
}

/// One that is stopped in the moment in which it has no process yet, or none any more, is not
/// waited for until it likes to end: the one that it gets then is ended.
#[test]
fn the_process_that_a_stopped_container_gets_is_ended() {
    let world = World::small();
    world.background(&["--name", "box"], &["sleep", "1000"]);
    let id = world.inspect("box")["id"].as_str().unwrap().to_owned();
    let records = world.ucr.state().join("containers");
    let text = fs::read_to_string(records.join(format!("{id}.json"))).unwrap();
    let (record, started) = text.split_once('\n').unwrap();
    let other = "0123456789ab";
    let record = record.replace(&id, other).replace("\"box\"", "\"other\"");
    let path = records.join(format!("{other}.json"));
    // Nobody knows it before it is locked.
    let lock = File::create(records.with_file_name("being-made")).unwrap();
    lock.lock().unwrap();
    fs::write(records.with_file_name("being-made"), &record).unwrap();
    fs::rename(records.with_file_name("being-made"), &path).unwrap();

    let stopping = world.ucr.cmd(["stop", "-t", "0", "other"]).spawn();
    stopping.wait_until("request", LIMIT, || {
        fs::read_to_string(&path).unwrap().contains("stopping")
    });
    let process = process::spawn(Command::new("sleep").arg("1000"), b"");
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let start_time = fields.split_whitespace().nth(19).unwrap();
    let mut event: serde_json::Value = serde_json::from_str(started).unwrap();
    event["pid"] = process.pid().as_raw().into();
    event["start_time"] = start_time.parse::<u64>().unwrap().into();
    let known = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{known}\n{event}")).unwrap();
    process.wait_until("kill", LIMIT, || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid()));
        stat.is_ok_and(|stat| stat.contains(") Z "))
    });
    fs::remove_file(&path).unwrap();
    drop(lock);
    stopping.finish(LIMIT).ok();
    world.ucr.run(["rm", "-f", "box"]).ok();
    world.assert_clean();
}
