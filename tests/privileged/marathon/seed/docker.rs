//! What the Docker containerizer needs, and how long everything may take.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::json;

use super::place::{docker, native, snippet};

#[test]
fn no_engine() {
    docker(|place| {
        let app = snippet("inky.json");
        let socket = "unix:///there/is/no/docker";
        let done = place.app(&[], &app).env("DOCKER_HOST", socket).run();
        done.refused(&["/there/is/no/docker"]);
        let done = place.app(&[], &app).env("PATH", "/there/is/none").run();
        done.refused(&["there is no program 'docker'"]);
    });
}

/// The oldest that is asked for is 20.10: the seed's 1.0.0 is refused with its version.
#[test]
fn an_engine_that_is_too_old() {
    docker(|place| {
        let scratch = place.ucr.scratch();
        scratch.dir("bin");
        let answer = r#"{"Client":{"Version":"1.0.0","ApiVersion":"1.12"},"Server":{"Version":"1.0.0","ApiVersion":"1.12","Os":"linux"}}"#;
        let program = scratch.file("bin/docker", format!("#!/bin/sh\necho '{answer}'\n"));
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", scratch.join("bin").display());
        let done = place
            .app(&[], &snippet("inky.json"))
            .env("PATH", path)
            .run();
        done.refused(&["1.0.0", "too old", "20.10"]);
    });
}

/// A registry that accepts and never answers. Times can be written as Mesos writes them.
#[test]
fn timeouts() {
    native(|place| {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("{}/group/image", silent.local_addr().unwrap());
        let mut app = place.typed(&snippet("inky.json"));
        let done = place.app(
            &["--pull-timeout", "10mins", "--launch-timeout", "5mins"],
            &app,
        );
        assert_eq!(done.run().ok().stdout, "hello\n");
        app["container"]["docker"]["image"] = json!(name);
        for (option, words) in [
            ("--pull-timeout", ["--pull-timeout", "group/image"]),
            ("--launch-timeout", ["E:launch-timeout", "--launch-timeout"]),
        ] {
            let begin = Instant::now();
            place.app(&[option, "2s"], &app).run().refused(&words);
            let took = begin.elapsed();
            let limits = Duration::from_secs(1)..Duration::from_secs(30);
            assert!(limits.contains(&took), "{option}: {took:?}");
            place.assert_nothing_runs("inky");
            assert_eq!(place.ucr.entries(&["ingest", "sandboxes"]).len(), 0);
        }
    });
}
