//! Its network and its end of that, and the names that it knows.

use super::Circumstances;
use super::words::{Words, refuse};
use crate::error::{Fault, Kind};
use crate::spec::{ContainerSpec, HostAddress, HostEntry, Network};

pub(super) fn add(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let network = spec.network();
    if let Some(further) = spec.more_networks.first() {
        let option = format!("--network {}", further.network);
        let why = "a container gets one network when it is made";
        let instead = "connect it to others with 'docker network connect'";
        return Err(refuse("more_networks[0]", &option, why, instead));
    }
    if let Network::Cni(_) = network {
        let why = "Docker Engine does not use CNI";
        let instead = "name a network of 'docker network ls'";
        return Err(refuse(
            "network",
            &format!("--network {network}"),
            why,
            instead,
        ));
    }
    if spec.network.is_some() || network == Network::Bridge || !has_own(spec) {
        words.option("--network", &network);
    }
    endpoint(spec, &network, words)?;
    words.each("--dns", &spec.naming.dns);
    words.each("--dns-search", &spec.naming.dns_search);
    words.each("--dns-option", &spec.naming.dns_options);
    for (place, entry) in spec.naming.hosts.iter().enumerate() {
        let field = format!("naming.hosts[{place}]");
        host(entry, &field, &network, circumstances, words)?;
    }
    Ok(())
}

/// Whether docker is told a network in its own words, which does not go with a default one.
fn has_own(spec: &ContainerSpec) -> bool {
    let mut keys = spec.docker_parameters.iter().map(|it| it.key.as_str());
    keys.any(|key| matches!(key, "network" | "net"))
}

fn endpoint(spec: &ContainerSpec, network: &Network, words: &mut Words) -> Result<(), Fault> {
    let endpoint = &spec.endpoint;
    words.each("--publish", &endpoint.publish);
    if endpoint.publish_all {
        words.switch("--publish-all");
    }
    words.each("--expose", &endpoint.expose);
    for (field, option, is_asked) in [
        ("endpoint.ip", "--ip", endpoint.ip.is_some()),
        ("endpoint.ip6", "--ip6", endpoint.ip6.is_some()),
    ] {
        if is_asked && *network == Network::Bridge {
            let why = "Docker Engine chooses the addresses on its own bridge";
            let instead = "make a network with 'docker network create --subnet' and name it";
            return Err(refuse(field, option, why, instead));
        }
    }
    words.perhaps("--ip", endpoint.ip);
    words.perhaps("--ip6", endpoint.ip6);
    words.perhaps("--mac-address", endpoint.mac_address);
    Ok(())
}

/// A line of `/etc/hosts`. On the host's network the host is the container's own loopback, which
/// docker would not say.
fn host(
    entry: &HostEntry,
    field: &str,
    network: &Network,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let name = &entry.name;
    match (entry.address, network) {
        (HostAddress::Ip(_), _) => words.option("--add-host", entry),
        (HostAddress::Gateway, Network::Host) => {
            words.option("--add-host", format_args!("{name}:127.0.0.1"));
        }
        (HostAddress::Gateway, Network::None) => {
            let why = "on the network 'none' nothing leads to the host";
            let message = format!("{field} (--add-host {entry}): {why}");
            return Err(Fault::new(Kind::Spec, message).hint("leave one of them out"));
        }
        (HostAddress::Gateway, _) => {
            circumstances.since((1, 41), field, &format!("--add-host {entry}"))?;
            words.option("--add-host", entry);
        }
    }
    Ok(())
}
