//! One of the two runtimes, and what a row is under it.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};

use crate::support::engine::Engine;
use crate::support::process::{self, Finished, Running};
use crate::support::ucr::Ucr;

use super::facts::{Facts, Own};
use super::image::Images;
use super::row::{Act, Input, Row};

const LIMIT: Duration = Duration::from_secs(60);

/// Files of the host's that each row has for itself.
const FILES: &[(&str, &str)] = &[
    ("file", "of the host\n"),
    ("below/inner", "inner\n"),
    (
        "variables",
        "# remark\n\nFILE=\"in quotes\" # all\n  SPACE= x\nEMPTY=\nPARITY_GIVEN\nPARITY_NOT_THERE\nFLAG=file\n",
    ),
    (
        "profile.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}"#,
    ),
];

/// A runtime with a store of its own.
#[derive(Debug)]
pub struct Half {
    runtime: &'static str,
    pub ucr: Ucr,
    host: String,
}

/// A row's own things under one runtime.
struct Place {
    directory: PathBuf,
    name: String,
    port: u16,
}

impl Half {
    /// Its rows' directories are on a mount that others may be told of.
    pub fn new(runtime: &'static str, engine: &Engine) -> Self {
        let ucr = Ucr::new();
        let rows = ucr.scratch().dir("rows");
        mount_bind(&rows, &rows).expect("a bind mount");
        mount_change(&rows, MountPropagationFlags::SHARED).expect("a shared mount");
        Self {
            runtime,
            ucr,
            host: engine.host(),
        }
    }

    /// Runs a row; gives what is seen of it.
    pub fn facts(&self, row: &Row, images: &Images) -> Facts {
        let place = self.place(row);
        if row.twice {
            self.start(row, images, &place).finish(LIMIT);
        }
        let running = self.start(row, images, &place);
        let mut facts = Facts::default();
        match row.act {
            Act::Wait => {}
            Act::Signal(signal) => {
                ready(&running);
                if !running.ended_within(Duration::ZERO) {
                    running.signal(signal);
                }
            }
            Act::Command(words) => {
                ready(&running);
                let done = self.command(&[words, &[&place.name]].concat());
                facts.add("command's exit code", &done.code.to_string());
                if done.code != 0 {
                    facts.add("command's message", &done.stderr);
                }
            }
            Act::Connect(address) => {
                facts.add("said at the port", &said(&running, address, place.port));
            }
        }
        let done = running.finish(LIMIT);
        let own = Own {
            directory: place.directory.to_str().expect("text"),
            name: &place.name,
            port: place.port,
        };
        facts.read(row, &done, &own);
        facts
    }

    fn place(&self, row: &Row) -> Place {
        let below = Path::new("rows").join(row.name);
        let directory = self.ucr.scratch().dir(&below);
        for (name, content) in FILES {
            let path = below.join(name);
            self.ucr.scratch().dir(path.parent().expect("a parent"));
            self.ucr.scratch().file(path, content);
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Place {
            directory,
            name: format!("parity-{}", row.name),
            port: listener.local_addr().expect("an address").port(),
        }
    }

    fn start(&self, row: &Row, images: &Images, place: &Place) -> Running {
        let filled = |word: &&str| {
            word.replace("{dir}", place.directory.to_str().expect("text"))
                .replace("{name}", &place.name)
                .replace("{port}", &place.port.to_string())
        };
        let (script, input) = match row.input {
            Input::File(text) => ("exec \"$@\"", text),
            Input::Pipe(text) => ("cat | \"$@\"", text),
            Input::Closed => ("exec \"$@\" <&-", ""),
        };
        let mut command = self.by_shell(script);
        command
            .args(["run"])
            .args(row.options.iter().map(filled))
            .arg(images.name(row.image))
            .args(row.words.iter().map(filled));
        process::spawn(&mut command, input.as_bytes())
    }

    /// Another command of ucr's.
    pub fn command(&self, words: &[&str]) -> Finished {
        process::run(self.by_shell("exec \"$@\"").args(words), b"", LIMIT)
    }

    fn by_shell(&self, script: &str) -> Command {
        let mut command = self.ucr.by_shell(script);
        command
            .args(["--runtime", self.runtime])
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", self.ucr.home())
            .env("LANG", "C.UTF-8")
            .env("PARITY_GIVEN", "given")
            .env("DOCKER_HOST", &self.host)
            .current_dir(self.ucr.scratch().path());
        command
    }
}

/// Waits until it says so, or ends.
fn ready(running: &Running) {
    let deadline = Instant::now() + LIMIT;
    while !running.stdout_so_far().contains("ready") && Instant::now() < deadline {
        if running.ended_within(Duration::from_millis(5)) {
            return;
        }
    }
}

/// What it says to somebody who connects. Docker's proxy accepts before anybody listens inside.
fn said(running: &Running, address: &str, port: u16) -> String {
    let deadline = Instant::now() + LIMIT;
    while !running.ended_within(Duration::ZERO) && Instant::now() < deadline {
        let mut text = String::new();
        let connected = TcpStream::connect((address, port));
        let got = connected.and_then(|mut stream| stream.read_to_string(&mut text));
        if got.is_ok() && !text.is_empty() {
            return text;
        }
        sleep(Duration::from_millis(20));
    }
    String::new()
}
