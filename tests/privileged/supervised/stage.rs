//! An app's world: a ucr with the sample image under a name that a definition can say, and a network
//! of its own, with either runtime.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine_life::{Host, image};
use crate::lan::alone;
use crate::life::wait_for;
use crate::support::engine::Engine;
use crate::support::layout::Layout;
use crate::support::process::{Finished, Running};
use crate::support::samples;
use crate::support::ucr::{Invocation, Ucr, children};

/// The Engine of these tests: they count what is in it.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);
static TURN: Mutex<()> = Mutex::new(());
static IMAGE: LazyLock<String> = LazyLock::new(|| image(&ENGINE));

pub const LIMIT: Duration = Duration::from_secs(60);

/// A ucr that serves apps by one of the runtimes.
pub struct Stage {
    pub ucr: Ucr,
    pub image: String,
    pub is_docker: bool,
}

/// Does it with the one and with the other.
pub fn on_both(test: impl Fn(&Stage) + Sync) {
    natively(&test);
    in_docker(&test);
}

/// With a network that is nobody else's.
pub fn natively(test: impl Fn(&Stage) + Sync) {
    let layout = Layout::of(samples::TAG, &samples::small());
    alone(|| {
        let ucr = Ucr::new();
        let registry = layout.serve(samples::TAG);
        let image = format!("{}/proof/small:{}", registry.host(), samples::TAG);
        ucr.pull(&image);
        let is_docker = false;
        test(&Stage {
            ucr,
            image,
            is_docker,
        });
    });
}

/// On the Engine's machine; one after the other, for they count what is in it and take names there.
pub fn in_docker(test: impl Fn(&Stage) + Sync) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::of(&ENGINE, &IMAGE);
    let others = ENGINE.ask(["ps", "--all", "--quiet"]);
    for id in others.lines() {
        // Of one that failed.
        ENGINE.ask(["rm", "--force", id]);
    }
    ENGINE.on_its_machine(|| {
        test(&Stage {
            ucr: host.ucr,
            image: host.image,
            is_docker: true,
        });
    });
}

impl Stage {
    /// Writes a definition with its container beside what is said; gives the file. What is said of
    /// the container is added to it.
    pub fn app(&self, name: &str, said: &Value) -> PathBuf {
        let kind = if self.is_docker { "DOCKER" } else { "MESOS" };
        let mut app = json!({
            "id": format!("/proof/{name}"),
            "container": {"type": kind, "docker": {"image": self.image}},
        });
        for (key, value) in said.as_object().unwrap() {
            match (key.as_str(), value) {
                ("container", Value::Object(more)) => {
                    let container = app["container"].as_object_mut().unwrap();
                    for (key, value) in more {
                        match (key.as_str(), value) {
                            ("docker", Value::Object(more)) => {
                                let docker = container["docker"].as_object_mut().unwrap();
                                docker.extend(more.clone());
                            }
                            _ => drop(container.insert(key.clone(), value.clone())),
                        }
                    }
                }
                _ => app[key] = value.clone(),
            }
        }
        let text = serde_json::to_string_pretty(&app).unwrap();
        self.ucr.scratch().file(format!("{name}.json"), text)
    }

    pub fn cmd(&self, words: &[&str]) -> Invocation {
        let command = self.ucr.cmd(words).limit(LIMIT);
        match self.is_docker {
            true => command.env("DOCKER_HOST", ENGINE.host()),
            false => command,
        }
    }

    /// A command about containers, of the runtime that these are of.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Finished {
        let runtime = if self.is_docker { "docker" } else { "native" };
        self.cmd(&[&["--runtime", runtime], words].concat()).run()
    }

    /// `ucr run --app` of that definition with these options.
    pub fn start(&self, name: &str, said: &Value, flags: &[&str]) -> Invocation {
        let file = self.app(name, said);
        let file = file.to_str().unwrap();
        self.cmd(&[&["run", "--app", file], flags].concat())
    }

    /// In the background; it runs when this returns. Its ID.
    #[track_caller]
    pub fn background(&self, name: &str, said: &Value, flags: &[&str]) -> String {
        let flags = [&["-d", "--name", name], flags].concat();
        let done = self.start(name, said, &flags).run().ok();
        done.text().to_owned()
    }

    /// In the foreground, as soon as it runs.
    #[track_caller]
    pub fn foreground(&self, name: &str, said: &Value, flags: &[&str]) -> Running {
        let flags = [&["--name", name], flags].concat();
        let running = self.start(name, said, &flags).spawn();
        running.wait_until("it runs", LIMIT, || self.status(name) == "running");
        running
    }

    /// `running` or another word; nothing if there is no such container.
    pub fn status(&self, name: &str) -> String {
        let found = self.run(&["inspect", name]);
        match found.code {
            0 => found.json()["status"].as_str().unwrap_or("?").to_owned(),
            _ => String::new(),
        }
    }

    /// The number on the host of its first port.
    pub fn port(&self, id: &str) -> u16 {
        let found = self.run(&["inspect", id]).ok().json();
        let ports = [&found["connection"]["ports"], &found["ports"]];
        let mut hosts = ports.iter().filter_map(|it| it[0]["host"].as_str());
        let host = hosts.next().unwrap_or_else(|| panic!("{found:#}"));
        host.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Nothing of any app is left: no process, container, sandbox, private file, mark of a port.
    #[track_caller]
    pub fn assert_nothing(&self) {
        let found = self.run(&["ps", "-a", "--format", "json"]).ok();
        let found: Vec<Value> = serde_json::from_str(found.text()).unwrap();
        assert!(found.is_empty(), "{found:#?}");
        let places = [
            "containers",
            "rootfs",
            "tmp",
            "trash",
            "sandboxes",
            "ingest",
        ];
        let kept: Vec<_> = places
            .iter()
            .flat_map(|it| children(&self.ucr.root().join(it)))
            .collect();
        assert!(kept.is_empty(), "left in the store: {kept:#?}");
        let state = children(&self.ucr.state());
        let kept: Vec<_> = state.iter().flat_map(|it| children(it)).collect();
        assert!(kept.is_empty(), "left in the state: {kept:#?}");
        wait_for("end of every process", || self.processes().is_empty());
    }

    /// Those that have to do with this ucr, by their arguments or environment.
    pub fn processes(&self) -> Vec<String> {
        let scratch = self.ucr.scratch().path().to_str().unwrap().to_owned();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let own = std::process::id().to_string();
        let others = entries.filter(|it| it.file_name().to_str() != Some(&own));
        let lines = others.filter_map(|it| {
            let line = fs::read(it.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let all = fs::read(it.path().join("environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&all).into_owned();
            let is_ours = line.contains(&scratch) || environment.contains(&scratch);
            is_ours.then(|| format!("{}: {line}", it.file_name().display()))
        });
        lines.collect()
    }
}

/// Asks a server on this host for `/`: what it answers, or nothing.
pub fn ask(port: u16) -> Option<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut client = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    client
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    match client.read_to_string(&mut text) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => None,
        _ => Some(text).filter(|it| !it.is_empty()),
    }
}
