//! ucr's containers in the Engine, found by their labels, in the same words as the native ones.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chrono::DateTime;
use serde::Deserialize;

use super::create::is_id;
use super::verdict::State;
use super::{Docker, KEPT_LABEL, KEY_LABEL, MANIFEST_LABEL, SPEC_LABEL};
use crate::error::{Fault, Kind, kind};
use crate::exit::Exit;
use crate::image::Digest;
use crate::runtime::{
    Attached, Container, ContainerRecord, Ended, HealthState, HealthStatus, Life, PublishedPort,
    Started,
};
use crate::spec::{ContainerSpec, Process, Protocol, SignalNumber};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    created: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    state: State,
    image: Digest,
    #[serde(default)]
    restart_count: u32,
    config: Config,
    #[serde(default)]
    network_settings: NetworkSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    working_dir: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    stop_signal: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, EndpointSettings>>,
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndpointSettings {
    #[serde(rename = "IPAddress")]
    ip: String,
    #[serde(rename = "GlobalIPv6Address")]
    ip6: String,
    #[serde(rename = "MacAddress")]
    mac_address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    host_ip: String,
    host_port: String,
}

impl Docker {
    /// Every container of ucr's in the Engine, oldest first.
    pub fn all(&self) -> Result<Vec<Container>> {
        let filter = format!("label={KEY_LABEL}");
        let words = ["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter];
        let ids = self.engine.call(&words, self.engine.short(), None)?;
        let ids = String::from_utf8_lossy(&ids).into_owned();
        let ids: Vec<&str> = ids.split_whitespace().filter(|it| is_id(it)).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = self.inspect(&ids, &self.images_with_keys()?)?;
        all.sort_by_key(|it| (it.record.created_at, it.record.id.clone()));
        Ok(all)
    }

    /// The images that were made of containers of ucr's, and the keys that they have from them: so
    /// have containers of these images, which are not ucr's.
    fn images_with_keys(&self) -> Result<BTreeMap<String, String>> {
        let filter = format!("label={KEY_LABEL}");
        let words = ["image", "ls", "--quiet", "--no-trunc", "--filter", &filter];
        let ids = self.engine.call(&words, self.engine.short(), None)?;
        let ids = String::from_utf8_lossy(&ids).into_owned();
        if ids.trim().is_empty() {
            return Ok(BTreeMap::new());
        }
        let format = format!("{{{{.Id}}}} {{{{index .Config.Labels \"{KEY_LABEL}\"}}}}");
        let words = ["image", "inspect", "--format", &format];
        let ids: Vec<&str> = ids.split_whitespace().collect();
        let lines = self.describe(&words, &ids)?;
        let pairs = lines.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs
            .map(|(id, key)| (id.to_owned(), key.to_owned()))
            .collect())
    }

    fn inspect(&self, ids: &[&str], keys: &BTreeMap<String, String>) -> Result<Vec<Container>> {
        let words = ["inspect", "--type", "container", "--format", "{{json .}}"];
        let lines = self.describe(&words, ids)?;
        let understood = lines.lines().map(|line| {
            let found: Inspected = serde_json::from_str(line)?;
            let labels = found.config.labels.as_ref();
            let key = labels.and_then(|labels| labels.get(KEY_LABEL));
            let is_inherited = key.is_some() && keys.get(&found.image.to_string()) == key;
            Ok((!is_inherited).then(|| container(found)))
        });
        let understood = understood
            .collect::<Result<Vec<_>>>()
            .context("containers as Docker Engine describes them")?;
        Ok(understood.into_iter().flatten().collect())
    }

    /// What a command says of each of these, but for those that went since they were listed: if one
    /// did, each is asked for by itself, for on a busy Engine another always goes meanwhile.
    fn describe(&self, words: &[&str], ids: &[&str]) -> Result<String> {
        let ask = |ids: &[&str]| {
            let words = [words, ids].concat();
            let answer = self.engine.call(&words, self.engine.short(), None)?;
            Ok::<_, anyhow::Error>(String::from_utf8_lossy(&answer).into_owned())
        };
        let is_gone = |error: &anyhow::Error| kind(error) == Kind::NotFound;
        match ask(ids) {
            Err(error) if is_gone(&error) => (),
            other => return other,
        }
        let mut lines = String::new();
        for id in ids {
            match ask(&[id]) {
                Ok(line) => lines.push_str(&line),
                Err(error) if is_gone(&error) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(lines)
    }

    /// The state of one container.
    pub(super) fn state(&self, id: &str) -> Result<State> {
        let words = [
            "inspect",
            "--type",
            "container",
            "--format",
            "{{json .State}}",
            id,
        ];
        self.engine.ask(&words)
    }

    /// The container of that name, ID or beginning of an ID; `None` if there is none of ucr's.
    /// Fails with [`Kind::Usage`] if several IDs begin so.
    pub fn find(&self, name: &str) -> Result<Option<Container>> {
        let mut all = self.all()?;
        let exact = |it: &Container| it.record.name() == name;
        if let Some(place) = all.iter().position(exact) {
            return Ok(Some(all.swap_remove(place)));
        }
        all.retain(|it| !name.is_empty() && it.record.id.starts_with(name));
        match (all.pop(), all.is_empty()) {
            (found, true) => Ok(found),
            (_, false) => {
                let message = format!("'{name}' is the start of several IDs");
                Err(Fault::new(Kind::Usage, message)
                    .hint("say the whole ID")
                    .into())
            }
        }
    }
}

/// With its whole ID: a shorter one could be another container's name.
fn container(found: Inspected) -> Container {
    let labels = found.config.labels.unwrap_or_default();
    let label = |name: &str| labels.get(name).map(String::as_str);
    let spec = label(SPEC_LABEL).and_then(|text| ContainerSpec::parse(text.as_bytes()).ok());
    let mut spec = spec.unwrap_or_default();
    // It may have been renamed since.
    spec.name = Some(found.name.trim_start_matches('/').to_owned());
    // Its own label has no values.
    let mut env = found.config.env.unwrap_or_default();
    env.retain(|variable| !spec.is_secret(variable));
    spec.env.clone_from(&env);
    let manifest = label(MANIFEST_LABEL).and_then(|text| text.parse().ok());
    let argv = std::iter::once(found.path).chain(found.args.unwrap_or_default());
    let stop_signal = found.config.stop_signal;
    let stop_signal = stop_signal.and_then(|name| name.parse::<SignalNumber>().ok());
    let attached = attached(&spec, found.network_settings);
    Container {
        is_watched: !is_over(&found.state),
        life: life(&found.state, found.restart_count, attached),
        record: ContainerRecord {
            id: found.id,
            image: found.config.image,
            manifest: manifest.or(Some(found.image)),
            process: Process {
                argv: argv.collect(),
                env,
                working_dir: found.config.working_dir,
                user: Some(found.config.user).filter(|it| !it.is_empty()),
            },
            stop_signal: stop_signal.map_or(libc::SIGTERM, SignalNumber::number),
            created_at: seconds(&found.created),
            store: PathBuf::new(),
            layers: Vec::new(),
            cgroups: Vec::new(),
            is_kept: label(KEPT_LABEL) == Some("true"),
            has_console: true,
            has_health: found.state.health.is_some(),
            connection: None,
            spec,
        },
    }
}

fn life(state: &State, restarts: u32, attached: Option<Attached>) -> Life {
    let started = state.was_started().then(|| Started {
        pid: state.pid,
        start_time: None,
        at: seconds(&state.started_at),
    });
    let ended = is_over(state).then(|| ended(state));
    let health = state.health.as_ref().filter(|it| it.status != "none");
    Life {
        started,
        attached,
        restarts,
        is_stopping: false,
        ended,
        health: health.map(|it| HealthState {
            status: match it.status.as_str() {
                "healthy" => HealthStatus::Healthy,
                "unhealthy" => HealthStatus::Unhealthy,
                _ => HealthStatus::Starting,
            },
            failing_streak: it.failing_streak,
            log: Vec::new(),
        }),
    }
}

/// Whether it runs no more; who removes it may be at it.
fn is_over(state: &State) -> bool {
    matches!(state.status.as_str(), "exited" | "dead" | "removing")
}

/// How a container ended, as the Engine saw it.
pub(super) fn ended(state: &State) -> Ended {
    Ended {
        exit: Exit::Code(state.code()),
        oom_kills: u64::from(state.oom_killed),
        at: seconds(&state.finished_at),
        error: Some(state.error.clone()).filter(|it| !it.is_empty()),
        // The Engine does not say who did it.
        is_meant: false,
    }
}

fn attached(spec: &ContainerSpec, found: NetworkSettings) -> Option<Attached> {
    let ports = ports(found.ports.unwrap_or_default());
    let networks = found.networks.unwrap_or_default();
    let (_, endpoint) = networks.into_iter().find(|(_, it)| !it.ip.is_empty())?;
    Some(Attached {
        network: spec.network().to_string(),
        ip: endpoint.ip.parse().ok(),
        ip6: endpoint.ip6.parse().ok(),
        mac_address: endpoint.mac_address.parse().ok(),
        ports,
        addresses: Vec::new(),
        dns: Default::default(),
        more: Vec::new(),
    })
}

fn ports(found: BTreeMap<String, Option<Vec<Binding>>>) -> Vec<PublishedPort> {
    let mut all = Vec::new();
    for (inside, bindings) in found {
        let (port, protocol) = inside.split_once('/').unwrap_or((&inside, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => continue,
        };
        let Ok(container) = port.parse() else {
            continue;
        };
        for binding in bindings.unwrap_or_default() {
            let address = match binding.host_ip.as_str() {
                "" => Ok(IpAddr::from([0, 0, 0, 0])),
                text => text.parse(),
            };
            if let (Ok(address), Ok(port)) = (address, binding.host_port.parse()) {
                all.push(PublishedPort {
                    protocol,
                    host: SocketAddr::new(address, port),
                    container,
                });
            }
        }
    }
    all
}

/// Seconds since 1970 of a time as the Engine writes it.
fn seconds(text: &str) -> u64 {
    let time = DateTime::parse_from_rfc3339(text).ok();
    time.and_then(|time| time.timestamp().try_into().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn as_the_engine_describes_it() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let found = json!({
            "Id": "0123456789abcdef0123",
            "Created": "2026-11-23T00:00:00.5Z",
            "Name": "/box",
            "Path": "sh",
            "Args": ["-c", "true"],
            "State": {
                "Status": "exited", "Running": false, "OOMKilled": true, "Pid": 0, "ExitCode": 137,
                "Error": "", "StartedAt": "2026-11-23T00:00:01Z", "FinishedAt": "2026-11-23T00:00:02Z",
            },
            "Image": digest,
            "Config": {
                "Image": "x:1", "User": "", "Env": ["A=1"],
                "Labels": {"ucr.key": "k", "ucr.kept": "true"},
            },
            "NetworkSettings": {
                "Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}},
                "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}], "9/sctp": null},
            },
        });
        let found = container(serde_json::from_value(found).unwrap());
        assert_eq!(
            (found.record.id.as_str(), found.record.name()),
            ("0123456789abcdef0123", "box")
        );
        assert_eq!(found.record.process.argv, ["sh", "-c", "true"]);
        assert_eq!(found.record.spec.env, ["A=1"]);
        let ended = found.life.ended.as_ref().unwrap();
        assert_eq!((ended.exit.code(), ended.oom_kills), (137, 1));
        assert_eq!(
            found.ports().next().unwrap().to_string(),
            "0.0.0.0:32768->80/tcp"
        );
        assert!(found.record.is_kept && found.process().is_none());
    }

    #[test]
    fn what_is_over() {
        let rows = [
            ("created", false),
            ("running", false),
            ("paused", false),
            ("restarting", false),
            ("removing", true),
            ("exited", true),
            ("dead", true),
        ];
        for (status, expected) in rows {
            let state = json!({
                "Status": status, "ExitCode": 137, "Pid": 0,
                "StartedAt": "2026-11-23T00:00:01Z", "FinishedAt": "2026-11-23T00:00:02Z",
            });
            let state: State = serde_json::from_value(state).unwrap();
            assert_eq!(is_over(&state), expected, "{status}");
            assert_eq!(life(&state, 0, None).ended.is_some(), expected, "{status}");
        }
    }
}
