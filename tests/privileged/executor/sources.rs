//! What runs, and in what environment.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Play, data, descendants, environ, over, states};
use crate::supervised::stage::{ask, natively, on_both};
use crate::support::fake_agent::{EXECUTOR, FRAMEWORK, Options};
use crate::support::layout::Layout;
use crate::support::registry::Registry;
use crate::support::samples;

/// Case 61: the first call, its head, and who knows the token.
#[test]
fn the_first_call_and_who_knows_the_token() {
    const TOKEN: &str = "made.up-token_of-this-test";
    natively(|stage| {
        let options = Options {
            token: Some(TOKEN),
            ..Options::default()
        };
        let play = Play::with(stage, options, &[]);
        play.launch_running("t", "env; echo ready; sleep 1000", json!({}));
        play.printed("ready");
        let first = &play.agent.calls()[0];
        assert_eq!(first.body["type"], "SUBSCRIBE");
        assert_eq!(first.body["executor_id"]["value"], EXECUTOR);
        assert_eq!(first.body["framework_id"]["value"], FRAMEWORK);
        let empty = json!({"unacknowledged_tasks": [], "unacknowledged_updates": []});
        assert_eq!(first.body["subscribe"], empty);
        let executor = play.running.pid().as_raw();
        let below = descendants(executor);
        assert!(below.len() >= 2, "{below:?}");
        for pid in below.into_iter().chain([executor]) {
            let environment = environ(pid);
            assert!(!environment.is_empty(), "{pid}");
            assert!(!environment.contains(TOKEN), "{pid}: {environment}");
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
            assert!(!line.contains(TOKEN), "{pid}: {line}");
        }
        let (_, done) = play.shut_down();
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(!said.contains(TOKEN), "{said}");
        // The sandbox is all that a task knows of Mesos.
        let known: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("MESOS_") || line.starts_with("LIBPROCESS"))
            .collect();
        assert_eq!(known.len(), 1, "{known:?}");
        assert!(known[0].starts_with("MESOS_SANDBOX="), "{known:?}");
    });
}

/// Cases 64 and 76, and where output goes.
#[test]
fn a_task_and_its_updates() {
    natively(|stage| {
        let play = Play::begin(stage);
        play.launch("t", "echo out; echo err >&2; echo kept >file", json!({}));
        let last = over(&play.agent, "t");
        assert_eq!(
            last.message.as_deref(),
            Some("Command exited with status 0")
        );
        let sandbox = play.agent.sandbox();
        assert_eq!(
            std::fs::read_to_string(sandbox.join("file")).unwrap(),
            "kept\n"
        );
        let (agent, done) = play.end();
        assert_eq!(states(&agent, "t"), "STARTING RUNNING FINISHED");
        let updates = agent.updates("t");
        for update in &updates {
            assert_eq!(update.status["source"], "SOURCE_EXECUTOR");
            assert_eq!(
                update.status["agent_id"]["value"],
                super::super::support::fake_agent::AGENT
            );
            assert!(update.is_acknowledged && update.times == 1, "{update:?}");
        }
        let mut uuids: Vec<&str> = updates.iter().map(|it| it.uuid.as_str()).collect();
        uuids.sort_unstable();
        uuids.dedup();
        assert_eq!(uuids.len(), 3);
        assert!(
            done.stdout.contains("out\n") && done.stderr.contains("err\n"),
            "{done:?}"
        );
    });
}

/// `data`, labels, words, the image; in this order.
#[test]
fn where_the_command_comes_from() {
    natively(|stage| {
        let play = Play::with(stage, Options::default(), &["--", "echo", "of words"]);
        let label = |key: &str, value: &str| json!({"labels": [{"key": key, "value": value}]});
        let of = |id: &str, more: serde_json::Value| {
            let mut task = json!({"task_id": {"value": id}, "container": play.container()});
            task.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            play.agent.launch(task);
        };
        let said = data(&json!({"value": "echo of data"}));
        of(
            "data",
            json!({"data": said, "labels": label("ucr.command", "echo never")}),
        );
        of(
            "command",
            json!({"labels": label("ucr.command", "echo of command")}),
        );
        of(
            "args",
            json!({"labels": label("ucr.args", "[\"echo\", \"of args\"]")}),
        );
        of("words", json!({}));
        play.agent.launch(json!({
            "task_id": {"value": "image"},
            "labels": {"labels": [
                {"key": "ucr.image", "value": stage.image},
                {"key": "ucr.command", "value": "echo of label"},
            ]},
        }));
        let app = json!({
            "id": "/of/app",
            "cmd": "echo of $MARATHON_APP_ID",
            "container": {"type": "MESOS", "docker": {"image": stage.image}},
        });
        play.agent.launch(json!({
            "task_id": {"value": "app"},
            "labels": label("ucr.app", &app.to_string()),
        }));
        for id in ["data", "command", "args", "words", "image", "app"] {
            let last = over(&play.agent, id);
            assert_eq!(last.state, "TASK_FINISHED", "{id} {last:?}");
        }
        let (_, done) = play.end();
        let mut lines: Vec<&str> = done
            .stdout
            .lines()
            .filter(|it| it.starts_with("of "))
            .collect();
        lines.sort_unstable();
        let expected = [
            "of /of/app",
            "of args",
            "of command",
            "of data",
            "of label",
            "of words",
        ];
        assert_eq!(lines, expected, "{done:?}");
    });
}

/// Case 76, the third, and what else makes no sense.
#[test]
fn what_is_refused() {
    natively(|stage| {
        let play = Play::begin(stage);
        let rows = [
            ("none", json!({"task_id": {"value": "none"}}), "/container: is required"),
            (
                "data",
                json!({"task_id": {"value": "data"}, "container": play.container(),
                    "data": "eyJ1Y3IiOiAxLCAiYXJncyI6IFtdfQ=="}),
                "/data/args",
            ),
            (
                "persistent",
                play.task("persistent", "true", json!({"resources": [{"name": "disk",
                    "type": "SCALAR", "scalar": {"value": 8}, "disk": {"persistence": {"id": "p"}}}]})),
                "/resources",
            ),
        ];
        for (id, task, words) in rows {
            play.agent.launch(task);
            let last = over(&play.agent, id);
            assert_eq!(last.state, "TASK_ERROR", "{id} {last:?}");
            assert_eq!(last.reason.as_deref(), Some("REASON_TASK_INVALID"), "{id}");
            let message = last.message.unwrap_or_default();
            assert!(message.contains(words), "{id}: {message}");
            assert_eq!(states(&play.agent, id), "ERROR");
        }
        play.end();
    });
}

/// Inside an image, or with none of its variables, it says what to do.
#[test]
fn an_executor_in_the_wrong_place() {
    natively(|stage| {
        let done = stage.cmd(&["executor"]).run();
        done.refused(&["MESOS_FRAMEWORK_ID", "hint:", "Mesos agent"]);
        let play = Play::begin(stage);
        let mut command = stage.cmd(&["executor"]);
        for (name, value) in play.agent.environment() {
            command = command.env(&name, value);
        }
        let done = command.env("MESOS_SANDBOX", "/mnt/mesos/sandbox").run();
        done.refused(&["inside a container image", "hint:", "ucr.image"]);
        play.agent
            .wait_until("a stream", |agent| agent.is_subscribed());
        play.shut_down();
    });
}

/// A value in TaskInfo, files that are fetched, limits, a volume, and a link of another name.
#[test]
fn what_a_task_can_have() {
    natively(|stage| {
        let play = Play::begin(stage);
        let file = stage.ucr.scratch().file("artifact", "fetched\n");
        let secret = "bm9ib2R5LXNlZXM=";
        let command = json!({
            "value": "stat -c %u artifact; cat artifact; echo $S | tr a-z A-Z; cat /in/x; ulimit -n; id -u",
            "user": "65534:65534",
            "uris": [{"value": format!("file://{}", file.display()), "extract": false}],
            "environment": {"variables": [
                {"name": "S", "type": "SECRET", "secret": {"type": "VALUE", "value": {"data": secret}}},
            ]},
        });
        let mut container = play.container();
        stage.ucr.scratch().dir("volume");
        stage.ucr.scratch().file("volume/x", "of a volume\n");
        container["volumes"] = json!([{"mode": "RO", "container_path": "/in",
            "host_path": stage.ucr.scratch().join("volume")}]);
        container["rlimit_info"] =
            json!({"rlimits": [{"type": "RLMT_NOFILE", "soft": 77, "hard": 78}]});
        let more = json!({"data": data(&command), "container": container});
        play.launch("t", "", more);
        let last = over(&play.agent, "t");
        assert_eq!(last.state, "TASK_FINISHED", "{last:?}");
        let inspected = format!("{:?}", play.agent.calls());
        assert!(!inspected.contains("nobody-sees"));
        let (_, done) = play.end();
        assert_eq!(
            done.stdout, "65534\nfetched\nNOBODY-SEES\nof a volume\n77\n65534\n",
            "{done:?}"
        );
    });
}

/// Marathon's `executor` is a path.
#[test]
fn by_its_other_name() {
    natively(|stage| {
        let link = stage.ucr.scratch().join("ucr-executor");
        std::os::unix::fs::symlink(crate::support::ucr::Ucr::binary(), &link).unwrap();
        let done = std::process::Command::new(Path::new(&link))
            .args(["echo", "--never"])
            .env_clear()
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains("MESOS_FRAMEWORK_ID"), "{said}");
    });
}

/// A registry with a password: without one it is refused; with a secret in TaskInfo, or a file in the
/// sandbox that a label names, it is pulled.
#[test]
fn pull_secrets() {
    natively(|stage| {
        let registry = Registry::basic("reader", "pass-of-reader");
        let small = Layout::of(samples::TAG, &samples::small());
        let image = registry.push(&small, samples::TAG, "kept/small:1");
        let config = json!({"auths": {registry.address(): {
            "auth": STANDARD.encode("reader:pass-of-reader")}}});
        let play = Play::begin(stage);
        std::fs::write(play.agent.sandbox().join("config.json"), config.to_string()).unwrap();
        let secret =
            json!({"type": "VALUE", "value": {"data": STANDARD.encode(config.to_string())}});
        let container = |docker: serde_json::Value| json!({"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": docker}}});
        let named = container(json!({"name": image}));
        play.launch("without", "true", json!({"container": named}));
        let last = over(&play.agent, "without");
        let reason = "REASON_CONTAINER_LAUNCH_FAILED";
        assert_eq!(last.reason.as_deref(), Some(reason), "{last:?}");
        let message = last.message.unwrap();
        assert!(message.contains("no credential"), "{message}");
        let wrong = json!({"container": named, "labels": {"labels": [
            {"key": "ucr.pull-secret", "value": "nowhere.json"}]}});
        play.launch("wrong", "true", wrong);
        assert!(
            over(&play.agent, "wrong")
                .message
                .unwrap()
                .contains("nowhere.json")
        );
        let by_file = json!({"container": named, "labels": {"labels": [
            {"key": "ucr.pull-secret", "value": "config.json"}]}});
        let by_value = json!({"container": container(json!({"name": image, "config": secret}))});
        for (id, more) in [("file", by_file), ("value", by_value)] {
            play.launch(id, "true", more);
            let last = over(&play.agent, id);
            assert_eq!(last.state, "TASK_FINISHED", "{last:?}");
            stage.run(&["rm", &image]).ok();
        }
        let told = format!("{:?}", play.agent.calls());
        let (_, done) = play.end();
        for text in [told, done.stderr] {
            assert!(!text.contains("pass-of-reader"), "{text}");
        }
    });
}

/// A network with a port of the host, which has to be among the task's.
#[test]
fn networks_and_ports() {
    natively(|stage| {
        stage.run(&["network", "create", "own"]).ok();
        let play = Play::begin(stage);
        let script = "mkdir /tmp/www; echo of-task >/tmp/www/index.html; \
                      exec busybox httpd -f -h /tmp/www -p 80";
        let mut container = play.container();
        container["network_infos"] = json!([{"name": "own",
            "port_mappings": [{"host_port": 31080, "container_port": 80}]}]);
        let ports = |first: u16| {
            json!([{"name": "ports", "type": "RANGES",
            "ranges": {"range": [{"begin": first, "end": first + 9}]}}])
        };
        let more = |first| json!({"container": container, "resources": ports(first)});
        play.launch("foreign", script, more(31000));
        let last = over(&play.agent, "foreign");
        assert!(last.message.unwrap().contains("31080"));
        play.launch_running("t", script, more(31080));
        let answers = || ask(31080).is_some_and(|text| text.contains("of-task"));
        play.running.wait_until("an answer", super::LIMIT, answers);
        play.agent.kill("t", None);
        over(&play.agent, "t");
        play.end();
    });
}

/// What is around a command, as it sees it.
#[test]
fn isolation() {
    natively(|stage| {
        let play = Play::begin(stage);
        let mut container = play.container();
        container["tty_info"] = json!({"window_size": {"rows": 33, "columns": 77}});
        container["linux_info"] = json!({
            "bounding_capabilities": {"capabilities": ["CHOWN", "KILL"]},
            "effective_capabilities": {"capabilities": ["CHOWN", "KILL"]},
            "ipc_mode": "PRIVATE", "shm_size": 7,
        });
        let script = "test -t 1 && stty size; grep CapBnd /proc/self/status; \
                      df -k /dev/shm | tail -1 | awk '{print $2}'";
        play.launch("t", script, json!({"container": container}));
        let last = over(&play.agent, "t");
        assert_eq!(last.state, "TASK_FINISHED", "{last:?}");
        let (_, done) = play.end();
        let lines: Vec<&str> = done.stdout.lines().collect();
        let expected = ["24 80", "CapBnd:\t0000000000000021", "7168"];
        assert_eq!(lines, expected, "{done:?}");
    });
}

/// Directories of the sandbox are made, in either runtime; a link that an earlier task has left there
/// leads nowhere.
#[test]
fn volumes_of_the_sandbox() {
    on_both(|stage| {
        let play = Play::begin(stage);
        let with = |volumes: serde_json::Value| {
            let mut container = play.container();
            container["volumes"] = volumes;
            json!({"container": container})
        };
        let volumes = with(json!([
            {"container_path": "/a", "host_path": "of/host", "mode": "RW"},
            {"container_path": "/b", "mode": "RW",
                "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "of-source"}}},
        ]));
        let script = "id >/a/x && id >/b/y && ln -s /etc $MESOS_SANDBOX/trap";
        play.launch("writes", script, volumes);
        let last = over(&play.agent, "writes");
        assert_eq!(last.state, "TASK_FINISHED", "{last:?}");
        let sandbox = play.agent.sandbox();
        assert!(sandbox.join("of/host/x").is_file() && sandbox.join("of-source/y").is_file());
        let link = with(json!([{"container_path": "/a", "host_path": "trap/x", "mode": "RW"}]));
        play.launch("trapped", "cat /a/passwd", link);
        let last = over(&play.agent, "trapped");
        assert_eq!(states(&play.agent, "trapped"), "STARTING ERROR", "{last:?}");
        assert!(last.message.unwrap().contains("trap/x"));
        assert!(!std::path::Path::new("/etc/x").exists());
        let up = with(json!([{"container_path": "/a", "host_path": "../x", "mode": "RW"}]));
        play.launch("up", "true", up);
        assert!(
            over(&play.agent, "up")
                .message
                .unwrap()
                .contains("leads out")
        );
        play.end();
    });
}
