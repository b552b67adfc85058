//! Where the values of an app's secrets are while its task runs and afterwards: in the task, and
//! nowhere that anybody looks.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use serde_json::json;

use super::stage::{ENGINE, LIMIT, Stage, natively, on_both};
use crate::life::wait_for;
use crate::support::process::spawn;

/// Unlike any other, and not as a whole in this program or in an argument.
fn value(word: &str) -> String {
    let half = "hidden-5c1d".to_owned();
    format!("{half}-{word}-{}", std::process::id())
}

/// The processes that have it in their arguments or environment.
fn processes_with(value: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let holds = |path: &Path, name: &str| {
        let bytes = fs::read(path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(value)
    };
    let found = entries.map(|it| it.path()).filter(|path| {
        let is_process = path.join("comm").exists();
        is_process && (holds(path, "cmdline") || holds(path, "environ"))
    });
    let named = found.map(|it| fs::read_to_string(it.join("comm")).unwrap_or_default());
    named.map(|it| it.trim().to_owned()).collect()
}

fn files_with(value: &str, directory: &Path) -> String {
    let mut grep = Command::new("grep");
    grep.args(["-rlaFs", "-D", "skip", "--", value])
        .arg(directory);
    let found = grep.output().unwrap();
    String::from_utf8_lossy(&found.stdout).into_owned()
}

#[track_caller]
fn assert_nowhere(stage: &Stage, value: &str, shown: &[String]) {
    for directory in [stage.ucr.root(), stage.ucr.state(), stage.ucr.home()] {
        assert_eq!(files_with(value, &directory), "");
    }
    if stage.is_docker {
        let client = ENGINE.directory().join("client");
        assert_eq!(files_with(value, &client), "");
    }
    for shown in shown {
        assert!(!shown.contains(value), "{shown}");
    }
}

#[test]
fn of_variables() {
    on_both(|stage| {
        let value = value("variable");
        let secrets = stage.ucr.scratch().dir("secrets");
        fs::write(secrets.join("key"), &value).unwrap();
        // Of the task, busybox's sleep shows its environment; its name is how it is told apart.
        let app = json!({
            "cmd": "test ${#KEY} -gt 20 && echo good; exec sleep 600",
            "env": {"KEY": {"secret": "key"}},
            "secrets": {"key": {"source": "key"}},
        });
        let file = stage.app("holder", &app);
        let events = stage.ucr.scratch().join("events");
        let mut command = stage
            .ucr
            .by_shell(r#"ulimit -c unlimited; exec "$@" 3>events"#);
        command
            .args([
                "run",
                "--verbose",
                "--app",
                file.to_str().unwrap(),
                "--name",
                "holder",
            ])
            .args([
                "--secrets-dir",
                secrets.to_str().unwrap(),
                "--status-fd",
                "3",
            ])
            .current_dir(stage.ucr.scratch().path());
        if stage.is_docker {
            command.env("DOCKER_HOST", ENGINE.host());
        }
        let running = spawn(&mut command, b"");
        running.wait_until("good", LIMIT, || running.stdout_so_far().contains("good"));
        wait_for("its last program", || processes_with(&value) == ["sleep"]);
        let file = file.to_str().unwrap();
        let shown = [
            &["inspect", "holder"][..],
            &["ps", "-a", "--no-trunc"],
            &["inspect", "--app", file],
        ];
        let mut shown: Vec<String> = shown
            .iter()
            .map(|words| stage.cmd(words).run())
            .map(|done| done.stdout + &done.stderr)
            .collect();
        shown.push(stage.run(&["ps", "-a", "--format", "json"]).ok().stdout);
        shown.push(stage.run(&["inspect", "holder"]).ok().stdout);
        shown.push(stage.run(&["inspect", &stage.image]).ok().stdout);
        shown.push(fs::read_to_string(&events).unwrap());
        assert_nowhere(stage, &value, &shown);
        // A fault of ucr's own leaves no core.
        kill(running.pid(), Signal::SIGABRT).unwrap();
        let done = running.finish(LIMIT);
        assert!(!done.stderr.contains(&value) && !done.stdout.contains(&value));
        let cores: Vec<_> = fs::read_dir(stage.ucr.scratch().path())
            .unwrap()
            .flatten()
            .filter(|it| it.file_name().to_string_lossy().starts_with("core"))
            .collect();
        assert!(cores.is_empty(), "{cores:?}");
        wait_for("its end", || {
            stage.run(&["ps"]).ok();
            processes_with(&value).is_empty()
        });
        fs::remove_dir_all(&secrets).unwrap();
        stage
            .start("clears", &json!({"cmd": "true"}), &[])
            .run()
            .ok();
        assert_nowhere(stage, &value, &[]);
        stage.assert_nothing();
    });
}

#[test]
fn of_files() {
    natively(|stage| {
        let value = value("file");
        let secrets = stage.ucr.scratch().dir("secrets");
        fs::write(secrets.join("key"), &value).unwrap();
        let app = json!({
            "cmd": "test $(wc -c <kept/key) -gt 20 && echo good; stat -fc %T kept/key; sleep 600",
            "secrets": {"key": {"source": "key"}},
            "container": {"volumes": [{"containerPath": "kept/key", "secret": "key"}]},
        });
        let flags = ["--secrets-dir", secrets.to_str().unwrap()];
        let running = stage.foreground("holder", &app, &flags);
        running.wait_until("good", LIMIT, || running.stdout_so_far().contains("good"));
        assert_eq!(processes_with(&value), Vec::<String>::new());
        let shown = stage.run(&["inspect", "holder"]).ok().stdout;
        assert_nowhere(stage, &value, &[shown]);
        stage.run(&["stop", "holder"]).ok();
        running.finish(LIMIT);
        assert_nowhere(stage, &value, &[]);
        stage.assert_nothing();
    });
}

/// What fails says why, and not with which value.
#[test]
fn of_what_fails() {
    on_both(|stage| {
        let value = value("fails");
        let secrets = stage.ucr.scratch().dir("secrets");
        fs::write(secrets.join("pull"), format!("{{\"auths\": {value}")).unwrap();
        let refused = |app: &serde_json::Value, flags: &[&str], word: &str| {
            let done = stage.start("refused", app, flags).run();
            assert_ne!(done.code, 0, "{done:?}");
            assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
            let all = format!("{}{}", done.stdout, done.stderr);
            assert!(!all.contains(&value), "{all}");
            stage.assert_nothing();
        };
        let directory = ["--secrets-dir", secrets.to_str().unwrap()];
        let pull = json!({
            "cmd": "true",
            "secrets": {"pull": {"source": "pull"}},
            "container": {"docker": {
                "pullConfig": {"secret": "pull"},
                "image": "127.0.0.1:1/none:1",
            }},
        });
        let id = match stage.is_docker {
            true => "E:pullconfig-docker",
            false => "E:pullconfig-format",
        };
        refused(&pull, &directory, id);
        let key = json!({
            "cmd": "true",
            "env": {"KEY": {"secret": "key"}},
            "secrets": {"key": {"source": "key"}},
        });
        refused(&key, &directory, "E:secret-unresolved");
        let program = stage.ucr.scratch().file(
            "program",
            format!("#!/bin/sh\necho {value}\necho cannot: {value} >&2\nexit 3\n"),
        );
        fs::set_permissions(
            &program,
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let command = format!("{} {{source}}", program.display());
        refused(&key, &["--secret-command", &command], "exit status: 3");
    });
}
