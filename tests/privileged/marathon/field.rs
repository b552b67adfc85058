//! Where apps are run: a ucr of its own, a registry with the images that they name, and for those
//! of type DOCKER an Engine.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::engine::Engine;
use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::process::{Finished, Running};
use crate::support::registry::Registry;
use crate::support::samples::{self, TAG};
use crate::support::scratch::mounts_below;
use crate::support::ucr::{Invocation, Ucr, children};

pub const LIMIT: Duration = Duration::from_secs(60);

/// What prints its first environment, as it was given: shells leave out names that they cannot
/// read.
pub const ENVIRONMENT: &str = r"tr '\0' '\n' </proc/$$/environ; true";

/// What [`small`] has beside the usual applets.
const MORE_APPLETS: [&str; 5] = ["nc", "httpd", "seq", "sed", "tee"];

pub struct Field {
    pub ucr: Ucr,
    pub registry: Registry,
    host: Option<String>,
    files: Cell<usize>,
}

/// Busybox with what the apps here call, `CMD ["sh"]`.
pub fn small() -> Image {
    let links = MORE_APPLETS.iter();
    samples::small().layer(links.fold(Layer::new(), |layer, name| {
        layer.symlink(&format!("bin/{name}"), "busybox")
    }))
}

impl Field {
    /// For type MESOS.
    pub fn new() -> Self {
        Self::with(Registry::open())
    }

    /// The same with another registry.
    pub fn with(registry: Registry) -> Self {
        Self {
            ucr: Ucr::new(),
            registry,
            host: None,
            files: Cell::new(0),
        }
    }

    /// For type DOCKER; to be made and used on the Engine's machine.
    pub fn beside(engine: &Engine) -> Self {
        Self {
            host: Some(engine.host()),
            ..Self::new()
        }
    }

    /// One more image in the registry, found there under its name by a mirror.
    pub fn push(&self, name: &str, image: &Image) -> String {
        self.registry.push(&Layout::of(TAG, image), TAG, name)
    }

    /// An image in the Engine under the name that an app says: it finds no registry of that name.
    pub fn tag(&self, engine: &Engine, name: &str, image: &Image) {
        let path = name.split_once('/').map_or(name, |(_, path)| path);
        let pushed = self.push(path, image);
        engine.ask(["pull", "--quiet", &pushed]);
        engine.ask(["tag", &pushed, name]);
    }

    /// A copy of a sample, with some words replaced.
    pub fn sample(&self, name: &str, replaced: &[(&str, &str)]) -> PathBuf {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/apps");
        let text = fs::read_to_string(directory.join(name)).unwrap();
        let text = replaced.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{name} has no {from}");
            text.replace(from, to)
        });
        self.ucr.scratch().file(name, text)
    }

    /// A file with this app.
    pub fn app(&self, app: &Value) -> PathBuf {
        let number = self.files.replace(self.files.get() + 1);
        let name = format!("app{number}.json");
        self.ucr.scratch().file(name, app.to_string())
    }

    /// Any command; images are looked for in this registry first.
    pub fn cmd(&self, words: &[&str]) -> Invocation {
        let address = self.registry.address();
        let hosts = ["docker.io", "registry.example.test"];
        let mirrors = hosts.map(|host| format!("{host}=http://{address}"));
        let command = self.ucr.cmd(words).env("UCR_MIRRORS", mirrors.join(" "));
        let command = command.limit(LIMIT);
        match &self.host {
            Some(host) => command.env("DOCKER_HOST", host),
            None => command,
        }
    }

    /// `ucr run FLAGS --app FILE`.
    pub fn command(&self, flags: &[&str], file: &Path) -> Invocation {
        self.cmd(&[&["run"], flags, &["--app"]].concat()).arg(file)
    }

    /// The same, to its end.
    #[track_caller]
    pub fn run(&self, flags: &[&str], file: &Path) -> Finished {
        self.command(flags, file).run()
    }

    /// An app from a value, to its end.
    #[track_caller]
    pub fn run_app(&self, flags: &[&str], app: &Value) -> Finished {
        self.run(flags, &self.app(app))
    }

    /// Started; it has printed this.
    #[track_caller]
    pub fn start(&self, flags: &[&str], file: &Path, until: &str) -> Running {
        let running = self.command(flags, file).spawn();
        running.wait_until(until, LIMIT, || running.stdout_so_far().contains(until));
        running
    }

    /// What runs here, as `ucr ps` knows it: others use the Engine, too.
    #[track_caller]
    pub fn listed(&self) -> Vec<Value> {
        let runtime = if self.host.is_some() {
            "docker"
        } else {
            "native"
        };
        let listed = self.cmd(&["--runtime", runtime, "ps", "--format", "json"]);
        let listed = listed.run().ok().json();
        let own = self.ucr.scratch().path().to_str().unwrap();
        let is_own = |it: &&Value| {
            let sandbox = it["spec"]["sandbox"].as_str();
            sandbox.is_some_and(|path| path.starts_with(own))
        };
        let all = listed.as_array().unwrap().iter();
        all.filter(is_own).cloned().collect()
    }

    /// What `ucr inspect` says of the only container that runs.
    #[track_caller]
    pub fn only(&self) -> Value {
        let listed = self.listed();
        assert_eq!(listed.len(), 1, "{listed:#?}");
        let id = listed[0]["id"].as_str().unwrap();
        let runtime = if self.host.is_some() {
            "docker"
        } else {
            "native"
        };
        let inspected = self.cmd(&["--runtime", runtime, "inspect", id]);
        inspected.run().ok().json()
    }

    /// Nothing of any app is left: no container, mount, sandbox, mark of a port.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(self.listed(), Vec::<Value>::new());
        let mounts = mounts_below(self.ucr.scratch().path());
        assert!(mounts.is_empty(), "still mounted: {mounts:#?}");
        let rooms = ["containers", "rootfs", "tmp", "trash"];
        let kept = self.ucr.entries(&rooms);
        assert!(kept.is_empty(), "left in the store: {kept:#?}");
        for room in ["sandboxes", "engine-sandboxes"] {
            let kept = children(&self.ucr.root().join(room));
            assert!(kept.is_empty(), "left in the store: {kept:#?}");
        }
        let state = children(&self.ucr.state());
        let kept: Vec<_> = state.iter().flat_map(|room| children(room)).collect();
        assert!(kept.is_empty(), "left in the state: {kept:#?}");
    }
}

/// Puts the members of `more` into `base`, deep, and absent ones where they are null.
pub fn merged(base: &Value, more: Value) -> Value {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            let mut whole = base.clone();
            for (key, value) in more {
                let below = whole.get(&key).cloned().unwrap_or(Value::Null);
                whole.insert(key, merged(&below, value));
            }
            whole.into()
        }
        (_, more) => more,
    }
}

/// A command without an image: B0 of marathon.md, section 7.
pub fn bare(cmd: &str, more: Value) -> Value {
    merged(&json!({ "id": "/t", "cmd": cmd }), more)
}

/// An image of type MESOS: BM.
pub fn boxed(more: Value) -> Value {
    let base = json!({
        "id": "/t",
        "container": { "type": "MESOS", "docker": { "image": "busybox:1" } },
    });
    merged(&base, more)
}

/// The variables of ports in what `env` prints, in order.
pub fn port_variables(printed: &str) -> Vec<String> {
    let mut all: Vec<String> = printed
        .lines()
        .filter(|line| line.starts_with("PORT"))
        .map(str::to_owned)
        .collect();
    all.sort();
    all
}
