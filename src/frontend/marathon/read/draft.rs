//! What a document says, typed, with old and new forms beside each other.

use std::collections::BTreeMap;

use crate::frontend::marathon::app::{
    App, Docker, LinuxInfo, Network, PortDefinition, PortMapping, ResourceLimits, Type, Volume,
};

/// An app of which old forms are still to be moved.
#[derive(Debug)]
pub struct Draft {
    /// What has one form only; the rest is filled in by [`super::migrate`].
    pub app: App,
    /// That of the container, or what it would be.
    pub kind: Type,
    /// The container, if there is one.
    pub container: Option<DraftContainer>,
    /// `networks`, unless it is absent or empty.
    pub networks: Option<Vec<Network>>,
    /// `portDefinitions`.
    pub port_definitions: Option<Vec<PortDefinition>>,
    /// `ports`, which came before it.
    pub ports: Option<Vec<u16>>,
    /// `uris`, which came before `fetch`.
    pub uris: Vec<String>,
    /// `ipAddress`, which came before `networks` of mode container.
    pub ip_address: Option<IpAddress>,
    /// `constraints` and others that say something else than the default.
    pub without_effect: Vec<String>,
}

/// `container`.
#[derive(Debug, Default)]
pub struct DraftContainer {
    /// `docker`.
    pub docker: Option<Docker>,
    /// `portMappings`.
    pub port_mappings: Option<Vec<PortMapping>>,
    /// `docker.portMappings`, its old place.
    pub docker_mappings: Option<Vec<PortMapping>>,
    /// `docker.network`, which came before `networks`.
    pub docker_network: Option<OldNetwork>,
    /// `volumes`, each with its index.
    pub volumes: Vec<(usize, Volume)>,
    /// `linuxInfo`.
    pub linux_info: Option<LinuxInfo>,
}

/// `docker.network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldNetwork {
    Bridge,
    Host,
    None,
    User,
}

/// `ipAddress`.
#[derive(Debug)]
pub struct IpAddress {
    /// Of a container network.
    pub network_name: Option<String>,
    /// Recorded only.
    pub labels: BTreeMap<String, String>,
    /// `discovery.ports`, as mappings without a port of the host.
    pub discovery: Vec<PortMapping>,
}

impl Draft {
    /// Nothing said: Marathon's defaults.
    pub fn new() -> Self {
        Self {
            app: empty(),
            kind: Type::Mesos,
            container: None,
            networks: None,
            port_definitions: None,
            ports: None,
            uris: Vec::new(),
            ip_address: None,
            without_effect: Vec::new(),
        }
    }
}

fn empty() -> App {
    App {
        id: String::new(),
        cmd: None,
        args: Vec::new(),
        container: None,
        networks: Vec::new(),
        port_definitions: Vec::new(),
        require_ports: false,
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        cpus: 1.0,
        mem: 128.0,
        disk: 0.0,
        gpus: 0,
        resource_limits: ResourceLimits::default(),
        written: Default::default(),
        instances: 1,
        user: None,
        tty: None,
        labels: BTreeMap::new(),
        fetch: Vec::new(),
        health_checks: Vec::new(),
        check: None,
        readiness_checks: Vec::new(),
        task_kill_grace_period_seconds: None,
        backoff_seconds: 1,
        backoff_factor: 1.15,
        max_launch_delay_seconds: 300,
        version: None,
        scheduler: Default::default(),
    }
}
