//! The life of containers in a real Engine, and of ucr beside it.

mod away;
mod host;
mod kills;
mod others;
mod pulls;
mod streams;

use std::time::{Duration, Instant};

use host::{DEAF, LIMIT, SERVES};
pub use host::{Host, image};

/// Whatever ucr started it.
#[test]
fn any_ucr_finds_them() {
    let (one, other) = (Host::new(), Host::new());
    let id = one.background(&["--name", "adopted", "--label", "mine=1"], SERVES);
    assert_eq!(one.private().len(), 0, "nobody is to remove it");
    let ps = |filter: &str| {
        let words = ["ps", "--quiet", "--filter", filter];
        other.run(&words).ok().text().to_owned()
    };
    assert_eq!(ps("name=adopted"), id);
    assert_eq!(ps("label=mine=1"), id);
    assert_eq!(ps("label=mine=2"), "");
    assert_eq!(
        other
            .run(&["ps", "-q", "-f", "status=exited", "-f", "name=adopted"])
            .ok()
            .text(),
        ""
    );
    let document = other.inspect("adopted");
    assert_eq!(document["status"], "running");
    assert_eq!(document["id"], id.as_str());
    let taken = one.start(&["--name", "adopted"], &["true"]).run();
    taken.refused(&["already in use", "hint: take another --name"]);
    other.run(&["stop", "-t", "5", "adopted"]).ok();
    assert_eq!(other.run(&["wait", "adopted"]).ok().text(), "9");
    assert_eq!(
        one.run(&["ps", "-q", "-f", "status=exited", "-f", "name=adopted"])
            .ok()
            .text(),
        id
    );
    other.run(&["rm", "adopted"]).ok();
    one.run(&["inspect", "adopted"])
        .refused(&["no container of ucr's"]);
}

#[test]
fn two_at_once_with_one_name() {
    let host = Host::new();
    let start = || host.start(&["--name", "twice"], &["sleep", "1"]).spawn();
    let mut codes = [start(), start()].map(|run| run.finish(LIMIT).code);
    codes.sort_unstable();
    assert_eq!(codes, [0, 125]);
    host.start(&["--name", "twice"], &["true"]).run().ok();
    assert_eq!(host.private().len(), 0);
}

#[test]
fn ending_them() {
    let host = Host::new();
    host.background(&["--name", "deaf"], DEAF);
    host.run(&["rm", "deaf"])
        .refused(&["container deaf is running", "ucr rm -f deaf"]);
    let begin = Instant::now();
    host.run(&["stop", "-t", "1", "deaf"]).ok();
    assert!(
        (1..20).contains(&begin.elapsed().as_secs()),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(host.run(&["wait", "deaf"]).ok().text(), "137");
    host.run(&["kill", "deaf"])
        .refused(&["container deaf is not running"]);
    host.run(&["exec", "deaf", "true"])
        .refused(&["container deaf is not running"]);
    host.run(&["rm", "deaf"]).ok();

    host.background(&["--name", "gone", "--rm"], SERVES);
    let waits = host.cmd(&["wait", "gone"]).spawn();
    assert!(!waits.ended_within(Duration::from_millis(500)));
    host.run(&["kill", "-s", "TERM", "gone"]).ok();
    assert_eq!(waits.finish(LIMIT).ok().text(), "9");
    let begin = Instant::now();
    while host.run(&["inspect", "gone"]).code == 0 {
        assert!(begin.elapsed() < LIMIT);
    }
    host.background(&["--name", "forced"], DEAF);
    host.run(&["rm", "-f", "forced"]).ok();
    host.run(&["stop", "forced"])
        .refused(&["there is no container 'forced'"]);
}

#[test]
fn logs() {
    let host = Host::new();
    let script = "echo err >&2; sleep 0.3; echo one; echo two; echo ready; while ! [ -e /go ]; do sleep 0.05; \
                  done; echo last";
    host.background(&["--name", "logs"], script);
    let follows = host.cmd(&["logs", "-f", "--tail", "1", "logs"]).spawn();
    follows.wait_until("its tail", LIMIT, || follows.stdout_so_far() == "ready\n");
    let all = host.run(&["logs", "logs"]).ok();
    assert_eq!((&*all.stdout, &*all.stderr), ("one\ntwo\nready\n", "err\n"));
    host.run(&["exec", "logs", "touch", "/go"]).ok();
    assert_eq!(follows.finish(LIMIT).ok().stdout, "ready\nlast\n");
    host.run(&["rm", "-f", "logs"]).ok();
}

/// As the native runtime says it, and on the same stream.
#[test]
fn exit_codes_of_exec() {
    let host = Host::new();
    host.background(&["--name", "exec"], SERVES);
    let exec = |words: &[&str]| host.run(&[&["exec"], words].concat());
    assert_eq!(
        exec(&["exec", "sh", "-c", "echo out; echo err >&2; exit 3"])
            .expect_code(3)
            .stdout,
        "out\n"
    );
    exec(&["exec", "sh", "-c", "kill -9 $$"]).expect_code(137);
    let rows: &[(&[&str], i32, &str)] = &[
        (
            &["exec", "nope"],
            127,
            "ucr: command 'nope' is not in the container's PATH\n",
        ),
        (
            &["exec", "/no/such"],
            127,
            "ucr: command '/no/such' is not in the image\n",
        ),
        (
            &["exec", "/etc"],
            126,
            "ucr: command '/etc' cannot be executed: ",
        ),
        (
            &["exec", "/etc/passwd"],
            126,
            "ucr: command '/etc/passwd' cannot be executed: ",
        ),
        (&["-u", "nobody2", "exec", "true"], 125, "ucr: "),
        (
            &["-d", "exec", "nope"],
            127,
            "ucr: command 'nope' is not in the container's PATH\n",
        ),
    ];
    for (words, code, begin) in rows {
        let done = exec(words);
        let is_so = done.code == *code && done.stderr.starts_with(begin);
        assert!(is_so && done.stdout.is_empty(), "{words:?} {done:?}");
    }
    host.run(&["rm", "-f", "exec"]).ok();
}
