//! THE container description: what was asked, in words that every front end and every runtime
//! share. Unset stays unset; image defaults are merged in one place per runtime. Pure.

mod app;
pub mod artifact;
mod capability;
pub mod defaults;
mod definition;
mod device;
mod disk;
mod document;
mod health;
mod life;
pub mod mount;
mod naming;
mod network;
mod parameter;
mod port;
mod process;
mod quantity;
pub mod resources;
mod rootfs;
pub mod seccomp;
mod secret;
mod security;
mod sharing;
mod signal;
mod subnet;
pub mod sysctl;
mod time_span;
mod ulimit;
mod user;

use std::collections::BTreeMap;
use std::ops::Not;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};
pub use app::{AppPort, AppRecord};
pub use artifact::Artifact;
pub use capability::{Capabilities, capabilities};
pub use definition::{BRIDGE_PREFIX, Definition};
pub use device::{Device, HostDevice, check_cdi_name, check_device_place, check_inside, gpus};
pub use disk::{DiskRate, DiskWeight};
pub use document::{MAX_DOCUMENT, Version};
pub use health::{Health, HealthCheck, HealthTest, health_check};
pub use life::{Log, Restart, STOP_TIMEOUT, check_name};
pub use mount::{Mount, SANDBOX};
pub use naming::{HostAddress, HostEntry, Naming, check_host_name};
pub use network::{Endpoint, FurtherNetwork, Mac, Network, is_usable, network_name};
pub use parameter::DockerParameter;
pub use port::{Exposed, Protocol, Publish, Span, Wanted};
pub use process::{Process, kept_word, process, with_home};
pub use resources::{CgroupPolicy, Cpus, Resources, Ulimit, UlimitName};
pub use secret::{GivenValues, NO_VALUES, Secret, SecretSource, SecretTarget};
pub use security::{IdRange, Seccomp, Security, Userns};
pub use sharing::{CgroupMode, IpcMode, PidMode, Sharing, UtsMode};
pub use signal::SignalNumber;
pub use subnet::Subnet;
pub use sysctl::Sysctl;
pub use time_span::TimeSpan;
pub use user::{Account, resolve_groups, resolve_user};

/// A container as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerSpec {
    /// Of the document that this is written as.
    pub version: Version,
    /// The image's normalised name; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// A directory of the host in place of an image's root filesystem; `/` is the host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<PathBuf>,
    /// How people call it; no other container has this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Replaces the image's entrypoint and with it its command; empty removes both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The first word of the image's command stays before `args` where there is no entrypoint, as
    /// Mesos has it (design D13).
    #[serde(default, skip_serializing_if = "Not::not")]
    pub keep_first_cmd: bool,
    /// Added to the image's environment, `NAME=value` each; the last of a name counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Replaces the image's working directory; absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Where neither that nor the image says; absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_working_dir: Option<String>,
    /// Replaces the image's user: `USER[:GROUP]`, names or numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Groups of the user beyond those of the image's files, names or numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Values that are not written here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Refuse writes to the root filesystem.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub read_only: bool,
    /// Directories and files of the host to show inside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// A directory of the host that becomes the Mesos sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<PathBuf>,
    /// Devices of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// More device nodes that may be opened or made, as rules of the version 1 controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_rules: Vec<String>,
    /// Which network it is on; the host's if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Further networks that it is on, each with a device of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_networks: Vec<FurtherNetwork>,
    /// Its end of the first network.
    #[serde(default, skip_serializing_if = "Endpoint::is_default")]
    pub endpoint: Endpoint,
    /// Its name on that network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// How it finds others, and more names.
    #[serde(default, skip_serializing_if = "Naming::is_default")]
    pub naming: Naming,
    /// Namespaces of others that it is in.
    #[serde(default, skip_serializing_if = "Sharing::is_default")]
    pub sharing: Sharing,
    /// Values below `/proc/sys`, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Limits.
    #[serde(default, skip_serializing_if = "Resources::is_default")]
    pub resources: Resources,
    /// Isolation beyond or below the default.
    #[serde(default, skip_serializing_if = "Security::is_default")]
    pub security: Security,
    /// Give it a terminal of its own.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub tty: bool,
    /// Keep our standard input open for it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub stdin: bool,
    /// Put a reaping, signal-forwarding process before the command.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub init: bool,
    /// Words for people and programs that look for containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The same, for programs that are around containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Options for Docker Engine that have no other field; the native runtime refuses them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub docker_parameters: Vec<DockerParameter>,
    /// When it is started again; never if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Asks it to end; the image's, or else TERM, if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<SignalNumber>,
    /// Seconds between that and its being killed; [`STOP_TIMEOUT`] if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<u32>,
    /// What is kept of what it prints.
    #[serde(default, skip_serializing_if = "Log::is_default")]
    pub log: Log,
    /// How it is checked whether it is well; as the image says if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// The app definition that it is made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppRecord>,
}

impl ContainerSpec {
    /// Refuses what makes no sense whatever the image and the machine, so that nobody waits for a
    /// pull to hear of it.
    pub fn check(&self) -> Result<(), Fault> {
        rootfs::check(self)?;
        self.name.as_deref().map_or(Ok(()), check_name)?;
        self.resources.check()?;
        self.health.as_ref().map_or(Ok(()), Health::check)?;
        capability::check(&self.security)?;
        self.devices.iter().try_for_each(Device::check)?;
        self.endpoint.check(&self.network())?;
        network::check_further(self)?;
        self.check_shared_network()?;
        self.naming.check()?;
        self.docker_parameters
            .iter()
            .try_for_each(DockerParameter::check)?;
        sharing::check(self)?;
        if let Some(name) = &self.hostname {
            check_host_name("host name", name)?;
        }
        match &self.security.userns {
            Some(userns) => userns.check(),
            None => Ok(()),
        }
    }

    /// Refuses what a document from outside cannot say.
    pub fn check_document(&self) -> Result<(), Fault> {
        secret::refuse_given(&self.secrets)
    }

    /// Whether a variable, `NAME=value`, is the value of a secret.
    pub fn is_secret(&self, variable: &str) -> bool {
        let name = variable.split('=').next().unwrap_or_default();
        let mut targets = self.secrets.iter().map(|secret| &secret.target);
        targets.any(|it| matches!(it, SecretTarget::Environment(own) if own == name))
    }

    /// What belongs to a network is that of the container whose network it is.
    fn check_shared_network(&self) -> Result<(), Fault> {
        let Network::Container(_) = self.network() else {
            return Ok(());
        };
        let own_users = !matches!(self.security.userns, None | Some(Userns::Host));
        let naming = &self.naming;
        let asked = [
            (self.hostname.is_some(), "--hostname"),
            (naming.domain.is_some(), "--domainname"),
            (!naming.dns.is_empty(), "--dns"),
            (!naming.dns_search.is_empty(), "--dns-search"),
            (!naming.dns_options.is_empty(), "--dns-option"),
            (!naming.hosts.is_empty(), "--add-host"),
            (own_users, "--userns"),
        ];
        let Some((_, option)) = asked.into_iter().find(|(asked, _)| *asked) else {
            return Ok(());
        };
        let message = format!("{option} does not go with --network {}", self.network());
        Err(Fault::new(Kind::Usage, message).hint("say it for the container whose network it is"))
    }

    /// Which network it is on: the host's if nothing is said, but ports are published on a bridge.
    pub fn network(&self) -> Network {
        match &self.network {
            Some(network) => network.clone(),
            None if self.endpoint.publishes() => Network::Bridge,
            None => Network::Host,
        }
    }

    /// Paths of the host that a command line may say relative to where it is typed.
    pub fn host_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let profile = match &mut self.security.seccomp {
            Some(Seccomp::File(path)) => Some(path),
            _ => None,
        };
        let secrets = self
            .secrets
            .iter_mut()
            .filter_map(|secret| match &mut secret.source {
                SecretSource::File(path) => Some(path),
                SecretSource::Environment(_) | SecretSource::Given(_) => None,
            });
        let binds = self.mounts.iter_mut().filter_map(Mount::host_path);
        let rest = profile.into_iter().chain(secrets).chain(binds);
        let own = self.rootfs.iter_mut().chain(self.sandbox.iter_mut());
        own.chain(rest)
    }
}
