//! What crun and runc are given: the very configuration that docker makes for its own runc, with
//! its system call filter and all, and an overlay that is mounted for each start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::{Value, json};

use crate::daemon::client;
use crate::report::Sample;
use crate::run::timed;
use crate::tool::{Tool, View};
use crate::world::{COMMAND, LOWER};

const BUNDLES: &str = "/mnt/bundles";
const OVERLAY: &str = "/mnt/overlay";
/// Where dockerd keeps what it tells containerd.
const TASKS: &str = "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby";
/// podman's default; docker has none.
const PIDS: u32 = 2048;

/// Makes the bundles of these tools.
pub fn make(tools: &[Tool]) {
    let docker = dockers_own();
    for tool in tools.iter().filter(|tool| tool.is_low_level()) {
        let directory = directory(*tool);
        fs::create_dir_all(&directory).expect("a bundle");
        let config = adapt(docker.clone(), *tool).to_string();
        fs::write(directory.join("config.json"), config).expect("config.json");
    }
}

fn directory(tool: Tool) -> PathBuf {
    Path::new(BUNDLES).join(tool.name())
}

/// The configuration of a container that docker runs right now. What it is shown of docker's files
/// is copied, since it goes with the container.
fn dockers_own() -> Value {
    let say = |arguments: &[&str]| -> String {
        let output = client().args(arguments).output().expect("docker");
        assert!(output.status.success(), "docker {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let sleep = ["/bin/busybox", "sleep", "100"];
    let id = say(&[&["run", "-d", "--network", "none", "busybox"], &sleep[..]].concat());
    let path = Path::new(TASKS).join(&id).join("config.json");
    let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut config: Value = serde_json::from_slice(&text).expect("JSON");
    for mount in config["mounts"].as_array_mut().expect("mounts") {
        let source = mount["source"].as_str().unwrap_or_default().to_owned();
        if source.starts_with("/mnt/docker") {
            let copy = Path::new("/mnt").join(Path::new(&source).file_name().expect("a name"));
            fs::copy(&source, &copy).expect("copy what is shown");
            mount["source"] = json!(copy);
        }
    }
    say(&["rm", "-f", &id]);
    config
}

fn adapt(mut config: Value, tool: Tool) -> Value {
    config["process"]["args"] = json!(COMMAND);
    config["root"]["path"] = json!(Path::new(OVERLAY).join("merged"));
    // dockerd's own hook puts the network in.
    config.as_object_mut().expect("an object").remove("hooks");
    let linux = &mut config["linux"];
    // Not below another one, which nobody would remove.
    linux["cgroupsPath"] = json!(format!("/ucr-bench-{}", tool.name()));
    linux["namespaces"] = ["mount", "network", "uts", "pid", "ipc", "cgroup"]
        .iter()
        .map(|kind| json!({ "type": kind }))
        .collect();
    // docker also says "no limit" of much. On a hybrid machine version 2 has no controller to take
    // that, nor a limit of processes, and crun refuses.
    linux["resources"] = json!({ "devices": linux["resources"]["devices"] });
    if tool.view() == View::Hybrid {
        linux["resources"]["pids"] = json!({ "limit": PIDS });
    }
    if matches!(tool, Tool::CrunUnconfined | Tool::RuncUnconfined) {
        linux.as_object_mut().expect("an object").remove("seccomp");
    }
    config["process"]["noNewPrivileges"] = json!(true);
    config
}

/// Mounts, runs, unmounts.
pub fn measure(tool: Tool) -> Sample {
    let program = match tool {
        Tool::Crun | Tool::CrunUnconfined => "crun",
        _ => "runc",
    };
    let mut command = Command::new(format!("/usr/bin/{program}"));
    command
        .args(["--root", &format!("/run/{program}"), "run", "--bundle"])
        .arg(directory(tool))
        .arg("bench");
    let start = Instant::now();
    mount_overlay();
    let before = start.elapsed();
    let sample = timed(&mut command);
    let start = Instant::now();
    unmount_overlay();
    let overlay = (before + start.elapsed()).as_secs_f64() * 1e3;
    Sample {
        wall: sample.wall + overlay,
        ..sample
    }
}

fn mount_overlay() {
    let path = |name: &str| format!("{OVERLAY}/{name}");
    fs::create_dir(OVERLAY).expect("mkdir");
    for name in ["upper", "work", "merged"] {
        fs::create_dir(path(name)).expect("mkdir");
    }
    let options = format!(
        "lowerdir={LOWER},upperdir={},workdir={},volatile",
        path("upper"),
        path("work")
    );
    let options = std::ffi::CString::new(options).expect("no NUL");
    mount(
        "overlay",
        path("merged"),
        "overlay",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )
    .expect("mount the overlay");
}

fn unmount_overlay() {
    unmount(format!("{OVERLAY}/merged"), UnmountFlags::empty()).expect("unmount the overlay");
    fs::remove_dir_all(OVERLAY).expect("remove the overlay's directories");
}
