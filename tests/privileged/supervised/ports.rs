//! A real client and a real server, with a port of the host between them.

use serde_json::json;

use super::stage::{LIMIT, ask, on_both};
use crate::life::wait_for;

/// busybox's httpd, on a port of the container.
const SERVE: &str = "mkdir /tmp/www; echo from $MESOS_TASK_ID >/tmp/www/index.html; \
                     exec busybox httpd -f -h /tmp/www -p 8080";

#[test]
fn a_server_behind_a_port_of_the_host() {
    on_both(|stage| {
        let app = json!({
            "cmd": SERVE,
            "container": {"portMappings": [{"containerPort": 8080, "hostPort": 0, "name": "web"}]},
            "networks": [{"mode": "container/bridge"}],
        });
        let [one, other] = ["one", "other"].map(|name| stage.background(name, &app, &[]));
        let ports = [&one, &other].map(|id| stage.port(id));
        assert_ne!(ports[0], ports[1]);
        for (port, name) in ports.iter().zip(["one", "other"]) {
            assert!((31000..=32000).contains(port), "{port}");
            let mut text = String::new();
            wait_for("answer", || {
                text = ask(*port).unwrap_or_default();
                text.contains("from")
            });
            assert!(
                text.contains(&format!("from proof_{name}.instance-")),
                "{text}"
            );
        }
        stage.run(&["rm", "-f", &one]).ok();
        wait_for("end of its port", || ask(ports[0]).is_none());
        assert!(ask(ports[1]).is_some());
        stage.run(&["rm", "-f", &other]).ok();
        wait_for("its end", || stage.processes().is_empty());
    });
}

/// On the network of the host, where the definition says which, or ucr does.
#[test]
fn a_server_on_the_network_of_the_host() {
    on_both(|stage| {
        let script = "mkdir /tmp/www; echo $PORT0 $PORT_WEB >/tmp/www/index.html; \
                      busybox httpd -f -h /tmp/www -p $PORT_WEB & wait";
        let app = json!({"cmd": script, "portDefinitions": [{"port": 0, "name": "web"}]});
        let running = stage.foreground("host", &app, &["--ports", "31555-31560"]);
        let mut found = Vec::new();
        wait_for("answer", || {
            let all = (31555..=31560).map(|port| (port, ask(port)));
            found = all.filter(|(_, text)| text.is_some()).collect();
            !found.is_empty()
        });
        let [(port, text)] = &found[..] else {
            panic!("{found:?}");
        };
        let text = text.as_ref().unwrap();
        assert!(text.contains(&format!("{port} {port}")), "{text}");
        stage.run(&["stop", "-t", "1", "host"]).ok();
        running.finish(LIMIT).expect_code(137);
        assert!(ask(*port).is_none());
        stage.assert_nothing();
    });
}
