//! Privileged mode and arbitrary options of docker's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::place::{ENGINE, Place, data, docker, native, printed, snippet};
use crate::support::ucr::Invocation;

/// The real docker, which leaves a line for each word that it gets.
fn recorded(place: &Place, invocation: Invocation) -> Invocation {
    let scratch = place.ucr.scratch();
    let argv = scratch.join("argv");
    scratch.dir("bin");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >>{}\nexec /usr/bin/docker \"$@\"\n",
        argv.display()
    );
    let program = scratch.file("bin/docker", script);
    fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", scratch.join("bin").display());
    invocation.env("PATH", path)
}

/// What followed `docker create`.
fn argv(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.ucr.scratch().join("argv")).unwrap();
    let words = text.lines().skip_while(|word| *word != "create");
    let mut all: Vec<String> = Vec::new();
    for word in words {
        all.push(word.to_owned());
        if word == "hello" {
            return all;
        }
    }
    panic!("docker create was not called: {text}");
}

/// Older versions of runc want to give capabilities that they do not have themselves.
fn lacks_capabilities() -> bool {
    let mine = fs::read_to_string("/proc/self/status").unwrap();
    !mine.contains("CapBnd:\t000001ffffffffff")
}

/// Docker gets each option, in this order, and what it says about one that it no longer knows is
/// what the user sees.
#[test]
fn the_job_as_printed() {
    docker(|place| {
        let invocation = place.text(&[], &printed("privileged-job.json"));
        let done = recorded(place, invocation).run();
        let argv = argv(place);
        let options = [
            "--hostname=a.corp.org",
            "--volumes-from=another-container",
            "--lxc-conf=...",
        ];
        assert!(argv.contains(&"--privileged".to_owned()), "{argv:?}");
        let found: Vec<_> = argv
            .iter()
            .filter(|it| options.contains(&it.as_str()))
            .collect();
        assert_eq!(found, options, "{argv:?}");
        assert!(argv.ends_with(&["hello".to_owned()]), "{argv:?}");
        done.refused(&["unknown flag: --lxc-conf", "an app's parameters"]);
        place.assert_nothing_runs("privileged-job");
    });
}

/// Without the option that docker has given up.
#[test]
fn the_job_of_today() {
    docker(|place| {
        let other = "another-container";
        let write = "echo theirs >/shared/file";
        ENGINE.ask([
            "run",
            "--name",
            other,
            "-v",
            "/shared",
            "seed/bare",
            "sh",
            "-c",
            write,
        ]);
        let mut app = snippet("privileged-job.json");
        let parameters = app["container"]["docker"]["parameters"]
            .as_array_mut()
            .unwrap();
        parameters.pop();
        let done = place.app(&[], &app).run();
        let is_privileged = !(lacks_capabilities() && done.stderr.contains("apply caps"));
        if is_privileged {
            assert_eq!(done.ok().stdout, "hello\n");
        } else {
            // Docker was asked for it, and this machine has not got it to give.
            done.refused(&["docker start", "unable to apply caps"]);
            app["container"]["docker"]["privileged"] = json!(false);
        }
        app["taskKillGracePeriodSeconds"] = json!(0);
        app.as_object_mut().unwrap().remove("args");
        app["cmd"] = json!("exec sleep 1000");
        let task = place.start(&[], &app);
        assert_eq!(
            task.exec("hostname; cat /shared/file"),
            "a.corp.org\ntheirs"
        );
        let format = "{{.HostConfig.Privileged}} {{.Config.Hostname}} {{.HostConfig.VolumesFrom}}";
        let found = ENGINE.ask(["inspect", "--format", format, &task.name]);
        assert_eq!(
            found,
            format!("{is_privileged} a.corp.org [another-container]")
        );
        task.end();
        ENGINE.ask(["rm", "-v", other]);
    });
}

/// Neither by default, nor where it is said to be false.
#[test]
fn privileged_is_asked_for() {
    docker(|place| {
        let mut app = snippet("inky.json");
        for said in [Value::Null, json!(false)] {
            app["container"]["docker"]["privileged"] = said;
            let done = recorded(place, place.app(&[], &app)).run().ok();
            assert_eq!(done.stdout, "hello\n");
            assert!(!argv(place).contains(&"--privileged".to_owned()));
        }
    });
}

/// What docker does not know is docker's to refuse: nothing is left out.
#[test]
fn no_option_is_dropped() {
    docker(|place| {
        let mut app = snippet("inky.json");
        app["container"]["docker"]["parameters"] = json!([
            {"key": "env", "value": "A=b c; $D"},
            {"key": "env", "value": "B="},
            {"key": "of-the-future", "value": "x"},
            {"key": "env", "value": "A=again"},
        ]);
        let done = recorded(place, place.app(&[], &app)).run();
        done.refused(&["unknown flag: --of-the-future"]);
        let argv = argv(place);
        let ours: Vec<_> = argv
            .iter()
            .filter(|it| it.starts_with("--env=") || it.starts_with("--of-"))
            .collect();
        let expected = [
            "--env=A=b c; $D",
            "--env=B=",
            "--of-the-future=x",
            "--env=A=again",
        ];
        assert_eq!(ours, expected, "{argv:?}");
    });
}

/// Every field of every snippet is known: no version is asked for, nothing is passed over.
#[test]
fn no_field_is_unknown() {
    native(|place| {
        let container = snippet("force-pull.json");
        let mut volumes = snippet("volumes.json");
        volumes["id"] = json!("v");
        let mut all = vec![json!({"id": "f", "container": container}), volumes];
        for entry in fs::read_dir(data("")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if ["inky.json", "bridged-webapp.json", "privileged-job.json"].contains(&&*name) {
                all.push(snippet(&name));
            }
        }
        assert_eq!(all.len(), 5);
        for app in all {
            let file = place.file(&app.to_string());
            let shown = place
                .cmd(&["inspect", "--strict", "--app", &file])
                .run()
                .ok();
            assert!(!shown.stderr.contains("W:no-effect"), "{}", shown.stderr);
            assert!(!shown.stderr.contains("W:unknown-key"), "{}", shown.stderr);
        }
    });
}
