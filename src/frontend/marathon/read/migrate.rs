//! Old form → new form, in Marathon's order (reference/marathon.md, section 1.14), and defaults
//! that depend on other fields.

use super::Settings;
use super::draft::{Draft, DraftContainer, IpAddress, OldNetwork};
use super::fetch::from_uri;
use super::ports::{plain_definition, plain_mapping};
use super::reader::Sink;
use crate::frontend::marathon::app::{
    App, Container, Network, NetworkMode, PortDefinition, PortMapping, Type,
};

/// The new form, and where its parts are in the document.
#[derive(Debug)]
pub struct Moved {
    /// In its new form; not every rule is kept.
    pub app: App,
    /// Of the container, or what it would be.
    pub kind: Type,
    /// Where the mappings of ports are.
    pub mappings_path: &'static str,
    /// Where the definitions of ports are.
    pub definitions_path: &'static str,
    /// The index of each volume.
    pub volumes: Vec<usize>,
    /// Fields without effect that say something.
    pub without_effect: Vec<String>,
}

/// Moves everything, and says which old and new forms contradict each other.
pub fn migrate(mut draft: Draft, settings: &Settings, sink: &Sink) -> Moved {
    fetch(&mut draft, sink);
    draft.app.networks = networks(&mut draft, settings, sink);
    let definitions_path = definitions(&mut draft, sink);
    container(&mut draft);
    let mappings_path = mappings(&mut draft, sink);
    match draft.app.is_on_host_network() {
        true => on_host(&mut draft, mappings_path, sink),
        false => off_host(&mut draft, definitions_path, sink),
    }
    first_port(&mut draft.app);
    let draft_container = draft.container.take();
    let (volumes, container) = match draft_container {
        Some(container) => finish(container, draft.kind),
        None => (Vec::new(), None),
    };
    draft.app.container = container;
    Moved {
        app: draft.app,
        kind: draft.kind,
        mappings_path,
        definitions_path,
        volumes,
        without_effect: draft.without_effect,
    }
}

/// Step 1.
fn fetch(draft: &mut Draft, sink: &Sink) {
    let uris = std::mem::take(&mut draft.uris);
    if !uris.is_empty() && !draft.app.fetch.is_empty() {
        let text = "can't be together with 'fetch', which replaced it";
        sink.advise("/uris", "E:uris-and-fetch", text, "move all into 'fetch'");
        return;
    }
    draft.app.fetch.extend(uris.into_iter().map(from_uri));
}

/// Step 2, and the name of a container network that has none.
fn networks(draft: &mut Draft, settings: &Settings, sink: &Sink) -> Vec<Network> {
    let old = draft.container.as_ref().and_then(|it| it.docker_network);
    let mut networks = match draft.networks.take() {
        Some(networks) => {
            old_and_new(draft, old, sink);
            networks
        }
        None => vec![moved_network(draft, old, settings)],
    };
    for network in &mut networks {
        if network.mode == NetworkMode::Container && network.name.is_none() {
            network.name.clone_from(&settings.default_network);
        }
    }
    networks
}

fn old_and_new(draft: &mut Draft, old: Option<OldNetwork>, sink: &Sink) {
    let text = "can't be together with 'networks', which replaced it";
    let places = [
        (old.is_some(), "/container/docker/network"),
        (draft.ip_address.take().is_some(), "/ipAddress"),
    ];
    for (_, path) in places.into_iter().filter(|(is_there, _)| *is_there) {
        sink.advise(path, "E:network-old-and-new", text, "keep 'networks'");
    }
}

fn moved_network(draft: &mut Draft, old: Option<OldNetwork>, settings: &Settings) -> Network {
    if matches!(old, Some(OldNetwork::Host | OldNetwork::None)) {
        draft.ip_address = None;
    }
    let address = draft.ip_address.as_ref();
    let name = address.and_then(|it| it.network_name.clone());
    let labels = address.map(|it| it.labels.clone()).unwrap_or_default();
    let mode = match (old, address) {
        (Some(OldNetwork::Bridge), _) => NetworkMode::Bridge,
        (Some(OldNetwork::User), _) => NetworkMode::Container,
        (None, Some(_)) if name.as_ref() == Some(&settings.bridge_name) => NetworkMode::Bridge,
        (None, Some(_)) => NetworkMode::Container,
        (Some(OldNetwork::Host | OldNetwork::None) | None, _) => NetworkMode::Host,
    };
    Network {
        mode,
        name: name.filter(|_| mode == NetworkMode::Container),
        labels,
    }
}

/// Steps 3 and 4; where the definitions are.
fn definitions(draft: &mut Draft, sink: &Sink) -> &'static str {
    let new = draft.port_definitions.as_deref();
    let is_filled = new.is_some_and(|it| !it.is_empty())
        || draft.ports.as_deref().is_some_and(|it| !it.is_empty());
    if draft.ip_address.is_some() && is_filled {
        let text = "an app with an address of its own can't be together with ports of the host";
        sink.add("/ipAddress", "E:ip-and-ports", text);
    }
    let Some(ports) = draft.ports.take() else {
        return "/portDefinitions";
    };
    if let Some(new) = new {
        let differ = !new.iter().map(|it| it.port).eq(ports.iter().copied());
        if differ && sink.is_sound("/ports") && sink.is_sound("/portDefinitions") {
            let text = "says other ports than 'portDefinitions', which replaced it";
            sink.advise(
                "/ports",
                "E:ports-and-definitions",
                text,
                "keep 'portDefinitions'",
            );
        }
        return "/portDefinitions";
    }
    draft.port_definitions = Some(ports.into_iter().map(plain_definition).collect());
    "/ports"
}

/// Steps 5 and 13.
fn container(draft: &mut Draft) {
    if draft.container.is_none() && !draft.app.is_on_host_network() {
        draft.container = Some(DraftContainer::default());
    }
}

/// Steps 6 and 7; where the mappings are.
fn mappings(draft: &mut Draft, sink: &Sink) -> &'static str {
    const UPPER: &str = "/container/portMappings";
    const LOWER: &str = "/container/docker/portMappings";
    let Some(container) = &mut draft.container else {
        return UPPER;
    };
    let mut path = UPPER;
    if let Some(lower) = container.docker_mappings.take() {
        match &container.port_mappings {
            None => {
                container.port_mappings = Some(lower);
                path = LOWER;
            }
            Some(_) if !lower.is_empty() => {
                let text = "can't be together with 'portMappings' of the container, its new place";
                sink.advise(
                    LOWER,
                    "E:portmappings-twice",
                    text,
                    "keep those of the container",
                );
            }
            Some(_) => {}
        }
    }
    let discovery = draft
        .ip_address
        .take()
        .map(|IpAddress { discovery, .. }| discovery);
    let discovery = discovery.unwrap_or_default();
    if discovery.is_empty() {
        return path;
    }
    let place = "/ipAddress/discovery/ports";
    if draft.kind == Type::Docker {
        let text = "are for containers of type MESOS";
        sink.advise(place, "E:discovery-docker", text, "use 'portMappings'");
    } else if container.port_mappings.is_some() {
        let text = "can't be together with 'portMappings', which replaced them";
        sink.advise(
            place,
            "E:discovery-and-mappings",
            text,
            "keep 'portMappings'",
        );
    } else {
        container.port_mappings = Some(discovery);
        path = place;
    }
    path
}

/// Steps 9 and 10 on the host's network.
fn on_host(draft: &mut Draft, mappings_path: &str, sink: &Sink) {
    let container = draft.container.as_mut();
    let dropped = container.and_then(|it| it.port_mappings.take());
    // What is wrong with the network is said already.
    let is_meant = sink.is_sound("/container/docker/network");
    if is_meant && dropped.is_some_and(|mappings| !mappings.is_empty()) {
        let text = "the app is on the host's network, so its portMappings have no effect";
        let hint = "add \"networks\": [{\"mode\": \"container/bridge\"}]";
        sink.advise(mappings_path, "W:portmappings-host", text, hint);
    }
    let definitions = draft.port_definitions.take();
    draft.app.port_definitions = definitions.unwrap_or_else(|| {
        vec![PortDefinition {
            name: Some(DEFAULT.into()),
            ..plain_definition(0)
        }]
    });
    let has_zero = draft.app.port_definitions.iter().any(|it| it.port == 0);
    if draft.app.require_ports && has_zero {
        let text = "a port 0 can't be required: it becomes a free one";
        sink.add("/requirePorts", "W:requireports-zero", text);
    }
}

/// The name of a port of which nothing is said.
const DEFAULT: &str = "default";

/// Steps 9, 10, 13 and 14 on other networks.
fn off_host(draft: &mut Draft, definitions_path: &str, sink: &Sink) {
    draft.app.require_ports = false;
    let definitions = draft.port_definitions.take().unwrap_or_default();
    if !definitions.is_empty() {
        let text = "the app is not on the host's network, so only their number counts";
        let hint = "use 'portMappings' of the container";
        sink.advise(definitions_path, "W:portdefinitions-ignored", text, hint);
    }
    let Some(container) = &mut draft.container else {
        return;
    };
    let mappings = container.port_mappings.get_or_insert_with(|| {
        vec![PortMapping {
            name: Some(DEFAULT.into()),
            ..plain_mapping()
        }]
    });
    if mappings.len() < definitions.len() {
        mappings.resize_with(definitions.len(), plain_mapping);
    }
    let is_bridge = |network: &Network| network.mode == NetworkMode::Bridge;
    if draft.app.networks.iter().any(is_bridge) {
        for mapping in mappings {
            mapping.host_port.get_or_insert(0);
        }
    }
}

/// Step 11. Marathon leaves it out where the only port is its default, and takes the first then.
fn first_port(app: &mut App) {
    for check in &mut app.health_checks {
        if check.protocol.is_network() && check.port.is_none() {
            check.port_index.get_or_insert(0);
        }
    }
}

fn finish(draft: DraftContainer, kind: Type) -> (Vec<usize>, Option<Container>) {
    let (places, volumes) = draft.volumes.into_iter().unzip();
    let container = Container {
        kind,
        docker: draft.docker,
        port_mappings: draft.port_mappings.unwrap_or_default(),
        volumes,
        linux_info: draft.linux_info,
    };
    (places, Some(container))
}
