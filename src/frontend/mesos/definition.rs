//! What a TaskInfo means.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::Fault;
use crate::frontend::marathon::container::Machine;
use crate::spec::{Artifact, ContainerSpec, GivenValues, Network};

/// Where things are on this machine, and who asks.
#[expect(
    missing_debug_implementations,
    reason = "closures have nothing to show"
)]
pub struct Place<'a> {
    /// The sandbox on the host.
    pub sandbox: &'a Path,
    /// Profiles of filters of system calls.
    pub seccomp: &'a Path,
    /// The network that a name stands for.
    pub network: &'a dyn Fn(&str) -> Result<Network, Fault>,
    /// What only the machine can tell.
    pub machine: Machine,
    /// What was said behind `ucr executor`.
    pub words: &'a [String],
}

/// A task that can be started.
#[derive(Debug, Default)]
pub struct TaskDefinition {
    /// What is run.
    pub spec: ContainerSpec,
    /// By which runtime, as `container.type` says.
    pub containerizer: Containerizer,
    /// Pull the image even if it is there.
    pub force_pull: bool,
    /// A docker configuration for the pull: its name in `secrets`.
    pub pull_secret: Option<String>,
    /// The same as the label `ucr.pull-secret` says it.
    pub pull_secret_file: Option<String>,
    /// What goes into the sandbox before the start.
    pub artifacts: Vec<Artifact>,
    /// Paths in the sandbox that volumes show: directories, unless something was fetched there.
    pub directories: Vec<String>,
    /// Values that the agent gave.
    pub secrets: GivenValues,
    /// Too many failures end it.
    pub health: Option<Health>,
    /// Tells only.
    pub check: Option<Generic>,
    /// Between SIGTERM and SIGKILL.
    pub grace: Option<Duration>,
    /// How long it may run.
    pub max_completion: Option<Duration>,
    /// Ports of the host that are the task's, first and last.
    pub ports: Vec<(u16, u16)>,
    /// A Marathon app definition, in place of a container and a command.
    pub app: Option<Value>,
}

/// `ContainerInfo.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Containerizer {
    /// Native.
    #[default]
    Mesos,
    /// Docker Engine.
    Docker,
}

/// `HealthCheck`, with Mesos's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub question: Question,
    /// Before the first.
    pub delay: Duration,
    /// Between two.
    pub interval: Duration,
    /// How long one may take; 0 is for ever.
    pub timeout: Duration,
    /// So many in a row end the task.
    pub consecutive_failures: u32,
    /// Failures so soon do not count.
    pub grace: Duration,
}

/// `CheckInfo`, with Mesos's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generic {
    /// What is asked.
    pub question: Question,
    /// Before the first.
    pub delay: Duration,
    /// Between two.
    pub interval: Duration,
    /// How long one may take; 0 is for ever.
    pub timeout: Duration,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A command's exit status.
    Command(ProbeCommand),
    /// An answer of the task's own loopback address.
    Http {
        /// In the clear or not.
        scheme: HttpScheme,
        /// Inside.
        port: u16,
        /// Begins with a slash.
        path: String,
        /// Of `::1` instead of 127.0.0.1.
        is_ipv6: bool,
    },
    /// A connection to the task's own loopback address.
    Tcp {
        /// Inside.
        port: u16,
        /// To `::1` instead of 127.0.0.1.
        is_ipv6: bool,
    },
}

/// `HTTPCheckInfo.scheme`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpScheme {
    /// In the clear.
    #[default]
    Http,
    /// By TLS.
    Https,
}

/// What a check executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeCommand {
    /// Read by `/bin/sh`.
    Shell(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}
