//! Checks that end a container which stops answering, and those that let it start slowly.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stage::{LIMIT, Stage, ask, on_both};
use crate::life::wait_for;

/// Answers until it is told otherwise; does not mind SIGTERM, so that who ends it has to kill it.
const WEB: &str = "trap '' TERM; mkdir /tmp/www; echo ok >/tmp/www/index.html; touch /tmp/fine; \
                   busybox httpd -f -h /tmp/www -p 8080 & server=$!; \
                   while ! [ -e /tmp/hang ]; do sleep 0.05; done; \
                   rm /tmp/fine; kill -9 $server; while :; do sleep 0.1; done";

/// The definition of a server with this check. It has time for each answer, for a busy machine's
/// sake: a server that is gone refuses at once.
fn server(mut check: Value) -> Value {
    let more = json!({
        "gracePeriodSeconds": 2,
        "intervalSeconds": 1,
        "timeoutSeconds": 15,
        "maxConsecutiveFailures": 1,
    });
    for (key, value) in more.as_object().unwrap() {
        let check = check.as_object_mut().unwrap();
        check.entry(key.clone()).or_insert_with(|| value.clone());
    }
    json!({
        "cmd": WEB,
        "container": {"portMappings": [{"containerPort": 8080, "hostPort": 0}]},
        "networks": [{"mode": "container/bridge"}],
        "healthChecks": [check],
        "taskKillGracePeriodSeconds": 1,
    })
}

/// What `inspect` says of its health; `ps` must say the same.
fn health(stage: &Stage, name: &str) -> String {
    let found = stage.run(&["inspect", name]).ok().json();
    found["health"]["status"].as_str().unwrap_or("").to_owned()
}

fn wait_until(stage: &Stage, name: &str, wanted: &str) {
    wait_for(wanted, || health(stage, name) == wanted);
    let shown = stage.run(&["ps", "-a"]).ok().stdout;
    assert!(shown.contains(&format!("({wanted})")), "{shown}");
}

/// It is healthy, stops answering, and is killed; the reason is told.
fn is_killed(check: &Value, in_background: bool) {
    on_both(|stage| {
        let app = server(check.clone());
        if in_background {
            let id = stage.background("web", &app, &[]);
            wait_until(stage, "web", "healthy");
            let port = stage.port(&id);
            assert!(ask(port).unwrap().contains("ok"));
            stage.run(&["exec", "web", "touch", "/tmp/hang"]).ok();
            wait_for("its end", || stage.status("web") == "exited");
            wait_for("end of its supervisor", || stage.processes().is_empty());
            stage.run(&["rm", "web"]).ok();
        } else {
            let running = stage.foreground("web", &app, &[]);
            wait_until(stage, "web", "healthy");
            stage.run(&["exec", "web", "touch", "/tmp/hang"]).ok();
            let done = running.finish(LIMIT).expect_code(137);
            let protocol = &check["protocol"];
            assert!(
                done.stderr
                    .contains("/proof/web: killed: health check 0 failed"),
                "{protocol}: {}",
                done.stderr
            );
            stage.assert_nothing();
        }
    });
}

#[test]
fn http() {
    let check = json!({"protocol": "HTTP", "path": "/", "portIndex": 0});
    is_killed(&check, false);
}

#[test]
fn http_in_the_background() {
    let check = json!({"protocol": "HTTP", "path": "/index.html", "portIndex": 0});
    is_killed(&check, true);
}

#[test]
fn tcp() {
    is_killed(&json!({"protocol": "TCP", "portIndex": 0}), false);
}

#[test]
fn mesos_http_in_its_own_network() {
    let check = json!({"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "delaySeconds": 0});
    is_killed(&check, false);
}

#[test]
fn mesos_tcp_in_the_background() {
    let check = json!({"protocol": "MESOS_TCP", "port": 8080, "delaySeconds": 0});
    is_killed(&check, true);
}

#[test]
fn command() {
    let command = json!({"value": "test -e /tmp/fine"});
    let check = json!({"protocol": "COMMAND", "command": command, "delaySeconds": 0});
    is_killed(&check, false);
    is_killed(&check, true);
}

/// Failures before its first success do not count while it has time to start.
#[test]
fn a_slow_starter_survives_its_grace() {
    let row = |grace: u32, is_survivor: bool| {
        on_both(|stage| {
            let mut app = server(json!({
                "protocol": "MESOS_HTTP",
                "delaySeconds": 0,
                "gracePeriodSeconds": grace,
            }));
            let command = format!("sleep 4; {WEB}");
            app["cmd"] = command.into();
            let running = stage.foreground("slow", &app, &[]);
            if is_survivor {
                wait_until(stage, "slow", "healthy");
                stage.run(&["stop", "slow"]).ok();
                running.finish(LIMIT).expect_code(137);
            } else {
                let done = running.finish(LIMIT);
                assert!(done.stderr.contains("killed: health check 0"), "{done:?}");
            }
            stage.assert_nothing();
        });
    };
    row(60, true);
    row(1, false);
}

/// `-d --wait-ready` returns when the check says so, and not before.
#[test]
fn readiness() {
    on_both(|stage| {
        let app = json!({
            "cmd": "mkdir /tmp/www; echo ok >/tmp/www/index.html; \
                    while ! [ -e /tmp/go ]; do sleep 0.05; done; \
                    exec busybox httpd -f -h /tmp/www -p 8080",
            "container": {"portMappings": [{"containerPort": 8080, "name": "http-api"}]},
            "networks": [{"mode": "container/bridge"}],
            "readinessChecks": [{"intervalSeconds": 2, "timeoutSeconds": 1}],
        });
        let flags = ["-d", "--wait-ready", "--name", "ready"];
        let running = stage.start("ready", &app, &flags).spawn();
        wait_for("the container", || stage.status("ready") == "running");
        assert!(!running.ended_within(Duration::from_secs(3)));
        stage.run(&["exec", "ready", "touch", "/tmp/go"]).ok();
        let id = running.finish(LIMIT).ok().text().to_owned();
        assert!(ask(stage.port(&id)).unwrap().contains("ok"));
        stage.run(&["rm", "-f", "ready"]).ok();
        // One that ends before it is ready is told of.
        let app = json!({
            "cmd": "sleep 1; exit 3",
            "container": {"portMappings": [{"containerPort": 8080, "name": "http-api"}]},
            "networks": [{"mode": "container/bridge"}],
            "readinessChecks": [{"intervalSeconds": 2, "timeoutSeconds": 1}],
        });
        let done = stage.start("never", &app, &["-d", "--wait-ready"]).run();
        done.expect_code(3);
        wait_for("end of every process", || stage.processes().is_empty());
    });
}

/// SIGTERM, then that many seconds, then SIGKILL.
#[test]
fn the_time_between_the_signals() {
    on_both(|stage| {
        let app = json!({
            "cmd": "trap 'echo term' TERM; echo ready; while :; do sleep 0.1; done",
            "taskKillGracePeriodSeconds": 3,
        });
        stage.background("deaf", &app, &[]);
        wait_for("its trap", || {
            stage.run(&["logs", "deaf"]).stdout.contains("ready")
        });
        let begin = Instant::now();
        stage.run(&["stop", "deaf"]).ok();
        let took = begin.elapsed();
        assert!((3..12).contains(&took.as_secs()), "{took:?}");
        assert!(stage.run(&["logs", "deaf"]).ok().stdout.contains("term"));
        assert_eq!(stage.run(&["wait", "deaf"]).ok().text(), "137");
        stage.run(&["rm", "deaf"]).ok();
        wait_for("end of every process", || stage.processes().is_empty());
    });
}
