//! Values of secrets: the task has them, and nothing else that others can read, under both runtimes.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::process::tool;
use crate::support::ucr::Ucr;

use super::engine_life::Host;
use super::lan::eventually;
use super::world::World;

/// Unlike any other, and not as a whole in this program or in an argument.
fn value(word: &str) -> String {
    let half = "sesame-7f3e".to_owned();
    format!("{half}-{word}-{}", std::process::id())
}

/// Whose command line holds it.
fn arguments_with(value: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    lines.filter(|line| line.contains(value)).collect()
}

/// The files below a directory that hold it.
fn files_with(value: &str, directory: &Path) -> Vec<String> {
    let found = Command::new("grep")
        .args(["-rlaFs", "--", value])
        .arg(directory)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_hidden(ucr: &Ucr, value: &str, shown: &[String]) {
    assert_eq!(arguments_with(value), Vec::<String>::new());
    for directory in [ucr.root(), ucr.state()] {
        assert_eq!(files_with(value, &directory), Vec::<String>::new());
    }
    for shown in shown {
        assert!(!shown.contains(value), "{shown}");
        assert!(
            shown.contains("KEY") || !shown.contains("secrets"),
            "{shown}"
        );
    }
}

#[test]
fn natively() {
    let world = World::small();
    let value = value("native");
    let script = "echo $KEY >/seen; cat /run/key >>/seen; sleep 600";
    let secrets = [
        "environment=VALUE,env=KEY",
        "environment=VALUE,target=/run/key",
    ];
    let flags = [
        "-d",
        "--rm=false",
        "--secret",
        secrets[0],
        "--secret",
        secrets[1],
    ];
    let start = world.command(&flags, &["sh", "-c", script]);
    let id = start.env("VALUE", &value).run().ok().text().to_owned();
    let read = [
        "exec",
        &id,
        "sh",
        "-c",
        "while ! test -s /seen; do sleep 0.1; done; cat /seen",
    ];
    let seen = world.ucr.run(read).ok().stdout;
    assert_eq!(seen, format!("{value}\n{value}"));
    world.ucr.run(["exec", &id, "rm", "/seen"]).ok();
    let shown = [
        &["inspect", &id][..],
        &["ps", "--format", "json"],
        &["logs", &id],
    ]
    .map(|words| world.ucr.run(words).ok().stdout);
    assert_hidden(&world.ucr, &value, &shown);
    world.ucr.run(["rm", "-f", &id]).ok();
}

/// A document cannot say that there is a value beside it.
#[test]
fn no_document_has_a_value_beside_it() {
    let ucr = Ucr::new();
    let document = r#"{"version":1,"rootfs":"/","args":["true"],
        "secrets":[{"source":{"given":"a"},"target":{"environment":"A"}}]}"#;
    let done = ucr.cmd(["run", "--spec", "-"]).stdin(document).run();
    done.refused(&["secrets[0].source: 'given'", "file or environment"]);
}

#[test]
fn in_the_engine() {
    let host = Host::new();
    let value = value("engine");
    let secret = [
        "-d",
        "-e",
        "KEY=plain",
        "--secret",
        "environment=VALUE,env=KEY",
    ];
    let script = "test ${#KEY} = $0 && echo good; sleep 600";
    let length = value.len().to_string();
    let start = host.start(&secret, &["sh", "-c", script, &length]);
    let id = start.env("VALUE", &value).run().ok().text().to_owned();
    eventually("it has the value", || {
        host.run(&["logs", &id]).ok().stdout == "good\n"
    });
    let shown = [&["inspect", &id][..], &["ps", "--format", "json"]]
        .map(|words| host.run(words).ok().stdout);
    assert_hidden(&host.ucr, &value, &shown);
    let labels = ["inspect", "--format", "{{json .Config.Labels}}", &id];
    let mut docker = Command::new("docker");
    let labels = tool(docker.args(["--host", &host.host()]).args(labels));
    assert!(
        labels.contains("KEY") && !labels.contains(&value),
        "{labels}"
    );
    host.run(&["rm", "-f", &id]).ok();
    // What docker would take as an argument only, and what is nobody's business beforehand.
    let lines = format!("{value}\nsecond");
    let start = host
        .start(&secret[3..], &["true"])
        .env("VALUE", &lines)
        .run();
    assert!(!start.stderr.contains(&value), "{}", start.stderr);
    start.refused(&["secrets[0] (--secret)", "several lines"]);
    let shown = host.start(&["--dry-run", secret[3], secret[4]], &["true"]);
    let shown = shown.env("VALUE", &value).run().ok().stdout;
    assert!(
        shown.contains("KEY=…") && !shown.contains(&value),
        "{shown}"
    );
    let file = host.start(&["--secret", "environment=VALUE,target=/k"], &["true"]);
    file.run()
        .refused(&["secrets[0] (--secret)", "files in memory"]);
}
