//! One pull in a world of its own: starts tests/bench/cell and reads what it prints.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::image::Image;
use crate::memory;
use crate::registry::Registry;
use crate::support::need;
use crate::support::process::{self, Finished, Running};
use crate::tool::Tool;
use crate::trace::{self, Calls};

/// Longer than any tool takes for any image on two slow cores, `strace` included.
const LIMIT: Duration = Duration::from_secs(600);

/// What one pull took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Of the command, as whoever types it sees it.
    pub seconds: f64,
    /// Until all that it wrote was synced, too.
    pub synced: f64,
    /// CPU of the command and its children, without a daemon.
    pub user: f64,
    /// The same in the kernel.
    pub system: f64,
    /// CPU of the registry.
    pub registry_cpu: f64,
    /// What it used of the file system.
    pub kib: u64,
    /// Files that it made, directories and all.
    pub inodes: u64,
}

/// Runs pulls.
#[derive(Debug)]
pub struct Cell<'a> {
    cache: &'a Path,
    ucr: &'a Path,
    registry: &'a Registry,
    script: PathBuf,
}

impl<'a> Cell<'a> {
    /// Pulls from this registry, with this ucr.
    pub fn new(cache: &'a Path, ucr: &'a Path, registry: &'a Registry) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/cell");
        Self {
            cache,
            ucr,
            registry,
            script,
        }
    }

    /// Measures one pull.
    pub fn pull(&self, tool: Tool, image: &Image) -> Sample {
        let before = self.registry.cpu();
        let done = self.start(tool.name(), image).finish(LIMIT).ok();
        let registry_cpu = self.registry.cpu() - before;
        let sample = Sample {
            registry_cpu,
            ..parse(&done)
        };
        // Who leaves the work for later, or does none, is not fast.
        assert!(
            sample.inodes * 10 >= image.files() * 9,
            "{} has not unpacked {}: {} files",
            tool.title(),
            image.name,
            sample.inodes
        );
        sample
    }

    /// The most memory that the tool and its daemon had at a time, in KiB.
    pub fn peak_memory(&self, tool: Tool, image: &Image) -> u64 {
        let running = self.start(tool.name(), image);
        let peak = memory::peak(&running, LIMIT);
        running.finish(LIMIT).ok();
        peak
    }

    /// The system calls of ucr.
    pub fn trace(&self, image: &Image) -> Calls {
        trace::parse(&self.start("trace", image).finish(LIMIT).ok().stdout)
    }

    /// Should this process be killed, the kernel kills `unshare`, with it PID 1 of the cell, with
    /// it all that is in there; and unmounts what nobody can see any more.
    fn start(&self, tool: &str, image: &Image) -> Running {
        let mut command = Command::new(need::program("setpriv", "util-linux"));
        command
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(["--mount", "--pid", "--fork", "--kill-child"])
            .arg(&self.script)
            .args(["world", tool, self.registry.address(), &image.name])
            .args(image.layers.iter().map(|layer| &layer.digest))
            .env("UCR_BENCH_DIR", self.cache)
            .env("UCR_BINARY", self.ucr);
        process::spawn(&mut command, b"")
    }
}

fn parse(done: &Finished) -> Sample {
    let number = |name: &str| -> f64 {
        let mut fields = done.stdout.lines().filter_map(|line| line.split_once('='));
        let value = fields.find_map(|(key, value)| (key == name).then_some(value));
        let value = value.unwrap_or_else(|| panic!("no {name} in\n{}", done.stdout));
        value.parse().unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    Sample {
        seconds: number("seconds"),
        synced: number("synced"),
        user: number("user"),
        system: number("system"),
        registry_cpu: 0.0,
        kib: number("kib") as u64,
        inodes: number("inodes") as u64,
    }
}
