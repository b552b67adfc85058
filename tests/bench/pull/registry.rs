//! docker-registry over the images that were prepared.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::need;
use crate::support::process::{self, Running};

const LIMIT: Duration = Duration::from_secs(30);

/// /proc counts in this unit on every architecture that Debian has.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running registry. It is stopped on drop, and by the kernel should this process be killed.
#[derive(Debug)]
pub struct Registry {
    process: Running,
    address: String,
}

impl Registry {
    /// Starts it and waits until it listens.
    pub fn start(cache: &Path) -> Self {
        let mut command = Command::new(need::program("setpriv", "util-linux"));
        command
            .env_clear()
            .args(["--pdeathsig", "KILL"])
            .arg(need::program("docker-registry", "docker-registry"))
            .arg("serve")
            .arg(cache.join("registry.yml"));
        let process = process::spawn(&mut command, b"");
        let mut address = None;
        process.wait_until("line 'listening on'", LIMIT, || {
            let log = process.stderr_so_far();
            let rest = log.split_once("listening on ").map(|(_, rest)| rest);
            address = rest.and_then(|rest| Some(rest.split_once('"')?.0.to_owned()));
            address.is_some()
        });
        Self {
            process,
            address: address.expect("just seen"),
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Seconds of CPU that it has used so far.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.pid()));
        let stat = stat.expect("the registry is running");
        // proc(5): after the name, which is in parentheses, utime is field 12 and stime field 13.
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u32 = ticks
            .map(|field| field.parse::<u32>().expect("a number"))
            .sum();
        f64::from(ticks) / TICKS_PER_SECOND
    }
}
