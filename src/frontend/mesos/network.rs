//! `network_infos`, and DockerInfo's network and ports.

use super::definition::{Containerizer, Place, TaskDefinition};
use super::value::port;
use crate::error::escape;
use crate::frontend::marathon::{Item, Object};
use crate::spec::{Endpoint, FurtherNetwork, Network, Publish};

const KEYS: &[&str] = &["groups", "labels", "ip_addresses", "name", "port_mappings"];
const MAPPING_KEYS: &[&str] = &["host_port", "container_port", "protocol"];

/// DockerInfo.Network.
#[derive(Clone, Copy)]
enum Mode {
    Host,
    Bridge,
    None,
    User,
}

const MODES: [(&str, Mode); 4] = [
    ("HOST", Mode::Host),
    ("BRIDGE", Mode::Bridge),
    ("NONE", Mode::None),
    ("USER", Mode::User),
];

/// Networks and ports of a container. Without any it is on the host's.
pub(super) fn read(found: &mut TaskDefinition, container: &Object, place: &Place) {
    let infos = container.get("network_infos").and_then(|it| it.objects());
    let infos = infos.unwrap_or_default();
    let all = infos.iter().filter_map(|item| info(found, item, place));
    let mut all: Vec<FurtherNetwork> = all.collect();
    if found.containerizer == Containerizer::Docker {
        let docker = container.get("docker").and_then(|it| it.map());
        if let Some(docker) = docker {
            of_docker(found, &docker, &mut all);
        }
    }
    let mut all = all.into_iter();
    if let Some(first) = all.next() {
        (found.spec.network, found.spec.endpoint) = (Some(first.network), first.endpoint);
    }
    found.spec.more_networks = all.collect();
}

fn info(found: &TaskDefinition, item: &Item, place: &Place) -> Option<FurtherNetwork> {
    let info = item.object(KEYS)?;
    for key in ["groups", "labels"] {
        if info.has(key) {
            info.refuse_at(key, "W:no-effect", "no network here knows them");
        }
    }
    let name = info.get("name");
    let network = match &name {
        None => Network::Host,
        Some(name) => match (place.network)(name.filled()?) {
            Ok(network) => network,
            Err(fault) => {
                name.refuse("E:network", escape(&fault.to_string()));
                return None;
            }
        },
    };
    let mut endpoint = Endpoint {
        publish: mappings(found, &info, "port_mappings"),
        ..Endpoint::default()
    };
    if network == Network::Host && !endpoint.publish.is_empty() {
        info.refuse_at("port_mappings", "E:network", "the host's network has none");
    }
    let addresses = info.get("ip_addresses").and_then(|it| it.objects());
    for item in addresses.unwrap_or_default() {
        address(&mut endpoint, &item);
    }
    Some(FurtherNetwork { network, endpoint })
}

/// One that is asked for; without a number any will do.
fn address(endpoint: &mut Endpoint, item: &Item) {
    let Some(address) = item.object(&["protocol", "ip_address"]) else {
        return;
    };
    let Some(item) = address.get("ip_address") else {
        return;
    };
    match item.text().map(str::parse) {
        Some(Ok(std::net::IpAddr::V4(ip))) => endpoint.ip = Some(ip),
        Some(Ok(std::net::IpAddr::V6(ip))) => endpoint.ip6 = Some(ip),
        Some(Err(_)) => item.refuse("E:range", "is no address"),
        None => (),
    }
}

fn mappings(found: &TaskDefinition, object: &Object, key: &str) -> Vec<Publish> {
    let items = object.get(key).and_then(|it| it.objects());
    let items = items.unwrap_or_default();
    items.iter().filter_map(|it| mapping(found, it)).collect()
}

fn mapping(found: &TaskDefinition, item: &Item) -> Option<Publish> {
    let mapping = item.object(MAPPING_KEYS)?;
    let (host, inside) = (
        port(&mapping, "host_port")?,
        port(&mapping, "container_port")?,
    );
    let protocols = [("tcp", "tcp"), ("udp", "udp")];
    let protocol = mapping.get("protocol");
    let protocol = protocol.and_then(|it| it.choice("E:type", &protocols));
    let is_ours = |(first, last): &(u16, u16)| (*first..=*last).contains(&host);
    if !found.ports.iter().any(is_ours) {
        let text = format!("port {host} is none of the task's resources");
        mapping.refuse_at("host_port", "E:port", text);
    }
    let text = format!("{host}:{inside}/{}", protocol.unwrap_or("tcp"));
    text.parse().ok()
}

fn of_docker(found: &mut TaskDefinition, docker: &Object, all: &mut Vec<FurtherNetwork>) {
    let mode = docker.get("network");
    let mode = mode.and_then(|it| it.choice("E:type", &MODES));
    let publish = mappings(found, docker, "port_mappings");
    let plain = match mode {
        Some(Mode::Host) | None => Network::Host,
        Some(Mode::Bridge) => Network::Bridge,
        Some(Mode::None) => Network::None,
        Some(Mode::User) => {
            let Some(first) = all.first_mut().filter(|it| it.network != Network::Host) else {
                docker.refuse_at("network", "E:network", "USER needs a name in network_infos");
                return;
            };
            first.endpoint.publish.extend(publish);
            return;
        }
    };
    if !publish.is_empty() && plain != Network::Bridge {
        docker.refuse_at("port_mappings", "E:network", "this network has none");
    }
    if all.iter().any(|it| it.network != Network::Host) {
        docker.refuse_at("network", "E:network", "network_infos name another");
    }
    if plain == Network::Host && found.spec.hostname.is_some() {
        docker.refuse_at(
            "network",
            "E:network",
            "a hostname needs another network than the host's",
        );
    }
    *all = vec![FurtherNetwork {
        network: plain,
        endpoint: Endpoint {
            publish,
            ..Endpoint::default()
        },
    }];
}
