//! What goes in and out, typed or piped.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::host::{DEAF, Host, LIMIT, SERVES};
use crate::support::process;
use crate::terminal::Tmux;

impl Host {
    /// `ucr WORDS` as `"$@"` of a shell.
    fn by_shell(&self, script: &str, words: &[&str]) -> Command {
        let mut command = self.ucr.by_shell(script);
        let host = self.host();
        command.args(["--runtime", "docker"]).args(words);
        command
            .env("DOCKER_HOST", host)
            .env("HOME", self.ucr.home());
        command
    }
}

#[test]
fn signals() {
    let host = Host::new();
    let run = host.ready(&[], SERVES);
    run.signal(Signal::SIGUSR1);
    run.wait_until("usr1", LIMIT, || run.stdout_so_far().contains("usr1"));
    run.signal(Signal::SIGTERM);
    run.finish(LIMIT).expect_code(9);

    let run = host.ready(&[], DEAF);
    for _ in 0..3 {
        assert!(!run.ended_within(std::time::Duration::from_millis(300)));
        run.signal(Signal::SIGTERM);
    }
    run.finish(LIMIT).expect_code(137);
    assert_eq!(host.private().len(), 0);
}

#[test]
fn fifty_megabytes_through_a_pipe() {
    let host = Host::new();
    let script = "head -c 50000000 /dev/zero | \"$@\" | wc -c";
    let cat = ["run", "-i", &host.image, "cat"];
    let counted = process::tool(&mut host.by_shell(script, &cat));
    assert_eq!(counted.trim(), "50000000");
    let script = "head -c 50000000 /dev/zero | \"$@\" 2>&1 >/dev/null | wc -c";
    let words = ["run", "-i", &host.image, "sh", "-c", "cat >&2"];
    let counted = process::tool(&mut host.by_shell(script, &words));
    assert_eq!(counted.trim(), "50000000", "stderr goes through ucr");
    host.background(&["--name", "piped"], SERVES);
    let script = "head -c 50000000 /dev/zero | \"$@\" | wc -c";
    let exec = ["exec", "-i", "piped", "cat"];
    let counted = process::tool(&mut host.by_shell(script, &exec));
    assert_eq!(counted.trim(), "50000000", "exec");
    let script = "\"$@\" | head -c 2";
    let exec = ["exec", "piped", "sh", "-c", "while echo y; do :; done"];
    assert_eq!(process::tool(&mut host.by_shell(script, &exec)), "y\n");
    host.run(&["rm", "-f", "piped"]).ok();
}

#[test]
fn who_is_told_what_happens() {
    let host = Host::new();
    let events = host.ucr.scratch().join("events");
    let cidfile = host.ucr.scratch().join("cid");
    let script = format!("\"$@\" 3>{}", events.display());
    let cid = cidfile.display().to_string();
    let words = [
        "run",
        "--status-fd",
        "3",
        "--cidfile",
        &cid,
        &host.image,
        "sh",
        "-c",
        "exit 4",
    ];
    process::run(&mut host.by_shell(&script, &words), b"", LIMIT).expect_code(4);
    let id = std::fs::read_to_string(cidfile).unwrap();
    let lines = std::fs::read_to_string(events).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    let names: Vec<_> = lines
        .iter()
        .map(|it| it["event"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, ["created", "started", "exited"], "{lines:?}");
    assert!(
        lines.iter().all(|it| it["id"] == id.trim()),
        "{lines:?} {id}"
    );
    assert!(lines[1]["pid"].is_number(), "{lines:?}");
    assert_eq!(lines[2]["exit_code"], 4, "{lines:?}");
}

#[test]
fn a_session() {
    let host = Host::new();
    let tmux = Tmux::at(host.ucr.scratch().path());
    let type_line = |words: &[&str]| {
        let command = host.by_shell("exec \"$@\"", words);
        let all = command.get_args().skip(3);
        let quoted = all.map(|word| format!("'{}'", word.to_str().unwrap()));
        let words = quoted.collect::<Vec<_>>().join(" ");
        let (home, docker) = (host.ucr.home().display().to_string(), host.host());
        let script = format!(
            "trap : INT; PATH=/usr/bin:/bin HOME={home} DOCKER_HOST={docker} {words}; echo code=$?\n"
        );
        let script = host.ucr.scratch().file("typed", script);
        tmux.type_line(&format!("clear; sh {}", script.display()));
    };
    type_line(&["run", "-it", "--name", "session", &host.image, "sh"]);
    tmux.shows("# ");
    tmux.type_line("stty size; trap 'echo i''nt' INT; sleep 1000; echo after=$?");
    tmux.shows("30 100");
    tmux.keys_until(&["C-c"], "after=130");
    tmux.keys(&["C-p", "C-q"]);
    tmux.shows("code=0");
    assert_eq!(host.inspect("session")["status"], "running");
    type_line(&["attach", "session"]);
    tmux.type_line("");
    tmux.type_line("exit 6");
    tmux.shows("code=6");
    type_line(&[
        "run",
        &host.image,
        "sh",
        "-c",
        r#"trap "exit 5" INT; echo re""ady; while :; do sleep 0.1; done"#,
    ]);
    tmux.shows("ready");
    tmux.keys(&["C-c"]);
    tmux.shows("code=5");
    // It was let go of, and not to be kept: the first command after its end removes it.
    host.run(&["inspect", "session"]).refused(&["'session'"]);
}
