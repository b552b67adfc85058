//! A ucr whose docker is a script, for faults only: it does what docker does where a test does not
//! say otherwise, and records how it was called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::ucr::{Invocation, Ucr, children};

/// Longer than anything here takes: a patience of one second is six where something is made.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How docker does it. `$HERE` is the scratch directory; `box` is there while the container is.
const SCRIPT: &str = r#"#!/bin/sh
HERE=@HERE@
ID=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
echo $$ >>$HERE/pids
echo "$@" >>$HERE/argv
env >>$HERE/env
stat -c "%a %a" "$DOCKER_CONFIG" "$DOCKER_CONFIG/config.json" | tr '\n' ' ' >>$HERE/modes
cat "$DOCKER_CONFIG/config.json" >>$HERE/config.$1
[ ! -e "$DOCKER_CONFIG/contexts/here" ] || echo "$1" >>$HERE/contexts
state() {
    case $(cat $HERE/box/state) in
    running) how='"Status":"running","Running":true,"Pid":1,"ExitCode":0,"StartedAt":"2026-01-01T00:00:00Z"' ;;
    created) how='"Status":"created","Running":false,"ExitCode":0,"StartedAt":"0001-01-01T00:00:00Z"' ;;
    *) how='"Status":"exited","Running":false,"ExitCode":'$(cat $HERE/box/state)',"StartedAt":"2026-01-01T00:00:00Z"' ;;
    esac
    echo "{$how,\"FinishedAt\":\"2026-01-01T00:00:01Z\"}"
}
be() { mkdir -p $HERE/box; echo $1 >$HERE/box/state; }
cannot_connect() {
    echo "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?" >&2
    exit 1
}
default() {
    case $1 in
    version) echo '{"Client":{},"Server":{"Version":"28.0.1","ApiVersion":"1.48","Os":"linux"}}' ;;
    image) echo '{"Id":"sha256:'$ID'","Architecture":"amd64","Os":"linux","Config":{"Cmd":["true"]}}' ;;
    create) be created; echo $ID ;;
    ps) [ ! -d $HERE/box ] || echo $ID ;;
    start) echo printed; be 0 ;;
    inspect)
        case $5 in
        *State*) state ;;
        *) echo '{"Id":"'$ID'","Name":"/box","Path":"true","Image":"sha256:'$ID'","Config":{"Labels":{"ucr.key":"k"}},"State":'$(state)'}' ;;
        esac ;;
    rm) rm -r $HERE/box ;;
    stop | kill) be 137 ;;
    wait) echo 137 ;;
    esac
}
case $1 in
@CASES@
*) default "$@" ;;
esac
"#;

/// What it does for some verbs, as cases of a shell.
pub type Verbs<'a> = &'a [(&'a str, &'a str)];

/// The world with that script.
pub struct World {
    pub ucr: Ucr,
}

impl World {
    /// `verbs` are what it does for these instead.
    pub fn new(verbs: Verbs) -> Self {
        let world = Self { ucr: Ucr::new() };
        world.ucr.scratch().dir("bin");
        world.become_another(verbs);
        world
    }

    /// From now on it does something else.
    pub fn become_another(&self, verbs: Verbs) {
        let cases = verbs
            .iter()
            .map(|(verb, act)| format!("{verb}) {act} ;;\n"));
        let here = self.ucr.scratch().path().display().to_string();
        let script = SCRIPT.replace("@CASES@", &cases.collect::<String>());
        // Not in place: the shell of one that runs reads on in it.
        let new = self
            .ucr
            .scratch()
            .file("bin/new", script.replace("@HERE@", &here));
        fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).unwrap();
        fs::rename(new, self.program()).unwrap();
    }

    pub fn program(&self) -> PathBuf {
        self.ucr.scratch().join("bin/docker")
    }

    pub fn cmd(&self, words: &[&str]) -> Invocation {
        let path = format!("{}:/usr/bin:/bin", self.ucr.scratch().join("bin").display());
        let global = ["--runtime", "docker", "--engine-timeout", "1s"];
        let words = [&global, words].concat();
        self.ucr.cmd(words).env("PATH", path).limit(LIMIT)
    }

    /// What it wrote into a file.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.ucr.scratch().join(name)).unwrap_or_default()
    }

    /// Whether the container is there.
    pub fn has_box(&self) -> bool {
        self.ucr.scratch().join("box").exists()
    }

    /// The private directories that are there.
    pub fn private(&self) -> Vec<PathBuf> {
        children(&self.ucr.state().join("docker"))
    }

    /// None of its processes.
    #[track_caller]
    pub fn assert_no_process(&self) {
        for pid in self.text("pids").lines() {
            let name = Path::new("/proc").join(pid).join("cmdline");
            let name = fs::read_to_string(name).unwrap_or_default();
            let is_ours = name.contains("bin/docker") || name.contains("sleep\x001000");
            assert!(!is_ours, "{pid} is running: {name}");
        }
    }

    /// Neither processes nor files nor the container.
    #[track_caller]
    pub fn assert_nothing_is_left(&self, why: &str) {
        self.assert_no_process();
        let left = self.private();
        assert!(left.is_empty(), "{why}: {left:?}");
        assert!(!self.has_box(), "{why}");
    }
}
