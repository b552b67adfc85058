//! What the probe printed, without what is of the machine, the moment or the caller.

use std::collections::BTreeMap;
use std::fs;

use super::OPEN_FILES;

/// By name, as the probe has them.
pub type Facts = BTreeMap<String, String>;

/// What is outside the container, where its engine runs.
#[derive(Debug)]
pub struct Outside {
    /// By kind: `mnt:[4026531841]`.
    namespaces: Vec<String>,
    hostname: String,
    devices: String,
    inherited: Facts,
}

const HOST: &str = "the host's";
const OWN: &str = "its own";
/// In every container; others are the host's.
const USUAL_NODES: [&str; 20] = [
    "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "pts/ptmx", "random", "shm",
    "stderr", "stdin", "stdout", "tty", "urandom", "zero", "init", "log", "initctl",
];

impl Outside {
    /// Of this process, but for the namespaces that are given.
    pub fn new(namespaces: Vec<String>) -> Self {
        let read = |path| fs::read_to_string(path).unwrap();
        let devices = read("/proc/self/net/dev");
        let mut devices: Vec<_> = devices
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.trim())
            .collect();
        devices.sort_unstable();
        let inherited = read("/proc/self/limits");
        let inherited = inherited.lines().skip(1).map(|line| {
            let (name, values) = line.split_at(26);
            let values: Vec<_> = values.split_whitespace().take(2).collect();
            let name = format!("limit {}", name.trim().to_lowercase());
            match name.as_str() {
                // See OPEN_FILES.
                "limit max open files" => (name, format!("{OPEN_FILES} {OPEN_FILES}")),
                _ => (name, values.join(" ")),
            }
        });
        let status = read("/proc/self/status");
        let status = status
            .lines()
            .filter_map(|line| line.split_once(":\t"))
            .filter(|(name, _)| name.starts_with("Speculation"))
            .map(|(name, value)| (format!("status {name}"), value.to_owned()));
        Self {
            namespaces,
            hostname: read("/proc/sys/kernel/hostname").trim().to_owned(),
            devices: devices.join(" "),
            inherited: inherited.chain(status).collect(),
        }
    }

    /// This process's own.
    pub fn here() -> Self {
        let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
        let links = kinds.map(|kind| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap());
        Self::new(links.map(|link| link.display().to_string()).into())
    }

    /// The facts in what the probe printed.
    pub fn facts(&self, printed: &str) -> Facts {
        let lines = printed.lines().filter_map(|line| line.split_once('\t'));
        let mut facts = Facts::new();
        for (name, value) in lines {
            let name = name.to_owned();
            let value = self.plain(&name, value.trim_end());
            // All processors are alike.
            let name = match name.split_once("/cpu/cpu") {
                Some((left, right)) => {
                    let right = right.trim_start_matches(|c: char| c.is_ascii_digit());
                    format!("{left}/cpu/cpu*{right}")
                }
                None => name,
            };
            facts.insert(name, value);
        }
        if facts.get("namespace net").map(String::as_str) == Some(HOST) {
            for (name, value) in &mut facts {
                if name.starts_with("sysctl ") {
                    HOST.clone_into(value);
                }
            }
        }
        facts
    }

    fn plain(&self, name: &str, value: &str) -> String {
        if self.inherited.get(name).is_some_and(|it| it == value) {
            return format!("inherited: {value}");
        }
        match name {
            _ if name.starts_with("namespace ") => {
                let is_host = self.namespaces.iter().any(|own| own == value);
                if is_host { HOST } else { OWN }.to_owned()
            }
            "host name" | "environment HOSTNAME" => {
                let is_host = value == self.hostname;
                if is_host { HOST } else { OWN }.to_owned()
            }
            "network devices" if value == self.devices => HOST.to_owned(),
            "cgroup paths" if value != "/" => HOST.to_owned(),
            _ if name.starts_with("mount ") => mount(name, value),
            // The number of the terminal.
            _ if value.starts_with("c 136:") => {
                let rest = value
                    .split_once(' ')
                    .and_then(|(_, rest)| rest.split_once(' '));
                format!("c 136:* {}", rest.map_or("", |(_, rest)| rest))
            }
            _ => value.to_owned(),
        }
    }
}

/// Without access times; a file that an engine keeps on its own disk has that disk's type.
fn mount(name: &str, value: &str) -> String {
    let (kind, options) = value.split_once(' ').unwrap_or((value, ""));
    let is_file = name.starts_with("mount /etc/") || name.starts_with("mount /run/");
    let kind = if is_file { "file" } else { kind };
    let options: Vec<_> = options
        .split(',')
        .filter(|option| !["relatime", "noatime", "strictatime"].contains(option))
        .collect();
    format!("{kind} {}", options.join(","))
}

/// Is it a device of the host's, which says more of the machine than of the engine?
pub fn is_host_node(name: &str) -> bool {
    name.strip_prefix("node /dev/")
        .is_some_and(|node| !USUAL_NODES.contains(&node))
}
