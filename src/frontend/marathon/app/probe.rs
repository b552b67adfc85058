//! `healthChecks`, `check` and `readinessChecks`.

use serde::Serialize;

/// `healthChecks[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// How, and from where.
    pub protocol: HealthProtocol,
    /// For COMMAND.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<HealthCommand>,
    /// For HTTP; begins with a slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A number, which wins over the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Of the app's ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_index: Option<usize>,
    /// Seconds in which failures do not count.
    pub grace_period_seconds: u32,
    /// Seconds between probes.
    pub interval_seconds: u32,
    /// Seconds that a probe may take.
    pub timeout_seconds: u32,
    /// How many it may fail.
    pub max_consecutive_failures: u32,
    /// Seconds before the first probe, of Mesos's kinds.
    pub delay_seconds: u32,
    /// IPv6 instead of IPv4.
    pub ip_protocol: IpProtocol,
    /// A status 1xx changes nothing.
    #[serde(rename = "ignoreHttp1xx")]
    pub ignore_http_1xx: bool,
}

/// `healthChecks[].command`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthCommand {
    /// For `/bin/sh -c`.
    pub value: String,
}

/// `healthChecks[].protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HealthProtocol {
    /// From outside.
    Http,
    /// From outside.
    Https,
    /// From outside.
    Tcp,
    /// Inside the container.
    Command,
    /// From the container's network.
    MesosHttp,
    /// From the container's network.
    MesosHttps,
    /// From the container's network.
    MesosTcp,
}

impl HealthProtocol {
    /// Whether it asks for a page.
    pub fn is_http(self) -> bool {
        matches!(
            self,
            Self::Http | Self::Https | Self::MesosHttp | Self::MesosHttps
        )
    }

    /// Whether it needs a port.
    pub fn is_network(self) -> bool {
        self != Self::Command
    }

    /// Whether Mesos probes inside the container's network, by which there can be one only.
    pub fn is_mesos_network(self) -> bool {
        matches!(self, Self::MesosHttp | Self::MesosHttps | Self::MesosTcp)
    }
}

/// `healthChecks[].ipProtocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum IpProtocol {
    /// The default.
    IPv4,
    /// 128 bits.
    IPv6,
}

/// `check`: its answer is only published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What is asked.
    #[serde(flatten)]
    pub kind: CheckKind,
    /// Seconds between probes.
    pub interval_seconds: u32,
    /// Seconds that a probe may take.
    pub timeout_seconds: u32,
    /// Seconds before the first probe.
    pub delay_seconds: u32,
}

/// What a `check` asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckKind {
    /// A status.
    Http {
        /// A number, which wins over the index.
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// Of the app's ports.
        #[serde(skip_serializing_if = "Option::is_none", rename = "portIndex")]
        port_index: Option<usize>,
        /// Begins with a slash.
        path: String,
    },
    /// A connection.
    Tcp {
        /// A number, which wins over the index.
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// Of the app's ports.
        #[serde(skip_serializing_if = "Option::is_none", rename = "portIndex")]
        port_index: Option<usize>,
    },
    /// An exit code.
    Exec {
        /// What is executed.
        command: CheckCommand,
    },
}

/// `check.exec.command`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckCommand {
    /// For `/bin/sh -c`.
    Shell(String),
    /// Without a shell; not empty.
    Argv(Vec<String>),
}

/// `readinessChecks[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessCheck {
    /// For people.
    pub name: String,
    /// HTTP or HTTPS.
    pub protocol: ReadinessProtocol,
    /// Begins with a slash.
    pub path: String,
    /// Of a port with this name.
    pub port_name: String,
    /// Seconds between an answer and the next question.
    pub interval_seconds: u32,
    /// Seconds that an answer may take.
    pub timeout_seconds: u32,
    /// What says that it is ready.
    pub http_status_codes_for_ready: Vec<u16>,
    /// Keep the last answer.
    pub preserve_last_response: bool,
}

/// `readinessChecks[].protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReadinessProtocol {
    /// Plain.
    Http,
    /// Certificates are not verified.
    Https,
}
