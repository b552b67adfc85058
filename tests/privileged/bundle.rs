//! `provision --bundle` writes what another OCI runtime takes as it is.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::process::Finished;
use crate::support::scratch::Scratch;
use crate::support::ucr::children;
use crate::support::{need, process, samples};

use super::world::World;

fn runc(bundle: &Path) -> Finished {
    let scratch = Scratch::new();
    let mut command = Command::new(need::program("runc", "runc"));
    command
        .arg("--root")
        .arg(scratch.join("state"))
        .arg("run")
        .arg("--bundle")
        .arg(bundle);
    let id = format!(
        "ucr-test-{}",
        scratch.path().file_name().unwrap().to_string_lossy()
    );
    process::run(command.arg(id), b"", Duration::from_secs(60))
}

/// The oracle first: a bundle of umoci's runs here, so a failure below is ours.
#[test]
fn runc_works_on_this_machine() {
    need::root();
    let scratch = Scratch::new();
    let layout = samples::busybox();
    let bundle = scratch.join("bundle");
    process::tool(
        Command::new(need::program("umoci", "umoci"))
            .args(["unpack", "--image"])
            .arg(format!("{}:{}", layout.path().display(), samples::TAG))
            .arg(&bundle),
    );
    let path = bundle.join("config.json");
    let text = fs::read(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&text).unwrap();
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["sh", "-c", "echo hello; exit 3"]);
    fs::write(&path, config.to_string()).unwrap();
    assert_eq!(runc(&bundle).expect_code(3).stdout, "hello\n");
}

#[test]
fn runc_runs_our_bundle_unchanged() {
    let script = "echo $GREETING from $(pwd) as $(id -u):$(id -g); cat /proc/1/comm; exit 3";
    let image = samples::small()
        .cmd(&["sh", "-c", script])
        .env(&["PATH=/bin", "GREETING=hello"])
        .workdir("/tmp")
        .user("ada");
    let world = World::of(&image);
    let bundle = world.ucr.scratch().join("bundle");
    let path = bundle.to_str().unwrap();
    let made = world
        .ucr
        .run(["provision", "--bundle", path, &world.image])
        .ok();
    assert_eq!(made.text(), path);
    let done = runc(&bundle).expect_code(3);
    assert_eq!(
        done.stdout, "hello from /tmp as 1815:1816\nsh\n",
        "{}",
        done.stderr
    );
    world.ucr.run(["rm", path]).ok();
    world.assert_clean();
}

/// The bundle of the real busybox: its own command is a shell.
#[test]
fn the_real_busybox_as_a_bundle() {
    let world = World::busybox();
    let bundle = world.ucr.scratch().join("bundle");
    let path = bundle.to_str().unwrap();
    world
        .ucr
        .run(["provision", "--bundle", path, &world.image])
        .ok();
    runc(&bundle).ok();
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["process"]["args"], serde_json::json!(["sh"]));
    assert_ne!(config["process"]["terminal"], serde_json::json!(true));
}

/// Where a bundle's root filesystem is mounted, and whether its set-user-ID bits count.
fn is_nosuid(bundle: &Path) -> bool {
    let rootfs = bundle.join("rootfs");
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table
        .lines()
        .find(|line| line.split(' ').nth(4) == rootfs.to_str());
    let options = line.unwrap_or_else(|| panic!("{} is not mounted", rootfs.display()));
    options.split(' ').nth(5).unwrap().contains("nosuid")
}

/// A directory that others may enter gives them no set-user-ID programs, whoever made it.
#[test]
fn an_open_bundle_has_no_set_user_id_programs() {
    let world = World::small();
    for (mode, open) in [(None, false), (Some(0o700), false), (Some(0o755), true)] {
        let bundle = world.ucr.scratch().join("bundle");
        if let Some(mode) = mode {
            fs::create_dir(&bundle).unwrap();
            fs::set_permissions(&bundle, Permissions::from_mode(mode)).unwrap();
        }
        let path = bundle.to_str().unwrap();
        let done = world.ucr.run(["provision", "--bundle", path, &world.image]);
        let said = done.ok().stderr;
        assert_eq!(is_nosuid(&bundle), open, "{mode:?}");
        assert_eq!(said.contains("other users may enter it"), open, "{said}");
        world.ucr.run(["rm", path]).ok();
    }
    world.assert_clean();
}

/// Only what this command made is undone when the configuration cannot be written.
#[test]
fn a_bundle_that_was_there_stays() {
    let world = World::of(&samples::small().user("ada"));
    let bundle = world.ucr.scratch().join("bundle");
    let rootfs = bundle.join("rootfs");
    let line = [
        "provision",
        "--bundle",
        bundle.to_str().unwrap(),
        &world.image,
    ];
    world.ucr.run(line).ok();
    fs::write(rootfs.join("mine"), "kept").unwrap();
    fs::remove_file(bundle.join("config.json")).unwrap();
    fs::remove_file(rootfs.join("etc/passwd")).unwrap();
    world.ucr.run(line).refused(&["ada"]);
    assert_eq!(fs::read_to_string(rootfs.join("mine")).unwrap(), "kept");
    let left = children(&bundle);
    assert_eq!(left, [rootfs.as_path()], "nothing half-written is left");

    let other = ["provision", &world.image, rootfs.to_str().unwrap()];
    world.ucr.run(other).refused(&["of the bundle"]);
    world.ucr.run(["rm", bundle.to_str().unwrap()]).ok();
    world.ucr.run(other).ok();
    world.ucr.run(line).refused(&["not part of a bundle"]);
    world.ucr.run(["rm", rootfs.to_str().unwrap()]).ok();
    world.assert_clean();
}
