//! Standard streams and terminals, which a container shares with who started it
//! (CVE-2017-5226, CVE-2025-52565).

use std::fs;
use std::process::Command;

use crate::support::{need, process};

use super::{LIMIT, with_probe, world};
use crate::world::World;

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

/// Below a terminal of its own, as a user's shell gives it to ucr.
fn below_terminal(world: &World, words: &str) -> String {
    let line = format!(
        "{} --root {} --state {} run {words}",
        crate::support::ucr::Ucr::binary().display(),
        world.ucr.root().display(),
        world.ucr.state().display(),
    );
    let program = need::program("script", "bsdutils");
    let mut command = Command::new(program);
    command.args(["-qec", &line, "/dev/null"]);
    process::run(&mut command, b"", LIMIT)
        .ok()
        .stdout
        .replace("\r\n", "\n")
}

/// CVE-2017-5226: nothing can be typed into the caller's terminal, which is not the container's to
/// control; not even where the system call filter is off.
#[test]
fn the_callers_terminal_cannot_be_typed_into() {
    let world = world(with_probe());
    for filter in ["", "--security-opt seccomp=unconfined "] {
        let image = &world.image;
        let seen = below_terminal(
            &world,
            &format!(
                "-i {filter}{image} sh -c 'test -t 0 && echo terminal; \
                 (: </dev/tty) 2>/dev/null && echo controlled; /probe calls 0 | grep TIOCSTI'"
            ),
        );
        assert!(!seen.contains("terminal"), "{seen}");
        assert!(!seen.contains("controlled"), "{seen}");
        for line in seen.lines().filter(|line| line.contains("TIOCSTI")) {
            assert!(!line.ends_with("ok"), "{filter}: {line}");
        }
        assert!(seen.contains("32-bit TIOCSTI"), "{seen}");
    }
    world.assert_clean();
}

/// Without `-t` there are pipes where ucr has a terminal, which the container could read what is
/// typed from, whatever stream it is; and all of its output arrives.
#[test]
fn no_terminal_of_the_callers() {
    let world = World::small();
    let image = &world.image;
    let script = "for n in 0 1 2; do test -t $n && echo terminal; done; \
                  busybox seq 1 20000; echo error >&2";
    let numbers: String = (1..=20000).map(|number| format!("{number}\n")).collect();
    for flags in ["", "-i ", "--init ", "--userns auto "] {
        let seen = below_terminal(&world, &format!("{flags}{image} sh -c '{script}'"));
        assert!(!seen.contains("terminal"), "{flags}");
        // The streams come apart, so that one may be anywhere in the other.
        let apart = seen.replacen("error\n", "", 1);
        assert!(apart != seen && apart == numbers, "{flags}");
    }
    world.assert_clean();
}

/// With `-t` the terminal is the container's own, from its own devpts, and the user's.
#[test]
fn a_terminal_of_its_own() {
    let world = World::small();
    let image = &world.image;
    for users in ["", "--userns auto ", "--userns 0:100000:65536 "] {
        let seen = below_terminal(
            &world,
            &format!(
                "-it -u 1815 {users}{image} sh -c 'ls /dev/pts; busybox stat -L -c \"%t:%T %u\" /proc/self/fd/0 /dev/console; \
                 grep -c \" /dev/pts devpts\" /proc/mounts'"
            ),
        );
        assert_eq!(
            seen.replace("^@", "")
                .replace("\u{8}", "")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            "0 ptmx 88:0 1815 88:0 1815 1",
            "{users}"
        );
    }
    world.assert_clean();
}
