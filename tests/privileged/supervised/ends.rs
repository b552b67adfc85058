//! Ends that somebody else decides: too long a start, signals, restarts; nothing is left behind.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::stage::{LIMIT, Stage, natively, on_both};
use crate::life::wait_for;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::samples;
use crate::support::scripted_registry::{Misbehaviour, ScriptedRegistry};

/// How something that hangs before the command runs is ended.
const ENDS: [&str; 4] = ["--launch-timeout", "process", "group", "kill"];

/// Starts an app that hangs until the registry was asked, and ends it in each of the ways.
fn ends_of(stage: &Stage, registry: &ScriptedRegistry, asked: &str, app: &Value) {
    for way in ENDS {
        let before = registry.asked(asked).len();
        let limit: &[&str] = match way {
            "--launch-timeout" => &["--launch-timeout", "5s"],
            _ => &[],
        };
        let running = stage.start("hangs", app, limit).spawn();
        running.wait_until("a request", LIMIT, || registry.asked(asked).len() > before);
        match way {
            "process" => running.signal(Signal::SIGINT),
            "group" => running.signal_group(Signal::SIGINT),
            "kill" => running.signal(Signal::SIGKILL),
            _ => (),
        }
        let begin = Instant::now();
        let done = running.finish(LIMIT);
        assert!(begin.elapsed() < Duration::from_secs(20), "{way} {done:?}");
        match way {
            "--launch-timeout" => assert!(done.stderr.contains("E:launch-timeout"), "{done:?}"),
            _ => assert_ne!(done.code, 0, "{way} {done:?}"),
        }
        wait_for("end of every process", || stage.processes().is_empty());
        if way == "kill" {
            // The next command clears up.
            stage.run(&["ps"]).ok();
            stage
                .start("clears", &json!({"cmd": "true"}), &[])
                .run()
                .ok();
        }
        stage.assert_nothing();
    }
}

#[test]
fn while_a_pull_hangs() {
    on_both(|stage| {
        // Whose layers are nowhere yet.
        let new = Layer::new().dir("only-here", 0o755);
        let image = samples::small().layer(new);
        let registry = Layout::of(samples::TAG, &image).serve("sample");
        registry.script("/blobs/", 100, Misbehaviour::StallAfter(10));
        let image = format!("{}/proof/hangs:sample", registry.host());
        let app = json!({"cmd": "true", "container": {"docker": {"image": image}}});
        ends_of(stage, &registry, "/blobs/", &app);
    });
}

#[test]
fn while_a_fetch_hangs() {
    on_both(|stage| {
        let registry = ScriptedRegistry::start();
        registry.file("/big.tar", None, &[0; 4096]);
        registry.script("/big.tar", 100, Misbehaviour::StallAfter(512));
        let uri = format!("{}/big.tar", registry.url());
        let app = json!({"cmd": "true", "fetch": [{"uri": uri}]});
        ends_of(stage, &registry, "/big.tar", &app);
    });
}

/// Ctrl-C of a terminal's is everybody's in front of it; a signal of a process is its alone.
#[test]
fn while_it_runs() {
    on_both(|stage| {
        let script = "trap 'exit 7' INT; echo ready; while :; do sleep 0.05; done";
        let app = json!({"cmd": script});
        let running = stage.foreground("runs", &app, &[]);
        running.wait_until("ready", LIMIT, || running.stdout_so_far().contains("ready"));
        running.signal(Signal::SIGINT);
        running.finish(LIMIT).expect_code(7);
        stage.assert_nothing();
        // In the foreground its supervisor's end is its own.
        let running = stage.foreground("runs", &app, &[]);
        running.signal(Signal::SIGKILL);
        running.finish(LIMIT);
        wait_for("end of the container", || {
            stage.run(&["ps"]).ok();
            stage.status("runs").is_empty()
        });
        stage
            .start("clears", &json!({"cmd": "true"}), &[])
            .run()
            .ok();
        stage.assert_nothing();
    });
}

/// Marathon's delays, on both sides of a terminal; who stops it, stops it for good.
#[test]
fn restarts() {
    natively(|stage| {
        let app = json!({
            "cmd": "date +%s >>/starts; sleep 0.2; exit 3",
            "container": {"docker": {}, "volumes": [
                {"containerPath": "/starts", "hostPath": stage.ucr.scratch().file("starts", ""),
                 "mode": "RW"},
            ]},
            "backoffSeconds": 1,
            "backoffFactor": 2,
        });
        let starts = || {
            let text = fs::read_to_string(stage.ucr.scratch().join("starts")).unwrap();
            let times: Vec<u64> = text.lines().map(|it| it.parse().unwrap()).collect();
            times
        };
        let flags = ["--restart", "on-failure:2"];
        stage.start("again", &app, &flags).run().expect_code(3);
        let times = starts();
        assert_eq!(times.len(), 3, "{times:?}");
        assert!(
            times[1] - times[0] >= 1 && times[2] - times[1] >= 2,
            "{times:?}"
        );
        stage.background("again", &app, &flags);
        wait_for("its last start", || starts().len() == 6);
        wait_for("end of its supervisor", || stage.processes().is_empty());
        assert_eq!(stage.run(&["wait", "again"]).ok().text(), "3");
        stage.run(&["rm", "again"]).ok();
        let mut app = app.clone();
        app["cmd"] = "trap 'exit 4' TERM; date +%s >>/starts; while :; do sleep 0.05; done".into();
        let always = ["--restart", "always"];
        stage.background("always", &app, &always);
        wait_for("its start", || starts().len() == 7);
        stage.run(&["stop", "always"]).ok();
        wait_for("end of its supervisor", || stage.processes().is_empty());
        assert_eq!(
            (stage.status("always"), starts().len()),
            ("exited".into(), 7)
        );
        stage.run(&["rm", "always"]).ok();
        stage.background("always", &app, &always);
        wait_for("its start", || starts().len() == 8);
        stage.run(&["rm", "-f", "always"]).ok();
        wait_for("end of its supervisor", || stage.processes().is_empty());
        let running = stage.foreground("always", &app, &always);
        wait_for("its start", || starts().len() == 9);
        stage.run(&["stop", "always"]).ok();
        running.finish(LIMIT).expect_code(4);
        assert_eq!(starts().len(), 9);
        stage.assert_nothing();
    });
}

/// What a run leaves in its sandbox, the next one's volumes do not follow.
#[test]
fn a_symbolic_link_in_place_of_a_volume() {
    on_both(|stage| {
        let outside = stage.ucr.scratch().dir("outside");
        fs::write(outside.join("private"), "x").unwrap();
        let script = format!(
            "ls /v; cd $MESOS_SANDBOX; mv data gone; ln -s {} data; exit 1",
            outside.display()
        );
        let volumes = json!([{"containerPath": "/v", "hostPath": "data", "mode": "RW"}]);
        let app = json!({
            "cmd": script,
            "container": {"volumes": volumes},
            "backoffSeconds": 1,
        });
        let again = ["--restart", "on-failure:1"];
        let done = stage.start("link", &app, &again).run().expect_code(125);
        assert!(!done.stdout.contains("private"), "{done:?}");
        assert!(done.stderr.contains("E:host-path-missing"), "{done:?}");
        stage.assert_nothing();
        let sandbox = stage.ucr.scratch().dir("sandbox");
        let kept = ["--sandbox", sandbox.to_str().unwrap()];
        stage.start("link", &app, &kept).run().expect_code(1);
        let done = stage.start("link", &app, &kept).run().expect_code(125);
        assert!(!done.stdout.contains("private"), "{done:?}");
        // Nothing is made at its end, either.
        let mut deeper = app.clone();
        deeper["container"]["volumes"][0]["hostPath"] = "data/made".into();
        stage.start("link", &deeper, &kept).run().expect_code(125);
        assert!(!outside.join("made").exists());
    });
}
