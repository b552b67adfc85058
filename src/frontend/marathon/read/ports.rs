//! `portMappings`, `portDefinitions` and `ports`, and `protocol` of all of them.

use super::pattern::is_label;
use super::reader::{Item, Object};
use super::top::labels;
use crate::frontend::marathon::app::{PortDefinition, PortMapping, Protocol};

const MAPPING_KEYS: &[&str] = &[
    "containerPort",
    "hostPort",
    "servicePort",
    "protocol",
    "name",
    "labels",
    "networkNames",
];

/// Mappings in the new or the old place. One that is broken is there nevertheless: others are
/// counted by their index.
pub fn mappings(object: &Object, key: &str) -> Option<Vec<PortMapping>> {
    let items = object.get(key)?.objects()?;
    Some(items.iter().map(mapping).collect())
}

/// A mapping of which nothing is said.
pub fn plain_mapping() -> PortMapping {
    PortMapping {
        container_port: 0,
        host_port: None,
        service_port: 0,
        protocol: Protocol::Tcp,
        name: None,
        labels: Default::default(),
        network_names: Vec::new(),
    }
}

fn mapping(item: &Item) -> PortMapping {
    let Some(mapping) = item.object(MAPPING_KEYS) else {
        return plain_mapping();
    };
    let names = mapping.get("networkNames").and_then(|item| item.texts());
    PortMapping {
        container_port: mapping.port("containerPort").unwrap_or(0),
        host_port: mapping.port("hostPort"),
        service_port: mapping.port("servicePort").unwrap_or(0),
        protocol: protocol(&mapping),
        name: name(&mapping),
        labels: labels(&mapping),
        network_names: names.unwrap_or_default(),
    }
}

/// A definition of which nothing is said but the port.
pub fn plain_definition(port: u16) -> PortDefinition {
    PortDefinition {
        port,
        protocol: Protocol::Tcp,
        name: None,
        labels: Default::default(),
    }
}

/// `portDefinitions`.
pub fn definitions(top: &Object) -> Option<Vec<PortDefinition>> {
    let items = top.get("portDefinitions")?.objects()?;
    Some(items.iter().map(definition).collect())
}

fn definition(item: &Item) -> PortDefinition {
    const KEYS: &[&str] = &["port", "protocol", "name", "labels"];
    let Some(definition) = item.object(KEYS) else {
        return plain_definition(0);
    };
    PortDefinition {
        port: definition.port("port").unwrap_or(0),
        protocol: protocol(&definition),
        name: name(&definition),
        labels: labels(&definition),
    }
}

/// `ports`.
pub fn numbers(top: &Object) -> Option<Vec<u16>> {
    let items = top.get("ports")?.objects()?;
    let number = |item: &Item| {
        let number = item.whole(0..=i64::from(u16::MAX)).unwrap_or(0);
        u16::try_from(number).unwrap_or(0)
    };
    Some(items.iter().map(number).collect())
}

/// `protocol` of a port. Old versions wrote both in the other order.
pub fn protocol(object: &Object) -> Protocol {
    const PROTOCOLS: [(&str, Protocol); 4] = [
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("udp,tcp", Protocol::Both),
        ("tcp,udp", Protocol::Both),
    ];
    object
        .get("protocol")
        .and_then(|item| item.choice("E:protocol", &PROTOCOLS))
        .unwrap_or(Protocol::Tcp)
}

/// `name` of a port.
pub fn name(object: &Object) -> Option<String> {
    let item = object.get("name")?;
    let name = item.text()?;
    if !is_label(name) {
        let text = "may have lower-case letters, digits, and '-' between them";
        item.refuse("E:pattern", text);
    }
    Some(name.to_owned())
}
