//! The part about the Universal Container Runtime.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::place::{Place, both, docker, image, native, printed, push, snippet};
use crate::support::registry::{Access, Registry};
use crate::support::token_server::{TokenServer, User};

/// The member that its printer forgot.
fn repaired() -> Value {
    let text = printed("mesos-docker.json");
    let mended = text.replace("        }\n   \"args\"", "        }\n   },\n   \"args\"");
    assert_ne!(text, mended);
    serde_json::from_str(&mended).unwrap()
}

/// A directory of secrets that has the one of the snippet.
fn secrets(place: &Place, value: &str) -> String {
    let scratch = place.ucr.scratch();
    scratch.dir("secrets/mesos-docker");
    let file = scratch.file("secrets/mesos-docker/pullConfig", value);
    fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    scratch.join("secrets").to_str().unwrap().to_owned()
}

fn auths(registry: &str, user: &str) -> String {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(user);
    json!({"auths": {registry: {"auth": auth}}}).to_string()
}

/// The comma and the brace that are missing would be before `"args"`, in line 16.
#[test]
fn the_snippet_as_printed() {
    native(|place| {
        let text = printed("mesos-docker.json");
        let directory = secrets(place, "{}");
        let done = place.text(&["--secrets-dir", &directory], &text).run();
        done.refused(&["line 16, column 4", "E:json"]);
        assert_eq!(place.registry().requests(), []);
        place.assert_nothing_runs("mesos-docker");
    });
}

#[test]
fn the_snippet_repaired() {
    native(|place| {
        let config = auths("https://index.docker.io/v1/", "ada:engine");
        let directory = secrets(place, &config);
        let flags = ["--secrets-dir", &directory];
        let done = place.app(&flags, &repaired()).run().ok();
        assert_eq!(done.stdout, "<my-arg>\n");
        assert!(!done.stderr.contains("warning"), "{}", done.stderr);
        let shown = place.cmd(&["inspect", "--app", &place.file(&repaired().to_string())]);
        let shown = shown.run().ok().json();
        assert_eq!(shown["app"]["id"], "/mesos-docker");
        assert_eq!(shown["runtime"], "native");
        assert_eq!(shown["argv"], json!(["echo", "<my-arg>"]));
    });
}

/// "cpus" and "mem" in the cgroup, with the floor of 32 MiB; other tasks are not seen.
#[test]
fn isolation_and_resources() {
    both(|place| {
        let mut app = repaired();
        app["container"]["docker"] = json!({"image": "seed/bare"});
        app["args"] = json!([
            "sh",
            "-c",
            "trap 'exit 0' TERM; while :; do sleep 0.1; done"
        ]);
        let task = place.start(&[], &place.typed(&app));
        let memory = task.limit("memory", "memory.limit_in_bytes", "memory.max");
        assert_eq!(memory, (32 << 20).to_string());
        let shares = task.limit("cpu", "cpu.shares", "cpu.weight");
        assert!(["204", "8"].contains(&&*shares), "{shares}");
        assert_eq!(
            task.exec("cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l | tr -d ' ' | grep -c ^."),
            "sh\n1"
        );
        let seen = task.exec("ls -d /proc/[0-9]*");
        assert!(seen.lines().count() < 8, "{seen}");
        task.end();
    });
}

#[test]
fn appc_is_refused() {
    native(|place| {
        let app = json!({"id": "a", "container": {"type": "MESOS", "appc": {"image": "x"}}});
        place.app(&[], &app).run().refused(&["AppC", "E:appc"]);
    });
}

/// What only UCR can; pods are another kind of document.
#[test]
fn features_of_ucr_alone() {
    docker(|place| {
        let mut app = snippet("inky.json");
        app["gpus"] = json!(1);
        app["secrets"] = json!({"s": {"source": "a/b"}});
        app["container"]["docker"]["pullConfig"] = json!({"secret": "s"});
        let done = place.app(&[], &app).run();
        done.refused(&["E:gpu-docker", "E:pullconfig-docker"]);
        let pod = json!({"id": "p", "containers": [{"name": "c"}]});
        place.app(&[], &pod).run().refused(&["pod", "E:not-an-app"]);
    });
}

/// Basic authentication, and tokens; nobody else is told the password.
#[test]
fn private_registry() {
    native(|place| {
        let scratch = place.ucr.scratch();
        let user = User {
            name: "ada".to_owned(),
            password: "engine!9".to_owned(),
            is_guest: false,
        };
        let tokens = TokenServer::start(&scratch.dir("tokens"), &[user], 60);
        for registry in [
            Registry::basic("ada", "engine!9"),
            Registry::start(&Access::Section(tokens.registry_config())),
        ] {
            let mut app = repaired();
            let name = push(&registry, "mesosphere/inky", &image("mesosphere/inky"));
            app["container"]["docker"]["image"] = json!(name);
            let run = |config: &str| {
                let directory = secrets(place, config);
                place.app(&["--secrets-dir", &directory], &app).run()
            };
            for wrong in [
                auths("https://index.docker.io/v1/", "ada:engine!9"),
                auths(registry.address(), "ada:wrong!9"),
            ] {
                let done = run(&wrong).refused(&[]);
                assert!(!done.stderr.contains("!9"), "{}", done.stderr);
            }
            let right = auths(&format!("https://{}", registry.address()), "ada:engine!9");
            assert_eq!(run(&right).ok().stdout, "<my-arg>\n");
            place.cmd(&["rm", &name]).run().ok();
        }
        assert_eq!(place.registry().requests(), [], "another registry");
    });
}

/// The form of old: a principal, with and without its secret.
#[test]
fn credential() {
    native(|place| {
        for password in ["engine!9", ""] {
            let registry = Registry::basic("ada", password);
            let mut app = repaired();
            let name = push(&registry, "mesosphere/inky", &image("mesosphere/inky"));
            let credential = match password {
                "" => json!({"principal": "ada"}),
                _ => json!({"principal": "ada", "secret": password}),
            };
            app["container"]["docker"] = json!({"image": name, "credential": credential});
            let done = place.app(&[], &app).run().ok();
            assert_eq!(done.stdout, "<my-arg>\n");
            assert!(
                done.stderr.contains("W:credential-deprecated"),
                "{}",
                done.stderr
            );
            assert!(!done.stderr.contains("!9"), "{}", done.stderr);
            place.cmd(&["rm", &name]).run().ok();
        }
    });
}

#[test]
fn a_missing_secret() {
    native(|place| {
        let directory = place.ucr.scratch().dir("secrets");
        let flags = ["--secrets-dir", directory.to_str().unwrap()];
        place.app(&flags, &repaired()).run().refused(&[
            "pullConfigSecret",
            "/mesos-docker/pullConfig",
            "E:secret-unresolved",
        ]);
        assert_eq!(place.registry().requests(), []);
    });
}

/// Empty args are the image's default; without one, args hold the command; without both, nothing
/// is started.
#[test]
fn args_and_entry_points() {
    both(|place| {
        let mut app = repaired();
        app.as_object_mut().unwrap().remove("secrets");
        app["container"]["docker"] = json!({"image": "mesosphere/inky"});
        app["args"] = json!([]);
        assert_eq!(place.run(&app).ok().stdout, "inky\n");
        app.as_object_mut().unwrap().remove("args");
        assert_eq!(place.run(&app).ok().stdout, "inky\n");
        app["container"]["docker"] = json!({"image": "seed/bare"});
        place.run(&app).refused(&[
            "seed/bare",
            "has no default entry point: a command must be in the args field",
            "E:no-command",
        ]);
        place.assert_nothing_runs("mesos-docker");
        app["args"] = json!(["echo", "of the app"]);
        assert_eq!(place.run(&app).ok().stdout, "of the app\n");
    });
}

/// Both fields at once.
#[test]
fn limitations() {
    native(|place| {
        let app = place.typed(&snippet("privileged-job.json"));
        let done = place.app(&[], &app).run();
        done.refused(&[
            "/container/docker/privileged",
            "E:privileged-ucr",
            "/container/docker/parameters",
            "E:parameters-ucr",
        ]);
        assert_eq!(place.registry().requests(), []);
    });
}
