//! Containers that are still being started: for how long, a hook of a CDI device decides here.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::life::{LIMIT, wait_for};
use super::world::World;
use crate::support::process::Running;

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
    world.ucr.scratch().file("go", "");
    starting.finish(LIMIT).ok();
    wait_for("command", || {
        world.ucr.run(["exec", "box", "true"]).code == 0
    });
    world.ucr.run(["rm", "-f", "box"]).ok();
    world.assert_clean();
}
