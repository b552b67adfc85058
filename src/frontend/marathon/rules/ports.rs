//! Ports beside each other and on their networks.

use std::collections::BTreeSet;

use crate::frontend::marathon::app::{Network, NetworkMode, PortMapping, Protocol};
use crate::frontend::marathon::read::{Moved, Sink, step};

/// What decides on which networks an app is.
pub const NETWORKS: [&str; 3] = ["/networks", "/container/docker/network", "/ipAddress"];

/// All rules.
pub fn check(moved: &Moved, sink: &Sink) {
    let app = &moved.app;
    let mappings = app.port_mappings().iter().map(|it| &it.name);
    names(moved.mappings_path, mappings, sink);
    let definitions = app.port_definitions.iter().map(|it| &it.name);
    names(moved.definitions_path, definitions, sink);
    let numbers = app.port_definitions.iter().map(|it| it.port);
    numbers_once(moved.definitions_path, numbers, sink);
    host_ports(moved, sink);
    if sink.are_sound(&NETWORKS) {
        networks(moved, sink);
    }
}

fn names<'a>(path: &str, names: impl Iterator<Item = &'a Option<String>>, sink: &Sink) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if let Some(name) = name
            && !seen.insert(name)
        {
            let text = format!("another port has the name '{}' too", step(name));
            sink.add(format!("{path}({index})/name"), "E:port-name-dup", text);
        }
    }
}

fn numbers_once(path: &str, numbers: impl Iterator<Item = u16>, sink: &Sink) {
    let mut seen = BTreeSet::new();
    for (index, port) in numbers.enumerate() {
        if port != 0 && !seen.insert(port) {
            let text = format!("the port {port} is there twice");
            sink.add(format!("{path}({index})"), "E:port-dup", text);
        }
    }
}

/// One number of the host leads to one place.
fn host_ports(moved: &Moved, sink: &Sink) {
    let mut seen = BTreeSet::new();
    for (index, mapping) in moved.app.port_mappings().iter().enumerate() {
        let Some(port) = mapping.host_port.filter(|port| *port != 0) else {
            continue;
        };
        let (tcp, udp) = match mapping.protocol {
            Protocol::Tcp => (true, false),
            Protocol::Udp => (false, true),
            Protocol::Both => (true, true),
        };
        let is_new =
            |is_used: bool, name, seen: &mut BTreeSet<_>| !is_used || seen.insert((port, name));
        let is_new_tcp = is_new(tcp, "tcp", &mut seen);
        let is_new_udp = is_new(udp, "udp", &mut seen);
        if !(is_new_tcp && is_new_udp) {
            let path = format!("{}({index})/hostPort", moved.mappings_path);
            let text = format!("the port {port} of the host is there twice");
            sink.add(path, "E:hostport-dup", text);
        }
    }
}

fn networks(moved: &Moved, sink: &Sink) {
    let is_container = |network: &&Network| network.mode == NetworkMode::Container;
    let containers = moved.app.networks.iter().filter(is_container);
    let names: BTreeSet<&str> = containers
        .map(|it| it.name.as_deref().unwrap_or_default())
        .collect();
    for (index, mapping) in moved.app.port_mappings().iter().enumerate() {
        let path = format!("{}({index})", moved.mappings_path);
        mapping_networks(&path, mapping, &names, sink);
    }
}

fn mapping_networks(path: &str, mapping: &PortMapping, names: &BTreeSet<&str>, sink: &Sink) {
    for name in &mapping.network_names {
        if !names.contains(name.as_str()) {
            let text = format!("the app is on no network '{}'", step(name));
            let path = format!("{path}/networkNames");
            sink.add(path, "E:network-name-unknown", text);
        }
    }
    if names.len() > 1 && mapping.host_port.is_some() && mapping.network_names.len() != 1 {
        let text = "a port of the host leads to one network of several: which?";
        let hint = "add \"networkNames\" with one name";
        sink.advise(path, "E:hostport-needs-network", text, hint);
    }
}
