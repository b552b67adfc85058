//! Namespaces of the host and of other containers, values and cgroups of the kernel's.

use std::fs;
use std::process::Command;

use crate::support::{need, process};

use super::{LIMIT, Other, World, compare};

/// With a view of the host's or another container's processes; its own end with it all the same.
#[test]
fn processes_of_others() {
    let world = World::small();
    let own = std::process::id();
    let see = format!(
        "tr '\\0' ' ' </proc/{own}/cmdline | grep -c privileged; [ $$ != 1 ] && echo not 1"
    );
    assert_eq!(world.script(&["--pid", "host"], &see), "1\nnot 1");
    assert_eq!(
        world.script(
            &["--pid", "host"],
            "cat /proc/keys /proc/timer_list | wc -c"
        ),
        "0"
    );
    for flags in [
        &["--pid", "host"][..],
        &["--pid", "host", "--pids-limit", "-1", "--init"],
    ] {
        let lingering = world.script(flags, "sleep 4711 >/dev/null 2>&1 & echo $!");
        let cmdline = fs::read(format!("/proc/{lingering}/cmdline")).unwrap_or_default();
        let is_there = String::from_utf8_lossy(&cmdline).contains("4711");
        assert!(
            !is_there,
            "{flags:?}: process {lingering} outlives its container"
        );
    }
    let other = Other::start(&world, &[], "true");
    let seen = other.seen(
        &["--pid", "container:ID"],
        "cat /proc/1/cmdline | tr '\\0' '\\n' | head -n 1; echo $$",
    );
    let (first, number) = seen.split_once('\n').unwrap();
    assert!(first == "sh" && number != "1", "{seen}");
    // Its end is not the other's, and not the other way round.
    let killed = other.seen(
        &["--pid", "container:ID", "--user", "1815"],
        "kill -9 1 2>&1; true",
    );
    assert!(killed.contains("not permitted"), "{killed}");
    let refused = |flags: &[&str], words: &[&str]| {
        world.run(flags, &["true"]).refused(words);
    };
    refused(&["--pid", "container:nobody"], &["--pid", "nobody"]);
    refused(&["--pid", "mine"], &["--pid 'mine'"]);
    refused(
        &["--pid", "host", "--userns", "auto"],
        &["--pid", "--userns"],
    );
    drop(other);
    world.assert_clean();
}

/// Without cgroups nothing would end all of its processes.
#[test]
fn processes_that_nobody_could_end() {
    need::program("unshare", "util-linux");
    let world = World::small();
    let without =
        r#"exec unshare -m sh -c 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"' sh "$@""#;
    let mut command = world.ucr.by_shell(without);
    command.args(["run", "--pid", "host", "--cgroups", "best-effort"]);
    command.args([&world.image, "true"]);
    process::run(&mut command, b"", LIMIT).refused(&["--pid", "cgroup"]);
    world.assert_clean();
}

/// A container that is killed together with its ucr ends no later than the next command.
#[test]
fn processes_that_nobody_ends() {
    let world = World::small();
    let script = "sleep 4712 & echo $! >/signs/pid; exec sleep 4713";
    let signs = world.ucr.scratch().dir("signs");
    let volume = format!("{}:/signs", signs.display());
    let flags = ["--pid", "host", "-v", &volume];
    let running = world.command(&flags, &["sh", "-c", script]).spawn();
    let file = signs.join("pid");
    let pid = || {
        fs::read_to_string(&file)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    running.wait_until("a process", LIMIT, || !pid().is_empty());
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.finish(LIMIT).expect_code(-9);
    world.ucr.run(["ps"]).ok();
    let cmdline = fs::read(format!("/proc/{}/cmdline", pid())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&cmdline).contains("4712"));
    world.assert_clean();
}

#[test]
fn memory_of_others() {
    let world = World::small();
    let own = fs::read_link("/proc/self/ns/ipc").unwrap();
    let read = "readlink /proc/self/ns/ipc";
    let host = world.script(&["--ipc", "host"], &format!("{read}; stat -c %d /dev/shm"));
    let device = std::os::unix::fs::MetadataExt::dev(&fs::metadata("/dev/shm").unwrap());
    assert_eq!(host, format!("{}\n{device}", own.display()));
    assert_eq!(
        world.script(&["--ipc", "none"], "grep -c /dev/shm /proc/mounts; true"),
        "0"
    );
    assert_ne!(
        world.script(&["--ipc", "private"], read),
        own.to_str().unwrap()
    );
    let other = Other::start(
        &world,
        &["--ipc", "shareable"],
        "echo words >/dev/shm/file; readlink /proc/self/ns/ipc >/signs/ipc",
    );
    let of_other = fs::read_to_string(world.ucr.scratch().join("signs/ipc")).unwrap();
    for more in [&[][..], &["--user", "1815"]] {
        let flags = [&["--ipc", "container:ID"], more].concat();
        let seen = other.seen(&flags, &format!("cat /dev/shm/file; {read}"));
        assert_eq!(seen, format!("words\n{}", of_other.trim_end()));
    }
    drop(other);
    let other = Other::start(&world, &[], "true");
    let flags = ["--ipc", &format!("container:{}", other.id)];
    world
        .run(&flags, &["true"])
        .refused(&[&other.id, "--ipc shareable"]);
    let flags = ["--ipc", "none", "--shm-size", "1m"];
    world
        .run(&flags, &["true"])
        .refused(&["--ipc", "--shm-size"]);
    drop(other);
    world.assert_clean();
}

#[test]
fn the_hosts_name() {
    let world = World::small();
    let own = fs::read_link("/proc/self/ns/uts").unwrap();
    let script = "readlink /proc/self/ns/uts; hostname; cat /etc/hostname";
    let host = rustix::system::uname();
    let name = host.nodename().to_str().unwrap();
    let expected = format!("{}\n{name}\n{name}", own.display());
    assert_eq!(world.script(&["--uts", "host"], script), expected);
    let alone = ["--uts", "host", "--network", "none"];
    assert_eq!(world.script(&alone, script), expected);
    world
        .run(&["--uts", "host", "-h", "x"], &["true"])
        .refused(&["--uts", "--hostname"]);
    let flags = ["--uts", "host", "--domainname", "x"];
    world
        .run(&flags, &["true"])
        .refused(&["--uts", "--domainname"]);
}

#[test]
fn kernel_values() {
    let world = World::small();
    let before = fs::read_to_string("/proc/sys/kernel/msgmax").unwrap();
    compare(
        &world,
        &[
            (
                &[
                    "--sysctl",
                    "net.ipv4.ip_forward=1",
                    "--sysctl",
                    "net/ipv4/ping_group_range=5 6",
                    "--network",
                    "none",
                ],
                "cd /proc/sys/net/ipv4; cat ip_forward; tr '\\t' ' ' <ping_group_range",
                "1\n5 6",
            ),
            (
                &[
                    "--sysctl",
                    "kernel.msgmax=9000",
                    "--sysctl",
                    "fs.mqueue.msg_max=20",
                ],
                "cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max",
                "9000\n20",
            ),
            (
                &["--sysctl", "kernel.domainname=d"],
                "cat /proc/sys/kernel/domainname; (echo x >/proc/sys/kernel/domainname) 2>/dev/null || echo ro",
                "d\nro",
            ),
        ],
    );
    assert_eq!(
        fs::read_to_string("/proc/sys/kernel/msgmax").unwrap(),
        before
    );
    for (flags, word) in [
        (&["--sysctl", "net.ipv4.ip_forward=1"][..], "the network"),
        (&["--sysctl", "kernel.msgmax=1", "--ipc", "host"], "IPC"),
        (&["--sysctl", "vm.swappiness=1"], "whole machine"),
        (
            &["--sysctl", "net.no.such=1", "--network", "none"],
            "net/no/such",
        ),
        (&["--sysctl", "kernel.msgmax=words"], "kernel/msgmax"),
        (&["--sysctl", "x"], "NAME=VALUE"),
    ] {
        world.run(flags, &["true"]).refused(&[word]);
    }
}

/// The cgroups that are asked for are made in all trees, and stay, as docker's do.
#[test]
fn cgroups_of_others() {
    let world = World::small();
    let name = format!("ucr-test-{}", std::process::id());
    let made = Made(name.clone());
    let show = |flags: &[&str]| {
        world.script(
            flags,
            "cut -d : -f 2- /proc/self/cgroup | grep -v :/$ | sort; true",
        )
    };
    assert_eq!(show(&["--cgroupns", "private"]), "");
    let parent = format!("/{name}/a");
    let flags = [
        "--cgroup-parent",
        &parent,
        "-m",
        "64m",
        "--cpuset-cpus",
        "0",
    ];
    let seen = show(&[&["--cgroupns", "host"], &flags[..]].concat());
    for tree in ["pids", "devices", "memory", "cpuset"] {
        let begin = format!("{tree}:{parent}/ucr-");
        assert!(
            seen.lines().any(|line| line.starts_with(&begin)),
            "{tree}: {seen}"
        );
    }
    let left = fs::read_dir(format!("/sys/fs/cgroup/memory{parent}")).unwrap();
    let left = left.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(left.count(), 0, "the container's own cgroup is gone");
    assert_eq!(
        world.script(&flags, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes"),
        "67108864"
    );
    drop(made);
    world
        .run(&["--cgroup-parent", "/a/../b"], &["true"])
        .refused(&["--cgroup-parent"]);
    let file = ["--cgroup-parent", "/cgroup.procs/x"];
    world
        .run(&file, &["true"])
        .refused(&["--cgroup-parent /cgroup.procs/x"]);
    world.assert_clean();
}

/// Cgroups of that name in all trees, which are removed when this is dropped.
struct Made(String);

impl Drop for Made {
    fn drop(&mut self) {
        let name = &self.0;
        let find =
            format!("find /sys/fs/cgroup -depth -type d -path '*/{name}*' -exec rmdir {{}} \\;");
        process::tool(Command::new("sh").args(["-c", &find]));
    }
}
