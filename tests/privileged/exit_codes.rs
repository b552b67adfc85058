//! What a container's end means to the caller of `ucr run` (design D11).

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::samples;

use super::world::World;

#[test]
fn the_own_code_of_the_command() {
    let world = World::busybox();
    for code in [0, 1, 2, 42, 124, 255] {
        let done = world.run(&[], &["sh", "-c", &format!("exit {code}")]);
        assert_eq!(done.expect_code(code).stderr, "");
    }
    world.assert_clean();
}

/// PID 1 without a handler ignores SIGTERM from inside, as in docker; below an init it dies of it.
#[test]
fn signals() {
    let world = World::busybox();
    let own = "kill -TERM $$";
    let child = "sh -c \"kill -TERM \\$\\$\"; exit $?";
    let rows: [(&[&str], &str, i32); 6] = [
        (&["--init"], own, 143),
        (&[], own, 0),
        (&["--init"], child, 143),
        (&[], child, 143),
        (&["--init"], "kill -KILL $$", 137),
        (&[], "sh -c \"kill -KILL \\$\\$\"; exit $?", 137),
    ];
    for (flags, script, code) in rows {
        world.run(flags, &["sh", "-c", script]).expect_code(code);
    }
    world.assert_clean();
}

#[test]
fn what_cannot_be_executed() {
    let layer = Layer::new()
        .file("data", "no program")
        .dir("directory", 0o755)
        .program("bad", "\x7fELF but not quite")
        .program("no-interpreter", "#!/no/such/interpreter\n");
    let world = World::of(&samples::small().layer(layer));
    let rows: &[(&str, i32)] = &[
        ("no-such-command", 127),
        ("/no/such/path", 127),
        ("/data", 126),
        ("/directory", 126),
        ("/bad", 126),
        ("/no-interpreter", 127),
        ("/data/below", 127),
    ];
    for init in [&[][..], &["--init"]] {
        for (command, code) in rows {
            let done = world.run(init, &[command]).expect_code(*code);
            assert!(
                done.stderr.contains(command),
                "{}: {}",
                done.line,
                done.stderr
            );
            assert!(
                done.stderr.starts_with("ucr: "),
                "{}: {}",
                done.line,
                done.stderr
            );
        }
    }
    world.assert_clean();
}

/// A command that is found in PATH but may not be executed is 126; later directories still count.
#[test]
fn the_search_in_path() {
    let layer = Layer::new()
        .dir("first", 0o755)
        .file("first/tool", "no program")
        .file("first/only-here", "no program")
        .dir("second", 0o755)
        .program("second/tool", "#!/bin/sh\necho second\n");
    let image = samples::small()
        .layer(layer)
        .env(&["PATH=/first:/second:/bin"]);
    let world = World::of(&image);
    assert_eq!(world.run(&[], &["tool"]).ok().text(), "second");
    world.run(&[], &["only-here"]).expect_code(126);
}

/// Docker's rule for a command that nobody gave: a clear error, before anything starts.
#[test]
fn no_command_at_all() {
    let layer = Layer::new().file("a", "a");
    let world = World::of(&Image::new().layer(layer));
    world.run(&[], &[]).refused(&["command"]);
    world.assert_clean();
}

#[test]
fn faults_before_the_start_are_125() {
    let world = World::busybox();
    let rows: [(&[&str], &str); 5] = [
        (&["-u", "nobody-of-that-name"], "nobody-of-that-name"),
        (&["-v", "/no/such/source:/x"], "/no/such/source"),
        (&["-e", "=x"], "=x"),
        (&["-w", "relative"], "relative"),
        (&["-v", "tmp"], "tmp"),
    ];
    for (flags, word) in rows {
        world.run(flags, &["true"]).refused(&[word]);
    }
    world.assert_clean();
}
