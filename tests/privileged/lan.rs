//! Networks for tests: one that ucr takes for the host's, and one of a client outside.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

pub use crate::support::netns::{alone, inside};
use crate::support::process::{Running, tool};
use crate::support::{need, netns};

use super::world::World;

pub const LIMIT: Duration = Duration::from_secs(60);

/// The addresses of the host that a client outside knows, and the client's.
pub const HOST: [&str; 2] = ["198.51.100.1", "2001:db8:5::1"];
pub const CLIENT: [&str; 2] = ["198.51.100.2", "2001:db8:5::2"];

/// `ip` in the network namespace of this thread.
#[track_caller]
pub fn ip(words: &str) -> String {
    let mut command = Command::new(need::program("ip", "iproute2"));
    tool(command.args(words.split(' ')))
}

/// `nft` in the network namespace of this thread.
#[track_caller]
pub fn nft(words: &str) -> String {
    let mut command = Command::new(need::program("nft", "nftables"));
    tool(command.args(words.split(' ')))
}

/// A client that reaches the host by a cable.
pub fn outside() -> File {
    let client = netns::empty();
    let path = format!("/proc/{}/fd/{}", std::process::id(), client.as_raw_fd());
    ip(&format!(
        "link add cable type veth peer name cable netns {path}"
    ));
    address(&HOST);
    inside(&client, || {
        ip("link set lo up");
        address(&CLIENT);
    });
    client
}

fn address([v4, v6]: &[&str; 2]) {
    ip(&format!("addr add {v4}/24 dev cable"));
    ip(&format!("addr add {v6}/64 dev cable nodad"));
    ip("link set cable up");
}

/// A container that waits for SIGTERM.
#[derive(Debug)]
pub struct Waiting {
    running: Running,
    /// What `ucr inspect` says.
    pub document: Value,
}

impl Waiting {
    /// Starts it.
    #[track_caller]
    pub fn start(world: &World, flags: &[&str]) -> Self {
        let known = world.ucr.run(["ps", "--format", "json"]).ok().json();
        let running = spawn(world, flags);
        let now = world.ucr.run(["ps", "--format", "json"]).ok().json();
        let is_new = |it: &&Value| !ids(&known).contains(&it["id"]);
        let document = now.as_array().unwrap().iter().find(is_new).unwrap().clone();
        Self { running, document }
    }

    pub fn id(&self) -> &str {
        self.document["id"].as_str().unwrap()
    }

    /// Its network namespace.
    pub fn namespace(&self) -> File {
        File::open(format!("/proc/{}/ns/net", self.document["pid"])).expect("a network namespace")
    }

    /// Its address of version 4 or 6.
    pub fn ip(&self, v4: bool) -> IpAddr {
        let key = if v4 { "ip" } else { "ip6" };
        self.document["connection"][key]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Ends it by a signal that it waits for.
    #[track_caller]
    pub fn end(self) {
        self.running.signal(Signal::SIGTERM);
        self.running.finish(LIMIT).ok();
    }

    /// Ends its ucr without leave.
    #[track_caller]
    pub fn kill(self) {
        self.running.signal(Signal::SIGKILL);
        assert_eq!(self.running.finish(LIMIT).code, -9);
    }
}

fn ids(list: &Value) -> Vec<Value> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].clone())
        .collect()
}

#[track_caller]
pub fn spawn(world: &World, flags: &[&str]) -> Running {
    let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let running = world.command(flags, &["sh", "-c", script]).spawn();
    running.wait_until("line 'ready'", LIMIT, || {
        running.stdout_so_far().contains("ready")
    });
    running
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + LIMIT;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Nobody has an address, no device is left and no port redirected.
#[track_caller]
pub fn assert_no_traces(world: &World) {
    let leases = crate::support::ucr::children(&world.ucr.state().join("network"));
    assert!(leases.is_empty(), "leases: {leases:?}");
    let rules = nft("list ruleset");
    assert!(!rules.contains("elements"), "{rules}");
    // The kernel takes a namespace's devices away when it gets round to it.
    eventually("no device is left", || !ip("-br link").contains("uc0a57"));
}
