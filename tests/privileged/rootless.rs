//! Everything as an ordinary user: with subordinate IDs, and alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::process;
use crate::support::samples::{self, TAG};
use crate::support::scratch::Scratch;
use crate::support::tree::Tree;
use crate::support::ucr::{Ucr, children};
use crate::support::user::{COUNT, User, VARIABLE};

use super::world::World;

const LIMIT: Duration = Duration::from_secs(60);

fn world(user: User) -> World {
    World::for_ucr(Ucr::of(user), Layout::of(TAG, &samples::small()))
}

/// Runs tests of this program once more, with [`VARIABLE`] set.
fn again(variable: &str, words: &[&str]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(words).env(VARIABLE, variable);
    let limit = Duration::from_secs(300);
    let done = process::run(&mut command, b"", limit).ok();
    let result = done.stdout.lines().find(|line| line.contains("result:"));
    eprintln!("as {variable}: {}", result.unwrap_or_default());
    assert!(!done.stdout.contains(" 0 passed"), "{}", done.stdout);
}

#[test]
fn the_others_tests_with_subordinate_ids() {
    let words = [
        "exit_codes::",
        "process::",
        "described::",
        "lifetime::",
        "life::",
        "terminal::",
        "exec::",
        "--skip",
        "docker_flags::",
        // Docker Engine is root's here.
        "--skip",
        "engine_life::",
        // It limits processes, which is root's to do here.
        "--skip",
        "exec::it_is_in",
    ];
    again("user", &words);
}

/// What needs other users is skipped: it is refused, see below.
#[test]
fn the_others_tests_alone() {
    let words = [
        "exit_codes::",
        "process::",
        "lifetime::",
        "life::",
        "terminal::",
        "--skip",
        "docker_flags::",
        // Docker Engine is root's here.
        "--skip",
        "engine_life::",
        "--skip",
        "process::users",
    ];
    again("single", &words);
}

#[test]
fn users_inside_and_outside() {
    let user = User::new();
    let world = world(user.clone());
    let map = format!("0 {} 1\n1 {} {COUNT}", user.uid, user.outside(1));
    let script = "while read a b c; do echo $a $b $c; done </proc/self/uid_map";
    assert_eq!(world.script(&[], script), map);
    assert_eq!(world.script(&[], "id -u; id -G"), "0\n0");
    let directory = world.ucr.scratch().dir("shared");
    world.ucr.own(&directory);
    let volume = format!("{}:/s", directory.display());
    let script = "touch /s/root /s/ada; busybox chown 1815:1816 /s/ada; stat -c %u:%g /s/ada";
    assert_eq!(world.script(&["-v", &volume], script), "1815:1816");
    let owner = |name: &str| directory.join(name).metadata().unwrap().uid();
    assert_eq!(owner("root"), user.uid);
    assert_eq!(owner("ada"), user.outside(1815));
    // Nobody gains anything, and /dev has the machine's nodes.
    let script = "grep NoNewPrivs: /proc/self/status | tr -dc 01; echo; echo x >/dev/null && \
                  head -c 1 /dev/zero | wc -c; busybox mknod /tmp/n c 1 3 2>/dev/null || echo none";
    assert_eq!(world.script(&["--cap-add", "MKNOD"], script), "1\n1\nnone");
    for id in ["65537", "0:65537"] {
        world
            .run(&["-u", id], &["true"])
            .refused(&["65537", "add-subuids"]);
    }
    world.assert_clean();
}

#[test]
fn alone() {
    let user = User::single();
    let world = world(user.clone());
    let script = "id -u; while read a b c; do echo $a $b $c; done </proc/self/uid_map; \
                  touch /etc/new && stat -c %u /etc/new; cat /proc/self/setgroups";
    let expected = format!("0\n0 {} 1\n0\ndeny", user.uid);
    assert_eq!(world.script(&[], script), expected);
    let none = ["--network", "none"];
    let script = "ip addr show lo | grep -c 127.0.0.1; cat /proc/sys/net/ipv4/ping_group_range";
    assert_eq!(world.script(&none, script), "1\n0\t0");
    let rows: [(&[&str], &str); 2] = [(&["-u", "ada"], "user 1815"), (&["-u", "0:5"], "group 5")];
    for (flags, words) in rows {
        world
            .run(flags, &["true"])
            .refused(&[words, "--add-subuids"]);
    }
    let said = world.run(&["--verbose"], &["true"]).ok().stderr;
    assert!(
        said.contains("usermod --add-subuids 100000-165535"),
        "{said}"
    );
    world.assert_clean();
}

/// Why a user with subordinate IDs is alone all the same.
#[test]
fn what_is_missing_is_said() {
    let rows = [
        (
            "mount --bind /dev/null /usr/bin/newuidmap",
            "apt install uidmap",
        ),
        ("set -- --no-new-privs \"$@\"", "no_new_privs"),
        (
            "mount --bind /dev/null /etc/subgid",
            "/etc/subgid has no subordinate IDs",
        ),
    ];
    for (before, words) in rows {
        let world = world(User::new().before(before));
        let done = world
            .run(&["--verbose"], &["cat", "/proc/self/setgroups"])
            .ok();
        assert!(done.stderr.contains(words), "{before}: {}", done.stderr);
        assert_eq!(done.text(), "deny", "{before}");
    }
}

/// In a user namespace of the test's own, where the setting can be changed without harm.
#[test]
fn the_setting_that_forbids_it_is_named() {
    let scratch = Scratch::new();
    let all = scratch.file("all", "root:0:4000000\n");
    let script = format!(
        "mount --bind {0} /etc/subuid && mount --bind {0} /etc/subgid && exec unshare --user \
         --map-users=0,0,4000000 --map-groups=0,0,4000000 \"$@\"",
        all.display()
    );
    let words = [
        "unshare",
        "--mount",
        "--propagation",
        "slave",
        "sh",
        "-c",
        &script,
        "sh",
    ];
    let user = User {
        around: words.map(str::to_owned).to_vec(),
        ..User::single().before("echo 0 >/proc/sys/user/max_user_namespaces")
    };
    let ucr = Ucr::of(user);
    ucr.run(["pull", "oci:/nowhere"]).refused(&[
        "user.max_user_namespaces is 0",
        "sysctl -w user.max_user_namespaces=",
    ]);
    // What needs none works.
    ucr.run(["images"]).ok();
}

#[test]
fn what_only_root_can_do_is_refused() {
    let world = world(User::new());
    let rows: [(&[&str], &[&str]); 5] = [
        (&["-m", "64m"], &["--memory", "root"]),
        (&["--userns", "auto"], &["--userns", "root"]),
        (
            &["-v", "/etc:/e:idmap=uids=0-1-1;gids=0-1-1"],
            &["idmap", "root"],
        ),
        (&["--oom-score-adj", "-900"], &["--oom-score-adj -900"]),
        (&["--ulimit", "nofile=9999999"], &["nofile"]),
    ];
    for (flags, words) in rows {
        world.run(flags, &["true"]).refused(words);
    }
    world
        .ucr
        .run(["provision", "--backend", "overlay", &world.image, "r"])
        .refused(&["overlay", "--backend copy"]);
    world
        .run(&["-m", "64m", "--cgroups", "best-effort"], &["true"])
        .ok();
    world.assert_clean();
}

/// What is mounted below a directory may hide something from a user.
#[test]
fn what_is_mounted_below_cannot_be_left_out() {
    for user in [User::new(), User::single()] {
        let world = world(
            user.before("mount -t tmpfs none /mnt; mkdir /mnt/in; mount -t tmpfs none /mnt/in"),
        );
        let flag = |more: &str| format!("type=bind,src=/mnt,dst=/v,ro{more}");
        let script = "touch /v/in/f 2>/dev/null || ls /v";
        assert_eq!(world.script(&["--mount", &flag("")], script), "in");
        world
            .run(&["--mount", &flag(",bind-recursive=disabled")], &["true"])
            .refused(&["/mnt", "without root", "leave out bind-recursive=disabled"]);
        world.assert_clean();
    }
}

/// A user's tree, with the IDs and the capabilities that it has from inside.
fn seen_by(user: &User, mut tree: Tree) -> Tree {
    for node in tree.0.values_mut() {
        node.uid = user.inside(node.uid);
        node.gid = user.inside(node.gid);
        if let Some(value) = node.xattrs.get_mut("security.capability") {
            // Revision 3 is revision 2 with the root of a user namespace (capability.h).
            assert_eq!(
                (value.len(), value[3]),
                (24, 3),
                "whose capabilities they are"
            );
            value.truncate(20);
            value[3] = 2;
        }
    }
    tree
}

fn provisioned(ucr: &Ucr, image: &str) -> Tree {
    let place = ucr.scratch().join("rootfs");
    let place = place.to_str().unwrap();
    ucr.run(["provision", "--backend", "copy", image, place])
        .ok();
    let tree = Tree::read(Path::new(place));
    ucr.run(["rm", place]).ok();
    assert!(!Path::new(place).exists());
    tree
}

fn with_deletions() -> Layout {
    let below = Layer::new()
        .dir("d", 0o750)
        .file("d/gone", "x")
        .file("d/kept", "x")
        .owner(33, 34)
        .dir("o", 0o755)
        .file("o/hidden", "x")
        .dir("o/sub", 0o700)
        .file("o/sub/hidden", "x");
    let above = Layer::new()
        .whiteout("d/gone")
        .opaque("o")
        .file("o/new", "x")
        .dir("o/sub", 0o755)
        .file("o/sub/new", "x");
    let image = samples::small().layer(below).layer(above);
    Layout::of(TAG, &image)
}

/// The trees of real images are root's, to the last time and attribute.
#[test]
fn trees_are_those_of_root() {
    let scratch = Scratch::new();
    for (name, layout) in [
        ("deletions", with_deletions()),
        ("busybox", samples::busybox()),
        ("alpine", samples::alpine()),
        ("debian", samples::debian()),
        ("14 layers", samples::busybox_14_layers(&scratch)),
    ] {
        let user = User::new();
        let image = layout.reference(TAG);
        let mut root = provisioned(&Ucr::new(), &image);
        // Users cannot have any, and no container uses those of its image.
        root.0.retain(|_, node| node.rdev.is_none());
        assert!(root.0.len() > 5, "{name}");
        let tree = seen_by(&user, provisioned(&Ucr::of(user.clone()), &image));
        let difference = root.difference(&tree);
        assert!(difference.is_empty(), "{name}:\n{difference}");
    }
}

/// Overlay reads the marks in the attributes that users may write.
#[test]
fn deleted_files_are_not_seen_in_a_container() {
    let expected = "/d\n/d/kept\n/o\n/o/new\n/o/sub\n/o/sub/new";
    for user in [User::new(), User::single()] {
        let world = World::for_ucr(Ucr::of(user), with_deletions());
        assert_eq!(world.script(&[], "find /d /o | busybox sort"), expected);
        // The same marks, made by overlay: a directory that is deleted and made again is empty.
        let script = "rm -r /d && mkdir /d && touch /d/new && ls -A /d";
        assert_eq!(world.script(&[], script), "new");
        world.assert_clean();
    }
}

/// Attributes that a file's program needs, and what only root could have.
#[test]
fn odd_objects() {
    let capability =
        b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let layer = Layer::new()
        .program("bin/capable", "#!/bin/sh\n")
        .xattr("security.capability", capability)
        .file("trusted", "x")
        .xattr("trusted.x", b"1")
        .file("own", "x")
        .xattr("user.x", b"1")
        .char_device("device", 1, 3)
        .fifo("pipe");
    let layout = Layout::of(TAG, &samples::small().layer(layer));
    for user in [User::new(), User::single()] {
        let ucr = Ucr::of(user.clone());
        let place = ucr.scratch().join("rootfs");
        let image = layout.reference(TAG);
        let said = ucr.run(["pull", "-v", &image]).ok().stderr;
        assert!(said.contains("device left out"), "{said}");
        assert!(said.contains("trusted.x"), "{said}");
        ucr.run(["provision", &image, place.to_str().unwrap()]).ok();
        let tree = Tree::read(&place);
        assert!(!tree.has("device"));
        assert_eq!(tree.node("pipe").kind, "fifo");
        assert_eq!(tree.node("trusted").xattrs, BTreeMap::new());
        assert_eq!(tree.node("own").xattrs["user.x"], b"1");
        let value = &tree.node("bin/capable").xattrs["security.capability"];
        assert_eq!(
            value[20..24],
            user.uid.to_le_bytes(),
            "whose capabilities they are"
        );
        ucr.run(["rm", place.to_str().unwrap()]).ok();
    }
}

/// Files of users that the user is not, and cannot delete by itself.
#[test]
fn nothing_is_left() {
    for user in [User::new(), User::single()] {
        let ucr = Ucr::of(user.clone());
        let world = World::for_ucr(ucr, with_deletions());
        let place = world.ucr.scratch().join("rootfs");
        world.ucr.run(["provision", &world.image, "rootfs"]).ok();
        let owner = fs::symlink_metadata(place.join("d/kept")).unwrap().uid();
        let has_others = user.first.is_some();
        assert_eq!(owner != user.uid, has_others, "{owner}");
        let own = if has_others {
            "busybox chown -R 5:5 /v;"
        } else {
            ""
        };
        let script = format!("mkdir -m 700 /v/d; touch /v/d/f; {own} echo");
        world.script(&["-v", "kept:/v"], &script);
        world.ucr.run(["volume", "rm", "kept"]).ok();
        world.ucr.run(["rm", "rootfs", &world.image]).ok();
        world.ucr.run(["prune"]).ok();
        assert!(!place.exists());
        world.assert_clean();
        let parts = ["layers", "volumes", "refs", "ingest", "blobs/sha256"];
        let kept: Vec<_> = parts
            .iter()
            .flat_map(|part| children(&world.ucr.root().join(part)))
            .collect();
        assert!(kept.is_empty(), "{kept:?}");
        assert_eq!(user.processes(), [] as [String; 0]);
    }
}

/// Layers that were unpacked for one map of users are not those of another.
#[test]
fn another_map_is_another_layer() {
    let user = User::single();
    let world = World::for_ucr(Ucr::of(user.clone()), with_deletions());
    let owner = |world: &World| world.script(&[], "stat -c %u /d/kept");
    assert_eq!(owner(&world), "0");
    let many = User {
        first: User::new().first,
        ..user
    };
    many.prepare(world.ucr.scratch());
    assert_eq!(owner(&world), "33");
    assert_eq!(children(&world.ucr.root().join("layers")).len(), 6);
    world.ucr.run(["prune"]).ok();
    assert_eq!(children(&world.ucr.root().join("layers")).len(), 3);
    assert_eq!(owner(&world), "33");
    world.assert_clean();
}

#[test]
fn two_pulls_at_once() {
    let layout = samples::busybox();
    let server = layout.serve(TAG);
    let ucr = Ucr::of(User::new());
    let image = format!("{}/x:{TAG}", server.host());
    let pulls = [(); 2].map(|()| ucr.cmd(["pull", &image]).spawn());
    let digests = pulls.map(|pull| pull.finish(LIMIT).ok().text().to_owned());
    assert_eq!(digests[0], digests[1]);
    assert_eq!(children(&ucr.root().join("layers")).len(), 1);
    ucr.run(["run", &image, "true"]).ok();
}

/// A command that has changed its user outlives its ucr, and the next one ends it: that is another
/// user's process in another user namespace.
#[test]
fn what_a_killed_ucr_leaves_is_ended() {
    let user = User::new();
    let world = world(user.clone());
    let script = "exec busybox su -s /bin/sh ada -c 'echo ready; while :; do sleep 0.1; done'";
    let running = world.command(&[], &["sh", "-c", script]).spawn();
    running.wait_until("'ready'", LIMIT, || {
        running.stdout_so_far().contains("ready")
    });
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish(LIMIT).code, -9);
    assert!(!user.processes().is_empty(), "it should have outlived ucr");
    assert_eq!(world.ucr.run(["ps", "--format", "json"]).ok().text(), "[]");
    let deadline = Instant::now() + LIMIT;
    while !user.processes().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", user.processes());
        std::thread::yield_now();
    }
    world.assert_clean();
}

/// Without --root and --state: below the user's own directories, also when XDG's are set.
#[test]
fn places() {
    let layout = Layout::of(TAG, &Image::new().layer(Layer::new().file("a", "a")));
    let ucr = Ucr::of(User::new());
    let run = |variables: &[(&str, &Path)]| {
        let mut command = ucr.user().unwrap().command(ucr.scratch(), &Ucr::binary());
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .env("HOME", ucr.home())
            .envs(variables.iter().copied());
        command.args(["pull", &layout.reference(TAG)]);
        process::run(&mut command, b"", LIMIT).ok();
    };
    run(&[]);
    assert!(ucr.home().join(".local/share/ucr/VERSION").exists());
    assert!(ucr.home().join(".local/state/ucr/containers").exists());
    let (data, runtime) = (ucr.scratch().dir("data"), ucr.scratch().dir("runtime"));
    ucr.own(&data);
    ucr.own(&runtime);
    run(&[("XDG_DATA_HOME", &data), ("XDG_RUNTIME_DIR", &runtime)]);
    assert!(data.join("ucr/VERSION").exists() && runtime.join("ucr/containers").exists());
}

/// The steps of the demo, with the binary under test.
#[test]
fn the_demo() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/demo");
    for user in [User::new(), User::single()] {
        // The name of the binary is the first word.
        let ucr = Ucr::of(user.before(&format!("set -- env UCR_TEST_BINARY=\"$1\" {demo}")));
        let mut command = ucr.user().unwrap().command(ucr.scratch(), &Ucr::binary());
        command.env("HOME", ucr.home());
        let done = process::run(&mut command, b"", LIMIT).ok();
        assert!(done.stdout.contains("demo passed"), "{}", done.stdout);
    }
}

/// From outside the user namespace that it is in, and from inside it.
#[test]
fn a_container_in_the_background() {
    for user in [User::new(), User::single()] {
        let world = world(user.clone());
        let run = |words: &[&str]| world.ucr.run(words);
        let script = "trap 'exit 3' TERM; echo hi; while :; do sleep 0.1; done";
        run(&["run", "-d", "--name", "c", &world.image, "sh", "-c", script]).ok();
        let inside = run(&[
            "exec",
            "c",
            "sh",
            "-c",
            "id -u; cat /proc/self/uid_map; exit 7",
        ]);
        let inside = inside.expect_code(7).stdout;
        assert!(
            inside.starts_with("0\n") && inside.contains(&user.uid.to_string()),
            "{inside}"
        );
        if user.first.is_some() {
            assert_eq!(
                run(&["exec", "-u", "ada", "c", "id", "-u"]).ok().text(),
                "1815"
            );
        } else {
            run(&["exec", "-u", "ada", "c", "true"]).refused(&["user 1815"]);
        }
        run(&["stop", "c"]).ok();
        assert_eq!(run(&["wait", "c"]).ok().text(), "3");
        assert_eq!(run(&["logs", "c"]).ok().text(), "hi");
        run(&["run", "-d", "--name", "d", &world.image, "sleep", "1000"]).ok();
        run(&["rm", "-f", "c", "d"]).ok();
        world.assert_clean();
        let deadline = Instant::now() + LIMIT;
        while !user.processes().is_empty() {
            assert!(Instant::now() < deadline, "{:?}", user.processes());
            std::thread::yield_now();
        }
    }
}
