//! What a hostile image may try: each test is one class of known attacks, with something of the
//! host's beside it that must stay as it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::image::Image;
use crate::support::process;
use crate::support::samples;
use crate::support::scratch::{Scratch, mounts_below};
use crate::support::ucr::Ucr;

use super::world::World;

const LIMIT: Duration = Duration::from_secs(30);

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

/// What must not change of a file.
fn state_of(path: &Path) -> (u64, u32, u32, i64, u64) {
    let found = fs::metadata(path).unwrap();
    (
        found.ino(),
        found.mode(),
        found.uid(),
        found.mtime(),
        found.size(),
    )
}

/// CVE-2019-5736: nothing inside may execute, and so reach, the program on the host; not as a
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

/// A first process that became another user is no longer killed with ucr by the kernel: the next
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

/// CVE-2019-16884, CVE-2025-31133, CVE-2026-41579: kernel filesystems go where they belong or the
/// image is refused.
#[test]
fn links_in_place_of_kernel_filesystems() {
    let host = Scratch::new();
    let outside = host.dir("outside");
    for name in ["proc", "dev", "sys"] {
        let layer = samples::busybox_layer().symlink(name, outside.to_str().unwrap());
        let world = World::of(&Image::new().layer(layer));
        world
            .run(&[], &["true"])
            .expect_code(125)
            .refused(&[&format!("/{name}"), "not a directory"]);
        world.assert_clean();
    }
    assert!(fs::read_dir(&outside).unwrap().next().is_none());
}

/// Files of ours and volumes land inside, whatever links the image has on the way.
#[test]
fn links_on_the_way_to_mounts() {
    let host = Scratch::new();
    let canary = host.file("canary", "untouched");
    let directory = host.dir("directory");
    let layer = samples::busybox_layer()
        .symlink("etc/resolv.conf", canary.to_str().unwrap())
        .symlink("data", directory.to_str().unwrap())
        .symlink("work", directory.to_str().unwrap());
    let world = World::of(&Image::new().layer(layer).workdir("/work/made"));
    let source = host.dir("volume");
    let volume = format!("{}:/data/volume", source.display());
    let script = "pwd; echo mine >/data/volume/file; cat /etc/resolv.conf";
    let done = world.run(&["-v", &volume], &["sh", "-c", script]).ok();
    let names = fs::read_to_string("/etc/resolv.conf").unwrap();
    assert_eq!(
        done.stdout,
        format!("{}/made\n{names}", directory.display())
    );
    assert_eq!(fs::read_to_string(source.join("file")).unwrap(), "mine\n");
    assert_eq!(fs::read_to_string(&canary).unwrap(), "untouched");
    assert!(fs::read_dir(&directory).unwrap().next().is_none());
    assert!(mounts_below(host.path()).is_empty());
    world.assert_clean();
}

/// A link to the container's own root is no place for a file.
#[test]
fn a_link_to_the_root_in_place_of_a_file() {
    let layer = samples::busybox_layer().symlink("etc/hosts", "../../../../../../../..");
    let world = World::of(&Image::new().layer(layer));
    world.run(&[], &["true"]).refused(&["/etc/hosts"]);
    world.assert_clean();
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

/// The terminal outlives moments when nobody inside has it open.
#[test]
fn a_terminal_that_is_closed_and_opened_again() {
    let world = World::small();
    let script = "exec 0<&- 1>&- 2>&-; sleep 0.3; exec >/dev/console; echo late";
    let done = world
        .command(&["-t"], &["sh", "-c", script])
        .limit(LIMIT)
        .run()
        .ok();
    assert_eq!(done.stdout.trim_end(), "late");
}

/// Two that want one directory: one makes it, the other finds it.
#[test]
fn provisions_of_one_directory() {
    for backend in ["copy", "overlay"] {
        let world = World::small();
        let target = world.ucr.scratch().join("target");
        let line = [
            "provision",
            "--backend",
            backend,
            &world.image,
            target.to_str().unwrap(),
        ];
        let both = [world.ucr.cmd(line).spawn(), world.ucr.cmd(line).spawn()];
        for one in both {
            one.finish(LIMIT).ok();
        }
        assert!(target.join("bin/busybox").exists());
        let mounted = mounts_below(&target).len();
        assert_eq!(mounted, usize::from(backend == "overlay"));
        assert_eq!(
            world
                .ucr
                .run(["--format", "json", "ps"])
                .ok()
                .json()
                .as_array()
                .unwrap()
                .len(),
            1
        );
        world.ucr.run(["rm", target.to_str().unwrap()]).ok();
        world.assert_clean();
    }
}

/// CVE-2025-31133: a link may not lead our files over the device that hides others.
#[test]
fn links_into_kernel_filesystems() {
    for target in [
        "/dev/null",
        "/proc/self/attr/current",
        "/sys/kernel/notes",
        "/dev/shm/x",
    ] {
        let layer = samples::busybox_layer().symlink("etc/hosts", target);
        let world = World::of(&Image::new().layer(layer));
        world
            .run(&[], &["true"])
            .refused(&["/etc/hosts", "leads into"]);
        world.assert_clean();
    }
}

/// A file on standard input can be read, not written to through `/proc/self/fd`.
#[test]
fn a_file_on_standard_input_stays_as_it_is() {
    let world = World::small();
    let file = world.ucr.scratch().file("input", "first\nsecond\n");
    let run = |script: &str| {
        let from_file = format!("exec <{}; read line; exec \"$@\"", file.display());
        let mut command = world.ucr.by_shell(&from_file);
        command.args(["run", "-i", &world.image, "sh", "-c", script]);
        process::run(&mut command, b"", LIMIT)
    };
    assert_eq!(run("cat").ok().stdout, "second\n", "from where it was left");
    run("echo x >/proc/self/fd/0 || echo x >>/dev/stdin || exit 3").expect_code(3);
    assert_eq!(fs::read_to_string(&file).unwrap(), "first\nsecond\n");
    let mut command = world.ucr.by_shell("exec </; exec \"$@\"");
    command.args(["run", "-i", &world.image, "true"]);
    process::run(&mut command, b"", LIMIT).refused(&["standard input is a directory"]);
}

/// Any user of the container can open its own standard streams by name.
#[test]
fn streams_belong_to_the_user() {
    let world = World::small();
    let mut command = world.ucr.by_shell("\"$@\" 2>&1 | cat");
    let script = "echo out >/dev/stdout; echo err >/dev/stderr";
    command.args(["run", "-u", "1000", &world.image, "sh", "-c", script]);
    assert_eq!(
        process::run(&mut command, b"", LIMIT).ok().stdout,
        "out\nerr\n"
    );
}

/// Real-time signals pass the built-in init, too.
#[test]
fn real_time_signals() {
    let world = World::small();
    for flags in [&[][..], &["--init"]] {
        let script = "trap 'exit 7' 37; echo ready; while :; do sleep 0.1; done";
        let running = world.command(flags, &["sh", "-c", script]).spawn();
        running.wait_until("line 'ready'", LIMIT, || {
            running.stdout_so_far().contains("ready")
        });
        let number = nix::libc::SIGRTMIN() + 3;
        let line = format!("kill -{number} {}", running.pid());
        process::tool(Command::new("sh").args(["-c", &line]));
        let code = running.finish(LIMIT).code;
        assert!(code == 7 || code == 128 + number, "{flags:?}: {code}");
    }
}

/// What is mounted inside a provisioned tree stops `rm` before it removes anything.
#[test]
fn a_tree_in_use_is_not_half_removed() {
    let world = World::small();
    let target = world.ucr.scratch().join("target");
    let path = target.to_str().unwrap();
    world
        .ucr
        .run(["provision", "--backend", "copy", &world.image, path])
        .ok();
    let inside = target.join("etc");
    process::tool(
        Command::new("mount")
            .args(["-t", "tmpfs", "none"])
            .arg(&inside),
    );
    world.ucr.run(["rm", path]).refused(&["in use", "etc"]);
    assert!(target.join("bin/busybox").exists());
    process::tool(Command::new("umount").arg(&inside));
    world.ucr.run(["rm", path]).ok();
    assert!(!target.exists());
    world.assert_clean();
}
