//! Faults of ucr's own are 125, usage included; help is 0. What containers return is tested in
//! `tests/privileged/exit_codes.rs`.

use crate::support::scripted_registry::Refusing;
use crate::support::ucr::Ucr;

#[test]
fn usage_is_125() {
    let ucr = Ucr::new();
    let rows: &[&[&str]] = &[
        &[],
        &["nosuch"],
        &["--nosuch"],
        &["pull"],
        &["pull", "a", "b"],
        &["pull", "--nosuch-flag", "a"],
        &["pull", "--policy", "sometimes", "a"],
        &["provision"],
        &["provision", "--backend", "nosuch", "a"],
        &["run"],
        &["run", "--nosuch-flag"],
        &["inspect"],
        &["inspect", "--raw", "nosuch", "a"],
        &["images", "--format", "nosuch"],
        &["rm"],
        &["prune", "extra"],
    ];
    for row in rows {
        let done = ucr.run(*row);
        assert_eq!(
            done.code, 125,
            "{}\n{}{}",
            done.line, done.stdout, done.stderr
        );
        assert_eq!(done.stdout, "", "{}: usage faults go to stderr", done.line);
        assert!(!done.stderr.is_empty(), "{}: says nothing", done.line);
    }
}

#[test]
fn names_that_cannot_be() {
    let ucr = Ucr::new();
    // Nothing of this asks a registry: upper case is no repository, and the rest no reference.
    for name in ["NOSUCH", "a b", "http://a/b", "a:b:c", "a@sha256:00", ""] {
        for words in [&["pull", name][..], &["run", name], &["provision", name]] {
            ucr.run(words).refused(&["image name"]);
        }
    }
    for name in ["nosuch", "127.0.0.1:1/nosuch:1"] {
        for words in [&["inspect", name][..], &["rm", name]] {
            ucr.run(words).refused(&["nosuch"]);
        }
    }
}

/// What no image and no machine makes right is said at once, not after a pull.
#[test]
fn descriptions_that_cannot_be() {
    let nobody = Refusing::new();
    let image = format!("{}/a:1", nobody.host());
    let ucr = Ucr::new();
    let rows: &[(&[&str], &str)] = &[
        (&["-m", "1"], "--memory 1"),
        (&["--cap-add", "NO_SUCH"], "'NO_SUCH' is no capability"),
        (&["--cap-drop", "NO_SUCH"], "'NO_SUCH' is no capability"),
        (&["--userns", "1:1:1"], "no ID 0"),
        (&["--network", "../x"], "'../x' is not supported"),
        (&["--ulimit", "core=2:1"], "--ulimit core=2:1"),
        (&["-p", "80/sctp"], "protocol sctp"),
    ];
    for (flags, word) in rows {
        let words = [&["run"][..], flags, &[image.as_str()]].concat();
        ucr.run(words).refused(&[word]);
    }
    let documents = [
        (r#""devices":["x"]"#, "device 'x'"),
        (
            r#""security":{"seccomp":{"file":"x.json"}}"#,
            "path 'x.json' of the host is not absolute",
        ),
    ];
    for (keys, word) in documents {
        let text = format!(r#"{{"version":1,"image":"{image}",{keys}}}"#);
        let asked = ucr.cmd(["run", "--spec", "-"]).stdin(text.into_bytes());
        asked.run().refused(&[word]);
    }
}

/// The name of the kind, for programs.
#[test]
fn faults_as_json() {
    let ucr = Ucr::new();
    let done = ucr
        .run(["--format", "json", "pull", "NOSUCH"])
        .expect_code(125);
    assert!(done.stderr.contains("\"reference\""), "{}", done.stderr);
}

/// A registry that does not answer is a fault of the network, soon.
#[test]
fn nobody_there() {
    let nobody = Refusing::new();
    let address = nobody.host();
    let ucr = Ucr::new();
    ucr.run(["pull", &format!("{address}/a:1")])
        .refused(&[&address]);
    ucr.run(["pull", "--policy", "never", &format!("{address}/a:1")])
        .refused(&[&address]);
}

#[test]
fn help_and_version_are_0() {
    let ucr = Ucr::new();
    for words in [["--help"], ["--version"], ["-h"], ["-V"]] {
        let done = ucr.run(words).ok();
        assert!(done.stdout.contains("ucr"), "{}", done.line);
        assert_eq!(done.stderr, "", "{}", done.line);
    }
}
