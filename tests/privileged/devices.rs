//! Device nodes: those that every container has, and those of `--device`. Numbers are those of
//! reference/runtime.md, section 10.
//!
//! Nodes are made in a scratch directory, so that mode and owner are not the machine's; the drivers
//! behind them are FUSE's and the memory devices', which every machine has.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::layer::Layer;
use crate::support::process::tool;
use crate::support::samples;
use crate::support::scratch::Scratch;
use crate::support::ucr::children;

use super::world::World;

/// A node like `c 1 5`, with mode and owner.
pub fn node(scratch: &Scratch, name: &str, what: &str, mode: u32, owner: (u32, u32)) -> PathBuf {
    let path = scratch.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    tool(Command::new("mknod").arg(&path).args(what.split(' ')));
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    chown(&path, Some(owner.0), Some(owner.1)).unwrap();
    path
}

/// Prints a node as `TYPE MAJOR:MINOR MODE UID:GID`, numbers in hexadecimal.
pub const SHOW: &str = "stat -c '%F %t:%T %a %u:%g'";

const ZERO: &str = "c 1 5";
const FUSE: &str = "c 10 229";

/// Opens a device for reading, then for writing, and says what came of it.
pub fn try_both(path: &str) -> String {
    format!("(: <{path}) && echo read; (: >{path}) 2>&1 && echo written")
}

/// 51: what is in /dev, and nothing else.
#[test]
fn a_default_container_has_six_nodes_five_links_three_directories() {
    let world = World::small();
    let names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(world.script(&[], "echo $(ls /dev)"), names);
    let script = format!("cd /dev; {SHOW} null zero full random urandom tty");
    let rows = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"];
    let expected: Vec<_> = rows
        .iter()
        .map(|numbers| format!("character special file {numbers} 666 0:0"))
        .collect();
    assert_eq!(world.script(&[], &script), expected.join("\n"));
    let links = world.script(
        &[],
        "cd /dev; for it in fd stdin stdout stderr ptmx; do readlink $it; done",
    );
    assert_eq!(
        links,
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx"
    );
    let with_tty = world.script(&["-t"], "echo $(ls /dev) $(tty); test -c /dev/console");
    assert_eq!(with_tty, format!("console {names} /dev/pts/0"));
    world.assert_clean();
}

/// Not without the capability. With it nodes can be made, as builders do, and cannot be opened:
/// `/` is nodev, and the device cgroup refuses everywhere.
#[test]
fn no_node_of_a_disk_can_be_made() {
    let world = World::small();
    let make = "busybox mknod /dev/disk b 7 0 2>&1 || busybox mknod /tmp/disk b 7 0 2>&1";
    let refused =
        "mknod: /dev/disk: Operation not permitted\nmknod: /tmp/disk: Operation not permitted";
    let done = world.run(&[], &["sh", "-c", make]).expect_code(1);
    assert_eq!(done.text(), refused);
    for (made, words) in [
        ("/tmp/zero c 1 5", "Permission denied"),
        ("/dev/disk b 7 0", "Operation not permitted"),
    ] {
        let path = made.split(' ').next().unwrap();
        let script = format!("busybox mknod {made} && (head -c1 {path} 2>&1 || echo not opened)");
        let done = world.script(&["--cap-add", "MKNOD"], &script);
        assert!(done.ends_with("not opened"), "{done}");
        assert!(done.contains(words), "{done}");
    }
    world.assert_clean();
}

#[test]
fn a_device_looks_as_on_the_host_wherever_it_is() {
    let world = World::small();
    let host = Scratch::new();
    let zero = node(&host, "zero", ZERO, 0o640, (7, 1843));
    let link = host.join("link");
    symlink("zero", &link).unwrap();
    let looks = "character special file 1:5 640 7:1843";
    let rows = [
        // The same path, which is not below /dev: shown, not made.
        (zero.display().to_string(), zero.display().to_string()),
        (format!("{}:/dev/mine", zero.display()), "/dev/mine".into()),
        (
            format!("{}:/dev/a/b/mine", zero.display()),
            "/dev/a/b/mine".into(),
        ),
        (
            format!("{}:/opt/dev/mine:rw", zero.display()),
            "/opt/dev/mine".into(),
        ),
        (format!("{}:/dev/mine", link.display()), "/dev/mine".into()),
        (
            format!("{}:/dev/./mine//", zero.display()),
            "/dev/mine".into(),
        ),
    ];
    for (flag, path) in rows {
        let script = format!(
            "{SHOW} {path}; head -c 3 {path} | wc -c; {}",
            try_both(&path)
        );
        for more in [&[][..], &["--read-only"]] {
            let flags = [&["--device", &flag], more].concat();
            let expected = format!("{looks}\n3\nread\nwritten");
            assert_eq!(world.script(&flags, &script), expected, "{flags:?}");
        }
    }
    assert!(!Path::new("/opt/dev").exists());
    // The host's permissions count: ada is of that group, another user is not.
    let flag = format!("{}:/dev/mine", zero.display());
    let rows = [("ada", "read"), ("1999", "no")];
    for (user, expected) in rows {
        let script = "(: </dev/mine) 2>/dev/null && echo read || echo no";
        let flags = ["--device", &flag, "-u", user];
        assert_eq!(world.script(&flags, script), expected, "{user}");
    }
    world.assert_clean();
}

#[test]
fn a_directory_brings_its_devices_and_nothing_else() {
    let world = World::small();
    let host = Scratch::new();
    node(&host, "all/zero", ZERO, 0o600, (0, 0));
    node(&host, "all/deep/er/fuse", FUSE, 0o600, (0, 0));
    node(&host, "all/pipe", "p", 0o600, (0, 0));
    host.file("all/file", "secret");
    symlink("zero", host.join("all/link")).unwrap();
    let flag = format!("{}:/dev/all", host.join("all").display());
    let found = world.script(&["--device", &flag], "cd /dev/all; find . | busybox sort");
    assert_eq!(found, ".\n./deep\n./deep/er\n./deep/er/fuse\n./zero");
    world.assert_clean();
}

/// The device cgroup of version 1, which the test machines have, allows what was asked for.
#[test]
fn access_is_enforced() {
    let world = World::small();
    let host = Scratch::new();
    let fuse = node(&host, "fuse", FUSE, 0o666, (0, 0));
    let refused = "sh: can't create /dev/x: Operation not permitted";
    let rows = [
        ("", "read\nwritten".to_owned()),
        (":rw", "read\nwritten".to_owned()),
        (":r", format!("read\n{refused}")),
    ];
    for (access, expected) in rows {
        let flag = format!("{}:/dev/x{access}", fuse.display());
        // The last one fails where writing is refused.
        let script = format!("{}; true", try_both("/dev/x"));
        assert_eq!(
            world.script(&["--device", &flag], &script),
            expected,
            "{flag}"
        );
    }
    let flag = format!("{}:/dev/x:m", fuse.display());
    let done = world.run(&["--device", &flag], &["sh", "-c", ": </dev/x"]);
    assert!(
        done.stderr.contains("Operation not permitted"),
        "{}",
        done.stderr
    );
    world.assert_clean();
}

#[test]
fn what_is_no_device_is_refused() {
    let world = World::small();
    let host = Scratch::new();
    let (file, empty) = (host.file("file", "x"), host.dir("empty"));
    host.file("empty/file", "x");
    let zero = node(&host, "zero", ZERO, 0o666, (0, 0));
    let zero = zero.display();
    let rows = [
        (file.display().to_string(), "is no device"),
        (empty.display().to_string(), "is no device, nor has devices"),
        (host.join("none").display().to_string(), "No such file"),
        ("/dev/pts".into(), "a place of ucr's own"),
        ("/dev/pts:/dev/x".into(), "is no device"),
        (format!("{zero}:/dev"), "a place of ucr's own"),
        (format!("{zero}:/dev/shm/x"), "a place of ucr's own"),
        (format!("{zero}:/dev/fd/9"), "a place of ucr's own"),
        (format!("{zero}:/proc/kcore"), "a place of ucr's own"),
        (format!("{zero}:/dev/../etc/x"), "has '..' in it"),
        (
            format!("{zero}:/dev/null"),
            "another device was put in its place",
        ),
        (format!("{zero}:/etc"), "a directory"),
        (format!("{zero}:/etc/passwd/x"), "Not a directory"),
    ];
    for (flag, words) in rows {
        let done = world.run(&["--device", &flag], &["true"]);
        let code = if done.code == 2 { 2 } else { 125 };
        let done = done.expect_code(code);
        assert!(done.stderr.contains(words), "{flag}: {}", done.stderr);
    }
    world.assert_clean();
}

/// An image's links lead a device neither to the host nor into the kernel's filesystems
/// (CVE-2026-41579 and its kin).
#[test]
fn links_of_the_image_lead_nowhere_else() {
    let host = Scratch::new();
    let outside = host.dir("outside");
    let zero = node(&host, "zero", ZERO, 0o666, (0, 0));
    let layer = Layer::new()
        .symlink("opt", outside.to_str().unwrap())
        .symlink("up", "../../../../../../tmp")
        .symlink("kernel", "/proc")
        .symlink("uptime", "/proc/uptime")
        .symlink("null", "/dev/null")
        .symlink("loop", "loop");
    let world = World::of(&samples::small().layer(layer));
    let with = |target: &str| format!("{}:{target}", zero.display());
    for (target, really) in [
        ("/opt/x", outside.join("x").display().to_string()),
        ("/up/x", "/tmp/x".into()),
    ] {
        let script = format!("test -c {really} && head -c 2 {target} | wc -c");
        assert_eq!(
            world.script(&["--device", &with(target)], &script),
            "2",
            "{target}"
        );
    }
    assert_eq!(children(&outside), [] as [PathBuf; 0]);
    for (target, words) in [
        ("/kernel/uptime", "/kernel/uptime leads into /proc"),
        ("/uptime", "/uptime leads into /proc"),
        ("/null", "/null leads into /dev"),
        ("/loop", "show /loop"),
    ] {
        world
            .run(&["--device", &with(target)], &["true"])
            .refused(&[words]);
    }
    world.assert_clean();
}

/// No node can be made in a user namespace: the host's is shown, with its owner if that has a
/// number inside.
#[test]
fn with_users_of_its_own_the_hosts_node_is_shown() {
    let world = World::small();
    let host = Scratch::new();
    let zero = node(&host, "zero", ZERO, 0o666, (100_007, 8));
    let flag = format!("{}:/dev/mine", zero.display());
    let flags = ["--userns", "0:100000:65536", "--device", &flag];
    let script = format!("{SHOW} /dev/mine; head -c 2 /dev/mine | wc -c; {SHOW} /dev/null");
    assert_eq!(
        world.script(&flags, &script),
        "character special file 1:5 666 7:65534\n2\ncharacter special file 1:3 666 65534:65534"
    );
    let table = world.script(&flags, "cat /proc/self/mountinfo");
    let shown = |path: &str| {
        table
            .lines()
            .any(|line| line.split(' ').nth(4) == Some(path))
    };
    assert!(shown("/dev/mine") && shown("/dev/null"), "{table}");
    world.assert_clean();
}

fn nodes_below(directory: &Path, found: &mut BTreeSet<String>) {
    for path in children(directory) {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.file_type();
        if kind.is_dir() {
            nodes_below(&path, found);
        } else if kind.is_char_device() || kind.is_block_device() {
            let rdev = metadata.rdev();
            let (major, minor) = (nix::libc::major(rdev), nix::libc::minor(rdev));
            found.insert(format!("{} {major:x}:{minor:x}", path.display()));
        }
    }
}

/// 63: all of the host's devices, but its terminals and what is in its memory.
#[test]
fn privileged_has_the_hosts_devices() {
    let world = World::small();
    let mut expected = BTreeSet::new();
    nodes_below(Path::new("/dev"), &mut expected);
    expected.retain(|line| {
        ![
            "/dev/pts/",
            "/dev/shm/",
            "/dev/mqueue/",
            "/dev/console ",
            "/dev/ptmx ",
        ]
        .iter()
        .any(|own| line.starts_with(own))
    });
    assert!(expected.len() > 6, "a machine with no devices");
    let script = "find /dev \\( -type b -o -type c \\) ! -path '/dev/pts/*' \
                  -exec stat -c '%n %t:%T' {} +";
    let found = world.script(&["--privileged"], script);
    let found: BTreeSet<String> = found.lines().map(str::to_owned).collect();
    assert_eq!(found, expected);
    // The cgroup allows all, so also what is made later.
    let script = "busybox mknod /dev/later b 7 0 && : </dev/later";
    world.run(&["--privileged"], &["sh", "-c", script]).ok();
    world.assert_clean();
}
