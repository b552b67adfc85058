//! Options beside `--app`, and what is refused of them before anything is done.

use serde_json::{Value, json};

use crate::support::layout::Layout;
use crate::support::samples;
use crate::support::ucr::Ucr;

fn app(ucr: &Ucr, app: &Value) -> String {
    let path = ucr.scratch().file("app.json", app.to_string());
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_does_not_go_together() {
    let ucr = Ucr::new();
    let docker = json!({"id": "/d", "cmd": "true", "container": {"docker": {"image": "x"}}});
    let file = app(&ucr, &docker);
    let rows: [(&[&str], &[&str]); 6] = [
        (
            &["run", "-d", "--restart", "always", "--app", &file],
            &["--restart", "DOCKER"],
        ),
        (
            &["run", "-m", "64m", "--app", &file],
            &["--app with options"],
        ),
        (&["run", "--app", &file, "busybox"], &["--app"]),
        (&["run", "--ports", "1-2", "busybox"], &["--ports"]),
        (&["run", "--wait-ready", "--app", &file], &["--detach"]),
        (
            &["--runtime", "native", "run", "--app", &file],
            &["DOCKER", "override-runtime"],
        ),
    ];
    for (words, expected) in rows {
        ucr.cmd(words).run().refused(expected);
    }
}

/// Nothing is pulled, made or taken.
#[test]
fn what_would_run() {
    let ucr = Ucr::new();
    let file = app(
        &ucr,
        &json!({
            "id": "shop/web",
            "args": ["one", "two words"],
            "container": {"type": "MESOS", "docker": {"image": "busybox"}},
            "networks": [{"mode": "container/bridge"}],
        }),
    );
    let found = ucr.cmd(&["inspect", "--app", &file]).run().ok().json();
    assert_eq!(
        (&found["runtime"], &found["app"]["id"], &found["argv"]),
        (&json!("native"), &json!("/shop/web"), &Value::Null)
    );
    assert_eq!(found["app"]["mem"], json!(128.0));
    assert_eq!(found["spec"]["args"], json!(["one", "two words"]));
    let port = found["ports"][0]["host_port"].as_u64().unwrap();
    assert!((31000..=32000).contains(&port), "{port}");
    assert!(!ucr.state().join("ports").exists());
    let many = json!({"id": "/m", "cmd": "true", "instances": 0});
    let none = ucr.cmd(&["run", "--app", &app(&ucr, &many)]).run().ok();
    assert!(
        none.stderr.contains("nothing was started"),
        "{}",
        none.stderr
    );
}

/// The image is the app's; its arguments matter where there is a command.
#[test]
fn pulled_and_provisioned() {
    let ucr = Ucr::new();
    let registry = Layout::of(samples::TAG, &samples::small()).serve(samples::TAG);
    let image = format!("{}/proof/small:{}", registry.host(), samples::TAG);
    let docker = json!({"image": image});
    let definition = json!({
        "id": "/p",
        "args": ["echo", "two words"],
        "container": {"type": "MESOS", "docker": docker},
    });
    let file = app(&ucr, &definition);
    let pulled = ucr.cmd(&["pull", "--app", &file]).run().ok();
    assert!(pulled.text().starts_with("sha256:"), "{pulled:?}");
    let tree = ucr.scratch().join("tree");
    let words = ["provision", "--backend", "copy", "--app", &file];
    let place = tree.to_str().unwrap();
    let done = ucr.cmd(&[&words[..], &[place]].concat()).run().ok();
    assert_eq!(done.text(), place);
    assert!(tree.join("bin/busybox").is_file());
    let bundle = ucr.scratch().join("bundle");
    let place = bundle.to_str().unwrap();
    let done = ucr.cmd(&[&words[..], &["--bundle", place]].concat()).run();
    assert_eq!(done.ok().text(), place);
    let config = std::fs::read(bundle.join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["process"]["args"], definition["args"]);
}
