//! What leads out of a container without a name: ucr's own program, open descriptors, sockets,
//! keys, memory, environments (reference/runtime.md, section 3.2).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::image::Image;
use crate::support::process::{self, Running};
use crate::support::samples;
use crate::support::ucr::Ucr;

use super::{LIMIT, PROBE, USERS, state_of, with_probe, world};
use crate::world::World;

/// command, not as a script's interpreter at any depth, not behind a link.
#[test]
fn our_own_program_cannot_be_executed_from_the_host() {
    let layer = samples::busybox_layer()
        .symlink("link", "/proc/self/exe")
        .program("script", "#!/proc/self/exe run\n")
        .program("deep", "#!/script\n")
        .program("thread", "#!/proc/thread-self/exe\n")
        .program("first", "#!/proc/1/exe\n");
    let world = World::of(&Image::new().layer(layer));
    let before = state_of(&Ucr::binary());
    for command in [
        "/proc/self/exe",
        "/proc/1/exe",
        "/link",
        "/script",
        "/deep",
        "/thread",
        "/first",
    ] {
        let done = world.run(&[], &[command]).expect_code(126);
        assert!(
            done.stderr.contains("ucr itself"),
            "{command}: {}",
            done.stderr
        );
    }
    assert_eq!(state_of(&Ucr::binary()), before);
    world.assert_clean();
}

/// Where ucr does run inside, it is a copy that cannot be written to.
#[test]
fn what_runs_inside_is_a_read_only_copy() {
    let layer = samples::busybox_layer().program("script", "#!/proc/self/exe run\n");
    let world = World::of(&Image::new().layer(layer));
    let before = state_of(&Ucr::binary());
    let attack = "chmod 6777 /proc/1/exe && echo changed; echo x >>/proc/1/exe && echo written; :";
    let done = world.run(&["--init"], &["sh", "-c", attack]).ok();
    assert_eq!(done.stdout, "", "{}", done.stderr);
    // With a volume somebody else could change the command while it is looked at.
    let volume = world.ucr.scratch().dir("volume");
    let volume = format!("{}:/volume", volume.display());
    // The script's interpreter is the copy, whose command line is wrong there.
    world.run(&["-v", &volume], &["/script"]).expect_code(125);
    assert_eq!(world.script(&["-v", &volume], "echo $$"), "1");
    world
        .run(&["-v", &volume], &["no-such-command"])
        .expect_code(127);
    assert_eq!(state_of(&Ucr::binary()), before);
    world.assert_clean();
}

/// CVE-2024-21626: descriptors of ucr's caller are gone before a path of the image is looked up.
#[test]
fn descriptors_of_the_caller_lead_nowhere() {
    let world = World::small();
    let run = |words: &[&str]| {
        let mut command = world.ucr.by_shell("exec 9</ && exec \"$@\"");
        command.arg("run").args(words);
        process::run(&mut command, b"", LIMIT)
    };
    let image = world.image.as_str();
    run(&[image, "/proc/self/fd/9/bin/ls"]).expect_code(127);
    run(&["-w", "/proc/self/fd/9", image, "true"]).expect_code(125);
    let open = run(&[image, "ls", "/proc/self/fd"]).ok().stdout;
    assert_eq!(open, "0\n1\n2\n3\n", "3 is the directory that ls reads");
}

/// An x86-64 program whose loader is this; the class says 32 or 64 bits, which the kernel's loader
/// for 64 bits does not look at.
fn elf(class: u8, loader: &[u8]) -> Vec<u8> {
    let (table, name) = (64_u64, 120_u64);
    let mut bytes = vec![0x7f, b'E', b'L', b'F', class, 1, 1];
    bytes.resize(16, 0);
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(62_u16.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for word in [0x40_0000, table, 0] {
        bytes.extend(u64::to_le_bytes(word));
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(4_u32.to_le_bytes());
    let size = loader.len() as u64 + 1;
    for word in [name, 0, 0, size, size, 1] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(loader);
    bytes.push(0);
    bytes
}

/// CVE-2019-5736 by every way that a file can name what executes it.
#[test]
fn no_loader_or_interpreter_is_our_own_program() {
    // Not UTF-8: what is looked at must be what the kernel opens.
    let layer = samples::busybox_layer()
        .symlink("link", "/proc/self/exe")
        .symlink("bin/found", "/proc/1/exe")
        .program("elf", elf(2, b"/proc/self/exe"))
        .program("elf-link", elf(2, b"/link"))
        .program("elf-liar", elf(1, b"/proc/self/exe"))
        .program("elf-odd", elf(2, b"/odd-\xff"))
        .program("odd", b"#!/odd-\xff\n")
        .program("tabs", "#! \t/proc/self/exe\targ\n")
        .program("last", "#!/proc/self/exe")
        .program("to-elf", "#!/elf\n")
        .program("task", "#!/proc/self/task/1/exe\n");
    let world = world(layer);
    // The archive cannot say such a name: it is made where the image is unpacked.
    let mut find = Command::new("find");
    find.arg(world.ucr.root()).args(["-name", "elf-liar"]);
    let found = process::tool(&mut find);
    let place = Path::new(found.trim_end()).with_file_name(OsStr::from_bytes(b"odd-\xff"));
    symlink("/proc/self/exe", place).unwrap();
    let before = state_of(&Ucr::binary());
    for command in [
        "/elf",
        "/elf-link",
        "/elf-liar",
        "/elf-odd",
        "/odd",
        "/tabs",
        "/last",
        "/to-elf",
        "/task",
        "found",
        "/dev/../proc/self/exe",
        "/proc/self/task/1/exe",
        "/proc/thread-self/root/link",
    ] {
        let done = world.run(&[], &[command]).expect_code(126);
        assert!(
            done.stderr.contains("ucr itself"),
            "{command}: {}",
            done.stderr
        );
    }
    let flags = ["-e", "PATH=/nowhere:/proc/self"];
    let done = world.run(&flags, &["exe"]).expect_code(126);
    assert!(done.stderr.contains("ucr itself"), "{}", done.stderr);
    assert_eq!(state_of(&Ucr::binary()), before);
    world.assert_clean();
}

/// The same where others reach the root filesystem, and with users of its own: whatever runs, it is
/// a copy, and what is written is not the host's.
#[test]
fn a_copy_of_our_own_program_cannot_be_changed() {
    let attack = "#!/bin/sh\n\
                  for p in /proc/1/exe /proc/self/exe; do \
                  chmod 6777 $p 2>/dev/null; chown 1:1 $p 2>/dev/null; echo x >>$p; \
                  busybox dd if=/bin/busybox of=$p 2>/dev/null && echo written $p; done 2>/dev/null; \
                  readlink /proc/1/exe; :\n";
    let world = world(samples::busybox_layer().program("attack", attack));
    let before = state_of(&Ucr::binary());
    let source = world.ucr.scratch().dir("source");
    let volume = format!("{}:/v", source.display());
    for users in USERS {
        for flags in [
            &["--init"][..],
            &["-v", &volume],
            &["--init", "-v", &volume],
            // Which gets past the wall in front: that the init is not dumpable.
            &["--init", "--cap-add", "SYS_PTRACE"],
        ] {
            let flags = [users, flags].concat();
            let seen = world.script(&flags, "/attack");
            assert!(!seen.contains("written"), "{flags:?}: {seen}");
        }
        let flags = [users, &["-v", &volume]].concat();
        for command in ["/proc/self/exe", "/proc/1/exe"] {
            // It is the relay that runs there, and does not know what to do.
            let done = world.run(&flags, &[command]);
            assert_ne!(done.code, 0, "{}", done.stderr);
        }
    }
    assert_eq!(state_of(&Ucr::binary()), before);
    world.assert_clean();
}

/// CVE-2024-21626, in all its ways in.
#[test]
fn no_descriptor_of_the_callers_is_reachable() {
    let canary = crate::support::scratch::Scratch::new();
    canary.file("canary", "untouched");
    let layer = || {
        samples::busybox_layer()
            .symlink("bin/escaped", "/proc/self/fd/9/bin/sh")
            .symlink("etc/localtime", "/proc/self/fd/9/etc/passwd")
    };
    let volumes = serde_json::json!({"/proc/self/fd/9/tmp/x": {}});
    let worlds = [
        World::of(&Image::new().layer(layer())),
        World::of(&Image::new().layer(layer()).set("Volumes", volumes)),
        World::of(&Image::new().layer(layer()).workdir("/proc/self/fd/9")),
    ];
    // More than one: of a directory, of a file, to read and to write.
    let open = format!(
        "exec 6<{0} 7<{0}/canary 8<>{0}/canary 9<{0} && exec \"$@\"",
        canary.path().display()
    );
    let see = "ls /proc/self/fd; ls /proc/1/fd; cat /proc/self/fd/7 /proc/self/fd/8 2>/dev/null; \
               cat /proc/self/fd/9/canary 2>/dev/null; cd /proc/self/fd/9 2>/dev/null && echo in; :";
    for users in USERS {
        for flags in [&[][..], &["--init"], &["-t"], &["-v", "/v"]] {
            let mut command = worlds[0].ucr.by_shell(&open);
            command.arg("run").args(users).args(flags);
            command.args([&worlds[0].image, "sh", "-c", see]);
            let done = process::run(&mut command, b"", LIMIT).ok();
            let words: BTreeSet<&str> = done.stdout.split_whitespace().collect();
            // The directory that is read is one more; the built-in init reads signals.
            let known = BTreeSet::from(["0", "1", "2", "3", "4", "5"]);
            assert!(words.is_subset(&known), "{flags:?}: {words:?}");
        }
    }
    for world in &worlds[1..] {
        let mut command = world.ucr.by_shell(&open);
        command.args(["run", &world.image, "true"]);
        process::run(&mut command, b"", LIMIT).refused(&["/proc/self/fd/9"]);
    }
    let mut command = worlds[0].ucr.by_shell(&open);
    command.args(["run", &worlds[0].image, "escaped"]);
    process::run(&mut command, b"", LIMIT).expect_code(127);
    for world in worlds {
        world.assert_clean();
    }
}

/// A directory of the host's as one of the standard streams would be one handle too many.
#[test]
fn a_directory_is_no_standard_stream() {
    let world = World::small();
    for (redirection, name) in [("1</", "output"), ("2</", "error")] {
        let mut command = world.ucr.by_shell(&format!("exec \"$@\" {redirection}"));
        command.args(["run", &world.image, "true"]);
        let done = process::run(&mut command, b"", LIMIT).expect_code(125);
        if name == "output" {
            assert!(
                done.stderr.contains("standard output is a directory"),
                "{}",
                done.stderr
            );
        }
    }
    world.assert_clean();
}

/// A container that runs until it is killed, and its first process as the host numbers it.
fn running(world: &World, flags: &[&str], words: &[&str]) -> (Running, String) {
    let running = world
        .command(flags, words)
        .env("HOST_SECRET", "s3cret")
        .spawn();
    let pid = || {
        let listed = world.ucr.run(["ps", "--format", "json"]).ok().json();
        listed[0]["pid"].as_i64().filter(|pid| *pid != 0)
    };
    running.wait_until("the container", LIMIT, || {
        running.stdout_so_far().contains("ready") && pid().is_some()
    });
    let pid = pid().unwrap().to_string();
    (running, pid)
}

/// CVE-2020-14370: of ucr's environment, and its image author's wishes about ucr's, nothing is seen.
#[test]
fn nothing_of_our_environment_or_memory_is_seen() {
    let image = Image::new().layer(samples::busybox_layer()).set(
        "Env",
        serde_json::json!([
            "LD_PRELOAD=/evil.so",
            "RUST_BACKTRACE=full",
            "RUST_LOG=trace"
        ]),
    );
    let world = World::of(&image);
    let see = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; \
               for f in mem maps environ fd/0 auxv root cwd exe; do \
                 ls -L /proc/1/$f >/dev/null 2>&1 && busybox od -N1 /proc/1/$f >/dev/null 2>&1 && echo open:$f; \
               done; echo ready; sleep 1000";
    for users in USERS {
        for flags in [&["--init"][..], &["--init", "-u", "1000"]] {
            let flags = [users, flags].concat();
            let (running, _) = running(&world, &flags, &["sh", "-c", see]);
            let seen = running.stdout_so_far();
            running.signal(nix::sys::signal::Signal::SIGKILL);
            running.finish(LIMIT);
            assert!(!seen.contains("s3cret"), "{seen}");
            assert!(
                !seen.lines().any(|line| line.starts_with("open:")),
                "the init's memory is open: {flags:?}\n{seen}"
            );
        }
    }
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

fn abstract_sockets() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    let names = table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7));
    names
        .filter(|name| name.starts_with('@'))
        .map(str::to_owned)
        .collect()
}

/// CVE-2020-15257, CVE-2021-41091, CVE-2021-41103, CVE-2024-25621: no door for others on the host,
/// and no way to an image's set-user-ID programs.
#[test]
fn nobody_else_on_the_host_has_a_way_in() {
    let layer = samples::busybox_layer().program("suid", "x").mode(0o6755);
    let world = world(layer);
    let before = abstract_sockets();
    let flags = ["--userns", "auto", "-v", "named:/n"];
    let (running, pid) = running(&world, &flags, &["sh", "-c", "echo ready; sleep 1000"]);
    let new: Vec<_> = abstract_sockets().difference(&before).cloned().collect();
    assert_eq!(new, [] as [String; 0], "an abstract socket is anybody's");
    let (store, state) = (world.ucr.root(), world.ucr.state());
    for directory in [
        store.clone(),
        state.clone(),
        store.join("layers"),
        store.join("containers"),
        store.join("volumes"),
        state.join("containers"),
        state.join("users"),
    ] {
        let mode = fs::metadata(&directory).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o700, "{}", directory.display());
        let ls = ["--reuid=1000", "--regid=1000", "--clear-groups", "ls"];
        let mut command = Command::new("setpriv");
        let done = process::run(command.args(ls).arg(&directory), b"", LIMIT);
        assert_ne!(done.code, 0, "{}", directory.display());
    }
    // Nor through the container's own directories in proc.
    let mut command = Command::new("setpriv");
    command.args(["--reuid=1000", "--regid=1000", "--clear-groups", "ls"]);
    let done = process::run(command.arg(format!("/proc/{pid}/root/")), b"", LIMIT);
    assert_ne!(done.code, 0);
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.finish(LIMIT);
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

/// The caller's session keyring stays the caller's.
#[test]
fn keys_of_the_caller_are_not_found() {
    let world = world(with_probe());
    let scratch = &world.ucr.scratch();
    let probe = scratch.file("probe-on-host", &*PROBE);
    fs::set_permissions(&probe, fs::Permissions::from_mode(0o755)).unwrap();
    let search = |command: &mut Command| process::run(command, b"", LIMIT).ok().stdout;
    let mut own = Command::new(&probe);
    own.arg("put-key").arg(&probe).arg("find-key");
    assert_eq!(
        search(&mut own),
        "search\tok\n",
        "the test finds nothing at all"
    );
    let open = ["--security-opt", "seccomp=unconfined"];
    for (flags, expected) in [(&open[..], "126"), (&[][..], "1")] {
        let mut command = Command::new(&probe);
        command.arg("put-key").arg(Ucr::binary());
        command.arg("--root").arg(world.ucr.root());
        command.arg("--state").arg(world.ucr.state());
        command.arg("run").args(flags);
        command.args([&world.image, "/probe", "find-key"]);
        assert_eq!(
            search(&mut command),
            format!("search\t{expected}\n"),
            "{flags:?}"
        );
    }
    world.assert_clean();
}

/// The host's own nodes, where they are shown because none can be made: what is written goes to the
/// device, and mode and owner stay the host's.
#[test]
fn the_hosts_device_nodes_stay_as_they_are() {
    let world = World::small();
    let node = world.ucr.scratch().join("node");
    process::tool(Command::new("mknod").arg(&node).args(["c", "1", "3"]));
    let before = state_of(&node);
    let attack = "echo x >/shown && echo written; chmod 4777 /shown; chown 1:1 /shown; touch -d @0 /shown; \
                  rm -f /shown; busybox mv /shown /moved; :";
    let device = format!("{}:/shown", node.display());
    for users in USERS {
        let flags = [users, &["--device", &*device][..]].concat();
        let done = world.run(&flags, &["sh", "-c", attack]).ok();
        // Without a number inside, the owner is nobody that root may stand for.
        let expected = if users.is_empty() { "written\n" } else { "" };
        assert!(
            done.stdout == expected || done.stdout == "written\n",
            "{}",
            done.stderr
        );
        assert_eq!(state_of(&node), before, "{users:?}");
    }
    world.assert_clean();
}
