//! What the command sees: arguments, environment, user, directories, files, namespaces.

use std::fs;

use crate::support::image::Image;
use crate::support::samples;

use super::world::World;

/// Docker's rule: args replace CMD and follow ENTRYPOINT; `--entrypoint` drops CMD.
#[test]
fn what_is_executed() {
    let echo = |image: Image| World::of(&image);
    let cmd = echo(samples::small().cmd(&["echo", "cmd"]));
    assert_eq!(cmd.run(&[], &[]).ok().text(), "cmd");
    assert_eq!(cmd.run(&[], &["echo", "args"]).ok().text(), "args");
    assert_eq!(cmd.run(&["--entrypoint", "echo"], &["x"]).ok().text(), "x");
    assert_eq!(cmd.run(&["--entrypoint", "echo"], &[]).ok().text(), "");
    let both = echo(
        samples::small()
            .entrypoint(&["echo", "entry"])
            .cmd(&["cmd"]),
    );
    assert_eq!(both.run(&[], &[]).ok().text(), "entry cmd");
    assert_eq!(both.run(&[], &["a", "b"]).ok().text(), "entry a b");
    assert_eq!(both.run(&["--entrypoint", "pwd"], &[]).ok().text(), "/");
    // Flags after the image are the command's own, words are not split.
    assert_eq!(
        cmd.run(&[], &["echo", "-e", "a  b", "--init"]).ok().text(),
        "a  b --init"
    );
}

#[test]
fn environment() {
    let image = samples::small().env(&["PATH=/bin", "A=image", "B=image"]);
    let world = World::of(&image);
    let run = world.command(&["-e", "A=flag", "-e", "FROM_HOST", "-e", "E="], &["env"]);
    let output = run
        .env("FROM_HOST", "host")
        .env("NOT_PASSED", "x")
        .run()
        .ok()
        .stdout;
    let lines: Vec<_> = output.lines().collect();
    for line in ["A=flag", "B=image", "FROM_HOST=host", "E=", "PATH=/bin"] {
        assert_eq!(
            lines.iter().filter(|l| **l == line).count(),
            1,
            "{line} in\n{output}"
        );
    }
    assert!(
        lines.iter().any(|line| line.starts_with("HOME=/root")),
        "{output}"
    );
    assert!(!output.contains("NOT_PASSED"), "{output}");
}

/// Users and groups are looked up in the image, the supplementary ones too.
#[test]
fn users() {
    let world = World::small();
    let id = |flags: &[&str]| {
        world
            .script(flags, "id -u; id -g; id -G; echo $HOME")
            .replace('\n', " ")
    };
    assert_eq!(id(&[]), "0 0 0 /root");
    assert_eq!(id(&["-u", "ada"]), "1815 1816 1816 1843 /home/ada");
    assert_eq!(id(&["-u", "1815"]), "1815 1816 1816 1843 /home/ada");
    assert_eq!(id(&["-u", "ada:engines"]), "1815 1843 1843 /home/ada");
    assert_eq!(id(&["-u", "4711:4712"]), "4711 4712 4712 /");
    let image = World::of(&samples::small().user("ada"));
    assert_eq!(image.script(&[], "id -u"), "1815");
    assert_eq!(image.script(&["-u", "0"], "id -u"), "0");
}

#[test]
fn working_directory() {
    let world = World::of(&samples::small().workdir("/made/if/missing"));
    assert_eq!(world.script(&[], "pwd"), "/made/if/missing");
    assert_eq!(world.script(&["-w", "/etc"], "pwd"), "/etc");
}

#[test]
fn volumes() {
    let world = World::small();
    let source = world.ucr.scratch().dir("volume");
    fs::write(source.join("from-host"), "host").unwrap();
    world.ucr.own(&source);
    let volume = format!("{}:/new/place", source.display());
    let script = "cat /new/place/from-host; echo inside >/new/place/from-container";
    assert_eq!(world.script(&["-v", &volume], script), "host");
    assert_eq!(
        fs::read_to_string(source.join("from-container")).unwrap(),
        "inside\n"
    );
    let read_only = format!("{volume}:ro");
    world
        .run(&["-v", &read_only], &["touch", "/new/place/x"])
        .expect_code(1);
    assert!(!source.join("x").exists());
    world.assert_clean();
}

/// The sandbox directory of a Mesos task.
#[test]
fn sandbox() {
    let world = World::small();
    let sandbox = world.ucr.scratch().dir("sandbox");
    fs::write(sandbox.join("fetched"), "uri").unwrap();
    world.ucr.own(&sandbox);
    let flags = ["--sandbox", sandbox.to_str().unwrap()];
    let script = "cat $MESOS_SANDBOX/fetched; echo out >$MESOS_SANDBOX/result";
    assert_eq!(world.script(&flags, script), "uri");
    assert_eq!(fs::read_to_string(sandbox.join("result")).unwrap(), "out\n");
    assert_eq!(world.script(&[], "echo \"[$MESOS_SANDBOX]\""), "[]");
}

/// The command is PID 1 of its own namespace; with `--init` it is not, and orphans are reaped.
#[test]
fn process_ids() {
    let world = World::small();
    assert_eq!(world.script(&[], "echo $$"), "1");
    assert_ne!(world.script(&["--init"], "echo $$"), "1");
    assert_eq!(world.script(&[], "cd /proc; echo [0-9]*"), "1");
    let zombies = "(sleep 0.2 &) ; sleep 0.6; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l";
    assert_eq!(world.script(&["--init"], zombies), "0");
}

#[test]
fn namespaces() {
    let world = World::small();
    for name in ["mnt", "pid", "ipc", "uts"] {
        let inside = world.script(&[], &format!("readlink /proc/self/ns/{name}"));
        let host = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(inside, host.to_string_lossy(), "{name} is private");
    }
    let inside = world.script(&[], "readlink /proc/self/ns/net");
    assert_eq!(
        inside,
        fs::read_link("/proc/self/ns/net")
            .unwrap()
            .to_string_lossy()
    );
}

/// The host's name and address files reach a container on the host's network.
#[test]
fn names_of_the_network() {
    let world = World::small();
    for path in ["/etc/resolv.conf", "/etc/hosts"] {
        let inside = world.script(&[], &format!("cat {path}"));
        let host = fs::read_to_string(path).unwrap();
        for line in host
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
        {
            assert!(
                inside.contains(line.trim_end()),
                "{path} lacks {line:?}:\n{inside}"
            );
        }
    }
}

#[test]
fn the_usual_mounts() {
    let world = World::small();
    let mounts = world.script(&[], "cat /proc/mounts");
    let has = |place: &str, kind: &str, flags: &[&str]| {
        let line = mounts
            .lines()
            .rfind(|line| line.split(' ').nth(1) == Some(place));
        let line = line.unwrap_or_else(|| panic!("no {place} in\n{mounts}"));
        let fields: Vec<_> = line.split(' ').collect();
        assert_eq!(fields[2], kind, "{line}");
        for flag in flags {
            assert!(
                fields[3].split(',').any(|option| option == *flag),
                "{flag} in {line}"
            );
        }
    };
    has("/proc", "proc", &["nosuid", "nodev", "noexec"]);
    has("/sys", "sysfs", &["ro", "nosuid", "nodev", "noexec"]);
    has("/dev", "tmpfs", &["nosuid"]);
    has("/dev/pts", "devpts", &["nosuid", "noexec"]);
    has("/dev/shm", "tmpfs", &["nosuid", "nodev", "noexec"]);
    let devices = world.script(
        &[],
        "for d in null zero full random urandom tty; do [ -c /dev/$d ] && echo $d; done",
    );
    assert_eq!(
        devices.replace('\n', " "),
        "null zero full random urandom tty"
    );
    let links = world.script(
        &[],
        "for l in fd stdin stdout stderr; do readlink /dev/$l; done",
    );
    let expected = ["", "/0", "/1", "/2"].map(|end| format!("/proc/self/fd{end}"));
    assert_eq!(links.lines().collect::<Vec<_>>(), expected);
}

/// Safe by default: no host files through /proc, no kernel settings, few capabilities.
#[test]
fn what_is_closed() {
    let world = World::small();
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
    ] {
        // Only opened: should it work, the host is not to suffer.
        let script = format!("[ ! -e {path} ] || ! true 2>/dev/null >>{path}");
        world.run(&[], &["sh", "-c", &script]).ok();
    }
    assert_eq!(
        world.script(&[], "cat /proc/kcore 2>/dev/null | head -c 1 | wc -c"),
        "0"
    );
    let status = world.script(&[], "grep -E 'NoNewPrivs|CapEff' /proc/self/status");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:\t"))
        .unwrap();
    let capabilities = u64::from_str_radix(effective, 16).unwrap();
    assert!(capabilities.count_ones() <= 10, "{effective}");
    assert_eq!(capabilities & (1 << 21), 0, "CAP_SYS_ADMIN");
}

/// No descriptor of ucr's leaks in (CVE-2024-21626).
#[test]
fn descriptors() {
    let world = World::small();
    for flags in [&[][..], &["--init"], &["-i"]] {
        let open = world.script(flags, "ls /proc/self/fd");
        // 3 is the directory that ls itself reads.
        assert_eq!(open.replace('\n', " "), "0 1 2 3", "{flags:?}");
    }
}

/// What one container writes, neither the image nor the next container sees.
#[test]
fn containers_are_apart() {
    let world = World::small();
    assert_eq!(
        world.script(&[], "echo x >/etc/new; rm /etc/passwd; ls /etc/new"),
        "/etc/new"
    );
    let again = world.script(&[], "ls /etc/new 2>/dev/null; wc -l </etc/passwd");
    assert_eq!(again.trim(), "2");
    world.assert_clean();
}

/// Standard input: nothing without `-i`, everything with it; large and binary too.
#[test]
fn streams() {
    let world = World::small();
    let input: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let count = world
        .command(&["-i"], &["wc", "-c"])
        .stdin(input.clone())
        .run()
        .ok();
    assert_eq!(count.text(), "3000000");
    let none = world.command(&[], &["wc", "-c"]).stdin(input).run().ok();
    assert_eq!(none.text(), "0");
    let both = world.run(&[], &["sh", "-c", "echo out; echo err >&2"]).ok();
    assert_eq!(
        (both.stdout.as_str(), both.stderr.as_str()),
        ("out\n", "err\n")
    );
}

/// With `-t` the command has a terminal, which `script` gives to ucr.
#[test]
fn terminal() {
    let world = World::small();
    let binary = crate::support::ucr::Ucr::binary();
    let line = format!(
        "{} --root {} --state {} run -it {} sh -c 'tty; test -t 0 && test -t 1 && echo terminal; exit 5'",
        binary.display(),
        world.ucr.root().display(),
        world.ucr.state().display(),
        world.image
    );
    let program = crate::support::need::program("script", "bsdutils");
    let mut command = std::process::Command::new(program);
    command.args(["-qec", &line, "/dev/null"]);
    let limit = std::time::Duration::from_secs(60);
    let done = crate::support::process::run(&mut command, b"", limit).expect_code(5);
    assert!(done.stdout.contains("/dev/"), "{}", done.stdout);
    assert!(done.stdout.contains("terminal"), "{}", done.stdout);
    // Without a terminal of one's own, -t is refused, as docker does.
    world.run(&["-it"], &["true"]).refused(&["terminal"]);
}
