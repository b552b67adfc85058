//! The flags about a container's life: in the background, attached, stopped, started again.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::need;
use crate::support::process::{self, Finished};

use super::{LIMIT, World};

/// A script in the background in a container called "box", whose scratch is `/signs`.
fn start(world: &World, flags: &[&str], script: &str) -> String {
    let signs = world.ucr.scratch().dir("signs");
    let volume = format!("{}:/signs", signs.display());
    let own = ["--detach", "--name", "box", "-v", &volume];
    let flags = [&own, flags].concat();
    let done = world.run(&flags, &["sh", "-c", script]).ok();
    done.text().to_owned()
}

fn ucr(world: &World, words: &[&str]) -> Finished {
    world.ucr.run(words)
}

/// Its exit code, when it has ended.
#[track_caller]
fn ended(world: &World) -> String {
    ucr(world, &["wait", "box"]).ok().text().to_owned()
}

#[track_caller]
fn remove(world: &World) {
    ucr(world, &["rm", "--force", "box"]).ok();
    world.assert_clean();
}

#[track_caller]
fn wait_for(world: &World, file: &str) {
    let path = world.ucr.scratch().join("signs").join(file);
    let deadline = Instant::now() + LIMIT;
    while !path.exists() {
        assert!(Instant::now() < deadline, "no {}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn in_the_background() {
    let world = World::small();
    let id = start(&world, &["--network", "none"], "hostname; exit 7");
    assert_eq!(ended(&world), "7");
    assert_eq!(ucr(&world, &["logs", "box"]).ok().text(), id);
    // The name is taken as long as it is there, and free then.
    let flags = ["-d", "--name", "box"];
    world.run(&flags, &["true"]).refused(&["'box'"]);
    remove(&world);
    start(&world, &[], "true");
    assert_eq!(ended(&world), "0");
    remove(&world);
}

#[test]
fn streams() {
    let world = World::small();
    let both = ["sh", "-c", "echo out; echo err >&2"];
    for (flags, expected) in [
        (&["--attach", "stdout"][..], ("out\n", "")),
        (&["-a", "stderr"], ("", "err\n")),
        (&["-a", "stdout", "-a", "stderr"], ("out\n", "err\n")),
    ] {
        let flags = [flags, &["--rm"]].concat();
        let done = world.run(&flags, &both).ok();
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), expected);
    }
    world
        .run(&["-a", "x"], &["true"])
        .refused(&["--attach 'x'"]);
    world.assert_clean();
}

/// They are typed; what was started goes on.
#[test]
fn keys_that_let_go() {
    let world = World::small();
    let script = need::program("script", "bsdutils");
    let signs = world.ucr.scratch().dir("signs");
    let line = format!(
        "{} --root {} --state {} run -it --name box --detach-keys ctrl-a,x -v {}:/signs {} \
         sh -c 'touch /signs/ready; while ! [ -e /signs/end ]; do sleep 0.05; done; touch /signs/after'",
        crate::support::ucr::Ucr::binary().display(),
        world.ucr.root().display(),
        world.ucr.state().display(),
        signs.display(),
        world.image,
    );
    let typed = format!(
        "(while ! [ -e {0}/ready ]; do sleep 0.05; done; printf '\\001x'; sleep 5) | {1} -qec \"$0\" /dev/null; touch {0}/end",
        signs.display(),
        script.display(),
    );
    let mut command = Command::new("sh");
    process::run(command.args(["-c", &typed, &line]), b"", LIMIT).ok();
    wait_for(&world, "after");
    // It is removed at its end, which may be before anybody asks.
    let _ = ucr(&world, &["wait", "box"]);
    world.assert_clean();
}

#[test]
fn logs() {
    let world = World::small();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    start(&world, &["--log-opt", "max-size=64k"], script);
    assert_eq!(ended(&world), "0");
    let kept = ucr(&world, &["logs", "box"]).ok().stdout;
    assert!(kept.ends_with("line 19999\n"));
    assert!(!kept.contains("line 1\n") && kept.len() < 100_000);
    remove(&world);
    start(&world, &["--log-driver", "none"], script);
    assert_eq!(ended(&world), "0");
    ucr(&world, &["logs", "box"]).refused(&["box"]);
    remove(&world);
    let flags = ["-d", "--log-driver", "syslog"];
    world.run(&flags, &["true"]).refused(&["syslog"]);
}

#[test]
fn again() {
    let world = World::small();
    start(
        &world,
        &["--restart", "on-failure:2"],
        "echo >>/signs/starts; exit 9",
    );
    assert_eq!(ended(&world), "9");
    let starts = world.ucr.scratch().join("signs/starts");
    assert_eq!(fs::read_to_string(&starts).unwrap(), "\n\n\n");
    remove(&world);
    start(&world, &["--restart=on-failure"], "echo >>/signs/starts");
    assert_eq!(ended(&world), "0");
    assert_eq!(fs::read_to_string(&starts).unwrap(), "\n\n\n\n");
    remove(&world);
}

#[test]
fn stopping() {
    let world = World::small();
    let script = "trap 'echo usr1; exit 3' USR1; touch /signs/ready; while :; do sleep 0.05; done";
    start(&world, &["--stop-signal", "USR1"], script);
    wait_for(&world, "ready");
    ucr(&world, &["stop", "box"]).ok();
    assert_eq!(
        (
            ended(&world).as_str(),
            ucr(&world, &["logs", "box"]).ok().text()
        ),
        ("3", "usr1")
    );
    remove(&world);
    let begin = Instant::now();
    start(
        &world,
        &["--stop-timeout", "1"],
        "trap '' TERM; while :; do sleep 0.05; done",
    );
    ucr(&world, &["stop", "box"]).ok();
    assert_eq!(ended(&world), "137");
    assert!(begin.elapsed() < Duration::from_secs(8));
    remove(&world);
}

/// What is not passed on is not heard of inside.
#[test]
fn signals() {
    let world = World::small();
    let signs = world.ucr.scratch().dir("signs");
    let volume = format!("{}:/signs", signs.display());
    let script = "trap 'touch /signs/usr1' USR1; touch /signs/ready; \
                  while ! [ -e /signs/end ]; do sleep 0.05; done";
    for (flag, is_heard) in [("--sig-proxy=false", false), ("--sig-proxy", true)] {
        let _ = fs::remove_file(signs.join("ready"));
        let _ = fs::remove_file(signs.join("end"));
        let flags = ["--name", "box", "--rm", "-v", &volume, flag];
        let running = world.command(&flags, &["sh", "-c", script]).spawn();
        wait_for(&world, "ready");
        running.signal(Signal::SIGUSR1);
        if is_heard {
            wait_for(&world, "usr1");
        } else {
            // Whatever the signal does to ucr, it does it at once.
            running.ended_within(Duration::from_millis(300));
        }
        fs::write(signs.join("end"), "").unwrap();
        let _ = running.finish(LIMIT);
        assert_eq!(signs.join("usr1").exists(), is_heard, "{flag}");
        let _ = ucr(&world, &["wait", "box"]);
    }
    world.assert_clean();
}
