//! Items of the checkable list (reference/runtime.md, section 10) that no other module is about:
//! streams, terminals and signals as programs meet them. `tests/data/escapes.md` has the whole
//! list.

use std::process::Command;
use std::time::Duration;

use crate::support::image::Image;
use crate::support::ucr::Ucr;
use crate::support::{need, process, samples};

use super::world::World;

const LIMIT: Duration = Duration::from_secs(60);

/// ucr's own command line as text for a shell.
fn ucr(world: &World) -> String {
    format!(
        "{} --root {} --state {}",
        Ucr::binary().display(),
        world.ucr.root().display(),
        world.ucr.state().display()
    )
}

/// A script below a terminal, with `typed` (a shell command's output) as what is typed.
fn on_terminal(script: &str, typed: &str) -> String {
    let program = need::program("script", "bsdutils");
    let mut command = Command::new("sh");
    let line = format!("({typed}) | {} -qec \"$0\" /dev/null", program.display());
    command.args(["-c", &line, script]);
    let done = process::run(&mut command, b"", LIMIT);
    done.stdout.replace("\r\n", "\n")
}

/// 6: with a terminal, too.
#[test]
fn death_by_a_signal_on_a_terminal() {
    let world = World::small();
    for (flags, code) in [("-it --init", 137), ("-t", 143), ("", 143)] {
        let script = match code {
            137 => "kill -9 $$",
            _ => {
                "busybox timeout -s TERM 0 true; trap - TERM; (sleep 0.2; kill -9 1) & sleep 0.1; exit 143"
            }
        };
        let line = format!(
            "{} run {flags} {} sh -c '{script}'; echo code $?",
            ucr(&world),
            world.image
        );
        let seen = on_terminal(&line, "sleep 5");
        assert!(seen.ends_with(&format!("code {code}\n")), "{flags}: {seen}");
    }
    world.assert_clean();
}

/// 11, 22: all that was printed arrives, through a reader that is slower than the command, which
/// ucr waits for without work; a reader that has seen enough ends the command.
#[test]
fn output_is_complete() {
    let world = World::small();
    let image = &world.image;
    for flags in ["", "-t", "--init"] {
        let produce = "busybox seq 1 400000";
        let read = "sleep 1; tr -d '\\r' | cksum";
        let line = format!("{} run {flags} {image} {produce} | ({read})", ucr(&world));
        let seen = process::run(Command::new("sh").args(["-c", &line]), b"", LIMIT).ok();
        let expected = process::tool(Command::new("sh").args(["-c", "seq 1 400000 | cksum"]));
        assert_eq!(seen.stdout, expected, "{flags}");
    }
    let line = format!(
        "{{ {} run --init {image} busybox yes; echo $? >&2; }} | head -n 1",
        ucr(&world)
    );
    let done = process::run(Command::new("sh").args(["-c", &line]), b"", LIMIT).ok();
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("y\n", "141\n")
    );
    // The reader takes nothing for a second: so much time, and next to none of the processor's.
    let line = format!(
        "{{ bash -c 'TIMEFORMAT=%U+%S; time {} run -t {image} busybox seq 1 100000' 2>&1 >&3 | tail -n 1 >&2; }} 3>&1 | (sleep 1; cat >/dev/null)",
        ucr(&world)
    );
    let done = process::run(Command::new("sh").args(["-c", &line]), b"", LIMIT).ok();
    let seconds: f64 = done
        .stderr
        .trim()
        .split('+')
        .map(|part| part.parse::<f64>().unwrap())
        .sum();
    assert!(seconds < 0.7, "{seconds} s of work while nobody read");
    world.assert_clean();
}

/// 15: a stream that is closed when ucr starts is no other file inside.
#[test]
fn streams_that_are_closed() {
    let world = World::small();
    for (closed, flags) in [
        ("0<&-", &["-i"][..]),
        ("0<&-", &[]),
        ("0<&- 2>&-", &[]),
        ("2>&-", &["--init"]),
    ] {
        let mut command = world.ucr.by_shell(&format!("exec \"$@\" {closed}"));
        let script =
            "for n in 0 1 2; do readlink /proc/self/fd/$n; done; ls /proc/self/fd | tr '\\n' ' '";
        command
            .arg("run")
            .args(flags)
            .args([&world.image, "sh", "-c", script]);
        let done = process::run(&mut command, b"", LIMIT);
        let lines: Vec<&str> = done.stdout.lines().collect();
        assert_eq!(done.code, 0, "{closed}: {}", done.stderr);
        assert_eq!(lines.last(), Some(&"0 1 2 3 "), "{closed}: {}", done.stdout);
        for line in &lines[..lines.len() - 1] {
            assert!(
                *line == "/dev/null" || line.contains("deleted") || line.starts_with("pipe:"),
                "{closed}: {line}"
            );
        }
    }
    world.assert_clean();
}

/// 16: from the beginning, and when it changes.
#[test]
fn the_size_of_a_terminal() {
    let world = World::small();
    let inside = "busybox stty size; trap \"busybox stty size; exit\" WINCH; touch /s/ready; \
                  while :; do sleep 0.1; done";
    let signs = world.ucr.scratch().dir("signs");
    let line = format!(
        "stty rows 41 cols 101; tty=$(tty); \
         (while ! [ -e {signs}/ready ]; do sleep 0.05; done; stty rows 50 cols 60 <$tty) & \
         {} run -it -v {signs}:/s {} sh -c '{inside}'",
        ucr(&world),
        world.image,
        signs = signs.display(),
    );
    let seen = on_terminal(&line, "sleep 8");
    assert!(seen.ends_with("41 101\n50 60\n"), "{seen}");
    world.assert_clean();
}

/// 17: however ucr ends.
#[test]
fn modes_of_the_terminal_are_restored() {
    let world = World::small();
    let (ucr, image) = (ucr(&world), &world.image);
    for end in [
        format!("{ucr} run -it {image} true"),
        format!("{ucr} run -it {image} busybox stty raw -echo"),
        format!("{ucr} run -it {image} no-such-command"),
        format!("{ucr} run -it {image} sh -c 'kill -9 $$'"),
        format!("timeout --foreground -s TERM 1 {ucr} run -it --init {image} sleep 100"),
        format!("timeout --foreground -s HUP 1 {ucr} run -it --init {image} sleep 100"),
    ] {
        let line = format!("a=$(stty -g); {end}; b=$(stty -g); [ \"$a\" = \"$b\" ] && echo same");
        let seen = on_terminal(&line, "sleep 5");
        assert!(seen.ends_with("same\n"), "{end}: {seen}");
    }
    world.ucr.run(["ps"]).ok();
    world.assert_clean();
}

/// 24: what is typed is the terminal's to make a signal of, and ucr's not to forward once more.
#[test]
fn an_interrupt_is_typed_once() {
    let world = World::small();
    let signs = world.ucr.scratch().dir("signs");
    let inside = "trap \"echo int; touch /s/got\" INT; touch /s/ready; \
                  while ! [ -e /s/got ]; do sleep 0.1; done; sleep 0.5; echo end";
    let line = format!(
        "{} run -it -v {}:/s {} sh -c '{inside}'",
        ucr(&world),
        signs.display(),
        world.image
    );
    let typed = format!(
        "while ! [ -e {}/ready ]; do sleep 0.05; done; printf '\\003'; sleep 4",
        signs.display()
    );
    let seen = on_terminal(&line, &typed);
    assert_eq!(seen.matches("int\n").count(), 1, "{seen}");
    assert!(seen.ends_with("end\n"), "{seen}");
    world.assert_clean();
}

/// 21: a shell with jobs has a terminal that it controls.
#[test]
fn jobs_of_a_shell() {
    let world = World::small();
    for flags in ["-it", "-it --init"] {
        let line = format!(
            "{} run {flags} {} sh -c 'set -m; sleep 100 & jobs | grep -c Running; kill -9 %1; wait; echo end'",
            ucr(&world),
            world.image
        );
        let seen = on_terminal(&line, "sleep 4");
        assert!(
            seen.contains("1\n") && seen.contains("end\n"),
            "{flags}: {seen}"
        );
        assert!(!seen.contains("can't access tty"), "{flags}: {seen}");
    }
    world.assert_clean();
}

/// 27: whatever ucr's caller ignores or blocks, and Rust's runtime with it.
#[test]
fn signals_are_as_the_kernel_has_them() {
    let world = World::small();
    for flags in [&[][..], &["--init"], &["-v", "/v"]] {
        let mut command = world
            .ucr
            .by_shell("trap '' HUP INT PIPE USR1 TSTP; exec \"$@\"");
        command
            .arg("run")
            .args(flags)
            .args([&world.image, "grep", "-E"]);
        command.args(["^Sig(Blk|Ign|Cgt):", "/proc/self/status"]);
        let done = process::run(&mut command, b"", LIMIT).ok();
        let none = "0000000000000000";
        let expected = format!("SigBlk:\t{none}\nSigIgn:\t{none}\nSigCgt:\t{none}\n");
        assert_eq!(done.stdout, expected, "{flags:?}");
    }
    world.assert_clean();
}

/// 40, 42: made for the user, with the mask that everything has.
#[test]
fn a_working_directory_belongs_to_the_user() {
    let world = World::of(&samples::small().workdir("/made/for/it"));
    for (user, owner) in [("ada", "1815:1816"), ("7:8", "7:8"), ("0", "0:0")] {
        let script = "umask; stat -c %u:%g:%a /made/for/it; : >/tmp/x; stat -c %a /tmp/x";
        let mut command = world.ucr.by_shell("umask 077; exec \"$@\"");
        command.args(["run", "-u", user, &world.image, "sh", "-c", script]);
        let done = process::run(&mut command, b"", LIMIT).ok();
        assert_eq!(done.stdout, format!("0022\n{owner}:755\n644\n"));
    }
    world
        .run(&["-w", "relative"], &["true"])
        .refused(&["relative"]);
    world.assert_clean();
}

/// 55: a link, where the image has nothing.
#[test]
fn mtab_is_there() {
    let world = World::small();
    for flags in [&[][..], &["--userns", "auto"], &["--read-only"]] {
        let script = "readlink /etc/mtab; grep -c ' /proc ' /etc/mtab";
        assert_eq!(world.script(flags, script), "/proc/mounts\n1");
    }
    let layer = samples::busybox_layer().file("etc/mtab", "of the image\n");
    let own = World::of(&Image::new().layer(layer));
    assert_eq!(own.script(&[], "cat /etc/mtab"), "of the image");
    own.assert_clean();
    world.assert_clean();
}
