//! How containers end: exit codes, signals, stops.

use nix::sys::signal::Signal;

use super::super::row::{Act, Row, row};

const WAITS: &str =
    "trap 'echo got; exit 7' TERM INT USR1 HUP; echo ready; while :; do sleep 0.05; done";
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";

pub fn rows() -> Vec<Row> {
    let exits = |name, script, code| row(name, &[], &["sh", "-c", script]).code(code);
    let waits = |name, options: &[&'static str], act| {
        row(name, options, &["sh", "-c", WAITS]).act(act).code(7)
    };
    vec![
        exits("exit-0", "exit 0", 0),
        exits("exit-1", "exit 1", 1),
        exits("exit-42", "exit 42", 42),
        exits("exit-125", "exit 125", 125),
        exits("exit-126", "exit 126", 126),
        exits("exit-127", "exit 127", 127),
        exits("exit-128", "exit 128", 128),
        exits("exit-255", "exit 255", 255),
        row(
            "ends-by-a-signal",
            &["--init"],
            &["sh", "-c", "kill -SEGV $$"],
        )
        .code(139),
        row(
            "ends-by-a-signal-with-init",
            &["--init"],
            &["sh", "-c", "kill -TERM $$"],
        )
        .code(143),
        exits(
            "process-1-and-its-own-signal",
            "kill -TERM $$; kill -KILL $$; exit 3",
            3,
        ),
        exits("leaves-processes-behind", "sleep 100 & exit 4", 4),
        waits("sigterm", &[], Act::Signal(Signal::SIGTERM)),
        waits("sigint", &[], Act::Signal(Signal::SIGINT)),
        waits("sighup", &[], Act::Signal(Signal::SIGHUP)),
        waits("sigusr1", &[], Act::Signal(Signal::SIGUSR1)),
        row(
            "sigterm-with-init",
            &["--init"],
            &["sh", "-c", "echo ready; sleep 100"],
        )
        .act(Act::Signal(Signal::SIGTERM))
        .code(143),
        waits("stop", &["--name", "{name}"], Act::Command(&["stop"])),
        waits(
            "stop-signal",
            &["--name", "{name}", "--stop-signal", "HUP"],
            Act::Command(&["stop"]),
        ),
        waits(
            "stop-signal-of-the-image",
            &["--name", "{name}"],
            Act::Command(&["stop"]),
        )
        .of("stop-signal"),
        row(
            "stop-with-grace",
            &["--name", "{name}"],
            &["sh", "-c", DEAF],
        )
        .act(Act::Command(&["stop", "-t", "1"]))
        .code(137),
        row(
            "stop-with-grace-of-its-own",
            &["--name", "{name}", "--stop-timeout", "1"],
            &["sh", "-c", DEAF],
        )
        .act(Act::Command(&["stop"]))
        .code(137),
        waits(
            "kill-by-name",
            &["--name", "{name}"],
            Act::Command(&["kill", "-s", "INT"]),
        ),
        row("kill", &["--name", "{name}"], &["sh", "-c", DEAF])
            .act(Act::Command(&["kill"]))
            .code(137),
    ]
}
