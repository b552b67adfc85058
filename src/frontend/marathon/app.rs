//! An app in its newest form: old forms moved, defaults filled in, every rule kept
//! (reference/marathon.md, section 1). Serialises as Marathon itself writes it.

mod probe;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

pub use probe::{
    Check, CheckCommand, CheckKind, HealthCheck, HealthCommand, HealthProtocol, IpProtocol,
    ReadinessCheck, ReadinessProtocol,
};

/// A definition that can be run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// Absolute: `/shop/db`.
    pub id: String,
    /// For `/bin/sh -c`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<String>,
    /// Program arguments without a shell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Absent: a command on the host's filesystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Never empty.
    pub networks: Vec<Network>,
    /// On the host's network: the ports that are the app's. Else empty.
    pub port_definitions: Vec<PortDefinition>,
    /// Their numbers are those of the host.
    pub require_ports: bool,
    /// Variables of its own.
    pub env: BTreeMap<String, EnvValue>,
    /// What it may refer to.
    pub secrets: BTreeMap<String, SecretDeclaration>,
    /// Processors.
    pub cpus: f64,
    /// MiB of memory.
    pub mem: f64,
    /// MiB of disk; 0 is unlimited.
    pub disk: f64,
    /// Whole GPUs.
    pub gpus: u32,
    /// More than what is requested.
    #[serde(skip_serializing_if = "ResourceLimits::is_default")]
    pub resource_limits: ResourceLimits,
    /// Which of `cpus`, `mem`, `disk`, `gpus` the file says; the others are defaults.
    #[serde(skip)]
    pub written: BTreeSet<String>,
    /// How many a scheduler would start.
    pub instances: u32,
    /// Runs the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Has a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    /// Words for people and programs.
    pub labels: BTreeMap<String, String>,
    /// Goes into the sandbox before the start.
    pub fetch: Vec<Fetch>,
    /// Kill it when it is not well.
    pub health_checks: Vec<HealthCheck>,
    /// Reports only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// At most one: says when it is ready.
    pub readiness_checks: Vec<ReadinessCheck>,
    /// Seconds from SIGTERM to SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_kill_grace_period_seconds: Option<u32>,
    /// Seconds before the first start after a failure.
    pub backoff_seconds: u32,
    /// Each further delay is so many times the last.
    pub backoff_factor: f64,
    /// Seconds that a delay is at most.
    pub max_launch_delay_seconds: u32,
    /// RFC 3339 time of the definition, where it was exported with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What only a scheduler can do, as it was written.
    #[serde(flatten)]
    pub scheduler: Map<String, Value>,
}

/// Which runtime an app is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Type {
    /// The Universal Container Runtime: native.
    Mesos,
    /// Docker Engine.
    Docker,
}

impl App {
    /// Of the container's type; without one Marathon takes Mesos's containerizer.
    pub fn container_type(&self) -> Type {
        self.container.as_ref().map_or(Type::Mesos, |it| it.kind)
    }

    /// The image's description, if there is an image.
    pub fn docker(&self) -> Option<&Docker> {
        self.container.as_ref().and_then(|it| it.docker.as_ref())
    }

    /// What leads into the container; none on the host's network.
    pub fn port_mappings(&self) -> &[PortMapping] {
        self.container.as_ref().map_or(&[], |it| &it.port_mappings)
    }

    /// Directories and files of others.
    pub fn volumes(&self) -> &[Volume] {
        self.container.as_ref().map_or(&[], |it| &it.volumes)
    }

    /// Whether it has no network of its own.
    pub fn is_on_host_network(&self) -> bool {
        self.networks.iter().any(|it| it.mode == NetworkMode::Host)
    }
}

/// `container`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// `type`.
    #[serde(rename = "type")]
    pub kind: Type,
    /// The image; a container of type MESOS may have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<Docker>,
    /// Ports; empty on the host's network.
    pub port_mappings: Vec<PortMapping>,
    /// Directories and files of others.
    pub volumes: Vec<Volume>,
    /// Isolation; type MESOS only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux_info: Option<LinuxInfo>,
}

/// `container.docker`: an image, for either runtime.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Docker {
    /// As it was written.
    pub image: String,
    /// Ask the registry at every start.
    pub force_pull_image: bool,
    /// Name of the secret with a docker configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_config: Option<SecretName>,
    /// Deprecated: a user and perhaps a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Everything is allowed.
    pub privileged: bool,
    /// Options of `docker run`, in order.
    pub parameters: Vec<Parameter>,
}

/// A reference to a declared secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretName {
    /// In `secrets`.
    pub secret: String,
}

/// `container.docker.credential`; its password is written in the file and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// User.
    pub principal: String,
    /// Password.
    pub secret: Option<String>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

impl Serialize for Credential {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::json!({ "principal": self.principal }).serialize(serializer)
    }
}

/// An option of `docker run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Without dashes.
    pub key: String,
    /// As it is.
    pub value: String,
}

/// `container.portMappings[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// 0: the same as the host's.
    pub container_port: u16,
    /// Absent: not published; 0: a free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// 0: assigned.
    pub service_port: u16,
    /// tcp, udp or both.
    pub protocol: Protocol,
    /// Unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Recorded only.
    pub labels: BTreeMap<String, String>,
    /// Empty: all.
    pub network_names: Vec<String>,
}

/// `portDefinitions[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortDefinition {
    /// The service port, and with `requirePorts` the host's; 0: free ones.
    pub port: u16,
    /// tcp, udp or both.
    pub protocol: Protocol,
    /// Unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Recorded only.
    pub labels: BTreeMap<String, String>,
}

/// Of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Protocol {
    /// The default.
    #[serde(rename = "tcp")]
    Tcp,
    /// Datagrams.
    #[serde(rename = "udp")]
    Udp,
    /// One number for both.
    #[serde(rename = "udp,tcp")]
    Both,
}

/// `container.volumes[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Where it is seen.
    pub container_path: String,
    /// Absent for secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What it is.
    #[serde(flatten)]
    pub kind: VolumeKind,
}

/// Whether it may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// Read only.
    Ro,
    /// Read and write.
    Rw,
}

/// Where a volume comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeKind {
    /// Of the host; relative: below the sandbox.
    #[serde(rename = "hostPath")]
    Host(String),
    /// Kept from run to run.
    Persistent(Persistent),
    /// The name of a secret, whose value becomes a file.
    Secret(String),
    /// A docker volume driver's; type DOCKER only.
    External(External),
}

/// `persistent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Persistent {
    /// root, path or mount.
    #[serde(rename = "type")]
    pub kind: String,
    /// MiB; advisory.
    pub size: u64,
    /// The rest, as it was written.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `external` with the provider dvdi.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// Of the volume.
    pub name: String,
    /// `dvdi`.
    pub provider: String,
    /// Another volume of the container may have the same name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// `dvdi/driver` and others.
    pub options: BTreeMap<String, String>,
}

/// `container.linuxInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxInfo {
    /// Filter of system calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// Shared memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc_info: Option<IpcInfo>,
}

/// `linuxInfo.seccomp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// A file in the directory of profiles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// No filter.
    pub unconfined: bool,
}

/// `linuxInfo.ipcInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IpcInfo {
    /// Its own or the host's.
    pub mode: IpcMode,
    /// MiB of `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u64>,
}

/// `linuxInfo.ipcInfo.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IpcMode {
    /// Its own.
    Private,
    /// The host's.
    ShareParent,
}

/// `networks[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Kind.
    pub mode: NetworkMode,
    /// Always there for `container`, never else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Recorded only.
    pub labels: BTreeMap<String, String>,
}

/// `networks[].mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum NetworkMode {
    /// The host's own.
    #[serde(rename = "host")]
    Host,
    /// A named one.
    #[serde(rename = "container")]
    Container,
    /// The bridge.
    #[serde(rename = "container/bridge")]
    Bridge,
}

/// A value of `env`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EnvValue {
    /// Text.
    Plain(String),
    /// That of a secret.
    Secret(SecretName),
}

/// A value of `secrets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretDeclaration {
    /// Its path in a store of secrets, as it was written.
    pub source: String,
}

/// `resourceLimits`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResourceLimits {
    /// Processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Limit>,
    /// MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<Limit>,
}

impl ResourceLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A limit beyond the request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// None.
    Unlimited,
    /// So much.
    At(f64),
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => serializer.serialize_str("unlimited"),
            Self::At(number) => serializer.serialize_f64(*number),
        }
    }
}

/// `fetch[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetch {
    /// Where it is.
    pub uri: String,
    /// Unpack it if its name is that of an archive.
    pub extract: bool,
    /// A program, which is not unpacked.
    pub executable: bool,
    /// Keep a copy for later runs.
    pub cache: bool,
    /// Its name in the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_path: Option<String>,
}
