//! Users, groups and capabilities, as an image's files and the caller's own would like them to be
//! (reference/runtime.md, section 3.3).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::image::Image;
use crate::support::process;
use crate::support::samples;
use crate::support::scratch::Scratch;
use crate::support::ucr::Ucr;

use super::{LIMIT, USERS, world};
use crate::world::World;

/// Whether a process with this command line runs as this user.
fn is_running_as(uid: u32, command_line: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes.map(|entry| entry.path()).any(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let owner = fs::metadata(&process).map(|found| found.uid());
        owner.is_ok_and(|owner| owner == uid)
            && String::from_utf8_lossy(&line).ends_with(command_line)
    })
}

/// CVE-2024-9676, CVE-2026-47262: accounts are read from regular files of bounded size inside.
#[test]
fn accounts_from_strange_files() {
    let host = Scratch::new();
    let passwd = host.file("passwd", "evil:x:0:0::/:/bin/sh\n");
    let rows = [
        (samples::busybox_layer().fifo("etc/passwd"), "-u0", None),
        (
            samples::busybox_layer().char_device("etc/passwd", 1, 5),
            "-u0",
            None,
        ),
        (
            samples::busybox_layer().symlink("etc/passwd", passwd.to_str().unwrap()),
            "-uevil",
            Some("evil"),
        ),
        (
            samples::busybox_layer().file("etc/passwd", vec![b'x'; 2 << 20]),
            "-u0",
            None,
        ),
    ];
    for (layer, user, word) in rows {
        let world = World::of(&Image::new().layer(layer));
        let done = world
            .command(&[user], &["true"])
            .limit(LIMIT)
            .run()
            .expect_code(125);
        done.refused(&[word.unwrap_or("etc/passwd")]);
        world.assert_clean();
    }
}

/// command does it, before anything that it uses is removed.
#[test]
fn a_container_that_changed_its_user_ends_with_ucr() {
    let world = World::of(
        &Image::new().layer(
            samples::busybox_layer()
                .symlink("bin/start-stop-daemon", "busybox")
                .file(
                    "etc/passwd",
                    "root:x:0:0::/:/bin/sh\nweb:x:1000:1000::/:/bin/sh\n",
                )
                .file("etc/group", "root:x:0:\nweb:x:1000:\n"),
        ),
    );
    let mark = format!("{}", 500_000 + std::process::id());
    let words = [
        "start-stop-daemon",
        "-S",
        "-c",
        "web",
        "-x",
        "/bin/sleep",
        "--",
        &mark,
    ];
    let running = world.command(&[], &words).spawn();
    let alive = || is_running_as(1000, &format!("sleep\0{mark}\0"));
    running.wait_until("the container's user", LIMIT, alive);
    running.signal(Signal::SIGKILL);
    running.finish(LIMIT);
    world.ucr.run(["prune"]).ok();
    assert!(!alive(), "the container outlived ucr and the next command");
    world.assert_clean();
}

/// CVE-2024-9676, CVE-2026-47262: neither file may be large, strange, or the host's; in bounded time
/// and memory.
#[test]
fn accounts_files_are_small_and_of_the_image() {
    let host = Scratch::new();
    let evil = host.file("evil", "evil:x:0:0::/:/bin/sh\n");
    let evil = evil.to_str().unwrap();
    for name in ["etc/passwd", "etc/group"] {
        let huge = vec![b'x'; 200 << 20];
        let strange = "not a regular file";
        for (layer, why) in [
            (samples::busybox_layer().file(name, huge), "too large"),
            (
                samples::busybox_layer()
                    .symlink(name, "/dev/zero")
                    .char_device("dev/zero", 1, 5),
                strange,
            ),
            (
                samples::busybox_layer().symlink(name, "/pipe").fifo("pipe"),
                strange,
            ),
            (samples::busybox_layer().dir(name, 0o755), strange),
            (
                samples::busybox_layer()
                    .symlink("etc/loop", "loop")
                    .symlink(name, "loop"),
                "os error 40",
            ),
        ] {
            let world = world(layer);
            for users in USERS {
                // In less memory than a file that is read whole takes.
                let mut command = world.ucr.by_shell("ulimit -v 150000; exec \"$@\"");
                command
                    .arg("run")
                    .args(users)
                    .args(["-u", "0", &world.image, "true"]);
                let done = process::run(&mut command, b"", LIMIT);
                done.refused(&["/etc/", why]);
            }
            world.assert_clean();
        }
        for target in [
            evil,
            &format!("../../../../../..{evil}"),
            "/proc/1/root/etc/passwd",
        ] {
            let world = world(samples::busybox_layer().symlink(name, target));
            world
                .run(&["-u", "evil:evil"], &["true"])
                .refused(&["'evil' is not in the image's"]);
            world.assert_clean();
        }
    }
}

/// CVE-2024-40635, CVE-2026-46680, CVE-2026-30892: numbers are numbers, and do not wrap.
#[test]
fn users_that_wrap() {
    let layer = || {
        samples::busybox_layer()
            .file("etc/passwd", "root:x:0:0::/:/bin/sh\n1001:x:0:0::/:/bin/sh\nbig:x:4294967296:0::/:\nno:x:4294967295:0::/:\nneg:x:-1:0::/:\n")
            .file("etc/group", "root:x:0:\n1001:x:0:\nbig:x:4294967296:\nno:x:4294967295:\n")
    };
    for user in [
        "4294967295",
        "4294967296",
        "4294967297",
        "18446744073709551616",
        "0:4294967295",
        "0:4294967296",
        "1:18446744073709551617",
        "-1",
        "0x0",
        "+0",
        " 0",
        "big",
        "no",
        "neg",
        "0:big",
        "0:no",
        "0:-1",
    ] {
        let world = World::of(&Image::new().layer(layer()).user(user));
        for users in USERS {
            world.run(users, &["id"]).refused(&[""]);
        }
        world.assert_clean();
    }
    let rows = [
        ("1001", "1001 0"),
        ("1001:1001", "1001 1001"),
        ("1", "1 0"),
        ("0001", "1 0"),
        ("4294967294:4294967294", "4294967294 4294967294"),
    ];
    for (user, expected) in rows {
        let world = World::of(&Image::new().layer(layer()).user(user));
        let seen = world.script(&[], "echo $(id -u) $(id -g)");
        assert_eq!(seen, expected, "{user}");
        world.assert_clean();
    }
    // None of the container's users: no more than the map has.
    let world = World::of(&Image::new().layer(layer()).user("65536"));
    for users in &USERS[1..] {
        world.run(users, &["id"]).expect_code(125);
    }
    world.assert_clean();
}

/// CVE-2022-36109 and kin, CVE-2022-24769, CVE-2018-10856: nothing of the caller's identity comes
/// along, whichever sets it has.
#[test]
fn nothing_of_the_callers_identity_is_inherited() {
    let world = World::small();
    let fields = "grep -E '^(Groups|Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status | tr -s '\\t ' ' '";
    let with = |flags: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([
            "--groups",
            "4242,4343",
            "--inh-caps",
            "+net_raw,+sys_admin,+chown",
        ]);
        command.args(["--ambient-caps", "+net_raw,+sys_admin,+chown"]);
        command.arg(Ucr::binary());
        command.arg("--root").arg(world.ucr.root());
        command.arg("--state").arg(world.ucr.state());
        command
            .arg("run")
            .args(flags)
            .args([&world.image, "sh", "-c", fields]);
        process::run(&mut command, b"", LIMIT).ok().stdout
    };
    const NONE: &str = "0000000000000000";
    const TEN: &str = "00000000000405fb";
    for users in USERS {
        for init in [&[][..], &["--init"], &["-v", "/v"]] {
            let flags = [users, init].concat();
            let root = format!(
                "Groups: 0 \nCapInh: {NONE}\nCapPrm: {TEN}\nCapEff: {TEN}\nCapBnd: {TEN}\nCapAmb: {NONE}\nNoNewPrivs: 1\nSeccomp: 2\n"
            );
            assert_eq!(with(&flags), root, "{flags:?}");
            let user = format!(
                "Groups: 1816 1843 \nCapInh: {NONE}\nCapPrm: {NONE}\nCapEff: {NONE}\nCapBnd: {TEN}\nCapAmb: {NONE}\nNoNewPrivs: 1\nSeccomp: 2\n"
            );
            let flags = [&flags[..], &["-u", "ada"]].concat();
            assert_eq!(with(&flags), user, "{flags:?}");
        }
    }
    world.assert_clean();
}

/// With users of its own, root inside is nobody's root outside.
#[test]
fn root_inside_is_not_root_outside() {
    let world = World::small();
    let host = Scratch::new();
    let secret = host.file("secret", "of the host");
    let private = host.dir("private");
    for (path, mode) in [(&secret, 0o600), (&private, 0o700)] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    let volume = format!("{}:/v", host.path().display());
    let attack = "cat /v/secret; echo x >>/v/secret; touch /v/private/x /v/x; chmod 777 /v/secret; \
                  chown 0 /v/secret; ls /v/private; chmod 666 /dev/null; echo end";
    for users in &USERS[1..] {
        let flags = [users, &["-v", &*volume][..]].concat();
        let done = world.run(&flags, &["sh", "-c", attack]).ok();
        assert_eq!(done.stdout, "end\n", "{}", done.stderr);
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "of the host");
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o7777, 0o600);
    world.assert_clean();
}
