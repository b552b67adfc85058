//! The kernel's surface: calls, files of /proc and /sys, cgroups, devices, other processes
//! (reference/runtime.md, section 3.4).

use std::fs;
use std::process::Command;

use crate::support::process;
use crate::support::scratch::Scratch;

use super::super::life::LIMIT;
use super::{USERS, with_probe, world};

/// A process of the host's that is looked for from inside.
fn bystander() -> process::Running {
    process::spawn(Command::new("sleep").arg("1000"), b"")
}

/// No call that reaches the host's kernel beyond what programs need, by either door; a network of
/// its own or not, users of its own or not, root or not.
#[test]
fn calls_that_reach_the_kernel() {
    let world = world(with_probe());
    let bystander = bystander();
    let pid = bystander.pid().to_string();
    for users in USERS {
        for flags in [&[][..], &["-u", "1000"], &["--network", "none", "--init"]] {
            let flags = [users, flags].concat();
            let done = world.run(&flags, &["/probe", "calls", &pid]).ok();
            assert!(done.stdout.lines().count() >= 40, "{}", done.stdout);
            for line in done.stdout.lines() {
                let (name, result) = line.split_once('\t').unwrap();
                // EPERM or ENOSYS by the filter, ESRCH by the pid namespace; nothing else says so
                // little of what was asked for.
                assert!(
                    matches!(result, "1" | "38" | "3"),
                    "{flags:?}: {name}: {result}"
                );
            }
        }
    }
    world.assert_clean();
}

/// The other end of the scale: with the filter off, capabilities and namespaces hold by themselves.
#[test]
fn without_the_filter_other_walls_stand() {
    let world = world(with_probe());
    let bystander = bystander();
    let pid = bystander.pid().to_string();
    let open = ["--security-opt", "seccomp=unconfined"];
    for users in USERS {
        let done = world
            .run(&[users, &open].concat(), &["/probe", "calls", &pid])
            .ok();
        for name in [
            "mount",
            "remount",
            "umount",
            "pivot_root",
            "open_tree",
            "setns",
            "ptrace",
            "AF_PACKET",
            "process_vm_readv",
            "init_module",
            "kexec_load",
            "bpf",
            "unshare 0x20000",
            "unshare 0x20000000",
            "TIOCSTI",
            "TIOCLINUX",
        ] {
            let line = done
                .stdout
                .lines()
                .find(|line| line.starts_with(&format!("{name}\t")));
            let result = line
                .unwrap_or_else(|| panic!("no {name}"))
                .split('\t')
                .nth(1)
                .unwrap();
            assert!(
                !matches!(result, "ok" | "seen"),
                "{users:?}: {name}: {result}"
            );
        }
    }
    world.assert_clean();
}

/// CVE-2022-0492, CVE-2025-52881: not one of the kernel's files can be opened for writing, but for
/// those that are about the process itself.
#[test]
fn kernel_files_that_can_be_written() {
    // What any user of the host may write as well.
    const HARMLESS: [&str; 1] = ["/proc/pressure/"];
    let world = world(with_probe());
    for users in USERS {
        for flags in [
            &[][..],
            &["--network", "none"],
            &["--cap-add", "NET_ADMIN"],
            &["-m", "64m", "--cpus", "1"],
        ] {
            let flags = [users, flags].concat();
            let seen = world.script(&flags, "/probe writable /proc /sys");
            let bad: Vec<_> = seen
                .lines()
                .filter(|path| !HARMLESS.iter().any(|harmless| path.starts_with(harmless)))
                .collect();
            assert_eq!(bad, [] as [&str; 0], "{flags:?}");
        }
    }
    world.assert_clean();
}

/// CAP_SYS_CHROOT is among the ten: it leads to the container's root and no further.
#[test]
fn chroot_leads_to_the_containers_root() {
    let world = world(with_probe());
    let host = Scratch::new();
    let canary = host.file("canary", "x");
    for users in USERS {
        let seen = world.script(users, &format!("/probe chroot {}", canary.display()));
        assert_eq!(seen, "chroot\tok\ncanary\tnot seen\nown\tseen", "{users:?}");
    }
    world.assert_clean();
}

/// Files by number ("shocker", CVE-2014-3519): not without the capability, and not with the filter
/// off.
#[test]
fn files_cannot_be_opened_by_number() {
    let world = world(with_probe());
    let source = world.ucr.scratch().dir("source");
    let volume = format!("{}:/v", source.display());
    for users in USERS {
        for filter in [&[][..], &["--security-opt", "seccomp=unconfined"]] {
            let flags = [users, filter, &["-v", &volume]].concat();
            let seen = world.script(&flags, "/probe handle /v; /probe handle /etc/hosts");
            let refused = "open_by_handle_at\t1";
            assert_eq!(seen, format!("{refused}\n{refused}"), "{flags:?}");
        }
    }
    world.assert_clean();
}

/// Processes of the host are neither seen nor reached, by their numbers here or there.
#[test]
fn processes_of_the_host_are_out_of_reach() {
    let world = world(with_probe());
    let bystander = bystander();
    let pid = bystander.pid();
    let attack = format!(
        "ls -d /proc/[0-9]* | wc -l; kill -9 {pid} 2>/dev/null && echo killed; \
         kill -9 -1 2>/dev/null; for p in $(busybox seq 2 400); do kill -9 $p 2>/dev/null; done; \
         ls /proc/{pid}/root 2>/dev/null; echo $$"
    );
    for users in USERS {
        let seen = world.script(users, &attack);
        let lines: Vec<_> = seen.lines().collect();
        assert_eq!(lines.last(), Some(&"1"), "{seen}");
        assert!(lines[0].trim().parse::<u32>().unwrap() <= 3, "{seen}");
        assert_eq!(lines.len(), 2, "{seen}");
    }
    assert!(!bystander.ended_within(std::time::Duration::ZERO));
    world.assert_clean();
}

/// Nodes, memory, clocks, modules, logs: by the programs that use them.
#[test]
fn tools_of_an_administrator() {
    let world = world(with_probe());
    let disk = fs::read_dir("/sys/block").unwrap().flatten().next();
    let number = disk.map_or("7:0".to_owned(), |disk| {
        fs::read_to_string(disk.path().join("dev"))
            .unwrap()
            .trim()
            .to_owned()
    });
    let (major, minor) = number.split_once(':').unwrap();
    let attempts = [
        format!(
            "busybox mknod /tmp/disk b {major} {minor} && busybox dd if=/tmp/disk bs=1 count=1"
        ),
        format!(
            "busybox mknod /dev/disk b {major} {minor} && busybox dd if=/dev/disk bs=1 count=1"
        ),
        "busybox mknod /dev/mem c 1 1 && busybox devmem 0".to_owned(),
        "busybox mknod /dev/kmsg c 1 11 && echo x >/dev/kmsg".to_owned(),
        "busybox dmesg | grep .".to_owned(),
        "busybox sysctl -w kernel.domainname=x".to_owned(),
        "busybox sysctl -w net.ipv4.ip_forward=1".to_owned(),
        "hostname evil".to_owned(),
        "busybox insmod /bin/busybox".to_owned(),
        "busybox swapoff -a; busybox swapon /bin/busybox".to_owned(),
        "busybox renice -n -20 1".to_owned(),
        "busybox ip link add type dummy".to_owned(),
        "busybox ip addr add 10.9.8.7/32 dev lo".to_owned(),
        "ulimit -c 1000".to_owned(),
        "ulimit -Hn 10000000".to_owned(),
        "echo -1000 >/proc/self/oom_score_adj".to_owned(),
        "echo 1 >/sys/fs/cgroup/cgroup.procs".to_owned(),
        "mkdir /sys/fs/cgroup/made".to_owned(),
        "echo /evil >/sys/fs/cgroup/memory/release_agent".to_owned(),
        "mount -o remount,rw /proc/sys".to_owned(),
        "umount /proc/kcore".to_owned(),
        "busybox unshare -m true".to_owned(),
        "busybox unshare -r true".to_owned(),
        "busybox nsenter -t 1 -m true".to_owned(),
    ];
    for users in USERS {
        for attempt in &attempts {
            let line = format!("({attempt}) >/dev/null 2>&1 && echo worked; :");
            assert_eq!(world.script(users, &line), "", "{users:?}: {attempt}");
        }
        assert_eq!(
            world.script(users, "ulimit -c; ulimit -Hc; ulimit -n"),
            "0\n0\n1024"
        );
    }
    world.assert_clean();
}

/// Whoever comes in by `exec` is ucr's own program for a moment that has no filter yet: with the
/// same user, a process inside that traced it would execute what it likes without one.
#[test]
fn whoever_comes_in_cannot_be_traced_without_a_filter() {
    for flags in [&[][..], &["-u", "1000:1000", "--cap-drop", "ALL"]] {
        let world = world(with_probe());
        let flags = [flags, &["--name", "box"]].concat();
        world.background(&flags, &["sleep", "1000"]);
        let exec = |words: &[&str]| world.ucr.cmd([&["exec", "box"], words].concat());
        let tracing = exec(&["/probe", "trace", "/tmp/end"]).spawn();
        tracing.wait_until("trace of a command", LIMIT, || {
            exec(&["true"]).run().ok();
            tracing.stdout_so_far().lines().count() >= 10
        });
        exec(&["touch", "/tmp/end"]).run().ok();
        let traced = tracing.finish(LIMIT).ok().stdout;
        for line in traced.lines().filter(|line| line.contains("Seccomp:")) {
            assert!(line.ends_with("Seccomp:2"), "{flags:?}: {line}");
        }
        world.ucr.run(["rm", "-f", "box"]).ok();
        world.assert_clean();
    }
}
