//! What is mounted at the user's wish: order, places, options, propagation, and what is kept.
//! Numbers are those of reference/runtime.md, section 10.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::need;
use crate::support::process::{self, Running, tool};
use crate::support::samples;
use crate::support::scratch::Scratch;
use crate::support::tree::Tree;
use crate::support::ucr::{Ucr, children};

use super::world::World;

const LIMIT: Duration = Duration::from_secs(30);

/// `SOURCE:REST`.
fn volume(source: &Path, rest: &str) -> String {
    format!("{}:{rest}", source.display())
}

/// Mounts something on a directory of a [`Scratch`], which takes it away again.
fn mount(options: &[&str], target: &Path) {
    tool(Command::new("mount").args(options).arg(target));
}

/// A container that runs until it is stopped, and its first process.
fn running(world: &World, flags: &[&str]) -> (Running, String) {
    let script = "echo ready; exec sleep 60";
    let running = world.command(flags, &["sh", "-c", script]).spawn();
    running.wait_until("the container", LIMIT, || {
        running.stdout_so_far().contains("ready")
    });
    let listed = world.ucr.run(["--format", "json", "ps"]).ok().json();
    (running, listed[0]["pid"].to_string())
}

fn stop(running: Running) {
    running.signal(Signal::SIGKILL);
    running.finish(LIMIT);
}

/// The options of the mount on a path in the container, as it sees them.
#[track_caller]
fn options(world: &World, flags: &[&str], path: &str) -> Vec<String> {
    let table = world.script(flags, "cat /proc/self/mountinfo");
    let line = table
        .lines()
        .find(|line| line.split(' ').nth(4) == Some(path));
    let line = line.unwrap_or_else(|| panic!("nothing on {path} in\n{table}"));
    let mut options: Vec<_> = line.split(' ').nth(5).unwrap().split(',').collect();
    options.retain(|option| *option != "relatime");
    options.into_iter().map(str::to_owned).collect()
}

/// The paths of a store that holds named volumes.
fn data(world: &World, name: &str) -> PathBuf {
    world.ucr.root().join("volumes").join(name).join("_data")
}

/// 44: parents before children, whatever the order of the options and their kinds.
#[test]
fn parents_come_before_children() {
    let world = World::small();
    let host = Scratch::new();
    let (outer, inner) = (host.dir("outer"), host.dir("inner"));
    host.file("outer/name", "outer");
    host.file("inner/name", "inner");
    let flags = [
        "--tmpfs",
        "/a/b/c",
        "-v",
        &volume(&inner, "/a/b"),
        "-v",
        &volume(&outer, "/a"),
        "-v",
        "/a/b/c/d",
    ];
    let script =
        "cat /a/name /a/b/name; echo; touch /a/b/c/d/x && grep -cE ' /a[ /]' /proc/self/mountinfo";
    assert_eq!(world.script(&flags, script), "outerinner\n4");
    // As Docker does: the inner one's place is made in the outer one.
    assert!(outer.join("b").is_dir() && inner.join("c").is_dir());
    assert_eq!(children(&inner.join("c")), [] as [PathBuf; 0]);
    world.assert_clean();
}

#[test]
fn a_place_that_cannot_be_made_on_what_is_read_only() {
    let world = World::small();
    let host = Scratch::new();
    let (outer, inner) = (host.dir("outer"), host.dir("inner"));
    let both = [
        "-v",
        &volume(&outer, "/a:ro"),
        "-v",
        &volume(&inner, "/a/b"),
    ];
    world
        .run(&both, &["true"])
        .refused(&["mount", "/a/b is not there", "read-only"]);
    assert_eq!(children(&outer), [] as [PathBuf; 0]);
    fs::create_dir(outer.join("b")).unwrap();
    world.run(&both, &["touch", "/a/b/x"]).ok();
    assert!(inner.join("x").exists());
    world.assert_clean();
}

/// 45: a file on a missing path: an empty file is made in the container, not on the host.
#[test]
fn a_file_on_a_missing_path() {
    let world = World::small();
    let host = Scratch::new();
    let file = host.file("file", "content");
    let flag = volume(&file, "/new/deep/file:ro");
    let script = "cat /new/deep/file; echo x >/new/deep/file || echo kept";
    assert_eq!(world.script(&["-v", &flag], script), "contentkept");
    assert_eq!(fs::read_to_string(&file).unwrap(), "content");
    assert!(!Path::new("/new").exists());
    world.assert_clean();
}

#[test]
fn files_and_directories_do_not_mix() {
    let world = World::small();
    let host = Scratch::new();
    let (file, directory) = (host.file("file", "x"), host.dir("directory"));
    let rows = [
        (
            volume(&file, "/etc"),
            "the source is a file, /etc is a directory",
        ),
        (
            volume(&directory, "/etc/passwd"),
            "the source is a directory",
        ),
        (volume(&file, "/etc/passwd/x"), "goes through a file"),
        (volume(&host.join("none"), "/x"), "No such file"),
        (volume(&host.join("file/x"), "/x"), "Not a directory"),
    ];
    for (flag, words) in rows {
        world.run(&["-v", &flag], &["true"]).refused(&[words]);
    }
    assert!(!host.join("none").exists());
    world.assert_clean();
}

/// 46: a read-only bind keeps what the source's mount forbids, is read-only below too, and podman's
/// has no option more.
#[test]
fn read_only_binds() {
    let world = World::small();
    let host = Scratch::new();
    let outer = host.dir("outer");
    mount(
        &["-t", "tmpfs", "-o", "nosuid,nodev,noexec,noatime", "x"],
        &outer,
    );
    let inner = host.dir("outer/inner");
    mount(&["-t", "tmpfs", "-o", "nosuid", "x"], &inner);
    let rows = [
        ("ro", "ro", "ro"),
        ("rw", "rw", "rw"),
        // Asking for it does not undo what the host's mount forbids.
        ("ro,exec,suid,dev", "ro", "ro"),
    ];
    for (asked, top, below) in rows {
        let flag = volume(&outer, &format!("/v:{asked}"));
        let locked = [top, "nosuid", "nodev", "noexec", "noatime"];
        assert_eq!(options(&world, &["-v", &flag], "/v"), locked, "{asked}");
        let found = options(&world, &["-v", &flag], "/v/inner");
        assert_eq!(found[..2], [below, "nosuid"], "{asked}");
    }
    let field = |more: &str| format!("type=bind,src={},dst=/v,ro{more}", outer.display());
    let writable = ["--mount", &field(",bind-recursive=writable")];
    assert_eq!(options(&world, &writable, "/v")[0], "ro");
    assert_eq!(options(&world, &writable, "/v/inner")[0], "rw");
    let alone = ["--mount", &field(",bind-recursive=disabled")];
    assert_eq!(
        world.script(&alone, "grep -cE ' /v[ /]' /proc/self/mountinfo; ls /v"),
        "1\ninner"
    );
    assert_eq!(
        options(
            &world,
            &["--mount", &field(",bind-recursive=readonly")],
            "/v/inner"
        )[0],
        "ro"
    );
    world.assert_clean();
}

/// Beside podman: whatever a mount may not do there it may not do here.
#[test]
fn no_mount_may_do_more_than_podmans() {
    let world = World::small();
    let host = Scratch::new();
    let (outer, config) = (host.dir("outer"), host.join("containers.conf"));
    mount(
        &["-t", "tmpfs", "-o", "nosuid,nodev,noexec,noatime", "x"],
        &outer,
    );
    let inner = host.dir("outer/inner");
    mount(&["-t", "tmpfs", "-o", "nosuid", "x"], &inner);
    // The machine may not raise limits.
    let limits = "[containers]\ndefault_ulimits=[\"nofile=64:64\",\"nproc=64:64\"]\n";
    fs::write(&config, limits).unwrap();
    let rootfs = host.join("rootfs");
    let line = [
        "provision",
        "--backend",
        "copy",
        &world.image,
        rootfs.to_str().unwrap(),
    ];
    world.ucr.run(line).ok();
    let podman = |flags: &[&str]| {
        let mut command = Command::new(need::program("podman", "podman"));
        command.env("CONTAINERS_CONF", &config);
        for (option, name) in [("--root", "storage"), ("--runroot", "run")] {
            command.arg(option).arg(host.dir(name));
        }
        command.args([
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            "--runtime=runc",
        ]);
        command.args(["run", "--rm", "--network=none"]).args(flags);
        command.arg("--rootfs").arg(&rootfs);
        tool(command.args(["/bin/cat", "/proc/self/mountinfo"]))
    };
    for option in ["ro", "rw", "rw,rslave", "ro,noexec", "nosuid,nodev"] {
        let flag = volume(&outer, &format!("/v:{option}"));
        let flags = ["-v", &flag, "--tmpfs", "/t"];
        let theirs = podman(&flags);
        let ours = world.script(&flags, "cat /proc/self/mountinfo");
        for place in ["/v", "/v/inner", "/t"] {
            let (ours, theirs) = (restrictions(&ours, place), restrictions(&theirs, place));
            let missing: Vec<_> = theirs.difference(&ours).collect();
            assert!(missing.is_empty(), "{option} {place}: not {missing:?}");
        }
    }
    world.ucr.run(["rm", rootfs.to_str().unwrap()]).ok();
}

/// What the mount on a path may not do, in the words of mountinfo.
#[track_caller]
fn restrictions(table: &str, path: &str) -> BTreeSet<String> {
    let line = table
        .lines()
        .find(|line| line.split(' ').nth(4) == Some(path));
    let line = line.unwrap_or_else(|| panic!("nothing on {path} in\n{table}"));
    let options = line.split(' ').nth(5).unwrap().split(',');
    let is_one = |option: &&str| option.starts_with("no") || *option == "ro";
    options.filter(is_one).map(str::to_owned).collect()
}

#[test]
fn what_a_bind_may_not_do_by_itself() {
    let world = World::small();
    let host = Scratch::new();
    let source = host.dir("source");
    mount(&["-t", "tmpfs", "x"], &source);
    let rows: [(&str, &[&str]); 4] = [
        ("/v", &["rw", "nodev"]),
        ("/v:dev", &["rw"]),
        ("/v:ro,noexec,nosuid", &["ro", "nosuid", "nodev", "noexec"]),
        ("/dev/v:noexec", &["rw", "nodev", "noexec"]),
    ];
    for (rest, expected) in rows {
        let target = rest.split(':').next().unwrap();
        let found = options(&world, &["-v", &volume(&source, rest)], target);
        assert_eq!(found, expected, "{rest}");
    }
}

/// 47: memory looks like the directory that it covers, unless it is told how to.
#[test]
fn memory_keeps_mode_and_owner() {
    let layer = samples::busybox_layer()
        .dir("own", 0o750)
        .owner(7, 8)
        .dir("sticky", 0o1777);
    let world = World::of(&Image::new().layer(layer));
    let rows = [
        (["--tmpfs", "/own"], "/own", "750 7:8"),
        (["--tmpfs", "/sticky"], "/sticky", "1777 0:0"),
        (["--tmpfs", "/tmp"], "/tmp", "1777 0:0"),
        (["--tmpfs", "/new/deep"], "/new/deep", "1777 0:0"),
        (["--tmpfs", "/own:mode=700"], "/own", "700 7:8"),
        (["--tmpfs", "/own:uid=1,gid=2"], "/own", "750 1:2"),
        (
            ["--mount", "type=tmpfs,dst=/own,tmpfs-mode=711"],
            "/own",
            "711 7:8",
        ),
    ];
    for (flags, path, expected) in rows {
        let script = format!("busybox stat -c '%a %u:%g' {path}");
        assert_eq!(world.script(&flags, &script), expected, "{flags:?}");
    }
    let sized = ["--tmpfs", "/x:size=1m"];
    let script =
        "busybox dd if=/dev/zero of=/x/f bs=64k count=17 2>/dev/null; busybox stat -c %s /x/f";
    assert_eq!(world.script(&sized, script), (1 << 20).to_string());
    let rows: [(&str, &[&str]); 3] = [
        ("/x", &["rw", "nosuid", "nodev", "noexec"]),
        ("/x:exec,suid,dev", &["rw"]),
        ("/x:ro,exec", &["ro", "nosuid", "nodev"]),
    ];
    for (flag, expected) in rows {
        assert_eq!(
            options(&world, &["--tmpfs", flag], "/x"),
            expected,
            "{flag}"
        );
    }
    world.assert_clean();
}

/// 48, 49: who sees what is mounted later, on either side.
#[test]
fn propagation() {
    let world = World::small();
    // What is asked for, whether the container sees the host's mounts, and the host the container's.
    let rows = [
        ("", false, false),
        (":rprivate", false, false),
        (":rslave", true, false),
        (":slave", true, false),
        (":rshared", true, true),
        (":shared", true, true),
    ];
    for (option, comes_in, goes_out) in rows {
        let host = Scratch::new();
        let source = host.dir("source");
        mount(&["-t", "tmpfs", "x"], &source);
        mount(&["--make-shared"], &source);
        let (below, inside) = (host.dir("source/below"), host.dir("source/inside"));
        let flag = volume(&source, &format!("/v{option}"));
        let (running, pid) = running(&world, &["-v", &flag]);
        mount(&["-t", "tmpfs", "x"], &below);
        let seen = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        assert_eq!(seen.contains(" /v/below "), comes_in, "{option}");
        let enter = ["-t", &pid, "-m", "mount", "-t", "tmpfs", "x", "/v/inside"];
        tool(
            Command::new("nsenter")
                .args(["--wdns=/"])
                .args(enter)
                .env("PATH", "/bin"),
        );
        let own = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = format!(" {} ", inside.display());
        assert_eq!(own.contains(&place), goes_out, "{option}");
        stop(running);
    }
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

#[test]
fn sharing_needs_a_shared_source() {
    let world = World::small();
    let host = Scratch::new();
    let source = host.dir("source");
    mount(&["-t", "tmpfs", "x"], &source);
    mount(&["--make-private"], &source);
    let flag = |option: &str| volume(&source, &format!("/v:{option}"));
    for option in ["shared", "rshared"] {
        world
            .run(&["-v", &flag(option)], &["true"])
            .refused(&["not on a shared mount", "make-shared"]);
    }
    world.run(&["-v", &flag("rslave")], &["true"]).ok();
    world.assert_clean();
}

/// Places in the sandbox, which Mesos names without a slash: they are made on the host.
#[test]
fn relative_places_are_in_the_sandbox() {
    let world = World::small();
    let host = Scratch::new();
    let (sandbox, source) = (host.dir("sandbox"), host.dir("source"));
    host.file("source/x", "found");
    let flags = [
        "--sandbox",
        sandbox.to_str().unwrap(),
        "-v",
        &volume(&source, "data/deep"),
    ];
    assert_eq!(
        world.script(&flags, "cat $MESOS_SANDBOX/data/deep/x"),
        "found"
    );
    assert!(sandbox.join("data/deep").is_dir());
    world
        .run(&["-v", &volume(&source, "data")], &["true"])
        .refused(&["'data' is not absolute", "--sandbox"]);
    world
        .run(
            &["--sandbox", "/", "-v", &volume(&source, "../x")],
            &["true"],
        )
        .refused(&["contains '..'"]);
    world.assert_clean();
}

/// As in Docker: a path with a dot first is one of the host.
#[test]
fn a_relative_source_is_below_the_working_directory() {
    let world = World::small();
    world.ucr.scratch().dir("source");
    world.ucr.scratch().file("source/x", "found");
    assert_eq!(world.script(&["-v", "./source:/v"], "cat /v/x"), "found");
}

/// An image whose `/data` has all that a copy could lose.
fn with_data() -> Layer {
    samples::busybox_layer()
        .dir("data", 0o750)
        .owner(7, 8)
        .mtime(1_000_000)
        .file("data/file", "content")
        .owner(9, 10)
        .mode(0o640)
        .xattr("user.kept", b"yes")
        .hardlink("data/second", "data/file")
        .symlink("data/link", "/etc/passwd")
        .symlink("data/out", "../../../../../etc/shadow")
        .fifo("data/pipe")
        .char_device("data/device", 1, 3)
        .program("data/program", "#!/bin/sh\n")
        .mode(0o4755)
        .dir("data/sub", 0o1711)
        .file("data/sub/.wh.x", "gone")
}

/// 56: the first container fills a volume with what the image has: owners, modes, attributes, links.
#[test]
fn a_named_volume_is_filled_once() {
    let world = World::of(&Image::new().layer(with_data()));
    let first = world.script(&["-v", "vol:/data"], "echo mine >/data/own; cat /data/file");
    assert_eq!(first, "content");
    let copy = data(&world, "vol");
    let whole = world.ucr.scratch().join("whole");
    let provision = [
        "provision",
        "--backend",
        "copy",
        &world.image,
        whole.to_str().unwrap(),
    ];
    world.ucr.run(provision).ok();
    assert_eq!(fs::read_to_string(copy.join("own")).unwrap(), "mine\n");
    fs::remove_file(copy.join("own")).unwrap();
    let (found, expected) = (Tree::read(&copy), Tree::read(&whole.join("data")));
    found.timeless().assert_same(&expected.timeless());
    world.ucr.run(["rm", whole.to_str().unwrap()]).ok();
    // Never again, also not if the image would have more.
    fs::remove_file(copy.join("link")).unwrap();
    assert_eq!(
        world.script(&["-v", "vol:/data"], "ls /data/link || echo no"),
        "no"
    );
    let outer = world.ucr.root().join("volumes/vol");
    for private in [outer.as_path(), outer.parent().unwrap()] {
        assert_eq!(
            fs::metadata(private).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
    assert_eq!(children(&outer).len(), 2, "{:?}", children(&outer));
    world.assert_clean();
}

#[test]
fn volumes_that_are_not_filled() {
    let world = World::of(&Image::new().layer(with_data()));
    assert_eq!(world.script(&["-v", "a:/data:nocopy"], "ls -A /data"), "");
    let line = "type=volume,src=b,dst=/data,volume-nocopy";
    assert_eq!(world.script(&["--mount", line], "ls -A /data"), "");
    // Where the image has a file, or nothing.
    assert_eq!(world.script(&["-v", "c:/none"], "ls -A /none"), "");
    world
        .run(&["-v", "d:/data/file"], &["true"])
        .refused(&["the source is a directory"]);
    assert_eq!(children(&data(&world, "d")), [] as [PathBuf; 0]);
    // Where something is already.
    fs::write(data(&world, "a").join("x"), "").unwrap();
    assert_eq!(world.script(&["-v", "a:/data"], "ls -A /data"), "x");
    world.assert_clean();
}

#[test]
fn a_part_of_a_volume() {
    let world = World::of(&Image::new().layer(with_data()));
    world.run(&["-v", "vol:/data"], &["true"]).ok();
    let part = |path: &str| format!("type=volume,src=vol,dst=/x,volume-subpath={path}");
    assert_eq!(
        world.script(&["--mount", &part("file")], "cat /x"),
        "content"
    );
    assert_eq!(
        world.script(&["--mount", &part("sub")], "busybox stat -c %a /x"),
        "1711"
    );
    // Links in a volume lead nowhere else than into it.
    for outside in ["link", "out", "none"] {
        world
            .run(&["--mount", &part(outside)], &["true"])
            .refused(&["subpath", outside]);
    }
    world.assert_clean();
}

/// `kill -9` while a volume is filled: the next container fills it.
#[test]
fn half_a_copy_is_never_seen() {
    let mut layer = samples::busybox_layer().dir("data", 0o755);
    for number in 0..3000 {
        layer = layer.file(&format!("data/{number}"), "x");
    }
    let world = World::of(&Image::new().layer(layer));
    let staging = world.ucr.root().join("volumes/vol/_copy");
    let filling = world.command(&["-v", "vol:/data"], &["true"]).spawn();
    filling.wait_until("a copy", LIMIT, || children(&staging).len() > 10);
    stop(filling);
    let half = children(&data(&world, "vol")).len();
    assert_eq!(half, 0, "half a copy was published");
    let count = world.script(&["-v", "vol:/data"], "ls /data | busybox wc -l");
    assert_eq!(count, "3000");
    assert!(!staging.exists());
    world.assert_clean();
}

/// Volumes without a name: filled, and gone with the container.
#[test]
fn anonymous_volumes() {
    let world = World::of(&Image::new().layer(with_data()));
    let script = "cat /data/file; echo x >/data/new; busybox stat -c ' %a %u:%g' /data";
    assert_eq!(world.script(&["-v", "/data"], script), "content 750 7:8");
    assert_eq!(
        world.script(&["-v", "/data"], "ls /data/new || echo no"),
        "no"
    );
    let line = "type=volume,dst=/data,volume-nocopy,ro";
    assert_eq!(
        world.script(&["--mount", line], "ls -A /data; touch /data/x || echo no"),
        "no"
    );
    world.assert_clean();
    assert!(!world.ucr.root().join("volumes").exists());
}

/// The image's own volumes are anonymous ones, unless something is mounted there.
#[test]
fn volumes_of_the_image() {
    let volumes = |paths: &[&str]| {
        let set = paths
            .iter()
            .map(|path| ((*path).to_owned(), serde_json::json!({})));
        Image::new()
            .layer(with_data())
            .set("Volumes", serde_json::Value::Object(set.collect()))
    };
    let world = World::of(&volumes(&["/data", "relative", "/up/../../../made"]));
    let script = "cat /data/file; echo; grep -cE ' /(data|relative|made) ' /proc/self/mountinfo";
    assert_eq!(world.script(&[], script), "content\n3");
    let host = Scratch::new();
    let own = host.dir("own");
    assert_eq!(
        world.script(
            &["-v", &volume(&own, "/data")],
            "ls -A /data; touch /data/x"
        ),
        ""
    );
    assert!(own.join("x").exists());
    world.assert_clean();
    for path in [
        "/",
        "/..",
        "/proc",
        "/proc/self",
        "/sys/x",
        "/dev",
        "../dev",
    ] {
        let world = World::of(&volumes(&[path]));
        world
            .run(&[], &["true"])
            .refused(&["the image's volume", path]);
        world.assert_clean();
    }
}

/// Another image's files: read-only, or with changes that nobody else sees.
#[test]
fn images_as_volumes() {
    let world = World::small();
    let other = Layout::of(
        "other",
        &Image::new()
            .layer(with_data())
            .layer(Layer::new().whiteout("data/second")),
    );
    let name = other.reference("other");
    let field = |more: &str| format!("type=image,source={name},target=/o{more}");
    world
        .run(&["--mount", &field("")], &["true"])
        .refused(&["is not in the store", "ucr pull"]);
    world.ucr.pull(&name);
    let script = "cat /o/data/file; ls /o/data/second || echo no; touch /o/x || echo kept";
    assert_eq!(
        world.script(&["--mount", &field("")], script),
        "contentno\nkept"
    );
    let script = "touch /o/x; echo more >>/o/data/file; cat /o/data/file";
    assert_eq!(
        world.script(&["--mount", &field(",rw")], script),
        "contentmore"
    );
    assert_eq!(
        world.script(&["--mount", &field(",image-subpath=data/file")], "cat /o"),
        "content"
    );
    assert_eq!(
        world.script(&["--mount", &field(",ro")], "ls /o/x || cat /o/data/file"),
        "content"
    );
    world
        .run(&["--mount", &field(",subpath=data/out")], &["true"])
        .refused(&["subpath"]);
    // Its layers stay while a container has them.
    let (running, pid) = running(&world, &["--mount", &field("")]);
    world.ucr.run(["rm", &name]).ok();
    world.ucr.run(["prune"]).ok();
    let seen = fs::read(format!("/proc/{pid}/root/o/data/file")).unwrap();
    assert_eq!(seen, b"content");
    stop(running);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

/// Whatever the image has in the place of a mount, nothing on the host is touched.
#[test]
fn hostile_places() {
    let host = Scratch::new();
    let canary = host.dir("canary");
    host.file("canary/file", "untouched");
    let before = Tree::read(host.path());
    let source = Scratch::new();
    let (directory, file) = (source.dir("directory"), source.file("file", "x"));
    let out = canary.to_str().unwrap();
    // Where the link leads, whether something may be mounted there, and below.
    let rows = [
        (out, true, true),
        ("../../../../../../../../../..", false, true),
        ("/", false, true),
        ("/proc", false, false),
        ("/proc/self/root", false, false),
        ("/proc/1/cwd", false, false),
        ("/proc/sys/kernel/hostname", false, false),
        ("/dev", false, false),
        ("/dev/null", false, false),
        ("/dev/shm", false, false),
        ("/sys", false, false),
        ("/sys/kernel", false, false),
        ("loop", false, false),
    ];
    for (link, itself, below) in rows {
        let layer = samples::busybox_layer()
            .symlink("place", link)
            .symlink("loop", "loop");
        let world = World::of(&Image::new().layer(layer));
        let attempts = [
            (["-v", &volume(&directory, "/place")], itself),
            (["-v", &volume(&file, "/place")], itself),
            (["--tmpfs", "/place"], itself),
            (["-v", "/place"], itself),
            (["-v", &volume(&directory, "/place/new/deep")], below),
            (["-v", &volume(&file, "/place/new/file")], below),
            (["--tmpfs", "/place/new"], below),
            (["-v", "/place/new"], below),
            (["-v", "named:/place/new"], below),
        ];
        for (flags, works) in attempts {
            let done = world.run(&flags, &["true"]);
            let expected = if works { 0 } else { 125 };
            assert_eq!(done.code, expected, "{link} {flags:?}: {}", done.stderr);
        }
        world.assert_clean();
        Tree::read(host.path()).assert_same(&before);
    }
    assert_eq!(children(&directory), [] as [PathBuf; 0]);
}

/// What is neither file nor directory in the place of a mount.
#[test]
fn pipes_and_devices_in_the_place() {
    let source = Scratch::new();
    let (directory, file) = (source.dir("directory"), source.file("file", "content"));
    let layer = samples::busybox_layer()
        .fifo("pipe")
        .char_device("device", 1, 3);
    let world = World::of(&Image::new().layer(layer));
    for place in ["/pipe", "/device"] {
        world
            .run(&["-v", &volume(&directory, place)], &["true"])
            .refused(&["the source is a directory"]);
        world
            .run(
                &["-v", &volume(&directory, &format!("{place}/x"))],
                &["true"],
            )
            .refused(&[place]);
        let script = format!("cat {place}");
        assert_eq!(
            world.script(&["-v", &volume(&file, place)], &script),
            "content"
        );
    }
    world.assert_clean();
}

/// A link in one volume to the place of another, and out of it.
#[test]
fn links_in_volumes() {
    let world = World::small();
    let host = Scratch::new();
    let canary = host.dir("canary");
    let (outer, inner) = (host.dir("outer"), host.dir("inner"));
    symlink("/second", outer.join("link")).unwrap();
    symlink(&canary, outer.join("out")).unwrap();
    symlink("../../../../../../..", outer.join("up")).unwrap();
    let before = Tree::read(&canary);
    let outer_flag = volume(&outer, "/first");
    for (place, seen) in [
        ("/first/link/x", "/second/x"),
        ("/first/out/x", &*format!("{}/x", canary.display())),
        ("/first/up/x", "/x"),
    ] {
        let flags = ["-v", &outer_flag, "-v", &volume(&inner, place)];
        let table = world.script(&flags, "cat /proc/self/mountinfo");
        let at: Vec<_> = table
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .collect();
        assert!(at.contains(&seen), "{place}: {at:?}");
        Tree::read(&canary).assert_same(&before);
    }
    let flags = [
        "-v",
        &outer_flag,
        "-v",
        &volume(&inner, "/first/link/../proc/x"),
    ];
    world.run(&flags, &["true"]).refused(&["contains '..'"]);
    world.assert_clean();
}

/// A container that swaps a directory for a link, again and again, in a volume that another one is
/// started on (CVE-2021-30465).
#[test]
fn a_race_for_the_place() {
    let world = World::small();
    let host = Scratch::new();
    let (shared, inner, canary) = (host.dir("shared"), host.dir("inner"), host.dir("canary"));
    host.file("canary/file", "untouched");
    let before = Tree::read(&canary);
    let flag = volume(&shared, "/s");
    let script = format!(
        "cd /s; mkdir -p a/b; ln -s {0} l; echo ready; \
         while :; do busybox mv -T a t; busybox mv -T l a; busybox mv -T a l; busybox mv -T t a; done",
        canary.display()
    );
    let racer = world
        .command(&["-v", &flag], &["sh", "-c", &script])
        .spawn();
    racer.wait_until("the racer", LIMIT, || {
        racer.stdout_so_far().contains("ready")
    });
    let mut started = 0;
    for _ in 0..25 {
        let place = volume(&inner, "/s/a/b/c");
        let done = world.run(&["-v", &flag, "-v", &place], &["true"]);
        assert!(matches!(done.code, 0 | 125), "{}", done.stderr);
        started += i32::from(done.code == 0);
        Tree::read(&canary).assert_same(&before);
    }
    assert!(started > 0, "the race was always lost");
    stop(racer);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

/// Owners by a mapping: shown as another, stored as the original.
#[test]
fn mapped_owners() {
    let world = World::small();
    let host = Scratch::new();
    let source = host.dir("source");
    mount(&["-t", "tmpfs", "x"], &source);
    host.file("source/file", "x");
    std::os::unix::fs::chown(source.join("file"), Some(5), Some(6)).unwrap();
    let flag = volume(&source, "/v:idmap=uids=5-1000-1#0-0-1;gids=6-2000-1#0-0-1");
    let script = "busybox stat -c %u:%g /v/file; touch /v/new; busybox chown 1000:2000 /v/new";
    assert_eq!(world.script(&["-v", &flag], script), "1000:2000");
    let new = fs::metadata(source.join("new")).unwrap();
    assert_eq!((new.uid(), new.gid()), (5, 6));
    // Without gids the users' map counts; who is not mapped is nobody.
    let flag = volume(&source, "/v:idmap=uids=6-7-1");
    assert_eq!(
        world.script(&["-v", &flag], "busybox stat -c %u:%g /v/file"),
        "65534:7"
    );
    world
        .run(
            &["-v", &volume(Path::new("/proc"), "/v:idmap=uids=0-1-1")],
            &["true"],
        )
        .refused(&["volume source /proc", "cannot be mapped"]);
    world
        .run(&["-v", &volume(&source, "/v:idmap")], &["true"])
        .refused(&["no user namespace"]);
    world.assert_clean();
}

/// Users of its own: the store keeps the owners that containers see, so that any of them can share
/// a volume; of the host's files only those by `idmap` are its users'.
#[test]
fn volumes_of_a_container_with_its_own_users() {
    let other = Layout::of("other", &Image::new().layer(with_data()));
    let image = other.reference("other");
    let volumes = serde_json::json!({"/data": {}});
    let world = World::of(&Image::new().layer(with_data()).set("Volumes", volumes));
    world.ucr.pull(&image);
    let host = Scratch::new();
    let (plain, mapped) = (host.dir("plain"), host.dir("mapped"));
    let stat = "busybox stat -c %u:%g";
    let field = format!("type=image,source={image},target=/i,rw");
    let script = format!(
        "{stat} /data/file /named/file /i/data/file /plain /mapped /t; \
         touch /data/x /named/x /i/x /mapped/x /t/x; touch /plain/x 2>/dev/null || echo kept"
    );
    let flags = [
        "--userns=auto",
        "--mount",
        "type=volume,src=named,dst=/named,volume-nocopy",
        "-v",
        &volume(&plain, "/plain"),
        "-v",
        &volume(&mapped, "/mapped:idmap"),
        "--mount",
        &field,
        "--tmpfs",
        "/t",
    ];
    // Filled by a container whose users are the host's.
    world.run(&["-v", "named:/data"], &["true"]).ok();
    assert_eq!(
        world.script(&flags, &script),
        "9:10\n9:10\n9:10\n65534:65534\n0:0\n0:0\nkept"
    );
    for made in [mapped.join("x"), data(&world, "named").join("x")] {
        assert_eq!(fs::metadata(made).unwrap().uid(), 0);
    }
    // And the reverse.
    world
        .run(&["--userns=auto", "-v", "second:/data"], &["true"])
        .ok();
    let file = fs::metadata(data(&world, "second").join("file")).unwrap();
    assert_eq!((file.uid(), file.gid()), (9, 10));
    assert_eq!(
        world.ucr.entries(&["containers", "tmp", "trash"]),
        [] as [PathBuf; 0]
    );
}

/// 50: what is mounted is writable under a read-only root.
#[test]
fn mounts_of_a_read_only_root() {
    let volumes = serde_json::json!({"/data": {}});
    let world = World::of(&Image::new().layer(with_data()).set("Volumes", volumes));
    let host = Scratch::new();
    let source = host.dir("source");
    let flags = [
        "--read-only",
        "--tmpfs",
        "/t",
        "-v",
        &volume(&source, "/s/new"),
        "-v",
        "n:/n",
    ];
    let script =
        "touch /t/x /s/new/x /n/x /data/x /dev/shm/x && touch /x /s/x 2>/dev/null || echo kept";
    assert_eq!(world.script(&flags, script), "kept");
    world.assert_clean();
}

/// Volumes by name: listed with who has them, made and removed by command only.
#[test]
fn the_volume_command() {
    let world = World::small();
    let volume = |words: &[&str]| world.ucr.run([&["volume"], words].concat());
    let json = |words: &[&str]| {
        let line = [&["--format", "json", "volume"], words].concat();
        world.ucr.run(line).ok().json()
    };
    assert_eq!(json(&["ls"]), serde_json::json!([]));
    assert_eq!(volume(&["create", "one"]).ok().stdout, "one\n");
    fs::write(data(&world, "one").join("x"), "kept").unwrap();
    assert_eq!(json(&["create", "one"]), serde_json::json!(["one"]));
    let (running, _) = running(&world, &["-v", "one:/v", "-v", "two:/w"]);
    let id = world.ucr.run(["--format", "json", "ps"]).ok().json()[0]["id"].clone();
    let one = &json(&["inspect", "one"])[0];
    assert_eq!(one["kind"], "volume");
    assert_eq!(one["path"], data(&world, "one").to_str().unwrap());
    assert_eq!(one["used_by"], serde_json::json!([id]));
    assert!(one["created_at"].is_string());
    volume(&["rm", "one"]).refused(&["volume one is in use", id.as_str().unwrap()]);
    // Nor while it is in use by what is not listed: a container about to start.
    let mut other = Command::new(Ucr::binary());
    other.arg("--root").arg(world.ucr.root());
    other.arg("--state").arg(world.ucr.scratch().dir("other"));
    other.args(["volume", "rm", "two"]);
    let done = process::run(&mut other, b"", LIMIT);
    done.refused(&["volume two is in use"]);
    stop(running);
    world.ucr.run(["prune"]).ok();
    let listed = volume(&["ls"]).ok().stdout;
    let names: Vec<_> = listed
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(names, ["NAME", "one", "two"]);
    assert_eq!(
        fs::read_to_string(data(&world, "one").join("x")).unwrap(),
        "kept"
    );
    assert_eq!(volume(&["rm", "two", "one"]).ok().stdout, "two\none\n");
    volume(&["rm", "one"]).refused(&["no volume one"]);
    volume(&["inspect", "one"]).refused(&["no volume one"]);
    for name in ["..", "a/b", "", ".hidden"] {
        volume(&["create", name]).refused(&["no name of a volume"]);
    }
    world.assert_clean();
}

/// 48: nothing stays of a container that ended, whatever it mounted and however it ended.
#[test]
fn nothing_stays() {
    let world = World::of(&Image::new().layer(with_data()));
    let host = Scratch::new();
    let source = host.dir("source");
    let flags = [
        "-v",
        &volume(&source, "/s:rslave"),
        "-v",
        "/data",
        "-v",
        "named:/data/sub",
        "--tmpfs",
        "/t",
        "--mount",
        &format!("type=image,source={},target=/i,rw", world.image),
    ];
    let (running, _) = running(&world, &flags);
    stop(running);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
    assert_eq!(children(&source), [] as [PathBuf; 0]);
    world.ucr.run(["volume", "rm", "named"]).ok();
    assert_eq!(
        children(&world.ucr.root().join("volumes")),
        [] as [PathBuf; 0]
    );
}
