//! The root filesystem is hostile: links, devices and pipes wherever ucr looks, makes or mounts
//! something (reference/runtime.md, section 3.1).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::image::Image;
use crate::support::process::Running;
use crate::support::samples;
use crate::support::scratch::{Scratch, mounts_below};
use crate::support::tree::Tree;

use super::{LIMIT, USERS, world};
use crate::world::World;

/// A host directory with a file in it, which must stay as it is.
struct Canary {
    host: Scratch,
    before: Tree,
}

impl Canary {
    fn new() -> Self {
        let host = Scratch::new();
        host.dir("canary");
        host.file("canary/file", "untouched");
        let before = Tree::read(host.path());
        Self { host, before }
    }

    fn path(&self) -> String {
        self.host.join("canary").to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn assert_untouched(&self) {
        Tree::read(self.host.path()).assert_same(&self.before);
        assert!(mounts_below(self.host.path()).is_empty());
    }
}

/// image is refused.
#[test]
fn links_in_place_of_kernel_filesystems() {
    let host = Scratch::new();
    let outside = host.dir("outside");
    for name in ["proc", "dev", "sys"] {
        let layer = samples::busybox_layer().symlink(name, outside.to_str().unwrap());
        let world = World::of(&Image::new().layer(layer));
        world
            .run(&[], &["true"])
            .expect_code(125)
            .refused(&[&format!("/{name}"), "not a directory"]);
        world.assert_clean();
    }
    assert!(fs::read_dir(&outside).unwrap().next().is_none());
}

/// Files of ours and volumes land inside, whatever links the image has on the way.
#[test]
fn links_on_the_way_to_mounts() {
    let host = Scratch::new();
    let canary = host.file("canary", "untouched");
    let directory = host.dir("directory");
    let layer = samples::busybox_layer()
        .symlink("etc/resolv.conf", canary.to_str().unwrap())
        .symlink("data", directory.to_str().unwrap())
        .symlink("work", directory.to_str().unwrap());
    let world = World::of(&Image::new().layer(layer).workdir("/work/made"));
    let source = host.dir("volume");
    let volume = format!("{}:/data/volume", source.display());
    let script = "pwd; echo mine >/data/volume/file; cat /etc/resolv.conf";
    let done = world.run(&["-v", &volume], &["sh", "-c", script]).ok();
    let names = fs::read_to_string("/etc/resolv.conf").unwrap();
    assert_eq!(
        done.stdout,
        format!("{}/made\n{names}", directory.display())
    );
    assert_eq!(fs::read_to_string(source.join("file")).unwrap(), "mine\n");
    assert_eq!(fs::read_to_string(&canary).unwrap(), "untouched");
    assert!(fs::read_dir(&directory).unwrap().next().is_none());
    assert!(mounts_below(host.path()).is_empty());
    world.assert_clean();
}

/// A link to the container's own root is no place for a file.
#[test]
fn a_link_to_the_root_in_place_of_a_file() {
    let layer = samples::busybox_layer().symlink("etc/hosts", "../../../../../../../..");
    let world = World::of(&Image::new().layer(layer));
    world.run(&[], &["true"]).refused(&["/etc/hosts"]);
    world.assert_clean();
}

/// CVE-2025-31133: a link may not lead our files over the device that hides others.
#[test]
fn links_into_kernel_filesystems() {
    for target in [
        "/dev/null",
        "/proc/self/attr/current",
        "/sys/kernel/notes",
        "/dev/shm/x",
    ] {
        let layer = samples::busybox_layer().symlink("etc/hosts", target);
        let world = World::of(&Image::new().layer(layer));
        world
            .run(&[], &["true"])
            .refused(&["/etc/hosts", "leads into"]);
        world.assert_clean();
    }
}

/// The same, for every kind of link, to the host, to each other, upwards and in a circle.
#[test]
fn no_link_replaces_a_kernel_filesystem() {
    let canary = Canary::new();
    let out = canary.path();
    let up = format!("../../../../../../../../../..{out}");
    for (name, other) in [("proc", "sys"), ("sys", "dev"), ("dev", "proc")] {
        let mut layers = vec![
            samples::busybox_layer().file(name, "a file"),
            samples::busybox_layer().fifo(name),
            samples::busybox_layer().char_device(name, 1, 3),
        ];
        for target in [
            &*out,
            &up,
            other,
            "..",
            "/",
            ".",
            "tmp",
            name,
            "/proc/self/root",
        ] {
            layers.push(samples::busybox_layer().symlink(name, target));
        }
        for layer in layers {
            let world = world(layer);
            for users in USERS {
                world
                    .run(users, &["true"])
                    .refused(&[&format!("/{name} is not a directory")]);
            }
            world.assert_clean();
        }
    }
    canary.assert_untouched();
}

/// `/dev` is always ours, whatever the image has below it (CVE-2026-41579, -88264).
#[test]
fn what_the_image_has_in_dev_is_covered() {
    let canary = Canary::new();
    let out = canary.path();
    let mut layer = samples::busybox_layer().dir("dev", 0o777);
    for name in [
        "null", "console", "ptmx", "pts", "shm", "mqueue", "fd", "tty",
    ] {
        layer = layer.symlink(&format!("dev/{name}"), &format!("{out}/file"));
    }
    let world = world(layer);
    let script = "ls -l /dev/null /dev/console /dev/ptmx 2>&1 | cut -c 1; echo x >/dev/null; \
                  stat -c %F /dev/pts /dev/shm /dev/mqueue | uniq";
    for users in USERS {
        let flags = [users, &["-t"]].concat();
        assert_eq!(
            world.script(&flags, script).replace("\r\n", "\n"),
            "c\nc\nl\ndirectory"
        );
    }
    canary.assert_untouched();
    world.assert_clean();
}

/// What one of the three files, and a secret, may find in their places.
#[test]
fn own_files_in_hostile_places() {
    let canary = Canary::new();
    let file = format!("{}/file", canary.path());
    let secret = canary.host.path().with_extension("secret");
    fs::write(&secret, "of the host").unwrap();
    let flag = format!("file={},target=/etc/key", secret.display());
    let up = format!("../../../../../../..{file}");
    // What is there, and whether a file can be mounted on it.
    let rows = [
        (&*file, true),
        (&up, true),
        ("/etc/passwd", true),
        ("../bin/made/deep", true),
        ("/", false),
        ("..", false),
        ("/proc/self/exe", false),
        ("/proc/1/root/etc/x", false),
        ("/proc/self/fd/0", false),
        ("/proc/sys/kernel/core_pattern", false),
        ("/proc/made", false),
        ("/sys/kernel/uevent_helper", false),
        ("/dev/null", false),
        ("/dev/pts/ptmx", false),
        ("/dev/made", false),
    ];
    for name in ["resolv.conf", "key"] {
        for (target, works) in rows {
            let world = world(samples::busybox_layer().symlink(&format!("etc/{name}"), target));
            for users in USERS {
                let flags = [users, &["--secret", &flag]].concat();
                let done = world.run(&flags, &["cat", &format!("/etc/{name}")]);
                let expected = if works { 0 } else { 125 };
                assert_eq!(done.code, expected, "{name} -> {target}: {}", done.stderr);
                assert!(!done.stdout.contains("untouched"), "{}", done.stdout);
            }
            world.assert_clean();
        }
    }
    fs::remove_file(secret).unwrap();
    canary.assert_untouched();
}

/// Pipes and devices in the places of ucr's own files are covered, not opened.
#[test]
fn own_files_on_pipes_and_devices() {
    for layer in [
        samples::busybox_layer().fifo("etc/hosts"),
        samples::busybox_layer().char_device("etc/hosts", 5, 0),
    ] {
        let world = world(layer);
        let hosts = fs::read_to_string("/etc/hosts").unwrap();
        assert_eq!(world.script(&[], "cat /etc/hosts"), hosts.trim_end());
        world.assert_clean();
    }
    let world = world(samples::busybox_layer().dir("etc/hosts", 0o755));
    world.run(&[], &["true"]).refused(&["/etc/hosts"]);
    world.assert_clean();
}

/// GHSA-q6r4-3wmg-fwcq, CVE-2024-21626: where an image starts, and what is made for it.
#[test]
fn working_directories() {
    let canary = Canary::new();
    let out = canary.path();
    let layer = || {
        samples::busybox_layer()
            .symlink("out", &out)
            .symlink("up", &format!("../../../../../..{out}"))
            .symlink("magic", "/proc/self/fd/9")
            .symlink("root", "/proc/1/root")
            .symlink("loop", "loop")
            .file("file", "x")
    };
    // The image's path, and where that is, or that it is refused.
    let rows = [
        // There is such a directory on the host, and none in the image.
        (out.as_str(), Some(out.clone())),
        ("/out/new", Some(format!("{out}/new"))),
        ("/up/new/deep", Some(format!("{out}/new/deep"))),
        ("/out/../new", None),
        ("/proc/self/fd/9", None),
        ("/proc/self/fd/9/../../..", None),
        ("/proc/1/fd/9", None),
        ("/proc/thread-self/fd/9", None),
        ("/magic", None),
        ("/magic/tmp", None),
        ("/root", None),
        ("/root/tmp", None),
        ("/proc/1/root/tmp", None),
        ("/proc/self/cwd", None),
        ("/proc/2/root", None),
        ("/proc/new", None),
        ("/sys/new", None),
        ("/dev/null", None),
        ("/loop", None),
        ("/file", None),
        ("/file/x", None),
    ];
    for (path, expected) in rows {
        let world = World::of(&Image::new().layer(layer()).workdir(path));
        for users in USERS {
            let mut command = world.ucr.by_shell("exec 9</ && exec \"$@\"");
            command.arg("run").args(users).args([&world.image, "pwd"]);
            let done = crate::support::process::run(&mut command, b"", LIMIT);
            let inside = format!("{}\n", expected.clone().unwrap_or_default());
            match &expected {
                Some(_) => assert_eq!(done.ok().stdout, inside, "{path}"),
                // Those that stay inside may as well work.
                None if done.code == 0 => {
                    assert!(
                        done.stdout.starts_with("/\n") || path.contains(".."),
                        "{path}: {}",
                        done.stdout
                    );
                }
                None => drop(done.refused(&["working directory"])),
            }
        }
        world.assert_clean();
    }
    canary.assert_untouched();
}

/// CVE-2022-23648: the paths of an image's volumes are the image author's.
#[test]
fn volumes_of_a_hostile_image() {
    let canary = Canary::new();
    let out = canary.path();
    let up = format!("/up{out}");
    let layer = || {
        samples::busybox_layer()
            .symlink("out", &out)
            .symlink("up", "../../../../../../../..")
            .symlink("magic", "/proc/1/root")
    };
    let masked =
        "head -c 1 /proc/timer_list | wc -c; (echo x >/proc/sys/kernel/domainname) 2>&- || echo ro";
    for place in [
        "/",
        "/.",
        "/..",
        "/../..",
        "/proc",
        "/proc/sys",
        "/proc/self",
        "/proc/1/root",
        "/proc/kcore",
        "/sys",
        "/sys/firmware",
        "/sys/fs/cgroup",
        "/dev",
        "/dev/null",
        "/dev/shm",
        "/dev/pts",
        "/dev/fd",
        "/dev/fd/0",
        "/dev/stdin/x",
        "/out",
        "/out/new",
        &up,
        "/magic",
        "/magic/new",
        "relative",
        "",
        "/etc/passwd",
        "/etc",
    ] {
        let volumes = serde_json::json!({place: {}});
        let world = World::of(&Image::new().layer(layer()).set("Volumes", volumes));
        for users in USERS {
            let done = world.run(users, &["sh", "-c", masked]);
            match done.code {
                0 => assert_eq!(done.stdout, "0\nro\n", "{place}: {}", done.stderr),
                _ => drop(done.refused(&[])),
            }
        }
        world.assert_clean();
    }
    canary.assert_untouched();
}

/// A container that swaps names in a volume as fast as it can.
fn racer(world: &World, shared: &Path, script: &str) -> Running {
    let flag = format!("{}:/s", shared.display());
    let script = format!("cd /s; {script}");
    let racer = world
        .command(&["-v", &flag], &["sh", "-c", &script])
        .spawn();
    racer.wait_until("the racer", LIMIT, || {
        racer.stdout_so_far().contains("ready")
    });
    racer
}

/// CVE-2025-31133, CVE-2025-52565: what is hidden is hidden by a device that nobody can swap, also
/// where others share the whole of `/dev`.
#[test]
fn a_race_for_the_null_device_and_the_console() {
    let world = World::small();
    let canary = Canary::new();
    let host = Scratch::new();
    let shared = host.dir("shared");
    symlink(canary.path() + "/file", shared.join("link")).unwrap();
    let script = "mkdir pts shm; echo mine >null; echo mine >t; echo ready; \
                  while :; do for n in null console ptmx pts/ptmx; do \
                  busybox ln -sf /proc/self/exe $n; busybox cp -P link $n; rm -f $n; busybox mv t $n; \
                  busybox mv $n t; done; done 2>/dev/null";
    let racer = racer(&world, &shared, script);
    let flag = format!("{}:/dev", shared.display());
    let masked = "head -c 1 /proc/timer_list | wc -c; head -c 1 /proc/keys | wc -c; \
                  (echo x >/proc/sys/kernel/domainname) 2>&- || echo ro";
    for round in 0..20 {
        let flags: &[&str] = match round % 2 {
            0 => &["-v", &flag],
            _ => &["-t", "-v", &flag],
        };
        let done = world.run(flags, &["sh", "-c", masked]).ok();
        assert_eq!(
            done.stdout.replace("\r\n", "\n"),
            "0\n0\nro\n",
            "{}",
            done.stderr
        );
    }
    racer.signal(nix::sys::signal::Signal::SIGKILL);
    racer.finish(LIMIT);
    canary.assert_untouched();
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

/// CVE-2024-45310, GHSA-q6r4-3wmg-fwcq: directories are made, and given away, only inside.
#[test]
fn a_race_for_the_working_directory() {
    let world = World::small();
    let canary = Canary::new();
    let host = Scratch::new();
    let shared = host.dir("shared");
    symlink(canary.path(), shared.join("link")).unwrap();
    let script = "mkdir -p a; echo ready; while :; do \
                  busybox mv -T a t; busybox mv -T link a; busybox mv -T a link; busybox mv -T t a; \
                  rm -rf a/new; done 2>/dev/null";
    let racer = racer(&world, &shared, script);
    let flag = format!("{}:/s", shared.display());
    for _ in 0..20 {
        let flags = ["-v", &flag, "-u", "1000", "-w", "/s/a/new/deep"];
        let done = world.run(&flags, &["true"]);
        assert!(matches!(done.code, 0 | 125), "{}", done.stderr);
    }
    racer.signal(nix::sys::signal::Signal::SIGKILL);
    racer.finish(LIMIT);
    canary.assert_untouched();
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

/// 48, with all privileges: what is mounted inside the host does not see, even where its root is
/// shared, as on a machine with systemd.
#[test]
fn mounts_stay_inside() {
    let world = World::small();
    let script = "mount -t tmpfs x /tmp && mount -t tmpfs x /v && echo mounted";
    let source = world.ucr.scratch().dir("source");
    let volume = format!("{}:/v", source.display());
    let line = "mount --make-rshared / && \"$@\" && ! grep -F \"$0/\" /proc/self/mountinfo";
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", line]);
    command.arg(world.ucr.scratch().path());
    command.arg(crate::support::ucr::Ucr::binary());
    command.arg("--root").arg(world.ucr.root());
    command.arg("--state").arg(world.ucr.state());
    command.args(["run", "--privileged", "-v", &volume, &world.image]);
    command.args(["sh", "-c", script]);
    let done = crate::support::process::run(&mut command, b"", LIMIT).ok();
    assert_eq!(done.stdout, "mounted\n");
    world.assert_clean();
}
