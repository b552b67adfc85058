//! What comes with the end of things: containers and trees that are killed, fought over or in use.

use std::process::Command;

use crate::support::process;
use crate::support::scratch::mounts_below;

use super::LIMIT;
use crate::world::World;

/// Two that want one directory: one makes it, the other finds it.
#[test]
fn provisions_of_one_directory() {
    for backend in ["copy", "overlay"] {
        let world = World::small();
        let target = world.ucr.scratch().join("target");
        let line = [
            "provision",
            "--backend",
            backend,
            &world.image,
            target.to_str().unwrap(),
        ];
        let both = [world.ucr.cmd(line).spawn(), world.ucr.cmd(line).spawn()];
        for one in both {
            one.finish(LIMIT).ok();
        }
        assert!(target.join("bin/busybox").exists());
        let mounted = mounts_below(&target).len();
        assert_eq!(mounted, usize::from(backend == "overlay"));
        assert_eq!(
            world
                .ucr
                .run(["--format", "json", "ps"])
                .ok()
                .json()
                .as_array()
                .unwrap()
                .len(),
            1
        );
        world.ucr.run(["rm", target.to_str().unwrap()]).ok();
        world.assert_clean();
    }
}

/// Real-time signals pass, the built-in init too; 34 is the first one for all but musl.
#[test]
fn real_time_signals() {
    let world = World::small();
    for flags in [&[][..], &["--init"]] {
        for number in [34, 37, 64] {
            let script = format!("trap 'exit 7' {number}; echo ready; while :; do sleep 0.1; done");
            let running = world.command(flags, &["sh", "-c", &script]).spawn();
            running.wait_until("line 'ready'", LIMIT, || {
                running.stdout_so_far().contains("ready")
            });
            let line = format!("kill -{number} {}", running.pid());
            process::tool(Command::new("sh").args(["-c", &line]));
            let code = running.finish(LIMIT).code;
            assert!(
                code == 7 || code == 128 + number,
                "{flags:?} {number}: {code}"
            );
        }
    }
    world.assert_clean();
}

/// What is mounted inside a provisioned tree stops `rm` before it removes anything.
#[test]
fn a_tree_in_use_is_not_half_removed() {
    let world = World::small();
    let target = world.ucr.scratch().join("target");
    let path = target.to_str().unwrap();
    world
        .ucr
        .run(["provision", "--backend", "copy", &world.image, path])
        .ok();
    let inside = target.join("etc");
    process::tool(
        Command::new("mount")
            .args(["-t", "tmpfs", "none"])
            .arg(&inside),
    );
    world.ucr.run(["rm", path]).refused(&["in use", "etc"]);
    assert!(target.join("bin/busybox").exists());
    process::tool(Command::new("umount").arg(&inside));
    world.ucr.run(["rm", path]).ok();
    assert!(!target.exists());
    world.assert_clean();
}
