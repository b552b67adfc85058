//! `ucr exec`: another command in a running container.

use super::life::{LIMIT, wait_for};
use super::world::World;
use crate::support::image::Image;
use crate::support::samples;
use crate::support::user::User;

/// A container that waits for its end.
fn waiting(flags: &[&str]) -> World {
    let world = World::small();
    let flags = [&["--name", "box"], flags].concat();
    world.background(&flags, &["sleep", "1000"]);
    world
}

fn exec(world: &World, words: &[&str]) -> crate::support::process::Finished {
    world.ucr.run([&["exec"], words].concat())
}

#[track_caller]
fn inside(world: &World, flags: &[&str], script: &str) -> String {
    let words = [flags, &["box", "sh", "-c", script]].concat();
    exec(world, &words).ok().stdout.trim_end().to_owned()
}

fn remove(world: &World) {
    world.ucr.run(["rm", "-f", "box"]).ok();
    world.assert_clean();
}

/// Whatever isolates the container's own command isolates this one.
#[test]
fn it_is_like_the_containers_own() {
    let own = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups|Uid|Gid)' /proc/self/status; \
               for n in mnt pid ipc uts net cgroup user; do readlink /proc/self/ns/$n; done; \
               umask; ulimit -n; cat /proc/self/cgroup; hostname; env | sort; pwd";
    let all = [
        &[][..],
        &["--cap-drop", "ALL"],
        &["--privileged"],
        &["--network", "none"],
        &[
            "-u",
            "1000:1000",
            "--group-add",
            "7",
            "-e",
            "A=b",
            "-w",
            "/tmp",
        ],
        &["--userns", "auto"],
        &["--security-opt", "no-new-privileges=false"],
        &["--memory", "64m", "--ulimit", "nofile=100:200"],
    ];
    // Those a user cannot have.
    let of_root = |flags: &&&[&str]| ["--userns", "--memory"].iter().any(|it| flags.contains(it));
    let is_user = User::from_environment().is_some();
    for flags in all.iter().filter(|flags| !is_user || !of_root(flags)) {
        let world = World::small();
        let script = format!(
            "({own}) >/tmp/part 2>&1; chmod 644 /tmp/part; mv /tmp/part /tmp/own; sleep 1000"
        );
        let flags = [&["--name", "box"], *flags].concat();
        world.background(&flags, &["sh", "-c", &script]);
        let ready = || exec(&world, &["box", "test", "-s", "/tmp/own"]).code == 0;
        wait_for("own", ready);
        // The shell of the container's own command has set one of its own.
        let without = |text: String| {
            let lines = text.lines().filter(|line| !line.starts_with("SHLVL"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let expected = without(inside(&world, &[], "cat /tmp/own"));
        assert!(expected.len() > 15, "{expected:?}");
        assert_eq!(without(inside(&world, &[], own)), expected, "{flags:?}");
        remove(&world);
    }
}

#[test]
fn exit_codes() {
    let world = waiting(&[]);
    for (words, code) in [
        (&["box", "sh", "-c", "exit 9"][..], 9),
        (&["box", "sh", "-c", "kill -TERM $$"], 143),
        (&["box", "nosuch"], 127),
        (&["box", "/etc"], 126),
        (&["nosuch", "true"], 125),
        (&["-u", "nobody-here", "box", "true"], 125),
        (&["-w", "/nosuch", "box", "true"], 125),
        (&["-e", "=x", "box", "true"], 125),
        (&["box"], 125),
    ] {
        exec(&world, words).expect_code(code);
    }
    remove(&world);
    exec(&world, &["box", "true"]).refused(&["'box'"]);
}

#[test]
fn options() {
    let world = waiting(&["-e", "OWN=1"]);
    assert_eq!(
        inside(&world, &["-e", "A=b", "-e", "OWN=2"], "echo $A $OWN"),
        "b 2"
    );
    assert_eq!(inside(&world, &["-w", "/etc"], "pwd"), "/etc");
    assert_eq!(inside(&world, &["-u", "1000"], "id -u; id -g"), "1000\n0");
    let capabilities = inside(&world, &["--privileged"], "grep CapEff /proc/self/status");
    assert!(
        capabilities.ends_with("fffffffff") || capabilities.contains("1fffeffffff"),
        "{capabilities}"
    );
    let file = world.ucr.scratch().join("env");
    std::fs::write(&file, "F=1\n# no\nG=2 3\n").unwrap();
    let flags = ["--env-file", file.to_str().unwrap()];
    assert_eq!(inside(&world, &flags, "echo $F $G"), "1 2 3");
    remove(&world);
}

#[test]
fn streams_are_its_own() {
    let world = waiting(&[]);
    let words = ["exec", "-i", "box", "sh", "-c", "cat; echo err >&2"];
    let done = world.ucr.cmd(words).stdin("in").run().ok();
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("in", "err\n")
    );
    let words = ["exec", "box", "cat"];
    assert_eq!(world.ucr.cmd(words).stdin("in").run().ok().stdout, "");
    let open = inside(&world, &[], "ls /proc/self/fd | wc -l");
    // Three, and the directory that ls reads.
    assert_eq!(open, "4");
    exec(
        &world,
        &["-d", "box", "sh", "-c", "sleep 0.2; echo x >/tmp/made"],
    )
    .ok();
    wait_for("what it makes", || {
        exec(&world, &["box", "test", "-e", "/tmp/made"]).code == 0
    });
    remove(&world);
}

/// Limits hold for it, too, and it ends with the container.
#[test]
fn it_is_in_the_containers_cgroups_and_dies_with_it() {
    let world = waiting(&["--pids-limit", "5"]);
    let done = exec(
        &world,
        &[
            "box",
            "sh",
            "-c",
            "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done",
        ],
    );
    assert!(done.stderr.contains("fork"), "{done:?}");
    wait_for("room", || exec(&world, &["box", "true"]).code == 0);
    let running = world.ucr.cmd(["exec", "box", "sleep", "1000"]).spawn();
    wait_for("it runs", || {
        inside(&world, &[], "ps").contains("sleep 1000\n")
    });
    world.ucr.run(["kill", "box"]).ok();
    assert_eq!(running.finish(LIMIT).code, 137);
    remove(&world);
}

/// A container that waits at `/bin/sh` for whoever comes in by `exec` must not get a hold of the
/// host's program (CVE-2019-5736) or anything open in it.
#[test]
fn a_hostile_container_gets_nothing() {
    let image = Image::new()
        .layer(samples::busybox_layer())
        .layer(crate::support::layer::Layer::new().symlink("bin/trap", "/proc/self/exe"))
        .cmd(&["sh"]);
    let world = World::of(&image);
    world.background(&["--name", "box"], &["sleep", "1000"]);
    // What it executes is never ucr itself from the host's disk.
    let binary = crate::support::ucr::Ucr::binary();
    let before = std::fs::read(&binary).unwrap();
    exec(&world, &["box", "/bin/trap", "--version"]);
    let watch = "i=0; while [ $i -lt 200 ]; do for p in /proc/[0-9]*; do \
                 echo evil 2>/dev/null >$p/exe; ls -l $p/fd $p/cwd $p/root 2>/dev/null; done; \
                 i=$((i+1)); done";
    let watching = world.ucr.cmd(["exec", "box", "sh", "-c", watch]).spawn();
    for _ in 0..30 {
        exec(&world, &["box", "true"]).ok();
    }
    watching.wait_until("much seen", LIMIT, || {
        watching.stdout_so_far().len() > 10_000
    });
    let seen = watching.stdout_so_far();
    drop(watching);
    assert!(std::fs::read(&binary).unwrap() == before);
    let root = world.ucr.root();
    let leaks = seen.lines().filter(|line| {
        line.contains(root.to_str().unwrap())
            || line.contains("/sys/fs/cgroup")
            || line.contains("/dev/shm/")
    });
    let leaks: Vec<_> = leaks.collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    remove(&world);
}

/// Another process that got the number of a container's first one is not entered.
#[test]
fn a_number_of_another_process_is_noticed() {
    let world = waiting(&[]);
    let id = world.inspect("box")["id"].as_str().unwrap().to_owned();
    let record = world
        .ucr
        .state()
        .join("containers")
        .join(format!("{id}.json"));
    let text = std::fs::read_to_string(&record).unwrap();
    let pid = world.inspect("box")["pid"].as_i64().unwrap();
    let false_one = text.replace(
        &format!("\"pid\":{pid}"),
        &format!("\"pid\":{}", std::process::id()),
    );
    assert_ne!(false_one, text);
    std::fs::write(&record, &false_one).unwrap();
    exec(&world, &["box", "true"]).refused(&["not running"]);
    std::fs::write(&record, &text).unwrap();
    remove(&world);
}

/// It is entered as it is, whoever else belongs to it.
#[test]
fn what_it_shares_with_need_not_be_there() {
    let world = World::small();
    world.background(
        &["--name", "other", "--network", "none", "--ipc", "shareable"],
        &["sleep", "1000"],
    );
    let shared = ["--network", "container:other", "--ipc", "container:other"];
    world.background(
        &[&["--name", "box"][..], &shared].concat(),
        &["sleep", "1000"],
    );
    let namespaces = "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc";
    let seen = inside(&world, &[], namespaces);
    let others = world
        .ucr
        .run(["exec", "other", "sh", "-c", namespaces])
        .ok();
    assert_eq!(others.stdout.trim_end(), seen);
    world.ucr.run(["rm", "-f", "other"]).ok();
    assert_eq!(inside(&world, &[], namespaces), seen);
    remove(&world);
}
