//! Which runtime serves an app.

use serde_json::json;

use super::place::{docker, native, snippet};

/// The default type is DOCKER, whatever ucr's own default is.
#[test]
fn without_a_type() {
    docker(|place| {
        let mut app = snippet("inky.json");
        app["container"].as_object_mut().unwrap().remove("type");
        assert_eq!(place.app(&[], &app).run().ok().stdout, "hello\n");
        let shown = place.cmd(&["inspect", "--app", &place.file(&app.to_string())]);
        let shown = shown.run().ok().json();
        assert_eq!(shown["runtime"], "docker");
        assert_eq!(shown["app"]["container"]["type"], "DOCKER");
    });
}

/// A list of runtimes in the order of their priority is for those who do not say.
#[test]
fn an_explicit_type_does_not_fall_through() {
    native(|place| {
        let app = snippet("inky.json");
        let file = place.file(&app.to_string());
        let mirror = format!("docker.io=http://{}", place.registry().address());
        let run = |list: &str| {
            let words = [
                "--runtime",
                list,
                "run",
                "--mirror",
                &mirror,
                "--app",
                &file,
            ];
            place.cmd(&words).run()
        };
        for list in ["docker,mesos", "native,docker"] {
            run(list).refused(&["docker"]);
            assert_eq!(place.registry().requests(), []);
        }
        place.file(&place.typed(&app).to_string());
        for list in ["docker,mesos", "native,docker"] {
            assert_eq!(run(list).ok().stdout, "hello\n", "{list}");
        }
    });
}

#[test]
fn a_conflicting_runtime() {
    native(|place| {
        let run = |words: &[&str], app: &serde_json::Value| {
            let file = place.file(&app.to_string());
            let mirror = format!("docker.io=http://{}", place.registry().address());
            let run = ["run", "--mirror", &mirror, "--app", &file];
            place.cmd(&[words, &run].concat()).run()
        };
        let inky = snippet("inky.json");
        for name in ["native", "ucr", "mesos"] {
            run(&["--runtime", name], &inky).refused(&["DOCKER", "--override-runtime"]);
        }
        run(&["--runtime", "docker"], &place.typed(&inky)).refused(&["MESOS"]);
        let file = place.file(&inky.to_string());
        let mirror = format!("docker.io=http://{}", place.registry().address());
        let line = |file| {
            [
                "--runtime",
                "mesos",
                "run",
                "--override-runtime",
                "--mirror",
                &mirror,
                "--app",
                file,
            ]
        };
        assert_eq!(place.cmd(&line(&file)).run().ok().stdout, "hello\n");
        // It is checked for the other type.
        let file = place.file(&snippet("privileged-job.json").to_string());
        let done = place.cmd(&line(&file)).run();
        done.refused(&["E:privileged-ucr", "E:parameters-ucr"]);
        let gpu =
            json!({"id": "g", "gpus": 1, "container": {"type": "MESOS", "docker": {"image": "x"}}});
        let file = place.file(&gpu.to_string());
        let words = [
            "--runtime",
            "docker",
            "run",
            "--override-runtime",
            "--app",
            &file,
        ];
        place.cmd(&words).run().refused(&["E:gpu-docker"]);
    });
}
