//! `docker-daemon:REF` where docker does what it should not: a stand-in for it, for faults only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::docker_archive::{DockerArchive, Form};
use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::process::Finished;
use crate::support::ucr::{Invocation, Ucr};

const IMAGE: &str = "docker-daemon:x:1";
const LIMIT: Duration = Duration::from_secs(30);

/// A ucr whose docker is a script; `$HERE` is the scratch directory, which has `image.tar`.
struct World {
    ucr: Ucr,
}

impl World {
    /// `inspect` and `save` are what the script does for these.
    fn new(inspect: &str, save: &str) -> Self {
        let ucr = Ucr::new();
        let image = Image::new().layer(Layer::new().file("a", "a"));
        let archive = DockerArchive::of(Form::Docker20, "x:1", &image);
        ucr.scratch().file("image.tar", archive);
        let here = ucr.scratch().path().display().to_string();
        let script = format!(
            "#!/bin/sh\nHERE={here}\necho $$ >>$HERE/pids\nenv >>$HERE/env\n\
             cat $DOCKER_CONFIG/config.json >>$HERE/configs\n\
             case $1 in\nimage) {inspect} ;;\nsave) {save} ;;\nesac\n"
        );
        ucr.scratch().dir("bin");
        let program = ucr.scratch().file("bin/docker", script);
        fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        Self { ucr }
    }

    /// Inspection goes well.
    fn saving(save: &str) -> Self {
        let id = format!("echo sha256:{}", "a".repeat(64));
        Self::new(&id, save)
    }

    fn cmd(&self, words: &[&str]) -> Invocation {
        let path = format!("{}:/usr/bin:/bin", self.file("bin").display());
        self.ucr.cmd(words).env("PATH", path).limit(LIMIT)
    }

    fn pull(&self) -> Finished {
        self.cmd(&["pull", "--pull-timeout", "2s", IMAGE]).run()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.ucr.scratch().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// Neither files nor processes.
    #[track_caller]
    fn assert_nothing_is_left(&self) {
        let left = self
            .ucr
            .entries(&["ingest", "tmp", "trash", "layers", "refs"]);
        assert!(left.is_empty(), "{left:?}");
        for pid in self.text("pids").lines() {
            assert!(!Path::new("/proc").join(pid).exists(), "{pid} is running");
        }
    }
}

#[test]
fn what_docker_may_say_or_not() {
    let rows: &[(&str, &[&str])] = &[
        (
            "cat /etc/passwd",
            &["what 'docker save' wrote", "not a tar file"],
        ),
        ("true", &["what 'docker save' wrote", "no manifest.json"]),
        (
            "head -c 2560 $HERE/image.tar",
            &["what 'docker save' wrote"],
        ),
        (
            "cat $HERE/image.tar; echo 'Error response from daemon: it broke' >&2; exit 1",
            &["docker save: it broke"],
        ),
        (
            "echo 'Error response from daemon: reference does not exist' >&2; exit 1",
            &["docker save: reference does not exist"],
        ),
        (
            "echo 'write /dev/stdout: no space left on device' >&2; exit 1",
            &["store ", "/root", "no storage space", "ucr prune"],
        ),
        (
            "head -c 9 $HERE/image.tar; exec sleep 1000",
            &["no answer to 'docker save'", "--pull-timeout"],
        ),
        ("exec >&-; exec sleep 1000", &["no answer to 'docker save'"]),
    ];
    for (save, words) in rows {
        let world = World::saving(save);
        let refused = world
            .pull()
            .refused(&["docker-daemon:docker.io/library/x:1"]);
        for word in *words {
            assert!(refused.stderr.contains(word), "{save}: {}", refused.stderr);
        }
        assert!(!refused.stderr.contains("--runtime"), "{}", refused.stderr);
        world.assert_nothing_is_left();
    }
    for (inspect, words) in [
        (
            "echo '<html>'",
            &["is no image's ID", "Docker's own CLI"][..],
        ),
        ("exec sleep 1000", &["no answer to 'docker image'"]),
        ("cat /dev/zero", &["has no end"]),
        ("kill -9 $$", &["docker image: it failed without a word"]),
    ] {
        let world = World::new(inspect, "cat $HERE/image.tar");
        world.pull().refused(words);
        world.assert_nothing_is_left();
    }
}

#[test]
fn without_docker() {
    let ucr = Ucr::new();
    let empty = ucr.scratch().dir("empty");
    let pull = ucr.cmd(["pull", IMAGE]).env("PATH", empty);
    let refused = pull
        .run()
        .refused(&["no program 'docker'", "apt-get install docker.io"]);
    assert!(!refused.stderr.contains("--runtime"), "{}", refused.stderr);
    assert!(ucr.entries(&["ingest", "tmp"]).is_empty());
}

/// A ucr that is killed takes docker with it, and the next one sweeps.
#[test]
fn a_killed_pull_leaves_nothing() {
    let world = World::saving("cat $HERE/image.tar; exec sleep 1000");
    let running = world.cmd(&["pull", IMAGE]).spawn();
    let both = || fs::read_to_string(world.file("pids")).unwrap_or_default();
    running.wait_until("docker save", LIMIT, || both().lines().count() == 2);
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish(LIMIT).code, -9);
    // The kernel's word to docker may take a moment.
    let gone = |pid: &str| !Path::new("/proc").join(pid).exists();
    for _ in 0..500 {
        if both().lines().all(gone) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    world.ucr.run(["prune"]).ok();
    world.assert_nothing_is_left();
}

/// It knows which Engine is meant, and no secret.
#[test]
fn docker_gets_no_credential() {
    let world = World::saving("cat $HERE/image.tar");
    world.ucr.scratch().dir("home/.docker");
    let config = r#"{"currentContext":"far","auths":{"r.io":{"auth":"c2VjcmV0"}},"psFormat":"x"}"#;
    world.ucr.scratch().file("home/.docker/config.json", config);
    let pull = world.cmd(&["pull", "--creds", "me:hidden", IMAGE]);
    let pull = pull.env("DOCKER_HOST", "unix:///nowhere");
    let pull = pull.env("DOCKER_AUTH_CONFIG", config);
    pull.env("OTHERS", "hidden").run().ok();
    let known = world.text("env");
    assert!(known.contains("DOCKER_HOST=unix:///nowhere"), "{known}");
    assert!(
        !known.contains("hidden") && !known.contains("c2VjcmV0"),
        "{known}"
    );
    let expected = r#"{"currentContext":"far"}"#;
    assert_eq!(world.text("configs"), expected.repeat(2));
    assert!(world.ucr.entries(&["ingest", "tmp"]).is_empty());
}

#[test]
fn several_at_once() {
    let world = World::saving("cat $HERE/image.tar");
    let pulls: Vec<_> = (0..6)
        .map(|_| world.cmd(&["pull", IMAGE]).spawn())
        .collect();
    let done: Vec<_> = pulls
        .into_iter()
        .map(|pull| pull.finish(LIMIT).ok().stdout)
        .collect();
    assert!(done.iter().all(|one| *one == done[0]), "{done:?}");
    assert_eq!(world.ucr.entries(&["layers"]).len(), 1);
}
