//! `ucr cp`: docker's rules, and containers that would like to have more copied than was asked for.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::process::Command;

use super::life::wait_for;
use super::world::World;
use crate::support::process::{self, Finished};

/// A container that waits, and a directory beside it.
fn waiting(flags: &[&str]) -> World {
    let world = World::small();
    let flags = [&["--name", "box"], flags].concat();
    world.background(&flags, &["sleep", "1000"]);
    world
}

fn here(world: &World, path: &str) -> PathBuf {
    world.ucr.scratch().path().join(path)
}

fn cp(world: &World, words: &[&str]) -> Finished {
    world.ucr.run([&["cp", "-q"], words].concat())
}

#[track_caller]
fn inside(world: &World, script: &str) -> String {
    let done = world.ucr.run(["exec", "box", "sh", "-c", script]).ok();
    done.stdout.trim_end().to_owned()
}

#[track_caller]
fn remove(world: &World) {
    world.ucr.run(["rm", "-f", "box"]).ok();
    world.assert_clean();
}

fn stop(world: &World) {
    world.ucr.run(["stop", "-t", "0", "box"]).ok();
}

/// A tree with something of each kind, as `src`.
fn source(world: &World) {
    let at = |path: &str| here(world, path);
    fs::create_dir_all(at("src/sub")).unwrap();
    fs::write(at("src/file"), "text").unwrap();
    fs::hard_link(at("src/file"), at("src/sub/same")).unwrap();
    symlink("/etc/passwd", at("src/link")).unwrap();
    // Before the mode, whose first bits it would take away.
    chown(at("src/file"), Some(1234), Some(4321)).unwrap();
    fs::set_permissions(at("src/sub"), fs::Permissions::from_mode(0o1751)).unwrap();
    fs::set_permissions(at("src/file"), fs::Permissions::from_mode(0o4640)).unwrap();
    process::tool(
        Command::new("touch")
            .args(["-d", "@1000000"])
            .arg(at("src/file")),
    );
    process::tool(
        Command::new("touch")
            .args(["-d", "@2000000"])
            .arg(at("src/sub")),
    );
}

/// Where it goes depends on what is there; the same rules on both sides, running and ended. Rows:
/// source, target, then what the target's directory has, or a word of the refusal.
const RULES: &[(&str, &str, &str)] = &[
    ("d/f", "t/dir", "dir dir/f file"),
    ("d/f", "t/dir/", "dir dir/f file"),
    ("d/f", "t/new", "dir file new"),
    ("d/f", "t/file", "dir file"),
    ("d/f", "t/new/", "!no directory"),
    ("d/f", "t/none/new", "!none"),
    ("d", "t/dir", "dir dir/d dir/d/f file"),
    ("d/", "t/dir", "dir dir/d dir/d/f file"),
    ("d/.", "t/dir", "dir dir/f file"),
    ("d", "t/new", "dir file new new/f"),
    ("d/.", "t/new", "dir file new new/f"),
    ("d", "t/new/", "dir file new new/f"),
    ("d", "t/file", "!a directory cannot go"),
    ("none", "t/dir", "!none"),
    ("d/f/", "t/dir", "!d/f"),
];

const SET_UP: &str = "rm -rf /tmp/d /tmp/t; mkdir -p /tmp/d /tmp/t/dir; echo new >/tmp/d/f; \
                      echo old >/tmp/t/file";

fn set_up_here(world: &World) {
    let script = SET_UP.replace("/tmp/", "");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .current_dir(world.ucr.scratch().path());
    process::tool(&mut shell);
}

#[track_caller]
fn check_rule(done: Finished, list: impl Fn() -> String, row: &(&str, &str, &str)) {
    let expected = row.2;
    if let Some(word) = expected.strip_prefix('!') {
        done.refused(&[word]);
        return;
    }
    done.ok();
    assert_eq!(list(), expected, "{row:?}");
}

#[test]
fn rules_into_a_container() {
    let world = waiting(&[]);
    for row in RULES {
        set_up_here(&world);
        inside(&world, SET_UP);
        let (from, to, _) = row;
        let done = cp(&world, &[from, &format!("box:/tmp/{to}")]);
        let list = || {
            inside(
                &world,
                "cd /tmp/t; find . | sort | tail -n +2 | cut -c3- | tr '\\n' ' '",
            )
        };
        check_rule(done, || list().trim().to_owned(), row);
        if *to == "t/file" && *from == "d/f" {
            assert_eq!(inside(&world, "cat /tmp/t/file"), "new");
        }
    }
    remove(&world);
}

#[test]
fn rules_out_of_a_container() {
    for ended in [false, true] {
        let world = waiting(&[]);
        inside(&world, SET_UP);
        if ended {
            stop(&world);
        }
        for row in RULES {
            set_up_here(&world);
            let (from, to, _) = row;
            let done = cp(&world, &[&format!("box:/tmp/{from}"), to]);
            let list = || {
                let script = "cd t; find . | sort | tail -n +2 | cut -c3- | tr '\\n' ' '";
                let mut shell = Command::new("sh");
                shell
                    .args(["-c", script])
                    .current_dir(world.ucr.scratch().path());
                process::tool(&mut shell).trim().to_owned()
            };
            check_rule(done, list, row);
            if *to == "t/file" && *from == "d/f" {
                assert_eq!(fs::read_to_string(here(&world, "t/file")).unwrap(), "new\n");
            }
        }
        remove(&world);
    }
}

/// Owners, modes, times, kinds, names of one file.
#[test]
fn what_is_kept() {
    let look = "cd /tmp/src; stat -c '%n %a %u:%g %Y' file sub; readlink link; \
                stat -c %i file sub/same | uniq | wc -l";
    for flags in [&[][..], &["--userns", "auto"]] {
        let world = waiting(flags);
        source(&world);
        cp(&world, &["src", "box:/tmp"]).ok();
        let plain = "file 640 0:0 1000000\nsub 1751 0:0 2000000\n/etc/passwd\n1";
        assert_eq!(inside(&world, look), plain, "{flags:?}");
        inside(&world, "rm -r /tmp/src");
        cp(&world, &["-a", "src", "box:/tmp"]).ok();
        let kept = "file 4640 1234:4321 1000000\nsub 1751 0:0 2000000\n/etc/passwd\n1";
        assert_eq!(inside(&world, look), kept, "{flags:?}");
        cp(&world, &["-a", "box:/tmp/src", "back"]).ok();
        let meta = fs::metadata(here(&world, "back/file")).unwrap();
        let found = (meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.mtime());
        assert_eq!(found, (0o4640, 1234, 4321, 1_000_000));
        assert_eq!(meta.nlink(), 2);
        // A program of somebody else's must not become one that runs as us.
        cp(&world, &["box:/tmp/src", "ours"]).ok();
        let meta = fs::metadata(here(&world, "ours/file")).unwrap();
        assert_eq!(
            (meta.mode() & 0o7777, meta.uid(), meta.gid()),
            (0o640, 0, 0)
        );
        let link = fs::read_link(here(&world, "ours/link")).unwrap();
        assert_eq!(link, PathBuf::from("/etc/passwd"));
        remove(&world);
    }
}

#[test]
fn links_are_followed_if_asked() {
    let world = waiting(&[]);
    inside(
        &world,
        "echo text >/tmp/real; ln -s real /tmp/link; mkdir /tmp/d; ln -s d /tmp/dl",
    );
    cp(&world, &["box:/tmp/link", "link"]).ok();
    assert_eq!(
        fs::read_link(here(&world, "link")).unwrap(),
        PathBuf::from("real")
    );
    cp(&world, &["-L", "box:/tmp/link", "followed"]).ok();
    assert_eq!(
        fs::read_to_string(here(&world, "followed")).unwrap(),
        "text\n"
    );
    // A target's link is followed, as long as it stays inside.
    fs::write(here(&world, "own"), "own").unwrap();
    cp(&world, &["own", "box:/tmp/link"]).ok();
    assert_eq!(
        inside(&world, "cat /tmp/real; readlink /tmp/link"),
        "ownreal"
    );
    cp(&world, &["own", "box:/tmp/dl"]).ok();
    assert_eq!(inside(&world, "cat /tmp/d/own"), "own");
    remove(&world);
}

/// Standard tar understands it, and is understood.
#[test]
fn archives() {
    for ended in [false, true] {
        let world = waiting(&[]);
        inside(
            &world,
            "mkdir -p /tmp/d/sub; echo x >/tmp/d/f; ln /tmp/d/f /tmp/d/sub/h; ln -s /f /tmp/d/l",
        );
        let long = "n".repeat(200);
        inside(
            &world,
            &format!("echo y >/tmp/d/{long}; ln -s /{long} /tmp/d/long"),
        );
        if ended {
            stop(&world);
        }
        let list = |path: &str| {
            let mut shell = world.ucr.by_shell(r#""$@" | tar tf - | sort"#);
            process::tool(shell.args(["cp", path, "-"]))
        };
        let names = |top: &str| {
            let mut names: Vec<_> = ["", "f", "l", "long", &long, "sub/", "sub/h"]
                .map(|name| format!("{top}{name}\n"))
                .to_vec();
            names.sort();
            names.concat()
        };
        assert_eq!(list("box:/tmp/d"), names("d/"));
        let content = list("box:/tmp/d/.");
        assert!(
            content.contains("f\n") && !content.contains("d/"),
            "{content}"
        );
        let mut tar = Command::new("tar");
        tar.args(["cf", "in.tar", "src"])
            .current_dir(world.ucr.scratch().path());
        source(&world);
        process::tool(&mut tar);
        let words = ["cp", "-q", "-", "box:/tmp"];
        let mut command = world.ucr.by_shell(r#"exec "$@" <in.tar"#);
        command.args(words).current_dir(world.ucr.scratch().path());
        process::tool(&mut command);
        cp(&world, &["-a", "box:/tmp/src", "again"]).ok();
        let meta = fs::metadata(here(&world, "again/file")).unwrap();
        assert_eq!(
            (meta.uid(), meta.mode() & 0o7777, meta.nlink()),
            (1234, 0o4640, 2)
        );
        world
            .ucr
            .cmd(["cp", "-", "box:/none"])
            .stdin(*b"")
            .run()
            .refused(&["no directory"]);
        remove(&world);
    }
}

/// What ends up where, of archives that are not what they seem.
#[test]
fn hostile_archives() {
    let world = waiting(&[]);
    let tar = |members: &[(&str, u8, &str)]| {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, target) in members {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(tar::EntryType::new(*kind));
            header.set_link_name_literal(target).unwrap();
            header.set_mode(0o644);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, std::io::empty()).unwrap();
        }
        builder.into_inner().unwrap()
    };
    let send = |members: &[(&str, u8, &str)]| {
        world
            .ucr
            .cmd(["cp", "-q", "-", "box:/tmp"])
            .stdin(tar(members))
            .run()
    };
    send(&[("../out", b'0', "")]).refused(&["'..'"]);
    send(&[("l", b'2', "/"), ("l/made", b'0', "")]).ok();
    // Resolved inside the directory that was named.
    assert_eq!(inside(&world, "ls /tmp"), "l\nmade");
    send(&[("h", b'1', "../etc/passwd")]).refused(&["'..'"]);
    send(&[("dev", b'3', "")]).ok();
    assert_eq!(inside(&world, "ls /tmp"), "l\nmade");
    assert!(!here(&world, "made").exists());
    remove(&world);
}

/// CVE-2018-15664: the directory is a link to the host's root in some moments, and a directory in
/// others; nothing of the host is read or written, whichever it is.
#[test]
fn a_race_never_leaves_the_root() {
    let world = World::small();
    let secret = here(&world, "secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("file"), "of the host").unwrap();
    let outside = secret.display().to_string();
    let script = format!(
        "mkdir -p /tmp/a; echo inside >/tmp/a/file; ln -s {outside} /tmp/b; \
         mkdir -p /tmp/x; : ready; cd /tmp; touch ready; \
         while :; do mv a c; mv -T b a 2>/dev/null || mv b a; mv a b; mv c a; done"
    );
    world.background(&["--name", "box"], &["sh", "-c", &script]);
    wait_for("the race", || {
        world
            .ucr
            .run(["exec", "box", "test", "-e", "/tmp/ready"])
            .code
            == 0
    });
    fs::write(here(&world, "own"), "own").unwrap();
    for round in 0..60 {
        let _ = cp(&world, &["own", "box:/tmp/a/file"]);
        let to = format!("out{round}");
        let _ = cp(&world, &["-L", "box:/tmp/a", &to]);
        if let Ok(text) = fs::read_to_string(here(&world, &to).join("file")) {
            assert_ne!(text, "of the host");
        }
    }
    assert_eq!(
        fs::read_to_string(secret.join("file")).unwrap(),
        "of the host"
    );
    remove(&world);
}

/// Links that a container has in place of what is expected, without any race.
#[test]
fn links_lead_nowhere_else() {
    for ended in [false, true] {
        let world = World::small();
        let secret = here(&world, "secret");
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join("file"), "of the host").unwrap();
        let outside = secret.display().to_string();
        let script = format!(
            "ln -s {outside} /tmp/abs; ln -s ../../../../../../..{outside} /tmp/rel; \
             ln -s /proc/self/root{outside} /tmp/magic; touch /tmp/ready; sleep 1000"
        );
        world.background(&["--name", "box"], &["sh", "-c", &script]);
        wait_for("links", || {
            world
                .ucr
                .run(["exec", "box", "test", "-e", "/tmp/ready"])
                .code
                == 0
        });
        if ended {
            stop(&world);
        }
        fs::write(here(&world, "own"), "own").unwrap();
        for link in ["abs", "rel", "magic"] {
            for path in [
                format!("box:/tmp/{link}/file"),
                format!("box:/tmp/{link}/."),
            ] {
                cp(&world, &[&path, "got"]).expect_code(125);
                cp(&world, &["own", &path]).expect_code(125);
            }
        }
        assert!(!here(&world, "got").exists());
        assert_eq!(
            fs::read_to_string(secret.join("file")).unwrap(),
            "of the host"
        );
        // What comes out as a link does not lead what follows it out of its place.
        cp(&world, &["box:/tmp", "tree"]).ok();
        assert_eq!(fs::read_link(here(&world, "tree/abs")).unwrap(), secret);
        let again = cp(&world, &["box:/tmp/.", "tree"]);
        again.ok();
        assert_eq!(fs::read_dir(&secret).unwrap().count(), 1);
        remove(&world);
    }
}

/// The kernel's files are not the container's; what is mounted is overwritten, not replaced.
#[test]
fn mounts_and_the_kernels_files() {
    let world = waiting(&["-v", "named:/data", "--tmpfs", "/mem"]);
    fs::write(here(&world, "own"), "own\n").unwrap();
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/sys/new",
        "/proc/self/oom_score_adj",
        "/proc",
    ] {
        let to = format!("box:{path}");
        cp(&world, &["own", &to]).expect_code(125);
    }
    cp(&world, &["own", "box:/etc/hosts"]).ok();
    assert_eq!(inside(&world, "cat /etc/hosts"), "own");
    cp(&world, &["own", "box:/data"]).ok();
    cp(&world, &["own", "box:/mem/x"]).ok();
    assert_eq!(inside(&world, "cat /data/own /mem/x"), "own\nown");
    let done = world.ucr.run(["cp", "box:/", "whole"]).ok();
    assert!(done.stderr.contains("proc"), "{}", done.stderr);
    assert_eq!(fs::read_dir(here(&world, "whole/proc")).unwrap().count(), 0);
    assert!(here(&world, "whole/bin/busybox").exists());
    stop(&world);
    cp(&world, &["box:/data/own", "x"]).refused(&["/data was a mount"]);
    world.ucr.run(["rm", "box"]).ok();
    world.ucr.run(["volume", "rm", "named"]).ok();
    world.assert_clean();
}

/// A container that ended keeps what is copied into it, and can be copied out of by several at once.
#[test]
fn into_one_that_ended() {
    let world = waiting(&[]);
    inside(&world, "echo own >/root-file; rm /etc/group");
    stop(&world);
    fs::write(here(&world, "late"), "late").unwrap();
    cp(&world, &["late", "box:/tmp/late"]).ok();
    cp(&world, &["box:/tmp/late", "back"]).ok();
    assert_eq!(fs::read_to_string(here(&world, "back")).unwrap(), "late");
    cp(&world, &["box:/root-file", "own"]).ok();
    assert_eq!(fs::read_to_string(here(&world, "own")).unwrap(), "own\n");
    cp(&world, &["box:/etc/group", "x"]).expect_code(125);
    cp(&world, &["box:/etc/passwd", "x"]).ok();
    remove(&world);
    let world = waiting(&["--userns", "auto"]);
    stop(&world);
    fs::write(here(&world, "late"), "late").unwrap();
    cp(&world, &["late", "box:/tmp"]).refused(&["users of its own"]);
    cp(&world, &["box:/etc/passwd", "x"]).ok();
    remove(&world);
}

#[test]
fn what_makes_no_sense() {
    let world = waiting(&["--read-only"]);
    fs::write(here(&world, "own"), "own").unwrap();
    cp(&world, &["own", "box:/own"]).refused(&["Read-only"]);
    cp(&world, &["own", "other"]).refused(&["neither"]);
    cp(&world, &["box:/a", "box:/b"]).refused(&["both"]);
    cp(&world, &["box:", "x"]).refused(&["CONTAINER:PATH"]);
    cp(&world, &["nobody:/a", "x"]).refused(&["there is no container"]);
    remove(&world);
}
