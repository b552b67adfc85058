//! Which networks an app may be on together.

use std::collections::BTreeSet;

use crate::frontend::marathon::app::{Network, NetworkMode, Type};
use crate::frontend::marathon::read::{Moved, Sink, step};

/// All rules.
pub fn check(moved: &Moved, sink: &Sink) {
    let networks = &moved.app.networks;
    let is_container = |network: &Network| network.mode == NetworkMode::Container;
    if networks.len() > 1 && !networks.iter().all(is_container) {
        let text = "the host's network and the bridge can't be together with others";
        sink.add("/networks", "E:network-mix", text);
    }
    let mut names = BTreeSet::new();
    for (index, network) in networks.iter().enumerate() {
        let path = format!("/networks({index})");
        if !sink.is_sound(&path) {
            continue;
        }
        one(&path, network, sink);
        if is_container(network) && !names.insert(&network.name) {
            let text = match &network.name {
                Some(name) => format!("the network '{}' is there twice", step(name)),
                None => "two networks have no name".into(),
            };
            sink.add(&path, "E:network-dup", text);
        }
    }
    if moved.kind == Type::Docker && networks.len() > 1 && networks.iter().all(is_container) {
        let text = "several networks only work with containers of type MESOS";
        sink.add("/networks", "E:docker-multi-network", text);
    }
}

fn one(path: &str, network: &Network, sink: &Sink) {
    let is_named = network.name.is_some();
    match network.mode {
        NetworkMode::Host if is_named || !network.labels.is_empty() => {
            let text = "the host's network has no name and no labels";
            sink.add(path, "E:host-network-name", text);
        }
        NetworkMode::Bridge if is_named => {
            let text = "the bridge has no name";
            sink.add(path, "E:bridge-network-name", text);
        }
        NetworkMode::Container if !is_named => {
            let text = "a network of mode container, which is the default, needs a name";
            let hint = "add \"name\", or say \"mode\": \"container/bridge\" or \"host\"";
            sink.advise(path, "E:network-name-required", text, hint);
        }
        _ => {}
    }
}
