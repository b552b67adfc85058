//! Containers without an image: the host's own filesystem, or a directory of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::process::Running;
use crate::support::scratch::mounts_below;
use crate::support::ucr::Ucr;
use crate::support::user::User;

const LIMIT: Duration = Duration::from_secs(60);

/// The stdout of a script on the host's own filesystem.
#[track_caller]
fn script(ucr: &Ucr, flags: &[&str], script: &str) -> String {
    let line = [&["run", "--rootfs", "/"], flags, &["sh", "-c", script]].concat();
    ucr.run(line).ok().stdout.trim_end().to_owned()
}

/// The names in directories of the host where ucr makes something in an image.
fn names() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for directory in ["/", "/etc", "/mnt", "/dev", "/dev/pts", "/dev/shm"] {
        // A pseudo-terminal of somebody else's comes and goes, as tests' files do.
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.path().display().to_string());
        all.extend(names.filter(|name| !name.starts_with("/dev/pts/") && !name.contains("ucr-")));
    }
    all
}

/// Of the files that ucr shows in place of an image's.
fn contents() -> Vec<Option<(Vec<u8>, u32)>> {
    let read = |path: &str| {
        let mode = fs::metadata(path).ok()?.permissions().mode();
        Some((fs::read(path).ok()?, mode))
    };
    ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]
        .map(read)
        .into()
}

#[track_caller]
fn assert_clean(ucr: &Ucr) {
    let mounts = mounts_below(ucr.scratch().path());
    assert!(mounts.is_empty(), "still mounted: {mounts:#?}");
    let left = ucr.entries(&["containers", "tmp", "trash"]);
    assert!(left.is_empty(), "left in the store: {left:#?}");
}

#[test]
fn the_host_is_seen_and_not_changed() {
    let ucr = Ucr::new();
    let (names_before, contents_before) = (names(), contents());
    let file = ucr.scratch().file("seen", "by both");
    let path = file.display();
    let written = ucr.scratch().join("written");
    let read = format!(
        "cat {path}; echo x >{}; cat /etc/hostname",
        written.display()
    );
    let hostname = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let expected = format!("by both{hostname}");
    assert_eq!(script(&ucr, &[], &read), expected.trim_end());
    assert_eq!(fs::read_to_string(&written).unwrap(), "x\n");
    // What is ucr's own all the same.
    let own = "ls /dev | tr '\\n' ' '; cat /proc/1/comm; grep -E 'CapEff|NoNewPrivs|Seccomp:' \
               /proc/self/status; cat /proc/kcore | wc -c; echo x >/proc/sys/kernel/panic || :; \
               touch /sys/x 2>/dev/null || echo no";
    let seen = script(&ucr, &[], own);
    let devices = seen.lines().next().unwrap();
    assert!(
        devices.starts_with("fd full mqueue null ptmx pts random shm"),
        "{devices}"
    );
    for expected in [
        "sh",
        "CapEff:\t00000000000405fb",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "0",
        "no",
    ] {
        assert!(seen.lines().any(|line| line.ends_with(expected)), "{seen}");
    }
    // On a network of its own it has names of its own, and the host keeps its.
    let own = ["--network", "none", "--hostname", "other"];
    let seen = script(&ucr, &own, "hostname; cat /etc/hostname /etc/hosts");
    assert!(
        seen.starts_with("other\nother\n127.0.0.1\tlocalhost\n"),
        "{seen}"
    );
    assert_eq!(contents(), contents_before);
    assert_eq!(names(), names_before);
    assert_clean(&ucr);
}

#[test]
fn nothing_is_made_on_the_host() {
    let ucr = Ucr::new();
    let before = names();
    let secret = ucr.scratch().file("secret", "s");
    let secret = format!("file={},target=/run/ucr-test-secret", secret.display());
    let rows: [(&[&str], &[&str]); 5] = [
        (
            &["-v", "/etc:/ucr-missing/x"],
            &["/ucr-missing/x is not there"],
        ),
        (&["--tmpfs", "/ucr-missing"], &["/ucr-missing is not there"]),
        (&["-w", "/ucr-missing"], &["/ucr-missing"]),
        (&["--secret", &secret], &["secrets[0]", "sandbox"]),
        (&["--userns", "auto"], &["--userns"]),
    ];
    for (flags, words) in rows {
        let line = [&["run", "--rootfs", "/"], flags, &["true"]].concat();
        ucr.run(line).refused(words);
    }
    assert_eq!(names(), before);
    // Nor on a part of it, under a name that hides what it is.
    let file = ucr.scratch().file("f", "");
    for (directory, words) in [
        ("/ucr-missing", "No such file"),
        (file.to_str().unwrap(), "Not a directory"),
        ("/etc/..", "'..'"),
    ] {
        ucr.run(["run", "--rootfs", directory, "true"])
            .refused(&[words]);
    }
    ucr.run(["run", "--rootfs", "/"])
        .refused(&["no default command"]);
    // What is there can be covered.
    let covered = script(&ucr, &["--tmpfs", "/mnt"], "touch /mnt/x; ls /mnt");
    assert_eq!(covered, "x");
    assert!(!Path::new("/mnt/x").exists());
    assert_clean(&ucr);
}

#[test]
fn the_sandbox_is_in_its_own_place() {
    let ucr = Ucr::new();
    let sandbox = ucr.scratch().dir("sandbox");
    ucr.own(&sandbox);
    let outside = ucr.scratch().dir("outside");
    let path = sandbox.to_str().unwrap();
    let flags = ["--sandbox", path];
    let seen = script(&ucr, &flags, "pwd; echo $MESOS_SANDBOX; echo x >made");
    assert_eq!(seen, format!("{path}\n{path}"));
    assert_eq!(fs::read_to_string(sandbox.join("made")).unwrap(), "x\n");
    let seen = script(&ucr, &["--sandbox", path, "-w", "/etc"], "pwd");
    assert_eq!(seen, "/etc");
    let secret = ucr.scratch().file("secret", "value");
    let secret = format!("file={},target={path}/deep/secret", secret.display());
    let flags = [
        "--sandbox",
        path,
        "--secret",
        &secret,
        "-v",
        "/etc:data",
        "--read-only",
    ];
    let seen = script(
        &ucr,
        &flags,
        "cat deep/secret; test -e data/passwd && touch here && echo; touch /var/tmp/ucr-x 2>/dev/null || :",
    );
    assert_eq!(seen, "value");
    // Only the place of it is on the disk.
    assert_eq!(fs::read(sandbox.join("deep/secret")).unwrap(), b"");
    assert!(sandbox.join("here").exists());
    // A link in the sandbox leads nowhere else.
    std::os::unix::fs::symlink(&outside, sandbox.join("link")).unwrap();
    let line = [
        "run",
        "--rootfs",
        "/",
        "--sandbox",
        path,
        "-v",
        "/etc:link/x",
        "true",
    ];
    ucr.run(line);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_clean(&ucr);
}

#[test]
fn read_only_with_all_that_is_below() {
    let ucr = Ucr::new();
    let script_of = "for d in / /tmp /var/tmp /run /dev/shm; do \
                     touch $d/ucr-test-x 2>/dev/null && echo $d; done; :";
    assert_eq!(script(&ucr, &["--read-only"], script_of), "/dev/shm");
}

/// As an image's root filesystem, but what is written stays.
#[test]
fn a_directory() {
    let ucr = Ucr::new();
    let root = ucr.scratch().dir("tree");
    for name in ["bin", "below"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    let sandbox = ucr.scratch().dir("sandbox");
    let run = |flags: &[&str], words: &[&str]| {
        let line = [
            &["run", "--rootfs", "tree"],
            flags,
            &["/bin/busybox"],
            words,
        ]
        .concat();
        ucr.run(line)
    };
    let done = run(
        &["--sandbox", sandbox.to_str().unwrap()],
        &[
            "sh",
            "-c",
            "pwd; echo $MESOS_SANDBOX; /bin/busybox touch /made /mnt/mesos/sandbox/x; echo $HOME",
        ],
    );
    assert_eq!(done.ok().text(), "/\n/mnt/mesos/sandbox\n/");
    assert!(root.join("made").exists() && sandbox.join("x").exists());
    let script = "/bin/busybox touch /x || echo refused";
    let done = run(&["--read-only"], &["sh", "-c", script]);
    assert_eq!(done.ok().text(), "refused");
    assert!(!root.join("x").exists());
    assert_clean(&ucr);
}

fn ready(ucr: &Ucr, flags: &[&str]) -> Running {
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    let line = [&["run", "--rootfs", "/"], flags, &["sh", "-c", script]].concat();
    let running = ucr.cmd(line).spawn();
    running.wait_until("line 'ready'", LIMIT, || {
        running.stdout_so_far().contains("ready")
    });
    running
}

#[test]
fn it_is_listed_and_entered() {
    let ucr = Ucr::new();
    let running = ready(&ucr, &["--name", "bare"]);
    let listed = ucr.run(["ps"]).ok().stdout;
    assert!(listed.contains(" rootfs:/ "), "{listed}");
    let shown = ucr.run(["inspect", "bare"]).ok().json();
    assert_eq!(shown["image"], serde_json::Value::Null);
    assert_eq!(shown["manifest_digest"], serde_json::Value::Null);
    assert_eq!(shown["spec"]["rootfs"], "/");
    assert_eq!(shown["spec"].get("image"), None);
    let text = ucr.run(["--format", "text", "inspect", "bare"]).ok().stdout;
    assert!(text.contains("rootfs:/"), "{text}");
    let line = [
        "exec",
        "bare",
        "sh",
        "-c",
        "cat /proc/1/comm; grep CapEff /proc/self/status",
    ];
    assert_eq!(ucr.run(line).ok().text(), "sh\nCapEff:\t00000000000405fb");
    running.signal(Signal::SIGTERM);
    running.finish(LIMIT).expect_code(7);
    assert_clean(&ucr);
    // One that was kept has nothing of its own to look into.
    ucr.run([
        "run",
        "--rm=false",
        "--name",
        "kept",
        "--rootfs",
        "/",
        "true",
    ])
    .ok();
    ucr.run(["cp", "kept:/etc/passwd", "."])
        .refused(&["made of /"]);
    ucr.run(["rm", "kept"]).ok();
    assert_clean(&ucr);
}

#[test]
fn a_killed_ucr_leaves_nothing() {
    let ucr = Ucr::new();
    let before = (names(), contents());
    let running = ready(&ucr, &["--network", "bridge"]);
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish(LIMIT).code, -9);
    assert_eq!(script(&ucr, &[], "echo again"), "again");
    assert_clean(&ucr);
    assert_eq!((names(), contents()), before);
}

#[test]
fn described_in_a_document() {
    let ucr = Ucr::new();
    let line = [
        "--format",
        "json",
        "run",
        "--dry-run",
        "--rootfs",
        "/",
        "echo",
        "x",
    ];
    let shown = ucr.run(line).ok().json();
    assert_eq!(shown["plan"]["rootfs"], "/");
    let document = shown["spec"].to_string();
    let done = ucr.cmd(["run", "--spec", "-"]).stdin(document).run().ok();
    assert_eq!(done.text(), "x");
    for (document, words) in [
        (r#"{"version":1}"#, "neither image nor rootfs"),
        (r#"{"version":1,"image":"x","rootfs":"/"}"#, "both"),
        (r#"{"version":1,"rootfs":"x"}"#, "not absolute"),
    ] {
        let done = ucr.cmd(["run", "--spec", "-"]).stdin(document).run();
        done.refused(&[words]);
    }
}

/// Its root is the user, and can do there what the user can.
#[test]
fn as_an_ordinary_user() {
    for user in [User::new(), User::single()] {
        let ucr = Ucr::of(user.clone());
        let home = ucr.home();
        let seen = script(
            &ucr,
            &["-w", home.to_str().unwrap()],
            "id -u; touch mine; cat /proc/1/comm; touch /etc/ucr-x 2>/dev/null || echo no",
        );
        assert_eq!(seen, "0\nsh\nno");
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(home.join("mine")).unwrap());
        assert_eq!(owner, user.uid);
        let seen = script(&ucr, &["--read-only"], "touch ~/x 2>/dev/null || echo no");
        assert_eq!(seen, "no");
        assert_clean(&ucr);
    }
}
