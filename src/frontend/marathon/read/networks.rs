//! `networks`, and `ipAddress`, which came before.

use super::draft::IpAddress;
use super::pattern::is_network_name;
use super::ports::{name, plain_mapping, protocol};
use super::reader::{Item, Object};
use super::top::labels;
use crate::frontend::marathon::app::{Network, NetworkMode, PortMapping};

/// `networks`, unless that is absent or empty.
pub fn read(top: &Object) -> Option<Vec<Network>> {
    let items = top.get("networks")?.objects()?;
    let networks: Vec<Network> = items.iter().map(network).collect();
    (!networks.is_empty()).then_some(networks)
}

fn network(item: &Item) -> Network {
    const MODES: [(&str, NetworkMode); 3] = [
        ("host", NetworkMode::Host),
        ("container", NetworkMode::Container),
        ("container/bridge", NetworkMode::Bridge),
    ];
    let mut read = Network {
        mode: NetworkMode::Container,
        name: None,
        labels: Default::default(),
    };
    if let Some(network) = item.object(&["mode", "name", "labels"]) {
        let mode = network.get("mode");
        let mode = mode.and_then(|item| item.choice("E:type", &MODES));
        read.mode = mode.unwrap_or(NetworkMode::Container);
        read.name = network_name(&network, "name");
        read.labels = labels(&network);
    }
    read
}

fn network_name(object: &Object, key: &str) -> Option<String> {
    let item = object.get(key)?;
    let name = item.text()?;
    if !is_network_name(name) {
        let text = "may have 63 lower-case letters and digits, and '-' and '_' between them";
        item.refuse("E:pattern", text);
    }
    Some(name.to_owned())
}

/// `ipAddress`.
pub fn ip_address(top: &Object) -> Option<IpAddress> {
    const KEYS: &[&str] = &["groups", "labels", "discovery", "networkName"];
    let item = top.get("ipAddress")?;
    let address = item.object(KEYS)?;
    let discovery = address.get("discovery");
    let discovery = discovery.and_then(|item| item.object(&["ports"]));
    let ports = discovery
        .and_then(|it| it.get("ports"))
        .and_then(|item| item.objects());
    let ports = ports.unwrap_or_default();
    Some(IpAddress {
        network_name: network_name(&address, "networkName"),
        labels: labels(&address),
        discovery: ports.iter().map(discovered).collect(),
    })
}

fn discovered(item: &Item) -> PortMapping {
    let mut mapping = plain_mapping();
    if let Some(port) = item.object(&["number", "name", "protocol", "labels"]) {
        mapping.container_port = port.port("number").unwrap_or(0);
        mapping.name = name(&port);
        mapping.protocol = protocol(&port);
        mapping.labels = labels(&port);
    }
    mapping
}
