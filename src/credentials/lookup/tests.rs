use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use super::*;
use crate::error::kind;

/// `{"auths":{"r.io":…}}` for user `user`, password `p`.
fn config(user: &str) -> String {
    format!(r#"{{"auths":{{"r.io":{{"username":"{user}","password":"p"}}}}}}"#)
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn user(found: &Found) -> Option<&str> {
    match &found.credential.as_ref()?.secret {
        Secret::Basic { user, .. } => Some(user),
        Secret::IdentityToken { .. } | Secret::RegistryToken(_) => None,
    }
}

/// A home with a run-time directory, so that the machine's own files stay out of it.
fn home(dir: &Path) -> Environment {
    Environment {
        home: Some(dir.join("home")),
        xdg_runtime_dir: Some(dir.join("run")),
        ..Environment::default()
    }
}

#[test]
fn the_order_of_the_places() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let sources = Sources {
        creds: Some(("flag".into(), "p".into())),
        pull_secret: Some(config("secret").into_bytes()),
        auth_file: Some(write(dir, "file.json", &config("file"))),
        environment: Environment {
            registry_auth_file: Some(write(dir, "env.json", &config("env"))),
            docker_auth_config: Some(config("env-text")),
            ..home(dir)
        },
        helper_timeout: None,
    };
    write(dir, "home/.docker/config.json", &config("docker"));
    write(dir, "run/containers/auth.json", &config("podman-run"));
    write(
        dir,
        "home/.config/containers/auth.json",
        &config("podman-config"),
    );
    write(
        dir,
        "home/.dockercfg",
        r#"{"r.io":{"username":"old","password":"p"}}"#,
    );
    // Each step takes away what was found, and the next place must answer.
    let mut sources = sources;
    let expect = |sources: &Sources, expected: &str, origin: &str| {
        let found = find(sources, "r.io", "team/app").unwrap();
        assert_eq!(user(&found), Some(expected));
        let credential = found.credential.unwrap();
        assert!(credential.origin.contains(origin), "{credential:?}");
        assert!(found.notes[0].contains(expected), "{:?}", found.notes);
        assert_eq!(found.warnings, Vec::<String>::new());
    };
    expect(&sources, "flag", "--creds");
    sources.creds = None;
    expect(&sources, "secret", "--pull-secret");
    sources.pull_secret = None;
    expect(&sources, "file", "--auth-file");
    sources.auth_file = None;
    expect(&sources, "env", "$REGISTRY_AUTH_FILE");
    sources.environment.registry_auth_file = None;
    expect(&sources, "env-text", "$DOCKER_AUTH_CONFIG");
    sources.environment.docker_auth_config = None;
    let defaults = [
        ("docker", "home/.docker/config.json"),
        ("podman-run", "run/containers/auth.json"),
        ("podman-config", "home/.config/containers/auth.json"),
        ("old", "home/.dockercfg"),
    ];
    for (expected, file) in defaults {
        expect(&sources, expected, file);
        fs::remove_file(dir.join(file)).unwrap();
    }
    let found = find(&sources, "r.io", "team/app").unwrap();
    assert!(found.credential.is_none());
    assert_eq!(found.looked_in.len(), 4);
    assert!(found.notes[0].contains("no credential found; looked in /"));
}

#[test]
fn docker_config_replaces_the_home_directory() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "home/.docker/config.json", &config("home"));
    write(dir.path(), "conf/config.json", &config("conf"));
    let mut sources = Sources {
        environment: home(dir.path()),
        ..Sources::default()
    };
    sources.environment.docker_config = Some(dir.path().join("conf"));
    assert_eq!(user(&find(&sources, "r.io", "x").unwrap()), Some("conf"));
    sources.environment.docker_config = Some(dir.path().join("missing"));
    let found = find(&sources, "r.io", "x").unwrap();
    assert_eq!((user(&found), found.warnings.len()), (None, 0));
}

#[test]
fn named_places_must_be_valid_and_others_only_warn() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let bad = write(dir, "bad.json", "{ nonsense hunter2");
    let absent = dir.join("absent.json");
    let at = |auth_file: Option<PathBuf>, registry_auth_file: Option<PathBuf>| Sources {
        auth_file,
        environment: Environment {
            registry_auth_file,
            ..home(dir)
        },
        ..Sources::default()
    };
    let rows = [
        (at(Some(absent.clone()), None), Kind::NotFound),
        (at(Some(bad.clone()), None), Kind::Usage),
        (at(None, Some(absent)), Kind::NotFound),
        (at(None, Some(bad)), Kind::Usage),
        (
            Sources {
                pull_secret: Some(b"hunter2".to_vec()),
                ..Sources::default()
            },
            Kind::Usage,
        ),
    ];
    for (sources, expected) in rows {
        let error = find(&sources, "r.io", "x").unwrap_err();
        assert_eq!(kind(&error), expected, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    write(dir, "home/.docker/config.json", "{ nonsense");
    write(dir, "run/containers/auth.json", &config("next"));
    let mut sources = at(None, None);
    sources.environment.docker_auth_config = Some("nonsense".into());
    let found = find(&sources, "r.io", "x").unwrap();
    assert_eq!(user(&found), Some("next"));
    assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);
}

/// A helper with this body, and sources that name it as the general store.
fn with_helper(dir: &Path, body: &str) -> Sources {
    let script = format!("#!/bin/sh\nread key\n{body}\n");
    let path = write(dir, "bin/docker-credential-test", &script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let text = r#"{"credsStore":"test","auths":{"r.io":{},"f.io":{"auth":"dTpw"}}}"#;
    write(dir, "home/.docker/config.json", text);
    let mut environment = home(dir);
    let path = format!("{}:/usr/bin:/bin", dir.join("bin").display());
    environment.path = Some(path.into());
    Sources {
        environment,
        // Long enough for a shell on a busy machine.
        helper_timeout: Some(Duration::from_secs(10)),
        ..Sources::default()
    }
}

#[test]
fn helpers_are_asked_with_the_right_key() {
    let dir = tempfile::tempdir().unwrap();
    let body = r#"printf '{"ServerURL":"x","Username":"%s","Secret":"s"}' "$1 $key""#;
    let sources = with_helper(dir.path(), body);
    for (registry, asked) in [
        ("r.io", "get r.io"),
        ("R.io:5000", "get r.io:5000"),
        ("docker.io", "get https://index.docker.io/v1/"),
    ] {
        let found = find(&sources, registry, "x").unwrap();
        assert_eq!(user(&found), Some(asked), "{:?}", found.warnings);
        let origin = found.credential.unwrap().origin;
        assert!(
            origin.starts_with("docker-credential-test, named in "),
            "{origin}"
        );
    }
}

#[test]
fn helpers_that_know_nothing_or_fail_do_not_stop_a_pull() {
    let rows = [
        (
            "echo 'credentials not found in native keychain'; exit 1",
            None,
        ),
        ("echo 'no daemon'; exit 2", Some("no daemon")),
        ("echo nonsense", Some("not what a credential helper says")),
        (r#"echo '{"Username":"","Secret":""}'"#, None),
        ("head -c 2000000 /dev/zero", Some("larger than 1 MiB")),
    ];
    for (body, warning) in rows {
        let dir = tempfile::tempdir().unwrap();
        let sources = with_helper(dir.path(), body);
        let found = find(&sources, "r.io", "x").unwrap();
        assert!(found.credential.is_none(), "{body}");
        match warning {
            None => assert_eq!(found.warnings, Vec::<String>::new(), "{body}"),
            Some(why) => assert!(found.warnings[0].contains(why), "{:?}", found.warnings),
        }
        // What stands in the file is still found.
        assert_eq!(
            user(&find(&sources, "f.io", "x").unwrap()),
            Some("u"),
            "{body}"
        );
    }
}

#[test]
fn a_failing_helper_that_answered_gives_nothing_away() {
    for begin in ["", " ", "warning: "] {
        let dir = tempfile::tempdir().unwrap();
        let answer = r#"{"Username":"u","Secret":"hunter2"}"#;
        let sources = with_helper(dir.path(), &format!("echo '{begin}{answer}'; exit 3"));
        let found = find(&sources, "r.io", "x").unwrap();
        assert!(found.credential.is_none());
        let [warning] = found.warnings.as_slice() else {
            panic!("{:?}", found.warnings);
        };
        assert!(warning.contains("exit status: 3"), "{warning}");
        assert!(!warning.contains("hunter2"), "{warning}");
    }
}

#[test]
fn a_pull_secret_runs_no_helper() {
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    let body = format!("touch {}; echo nothing", ran.display());
    let helpers = [
        r#""credsStore":"test""#,
        r#""credHelpers":{"r.io":"test","f.io":"test"}"#,
    ];
    for helper in helpers {
        let mut sources = with_helper(dir.path(), &body);
        fs::remove_file(dir.path().join("home/.docker/config.json")).unwrap();
        let text = format!(r#"{{{helper},"auths":{{"f.io":{{"auth":"dTpw"}}}}}}"#);
        sources.pull_secret = Some(text.into_bytes());
        for (registry, expected) in [("r.io", None), ("f.io", Some("u"))] {
            let found = find(&sources, registry, "x").unwrap();
            assert_eq!(user(&found), expected, "{helper}");
            let [warning] = found.warnings.as_slice() else {
                panic!("{:?}", found.warnings);
            };
            assert!(
                warning.contains("of --pull-secret: it is not run"),
                "{warning}"
            );
            assert!(!ran.exists(), "{helper}");
        }
    }
}

#[test]
fn a_missing_helper_warns() {
    let dir = tempfile::tempdir().unwrap();
    let sources = with_helper(dir.path(), "");
    fs::remove_file(dir.path().join("bin/docker-credential-test")).unwrap();
    let found = find(&sources, "r.io", "x").unwrap();
    assert!(found.credential.is_none());
    assert!(
        found.warnings[0].contains("docker-credential-test"),
        "{:?}",
        found.warnings
    );
    assert!(
        found.warnings[0].contains("not found in PATH"),
        "{:?}",
        found.warnings
    );
}

#[test]
fn a_hanging_helper_is_ended_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let body = format!("sleep 1000 & echo $! >{}; wait", pid.display());
    let mut sources = with_helper(dir.path(), &body);
    sources.helper_timeout = Some(Duration::from_secs(1));
    let begin = Instant::now();
    let found = find(&sources, "r.io", "x").unwrap();
    assert!(begin.elapsed() < Duration::from_secs(8));
    assert!(
        found.warnings[0].contains("no answer within 1 s"),
        "{:?}",
        found.warnings
    );
    let child = fs::read_to_string(pid).unwrap();
    // Killed with its group; a zombie until init has waited for it.
    let deadline = Instant::now() + Duration::from_secs(5);
    let alive = || {
        let status = fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        status.is_ok_and(|stat| !stat.contains(") Z"))
    };
    while alive() {
        assert!(Instant::now() < deadline, "the helper's child still runs");
        std::thread::yield_now();
    }
}

#[test]
fn a_token_from_a_helper_is_an_identity_token() {
    let dir = tempfile::tempdir().unwrap();
    let sources = with_helper(dir.path(), r#"echo '{"Username":"<token>","Secret":"t"}'"#);
    let found = find(&sources, "r.io", "x").unwrap();
    let expected = Secret::IdentityToken {
        user: None,
        token: "t".into(),
    };
    assert!(found.credential.unwrap().secret == expected);
}
