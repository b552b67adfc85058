//! What a plan has about a bridged network, and the names and servers that are seen there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use serde::Serialize;

use super::{OwnFile, Plan, naming};
use crate::error::{Fault, Kind};
use crate::image::ImageConfig;
use crate::runtime::native::host::HostFacts;
use crate::runtime::native::network::WayOut;
use crate::spec::{ContainerSpec, Endpoint, Exposed, Naming, Network, Publish};

/// A bridged network and the container's end of it. Which addresses it gets, unless they are asked
/// for, and which free ports, is decided when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bridged {
    /// Which.
    pub network: Network,
    /// With all ports that are published.
    pub endpoint: Endpoint,
    /// How it gets out without a bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_out: Option<WayOut>,
}

/// A network that a CNI configuration list makes, and the container's end of it. What it is like is
/// known when it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ByPlugins {
    /// The list's name.
    pub list: String,
    /// With all ports that are published.
    pub endpoint: Endpoint,
}

/// Debian's installer has it, too, for a host whose address is not known.
const NOT_KNOWN: &str = "127.0.1.1";

/// The bridged network of a container, if it is on one.
pub(super) fn bridged(
    spec: &ContainerSpec,
    image: &ImageConfig,
    host: &HostFacts,
) -> Result<Option<Bridged>, Fault> {
    let network = spec.network();
    if !network.is_bridged() {
        return Ok(None);
    }
    if host.may_not_connect {
        refuse_what_is_not_carried(&network, &spec.endpoint)?;
    }
    Ok(Some(Bridged {
        network,
        endpoint: endpoint(spec, image)?,
        way_out: host.way_out.clone(),
    }))
}

/// The networks of a container that plugins are to make.
pub(super) fn by_plugins(
    spec: &ContainerSpec,
    image: &ImageConfig,
    host: &HostFacts,
) -> Result<Vec<ByPlugins>, Fault> {
    let Network::Cni(list) = spec.network() else {
        return Ok(Vec::new());
    };
    if host.mapping.is_some() {
        let message = format!("--network cni:{list} needs root, whose plugins they are");
        return Err(Fault::new(Kind::Unsupported, message)
            .hint("--network bridge works without root: a way out, and -p"));
    }
    let endpoint = endpoint(spec, image)?;
    let mut all = vec![ByPlugins { list, endpoint }];
    for further in &spec.more_networks {
        if let Network::Cni(list) = &further.network {
            all.push(ByPlugins {
                list: list.clone(),
                endpoint: further.endpoint.clone(),
            });
        }
    }
    Ok(all)
}

/// With the ports of `--publish-all`.
fn endpoint(spec: &ContainerSpec, image: &ImageConfig) -> Result<Endpoint, Fault> {
    let mut endpoint = spec.endpoint.clone();
    if endpoint.publish_all {
        let parse = |text: &String| text.parse::<Exposed>();
        let of_image: Vec<_> = image
            .exposed_ports
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()?;
        let published = |exposed: &Exposed, all: &[Publish]| {
            all.iter().any(|publish| publish.container == *exposed)
        };
        for exposed in of_image.iter().chain(&spec.endpoint.expose) {
            if !published(exposed, &endpoint.publish) {
                endpoint.publish.push(Publish::anywhere(*exposed));
            }
        }
    }
    Ok(endpoint)
}

/// Without root every container is alone with its way out, at an address that is always the same.
fn refuse_what_is_not_carried(network: &Network, endpoint: &Endpoint) -> Result<(), Fault> {
    let refuse = |what: &str, hint: &str| {
        let message = format!("{what} needs root, who may make network devices");
        Err(Fault::new(Kind::Unsupported, message).hint(hint))
    };
    if *network != Network::Bridge {
        let hint = "--network bridge works without root: a way out, and -p";
        return refuse(&format!("--network {network}"), hint);
    }
    if endpoint.ip.is_some() || endpoint.ip6.is_some() {
        return refuse("--ip", "leave it out: containers are reached by -p");
    }
    Ok(())
}

/// The line of `/etc/hosts` with the container's own name, until its address is known.
pub(super) fn own_line(name: &str) -> String {
    format!("{NOT_KNOWN}\t{name}\n")
}

impl Plan {
    /// Puts the container's own addresses into its `/etc/hosts`.
    pub fn name_addresses(&mut self, ip: Ipv4Addr, ip6: Option<Ipv6Addr>) {
        let v4 = std::iter::once(IpAddr::V4(ip));
        let all: Vec<_> = v4.chain(ip6.map(IpAddr::V6)).collect();
        name_addresses(&mut self.files, &all);
    }

    /// The container's files where plugins gave it addresses, and perhaps servers, which what was
    /// asked for replaces.
    pub fn files_with(
        &self,
        addresses: &[IpAddr],
        resolv_conf: Option<&[u8]>,
        asked: &Naming,
    ) -> Vec<OwnFile> {
        let mut files = self.files.clone();
        name_addresses(&mut files, addresses);
        let own = file(&mut files, "/etc/resolv.conf").zip(resolv_conf);
        if let Some((own, given)) = own {
            own.content = naming::resolv_conf(asked, given);
        }
        files
    }
}

fn file<'a>(files: &'a mut [OwnFile], path: &str) -> Option<&'a mut OwnFile> {
    let mut all = files.iter_mut();
    all.find(|file| file.target == Path::new(path))
}

fn name_addresses(files: &mut [OwnFile], addresses: &[IpAddr]) {
    let Some(hosts) = file(files, "/etc/hosts").filter(|_| !addresses.is_empty()) else {
        return;
    };
    let mut written = Vec::new();
    for line in hosts.content.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(NOT_KNOWN.as_bytes()) {
            Some(names) => {
                for address in addresses {
                    written.extend(address.to_string().into_bytes());
                    written.extend(names);
                }
            }
            None => written.extend(line),
        }
    }
    hosts.content = written;
}

/// The host's `/etc/resolv.conf` without servers that only the host reaches; if no other is left,
/// those that systemd-resolved asks itself.
pub(super) fn resolv_conf(host: &HostFacts, own_network: bool, notes: &mut Vec<String>) -> Vec<u8> {
    if let Some(other) = &host.joined {
        return other.resolv_conf.clone();
    }
    let way_out = host.way_out.as_ref();
    if let Some(own) = way_out.and_then(|it| it.carrier.name_server()) {
        let mut text = without_servers(&host.resolv_conf, |_| true);
        if text.last().is_some_and(|byte| *byte != b'\n') {
            text.push(b'\n');
        }
        text.extend(format!("nameserver {own}\n").bytes());
        return text;
    }
    if !own_network || !has_server(&host.resolv_conf, is_loopback) {
        return host.resolv_conf.clone();
    }
    for found in [&host.resolv_conf, &host.uplink_resolv_conf] {
        if has_server(found, |address| !is_loopback(address)) {
            return without_servers(found, is_loopback);
        }
    }
    notes.push("the host's name servers are on its loopback device: the container has none".into());
    without_servers(&host.resolv_conf, is_loopback)
}

fn has_server(file: &[u8], wanted: impl Fn(&str) -> bool) -> bool {
    file.split(|byte| *byte == b'\n')
        .filter_map(server)
        .any(|address| wanted(&address))
}

fn without_servers(file: &[u8], unwanted: impl Fn(&str) -> bool) -> Vec<u8> {
    let lines = file.split_inclusive(|byte| *byte == b'\n');
    let kept = lines.filter(|line| server(line).is_none_or(|address| !unwanted(&address)));
    kept.collect::<Vec<_>>().concat()
}

/// The address in a line such as `nameserver 127.0.0.53`.
fn server(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    (words.next()? == "nameserver").then(|| words.next().map(str::to_owned))?
}

/// Or of a device of the host's.
fn is_loopback(address: &str) -> bool {
    address.contains('%')
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_a_container_reaches() {
        for (own, uplink, expected) in [
            ("nameserver 9.9.9.9\n", "", "nameserver 9.9.9.9\n"),
            (
                "search x\nnameserver 127.0.0.53\nnameserver 9.9.9.9\n",
                "",
                "search x\nnameserver 9.9.9.9\n",
            ),
            (
                "nameserver 127.0.0.53\noptions edns0\n",
                "nameserver 10.0.0.1\n",
                "nameserver 10.0.0.1\n",
            ),
            ("nameserver ::1\nsearch x\n", "", "search x\n"),
            (
                "nameserver fe80::1%eth0\nnameserver fd00::1",
                "",
                "nameserver fd00::1",
            ),
        ] {
            let host = HostFacts {
                resolv_conf: own.into(),
                uplink_resolv_conf: uplink.into(),
                ..HostFacts::default()
            };
            let mut notes = Vec::new();
            let made = resolv_conf(&host, true, &mut notes);
            assert_eq!(String::from_utf8(made).unwrap(), expected);
            assert_eq!(notes.len(), usize::from(!expected.contains("nameserver")));
            assert_eq!(resolv_conf(&host, false, &mut notes), own.as_bytes());
        }
    }
}
