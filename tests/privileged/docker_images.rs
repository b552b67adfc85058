//! Images that docker, podman and skopeo wrote, and those of a Docker Engine, beside the same image
//! from its layout: equal trees, and containers that do the same.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::docker_archive::{DockerArchive, Form};
use crate::support::engine::Engine;
use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::scratch::Scratch;
use crate::support::tree::Tree;
use crate::support::ucr::{Invocation, Ucr};
use crate::support::{need, process, samples};

const TAG: &str = samples::TAG;

/// Layers with all that one may have, one of them twice.
fn image() -> Image {
    let again = Layer::new().file("again", "again").owner(1815, 1816);
    let below = Layer::new()
        .dir("kept", 0o2755)
        .file("kept/file", "below")
        .hardlink("kept/link", "kept/file")
        .file("gone", "gone")
        .dir("hidden", 0o755)
        .file("hidden/old", "old");
    let above = Layer::new()
        .dir("kept", 0o2755)
        .whiteout("gone")
        .opaque("hidden")
        .file("hidden/new", "new")
        .xattr("user.note", b"kept")
        .symlink("way", "kept/file");
    samples::small()
        .layer(again.clone())
        .layer(below)
        .layer(above)
        .layer(again)
        .env(&["PATH=/bin", "GREETING=good day"])
        .workdir("/kept")
        .user("ada")
        .cmd(&["sh", "-c", "id; pwd; echo $GREETING; cat /way; ls /"])
}

/// What is made of an image in a store of its own: its layers, its tree, what it says.
#[derive(Debug, PartialEq)]
struct Made {
    layers: Vec<PathBuf>,
    tree: Tree,
    said: String,
}

fn made(reference: &str, docker_host: &str) -> Made {
    let ucr = Ucr::new();
    let at = |words: &[&str]| {
        let line = ucr.cmd(words).env("DOCKER_HOST", docker_host);
        line.run().ok()
    };
    let place = ucr.scratch().join("place");
    let path = place.to_str().unwrap();
    at(&["provision", "--backend", "copy", reference, path]);
    let tree = Tree::read(&place);
    let said = at(&["run", reference]).stdout;
    let layers = ucr.entries(&["layers"]);
    let layers = layers.iter().map(|path| path.file_name().unwrap().into());
    assert!(ucr.entries(&["ingest", "tmp", "trash"]).is_empty());
    Made {
        layers: layers.collect(),
        tree,
        said,
    }
}

fn skopeo(from: &str, to: &str) {
    let mut skopeo = Command::new(need::program("skopeo", "skopeo"));
    process::tool(skopeo.args(["--insecure-policy", "copy", "--quiet", from, to]));
}

/// Loads an archive, and saves it again.
fn podman(scratch: &Scratch, from: &Path, to: &Path) {
    let run = |words: &[&str], file: &str| {
        let mut command = Command::new(need::program("podman", "podman"));
        command.arg("--root").arg(scratch.join("podman/root"));
        command.arg("--runroot").arg(scratch.join("podman/run"));
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        process::tool(command.args(words).arg(file));
    };
    run(&["load", "--quiet", "--input"], from.to_str().unwrap());
    let output = format!("--output={}", to.display());
    let save = ["save", "--quiet", "--format", "docker-archive", &output];
    run(&save, "docker.io/library/small:1");
}

#[test]
fn images_of_other_tools_are_the_same() {
    let scratch = Scratch::new();
    let layout = Layout::of(TAG, &image());
    let expected = made(&layout.reference(TAG), "");
    assert_eq!(expected.layers.len(), 5);
    assert!(
        expected.said.contains("good day\nbelow"),
        "{}",
        expected.said
    );
    assert!(!expected.tree.has("gone") && !expected.tree.has("hidden/old"));

    let archive = |name: &str| scratch.join(name);
    let first = archive("skopeo.tar");
    let named = format!("docker-archive:{}:small:1", first.display());
    skopeo(&layout.reference(TAG), &named);
    podman(&scratch, &first, &archive("podman.tar"));
    let engine = Engine::shared();
    engine.ask(["load", "--quiet", "--input", first.to_str().unwrap()]);
    let saved = archive("docker.tar");
    let output = format!("--output={}", saved.display());
    engine.ask(["save", &output, "small:1"]);
    let id = engine.ask(["image", "inspect", "--format", "{{.Id}}", "small:1"]);

    for name in ["skopeo.tar", "podman.tar", "docker.tar"] {
        for tag in ["", ":small:1", ":docker.io/library/small:1"] {
            let reference = format!("docker-archive:{}{tag}", archive(name).display());
            assert_made(&reference, &made(&reference, ""), &expected);
        }
    }
    for reference in ["docker-daemon:small:1", &format!("docker-daemon:{id}")] {
        assert_made(reference, &made(reference, &engine.host()), &expected);
    }
}

#[track_caller]
fn assert_made(reference: &str, made: &Made, expected: &Made) {
    eprintln!("{reference}");
    made.tree.assert_same(&expected.tree);
    assert_eq!(made.said, expected.said, "{reference}");
    assert_eq!(made.layers, expected.layers, "{reference}");
}

/// A ucr that asks an Engine through a docker that writes down what it is asked.
struct Asking<'a> {
    ucr: Ucr,
    engine: &'a Engine,
    log: PathBuf,
}

impl<'a> Asking<'a> {
    fn new(engine: &'a Engine) -> Self {
        let ucr = Ucr::new();
        let log = ucr.scratch().file("log", "");
        let docker = need::program("docker", "docker.io");
        let script = format!(
            "#!/bin/sh\necho \"$1\" >>{}\nexec {} \"$@\"\n",
            log.display(),
            docker.display()
        );
        ucr.scratch().dir("bin");
        let program = ucr.scratch().file("bin/docker", script);
        fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        Self { ucr, engine, log }
    }

    fn cmd(&self, words: &[&str]) -> Invocation {
        let path = format!("{}:/usr/bin:/bin", self.ucr.scratch().join("bin").display());
        let line = self.ucr.cmd(words).env("PATH", path);
        line.env("DOCKER_HOST", self.engine.host())
            .limit(Duration::from_secs(60))
    }

    /// What docker was asked since the last time.
    fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap();
        fs::write(&self.log, "").unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn load(&self, tag: &str, text: &str) {
        let image = samples::small().layer(Layer::new().file("text", text));
        let archive = DockerArchive::of(Form::Podman, tag, &image);
        let file = self.ucr.scratch().file("load.tar", archive);
        self.engine
            .ask(["load", "--quiet", "--input", file.to_str().unwrap()]);
    }
}

/// What an Engine has is saved once, and again when it has another.
#[test]
fn an_engine_is_asked_before_it_saves() {
    let asking = Asking::new(Engine::shared());
    let (name, image) = ("text:asked", "docker-daemon:text:asked");
    let run = |flags: &[&str]| {
        let line = [&["run"], flags, &[image, "cat", "/text"]].concat();
        asking.cmd(&line).run().ok().stdout
    };
    asking.cmd(&["run", image]).run().refused(&[
        "docker-daemon:docker.io/library/text:asked",
        "No such image",
        "docker images",
    ]);
    asking.asked();

    asking.load(name, "first");
    assert_eq!(run(&[]), "first");
    assert_eq!(asking.asked(), ["image", "save"]);
    assert_eq!(run(&[]), "first");
    assert_eq!(asking.asked(), ["image"]);
    assert_eq!(run(&["--policy", "missing"]), "first");
    assert!(asking.asked().is_empty());

    asking.load(name, "second");
    assert_eq!(run(&["--policy", "missing"]), "first");
    assert_eq!(run(&[]), "second");
    let digest = asking.cmd(&["pull", image]).run().ok();
    let inspected = asking.cmd(&["inspect", image]).run().ok().json();
    assert_eq!(inspected["manifest_digest"], digest.text());
    assert_eq!(
        inspected["source"],
        "docker-daemon:docker.io/library/text:asked"
    );
    let id = asking
        .engine
        .ask(["image", "inspect", "--format", "{{.Id}}", name]);
    assert_eq!(inspected["config_digest"], id);
    asking
        .cmd(&["pull", "--platform", "linux/s390x", image])
        .run()
        .refused(&["linux/amd64", "linux/s390x"]);

    // Gone from the Engine, but not from here.
    asking.engine.ask(["image", "rm", name]);
    let line = asking.cmd(&["run", image, "cat", "/text"]).run().ok();
    assert_eq!(line.stdout, "second");
    assert!(
        line.stderr.contains("the image of the store is used"),
        "{}",
        line.stderr
    );
    asking
        .cmd(&["pull", "--policy", "always", image])
        .run()
        .refused(&["No such image"]);
    asking.cmd(&["rm", image]).run().ok();
    assert!(
        asking
            .ucr
            .entries(&["ingest", "tmp", "trash", "refs"])
            .is_empty()
    );
}

/// Of an Engine that hangs, one that takes its time, and none at all.
#[test]
fn an_engine_that_does_not_answer() {
    let engine = Engine::new();
    let asking = Asking::new(&engine);
    let image = "docker-daemon:text:mute";
    asking.load("text:mute", "said");
    engine.hang();
    let pull = asking.cmd(&["pull", "--pull-timeout", "2s", image]);
    let begun = std::time::Instant::now();
    pull.run()
        .refused(&["Docker Engine", "no answer to 'docker image'"]);
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    engine.resume();
    asking.cmd(&["pull", image]).run().ok();
    engine.stop();
    let done = asking.cmd(&["run", image, "cat", "/text"]).run().ok();
    assert_eq!(done.stdout, "said");
    assert!(
        done.stderr.contains("Docker Engine does not answer"),
        "{}",
        done.stderr
    );
    asking
        .cmd(&["pull", "--policy", "always", image])
        .run()
        .refused(&["Docker Engine does not answer", "systemctl start docker"]);
    let file = asking.ucr.scratch().join("load.tar").display().to_string();
    asking
        .cmd(&["run", &format!("docker-archive:{file}"), "cat", "/text"])
        .run()
        .ok();
    assert!(asking.ucr.entries(&["ingest", "tmp", "trash"]).is_empty());
}
