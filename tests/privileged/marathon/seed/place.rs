//! Where apps of the seed are run: by ucr itself, with Docker Hub's names on a mirror on loopback,
//! and by a real Docker Engine that has the images under these names.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::engine::Engine;
use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::netns::alone;
use crate::support::process::{self, Finished, Running};
use crate::support::registry::Registry;
use crate::support::samples;
use crate::support::ucr::{Invocation, Ucr};

/// Of containers: the Engine's are in one place.
static NAMES: AtomicUsize = AtomicUsize::new(0);

pub const LIMIT: Duration = Duration::from_secs(90);

/// The Engine of these tests. It ends when the program does.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let engine = Engine::new();
    engine.on_its_machine(|| {
        let registry = Registry::open();
        for (name, image) in images() {
            let there = push(&registry, name, &image);
            engine.ask(["pull", "--quiet", &there]);
            engine.ask(["tag", &there, name]);
        }
    });
    engine
});

/// Does what python's module does, on the port that it is given.
const PYTHON: &str = "#!/bin/sh\n\
    [ \"$1 $2\" = '-m http.server' ] || exit 64\n\
    mkdir -p /srv && cd /srv && echo served >index.html && exec httpd -f -p \"$3\"\n";

/// Prints its arguments, a line for each.
const ARGUMENTS: &str = "#!/bin/sh\nfor word; do echo \"[$word]\"; done\n";

/// What the image of the seed's volumes does: tries to write into both, and reads both.
const VOLUMES: &str = "#!/bin/sh\n\
    cat /etc/a/given\n\
    touch /etc/a/new 2>/dev/null || echo 'a refuses'\n\
    echo written >/etc/b/new && echo 'b takes'\n";

/// Their names in the seed (and three of these tests' own), and what they are.
fn images() -> Vec<(&'static str, Image)> {
    let applets = ["httpd", "nc", "wget", "cut", "sort"];
    let tools = applets
        .iter()
        .fold(samples::busybox_layer(), |layer, name| {
            layer.hardlink(&format!("bin/{name}"), "bin/busybox")
        });
    let own = Layer::new()
        .dir("bin", 0o755)
        .program("bin/python3", PYTHON)
        .program("bin/arguments", ARGUMENTS)
        .program("bin/volumes", VOLUMES);
    let base = Image::new().layer(tools).layer(own);
    let echo = Layer::new().dir("bin", 0o755);
    let busybox = fs::read("/bin/busybox").expect("busybox-static");
    let shell_less = Image::new().layer(echo.program("bin/echo", busybox));
    vec![
        ("mesosphere/inky", dockerfile(base.clone())),
        ("python:3", base.clone().cmd(&["python3"])),
        ("group/image", base.clone().cmd(&["volumes"])),
        ("seed/bare", base.clone()),
        ("seed/arguments", base.entrypoint(&["arguments"])),
        ("seed/no-shell", shell_less.cmd(&["echo", "well"])),
    ]
}

/// Adds what the seed's Dockerfile says.
fn dockerfile(mut image: Image) -> Image {
    let text = fs::read_to_string(data("inky.dockerfile")).unwrap();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap();
        let json = || serde_json::from_str::<Value>(rest).unwrap();
        image = match word {
            "FROM" => image,
            "LABEL" => {
                let (key, value) = rest.split_once('=').unwrap();
                image.set("Labels", json!({ key: value.trim_matches('"') }))
            }
            "CMD" => image.set("Cmd", json()),
            "ENTRYPOINT" => image.set("Entrypoint", json()),
            _ => panic!("{line}"),
        };
    }
    image
}

/// Publishes an image under one of the seed's names; gives its reference on this registry.
pub fn push(registry: &Registry, name: &str, image: &Image) -> String {
    let name = match name.contains('/') {
        true => name.to_owned(),
        false => format!("library/{name}"),
    };
    let tagged = match name.contains(':') {
        true => name,
        false => format!("{name}:latest"),
    };
    registry.push(&Layout::of("seed", image), "seed", &tagged)
}

/// One of the images.
pub fn image(name: &str) -> Image {
    let mut all = images().into_iter();
    all.find(|(it, _)| *it == name).expect("an image").1
}

/// A file of the seed's.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/seed")
        .join(name)
}

/// A snippet as it is printed.
pub fn printed(name: &str) -> String {
    fs::read_to_string(data(name)).unwrap()
}

/// The same, read.
pub fn snippet(name: &str) -> Value {
    serde_json::from_str(&printed(name)).unwrap()
}

/// A ucr with one of the runtimes.
pub struct Place {
    pub ucr: Ucr,
    serves: Serves,
}

enum Serves {
    Native(Box<Registry>),
    Docker(String),
}

/// Runs a test with the native runtime, in a network of its own.
pub fn native<T: Send>(act: impl FnOnce(&Place) -> T + Send) -> T {
    alone(|| {
        let registry = Registry::open();
        for (name, image) in images() {
            push(&registry, name, &image);
        }
        act(&Place {
            ucr: Ucr::new(),
            serves: Serves::Native(Box::new(registry)),
        })
    })
}

/// Runs a test with the Engine, on its machine.
pub fn docker<T: Send>(act: impl FnOnce(&Place) -> T + Send) -> T {
    docker_of(&ENGINE, act)
}

/// With another Engine.
pub fn docker_of<T: Send>(engine: &Engine, act: impl FnOnce(&Place) -> T + Send) -> T {
    engine.on_its_machine(|| {
        act(&Place {
            ucr: Ucr::new(),
            serves: Serves::Docker(engine.host()),
        })
    })
}

/// Under each of them.
pub fn both(act: impl Fn(&Place) + Sync) {
    native(&act);
    docker(&act);
}

impl Place {
    /// The mirror, where ucr itself pulls.
    pub fn registry(&self) -> &Registry {
        match &self.serves {
            Serves::Native(registry) => registry,
            Serves::Docker(_) => panic!("the Engine has the images already"),
        }
    }

    pub fn is_docker(&self) -> bool {
        matches!(self.serves, Serves::Docker(_))
    }

    /// For `container.type`.
    pub fn kind(&self) -> &'static str {
        if self.is_docker() { "DOCKER" } else { "MESOS" }
    }

    /// For `--runtime` of commands that read no app.
    pub fn runtime(&self) -> &'static str {
        if self.is_docker() { "docker" } else { "native" }
    }

    /// A command of ucr's.
    pub fn cmd(&self, words: &[&str]) -> Invocation {
        let host = match &self.serves {
            Serves::Native(_) => "unix:///there/is/no/docker",
            Serves::Docker(host) => host,
        };
        let invocation = self.ucr.cmd(words).env("DOCKER_HOST", host).limit(LIMIT);
        match &self.serves {
            // Nothing named docker is found.
            Serves::Native(_) => invocation.env("PATH", "/sbin:/no/docker"),
            Serves::Docker(_) => invocation,
        }
    }

    /// A file with this text.
    pub fn file(&self, text: &str) -> String {
        let path = self.ucr.scratch().file("app.json", text);
        path.to_str().unwrap().to_owned()
    }

    fn words<'a>(&'a self, flags: &[&'a str], mirror: &'a str, file: &'a str) -> Vec<&'a str> {
        let mirror: &[&str] = match self.is_docker() {
            true => &[],
            false => &["--mirror", mirror],
        };
        [&["run"], mirror, flags, &["--app", file]].concat()
    }

    fn mirror(&self) -> String {
        match &self.serves {
            Serves::Native(registry) => format!("docker.io=http://{}", registry.address()),
            Serves::Docker(_) => String::new(),
        }
    }

    /// `ucr run FLAGS --app` of this text.
    pub fn text(&self, flags: &[&str], text: &str) -> Invocation {
        let (mirror, file) = (self.mirror(), self.file(text));
        self.cmd(&self.words(flags, &mirror, &file))
    }

    /// The same of an app, as it says which runtime it is for.
    pub fn app(&self, flags: &[&str], app: &Value) -> Invocation {
        self.text(flags, &app.to_string())
    }

    /// The same under the runtime of this place.
    #[track_caller]
    pub fn run(&self, app: &Value) -> Finished {
        self.app(&[], &self.typed(app)).run()
    }

    /// With this place's type.
    pub fn typed(&self, app: &Value) -> Value {
        let mut app = app.clone();
        app["container"]["type"] = json!(self.kind());
        app
    }

    /// Starts an app that stays, under a name of its own; returns when it runs.
    #[track_caller]
    pub fn start(&self, flags: &[&str], app: &Value) -> Task<'_> {
        self.start_text(flags, &app.to_string())
    }

    /// The same of this text.
    #[track_caller]
    pub fn start_text(&self, flags: &[&str], text: &str) -> Task<'_> {
        let mirror = self.mirror();
        let file = self.file(text);
        let name = format!("task-{}", NAMES.fetch_add(1, Ordering::Relaxed));
        let flags = [&["--name", &name, "--status-fd", "3"], flags].concat();
        let events = self.ucr.scratch().file(&name, "");
        let mut command = self.ucr.by_shell(&format!("exec \"$@\" 3>>{name}"));
        command
            .args(self.words(&flags, &mirror, &file))
            .current_dir(self.ucr.scratch().path())
            .env("HOME", self.ucr.home());
        if let Serves::Docker(host) = &self.serves {
            command.env("DOCKER_HOST", host);
        }
        let task = Task {
            name: name.clone(),
            place: self,
            running: process::spawn(&mut command, b""),
            events,
        };
        task.wait_for("started", |event| event["event"] == "started");
        task
    }

    /// Containers neither of the app with this id nor, of our own, any other.
    #[track_caller]
    pub fn assert_nothing_runs(&self, id: &str) {
        let left = match &self.serves {
            Serves::Native(_) => self.cmd(&["ps", "--all", "--quiet"]).run().ok().stdout,
            Serves::Docker(_) => {
                let named = format!("name={id}");
                ENGINE.ask(["ps", "--all", "--quiet", "--filter", &named])
            }
        };
        assert_eq!(left, "");
    }
}

/// An app that runs.
pub struct Task<'a> {
    pub name: String,
    place: &'a Place,
    running: Running,
    events: PathBuf,
}

impl Task<'_> {
    /// What it has said on its status descriptor.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.events).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[track_caller]
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&Value) -> bool) {
        let is_there = || self.events().iter().any(&is_it);
        self.running.wait_until(what, LIMIT, is_there);
    }

    pub fn stderr(&self) -> String {
        self.running.stderr_so_far()
    }

    /// `ucr inspect`.
    #[track_caller]
    pub fn inspect(&self) -> Value {
        let words = ["--runtime", self.place.runtime(), "inspect", &self.name];
        self.place.cmd(&words).run().ok().json()
    }

    /// What is recorded of its ports.
    #[track_caller]
    pub fn ports(&self) -> Vec<Value> {
        let document = self.inspect();
        document["spec"]["app"]["ports"]
            .as_array()
            .unwrap_or_else(|| panic!("no ports in {document:#}"))
            .clone()
    }

    /// The host port with this index.
    #[track_caller]
    pub fn host_port(&self, index: usize) -> u16 {
        let port = self.ports()[index]["host_port"].as_u64().unwrap();
        u16::try_from(port).unwrap()
    }

    pub fn pid(&self) -> i64 {
        self.inspect()["pid"].as_i64().expect("a pid")
    }

    /// A value of its cgroup: of version 1, or of 2.
    pub fn limit(&self, controller: &str, v1: &str, v2: &str) -> String {
        let path = format!("/proc/{}/cgroup", self.pid());
        let own = fs::read_to_string(path).unwrap();
        let line = |wanted: &dyn Fn(&str) -> bool| {
            own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                wanted(controllers).then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let top = Path::new("/sys/fs/cgroup");
        let place = line(&|all| all.split(',').any(|it| it == controller));
        let file = match place {
            Some(path) => top.join(controller).join(path).join(v1),
            None => top.join(line(&str::is_empty).unwrap()).join(v2),
        };
        let text = fs::read_to_string(&file);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.trim().to_owned()
    }

    /// What a command in it prints.
    #[track_caller]
    pub fn exec(&self, script: &str) -> String {
        let runtime = self.place.runtime();
        let words = ["--runtime", runtime, "exec", &self.name, "sh", "-c", script];
        self.place.cmd(&words).run().ok().text().to_owned()
    }

    /// Asks it to end.
    #[track_caller]
    pub fn end(self) -> Finished {
        self.running.signal(Signal::SIGTERM);
        self.running.finish(LIMIT)
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.running.finish(LIMIT)
    }
}

/// What an HTTP server answers, on loopback; tried until somebody answers.
#[track_caller]
pub fn http(port: u16, path: &str) -> String {
    use std::io::Write;
    let begin = Instant::now();
    loop {
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut answer)
        });
        if asked.is_ok() && !answer.is_empty() {
            return answer;
        }
        assert!(begin.elapsed() < LIMIT, "port {port}: {asked:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
