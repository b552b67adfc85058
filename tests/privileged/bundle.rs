//! `provision --bundle` writes what another OCI runtime takes as it is.

use std::process::Command;
use std::time::Duration;

use crate::support::process::Finished;
use crate::support::scratch::Scratch;
use crate::support::{need, process, samples};

use super::world::World;

fn runc(bundle: &std::path::Path) -> Finished {
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
    let text = std::fs::read(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&text).unwrap();
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["sh", "-c", "echo hello; exit 3"]);
    std::fs::write(&path, config.to_string()).unwrap();
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
        serde_json::from_slice(&std::fs::read(bundle.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["process"]["args"], serde_json::json!(["sh"]));
    assert_ne!(config["process"]["terminal"], serde_json::json!(true));
}
