//! What a container knows of the app definition that it was made from: for people and programs that
//! look for it. No runtime acts on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The app of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppRecord {
    /// `/shop/db`.
    pub id: String,
    /// Of this run.
    pub task: String,
    /// Of the definition.
    pub version: String,
    /// Name for service discovery: `db.shop`.
    pub discovery_name: String,
    /// Whoever started it looks after its health.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_checked: bool,
    /// Words of the definition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// In the definition's order, a record for each protocol.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<AppPort>,
}

/// A port of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppPort {
    /// In the definition; two protocols of one port share it.
    pub index: usize,
    /// What clients connect to: the host's where it has one, else the container's.
    pub number: u16,
    /// Inside the container.
    pub container_port: u16,
    /// Of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// For load balancers; nothing is bound to it.
    pub service_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// In the definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Words of the definition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `host`, or `container` where only the named network reaches it.
    pub network_scope: String,
    /// With the scope `container`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_name: Option<String>,
}
