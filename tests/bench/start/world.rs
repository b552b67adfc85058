//! The place where everybody runs, as tests/bench/cell has made it: one Debian sid, one ext4 at
//! /mnt, one image. And the commands that are measured in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::bundle;
use crate::daemon::{self, Daemon};
use crate::phases;
use crate::report::Sample;
use crate::run::timed;
use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::tool::{Tool, View};
use crate::views::Views;
use ucr::spec::defaults::{MASKED_PATHS, READ_ONLY_PATHS};

/// What is run inside, by everybody.
pub const COMMAND: [&str; 2] = ["/bin/busybox", "true"];
/// The image's only layer, unpacked.
pub const LOWER: &str = "/mnt/lower";
/// The image, for all who have a store.
const IMAGE: &str = "oci:/mnt/layout:busybox";
/// The same as docker and podman load it.
const ARCHIVE: &str = "/mnt/busybox.tar";
const PROGRAM: &str = "/bin/busybox";
/// Where tests/bench/cell has put it.
const UCR: &str = "/run/ucr";
/// And the other one.
pub const BESIDE: &str = "/run/ucr-beside";

/// What is there while measurements are taken.
#[derive(Debug)]
pub struct World {
    views: Views,
    _docker: Option<Daemon>,
    has_bridge: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        if self.has_bridge {
            must(ucr(UCR).args(["network", "rm", "bridge"]));
        }
    }
}

impl World {
    /// Fills the stores of these tools.
    pub fn build(tools: &[Tool]) -> Self {
        make_image();
        unpack();
        let views = Views::make();
        let has = |wanted: &[Tool]| tools.iter().any(|tool| wanted.contains(tool));
        let ours = [Tool::Ucr, Tool::Beside, Tool::UcrVolume, Tool::UcrInit];
        if has(&ours) || has(&[Tool::UcrBridge, Tool::UcrPort]) {
            must(ucr(UCR).args(["pull", "--quiet", IMAGE]));
            fs::create_dir("/mnt/volume").expect("mkdir");
        }
        if has(&[Tool::Podman]) {
            write_containers_conf();
            views.enter(Tool::Podman.view());
            must(podman().args(["load", "--quiet", "--input", ARCHIVE]));
            views.enter(View::Hybrid);
        }
        let low_level = tools.iter().any(|tool| tool.is_low_level());
        let docker = (low_level || has(&[Tool::Docker])).then(start_docker);
        if low_level {
            bundle::make(tools);
        }
        Self {
            views,
            _docker: docker,
            has_bridge: has(&[Tool::UcrBridge, Tool::UcrPort]),
        }
    }

    /// One start.
    pub fn measure(&self, tool: Tool) -> Sample {
        self.views.enter(tool.view());
        let sample = match tool {
            low_level if low_level.is_low_level() => bundle::measure(tool),
            _ => timed(&mut command(tool)),
        };
        self.views.enter(View::Hybrid);
        sample
    }
}

fn make_image() {
    let program = fs::read(PROGRAM).expect("busybox");
    let layer = Layer::new()
        .dir("bin", 0o755)
        .program("bin/busybox", program)
        .symlink("bin/true", "busybox");
    let layout = Layout::of("busybox", &Image::new().layer(layer));
    must(
        Command::new("cp")
            .arg("-r")
            .arg(layout.path())
            .arg("/mnt/layout"),
    );
    must(
        Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", IMAGE])
            .arg(format!("docker-archive:{ARCHIVE}:busybox:latest")),
    );
}

fn unpack() {
    let bin = Path::new(LOWER).join("bin");
    fs::create_dir_all(&bin).expect("mkdir");
    fs::copy(PROGRAM, bin.join("busybox")).expect("copy busybox");
    symlink("busybox", bin.join("true")).expect("symlink");
    for name in ["upper", "work"] {
        fs::create_dir_all(Path::new("/mnt/bwrap").join(name)).expect("mkdir");
    }
}

/// It sets limits above those that a root without CAP_SYS_RESOURCE may set.
fn write_containers_conf() {
    fs::create_dir_all("/etc/containers").expect("mkdir");
    let text = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n";
    fs::write("/etc/containers/containers.conf", text).expect("containers.conf");
}

fn start_docker() -> Daemon {
    let daemon = Daemon::start();
    must(daemon::client().args(["load", "--quiet", "--input", ARCHIVE]));
    daemon
}

fn must(command: &mut Command) {
    timed(command);
}

fn ucr(program: &str) -> Command {
    let mut ucr = Command::new(program);
    ucr.args(["--root", "/mnt/store", "--state", "/run/ucr-state"]);
    ucr
}

/// What [`crate::phases`] traces.
pub fn traced() -> Command {
    if !Path::new(phases::PROGRAM).exists() {
        fs::copy(UCR, phases::PROGRAM).expect("copy ucr");
    }
    ucr_run(phases::PROGRAM, &[])
}

fn ucr_run(program: &str, options: &[&str]) -> Command {
    ucr_run_on("none", program, options)
}

fn ucr_run_on(network: &str, program: &str, options: &[&str]) -> Command {
    let mut ucr = ucr(program);
    // As for an image of a registry: a layout on this machine would be looked at each time.
    ucr.args(["run", "--policy", "missing", "--network", network])
        .args(options)
        .arg(IMAGE)
        .args(COMMAND);
    ucr
}

fn podman() -> Command {
    let mut podman = Command::new("podman");
    podman
        .args(["--root", "/mnt/podman", "--runroot", "/run/podman"])
        .args(["--storage-driver", "overlay", "--runtime", "crun"]);
    podman
}

fn bwrap(hidden: bool) -> Command {
    let mut bwrap = Command::new("bwrap");
    bwrap
        .args(["--unshare-ipc", "--unshare-pid", "--unshare-net"])
        .args(["--unshare-uts", "--unshare-cgroup", "--hostname", "bench"])
        .args(["--overlay-src", LOWER])
        .args(["--overlay", "/mnt/bwrap/upper", "/mnt/bwrap/work", "/"])
        .args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"])
        .args(["--mqueue", "/dev/mqueue", "--ro-bind", "/sys", "/sys"]);
    for file in ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"] {
        bwrap.args(["--ro-bind", "/etc/passwd", file]);
    }
    if hidden {
        for path in MASKED_PATHS.iter().filter(|path| Path::new(path).exists()) {
            match Path::new(path).is_dir() {
                true => bwrap.args(["--tmpfs", path, "--remount-ro", path]),
                false => bwrap.args(["--ro-bind", "/dev/null", path]),
            };
        }
        for path in READ_ONLY_PATHS {
            bwrap.args(["--ro-bind-try", path, path]);
        }
    }
    bwrap
        .args(["--cap-drop", "ALL", "--new-session", "--die-with-parent"])
        .args(["--as-pid-1", "--"])
        .args(COMMAND);
    bwrap
}

fn command(tool: Tool) -> Command {
    match tool {
        Tool::Ucr => ucr_run(UCR, &[]),
        Tool::Beside => ucr_run(BESIDE, &[]),
        Tool::UcrVolume => ucr_run(UCR, &["-v", "/mnt/volume:/data"]),
        Tool::UcrInit => ucr_run(UCR, &["--init"]),
        Tool::UcrBridge => ucr_run_on("bridge", UCR, &[]),
        Tool::UcrPort => ucr_run_on("bridge", UCR, &["-p", "80"]),
        Tool::Bwrap => bwrap(false),
        Tool::BwrapFull => bwrap(true),
        Tool::Podman => {
            let mut podman = podman();
            podman.args([
                "run",
                "--rm",
                "--network",
                "none",
                "--pids-limit",
                "0",
                "busybox",
            ]);
            podman.args(COMMAND);
            podman
        }
        Tool::Docker => {
            let mut docker = daemon::client();
            docker.args(["run", "--rm", "--network", "none", "busybox"]);
            docker.args(COMMAND);
            docker
        }
        Tool::Unshare => {
            let mut unshare = Command::new("unshare");
            unshare.args(["-mpuinC", "--fork"]).args(COMMAND);
            unshare
        }
        _ => {
            let mut plain = Command::new(COMMAND[0]);
            plain.args(&COMMAND[1..]);
            plain
        }
    }
}
