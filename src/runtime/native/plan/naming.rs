//! What a container's files say about names: its own, those of others, and who knows more.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use super::OwnFile;
use super::network::own_line;
use crate::error::{Fault, Kind};
use crate::runtime::native::host::HostFacts;
use crate::spec::{ContainerSpec, Definition, HostAddress, Naming, Network, check_host_name};

/// A container on a network of its own has a name of its own, as docker's have, and one on that of
/// another container the other's; `None` is the host's.
pub(super) fn hostname(
    spec: &ContainerSpec,
    host: &HostFacts,
    own_network: bool,
    id: &str,
) -> Result<Option<String>, Fault> {
    if spec.sharing.has_uts_of_host() {
        return Ok(None);
    }
    let of_other = host.joined.as_ref().map(|other| &other.hostname);
    let Some(name) = of_other.or(spec.hostname.as_ref()) else {
        return Ok(own_network.then(|| id.to_owned()));
    };
    check_host_name("host name", name)?;
    Ok(Some(name.clone()))
}

/// On the host's network a container sees the host's names, on one of its own its own.
pub(super) fn own_files(
    spec: &ContainerSpec,
    host: &HostFacts,
    name: &str,
    own_network: bool,
    of_host: &[u8],
) -> Result<Vec<OwnFile>, Fault> {
    if spec.is_on_host() && !own_network && host.joined.is_none() && is_as_on_host(spec) {
        return Ok(Vec::new());
    }
    let file = |target: &str, content: Vec<u8>| OwnFile {
        target: target.into(),
        content,
    };
    Ok(vec![
        file("/etc/resolv.conf", resolv_conf(&spec.naming, of_host)),
        file("/etc/hosts", hosts(spec, host, name, own_network)?),
        file("/etc/hostname", format!("{name}\n").into_bytes()),
    ])
}

/// Whether the host's own files say what is to be known.
fn is_as_on_host(spec: &ContainerSpec) -> bool {
    spec.naming == Naming::default() && spec.hostname.is_none()
}

/// The host's, but for what was asked for: each kind of line is replaced as a whole, as docker does.
pub(super) fn resolv_conf(naming: &Naming, of_host: &[u8]) -> Vec<u8> {
    let is_replaced = |keyword: &str| match keyword {
        "nameserver" => !naming.dns.is_empty(),
        "search" | "domain" => !naming.dns_search.is_empty(),
        "options" => !naming.dns_options.is_empty(),
        _ => false,
    };
    if !["nameserver", "search", "options"]
        .iter()
        .any(|it| is_replaced(it))
    {
        return of_host.to_vec();
    }
    let mut text = String::new();
    for line in String::from_utf8_lossy(of_host).lines() {
        let keyword = line.split_whitespace().next().unwrap_or_default();
        if !is_replaced(keyword) {
            let _ = writeln!(text, "{line}");
        }
    }
    for server in &naming.dns {
        let _ = writeln!(text, "nameserver {server}");
    }
    for (keyword, words) in [
        ("search", &naming.dns_search),
        ("options", &naming.dns_options),
    ] {
        // The root alone is no domain to look in: docker's word for none.
        let words: Vec<_> = words.iter().filter(|word| *word != ".").collect();
        if !words.is_empty() {
            let words: Vec<&str> = words.into_iter().map(String::as_str).collect();
            let _ = writeln!(text, "{keyword} {}", words.join(" "));
        }
    }
    text.into_bytes()
}

fn hosts(
    spec: &ContainerSpec,
    host: &HostFacts,
    name: &str,
    own_network: bool,
) -> Result<Vec<u8>, Fault> {
    let names = match &spec.naming.domain {
        Some(domain) => format!("{name}.{domain} {name}"),
        None => name.to_owned(),
    };
    let mut text = if let Some(other) = &host.joined {
        other.hosts.clone()
    } else if own_network {
        let local = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
        (local.to_owned() + &own_line(&names)).into_bytes()
    } else {
        host.hosts.clone()
    };
    if !spec.naming.hosts.is_empty() && !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    for entry in &spec.naming.hosts {
        let address = match entry.address {
            HostAddress::Ip(ip) => ip,
            HostAddress::Gateway => gateway(spec, host, &entry.name)?,
        };
        text.extend(format!("{address}\t{}\n", entry.name).bytes());
    }
    Ok(text)
}

/// At which address a container reaches the host.
fn gateway(spec: &ContainerSpec, host: &HostFacts, name: &str) -> Result<IpAddr, Fault> {
    let carried = host.way_out.as_ref();
    match spec.network() {
        Network::Host => Ok(Ipv4Addr::LOCALHOST.into()),
        Network::Bridge if carried.is_some() => {
            let found = carried.and_then(|way_out| way_out.host);
            found.map(IpAddr::V4).ok_or_else(|| {
                let message = format!("--add-host {name}:host-gateway: the host has no way out");
                Fault::new(Kind::Unsupported, message).hint("say an address of the host")
            })
        }
        Network::Bridge => Ok(Definition::built_in().gateway.into()),
        Network::Named(_) | Network::Cni(_) | Network::Container(_) => {
            let message = format!(
                "--add-host {name}:host-gateway does not go with --network {}",
                spec.network()
            );
            Err(Fault::new(Kind::Unsupported, message).hint(
                "'ucr network inspect' shows the host's address, or the list of plugins: say that",
            ))
        }
        Network::None => {
            let message = format!(
                "--add-host {name}:host-gateway: on the network 'none' nothing leads to the host"
            );
            Err(Fault::new(Kind::Spec, message).hint("leave one of them out"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# own\nnameserver ::1\nsearch a b\noptions ndots:2\ndomain c\n";

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_kind_of_line_is_replaced_as_a_whole() {
        let rows = [
            ("{}", HOST),
            (
                r#"{"dns": ["192.0.2.1", "2001:db8::1"]}"#,
                "# own\nsearch a b\noptions ndots:2\ndomain c\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n",
            ),
            (
                r#"{"dns_search": ["x", "y"]}"#,
                "# own\nnameserver ::1\noptions ndots:2\nsearch x y\n",
            ),
            (
                r#"{"dns_search": ["."], "dns_options": ["rotate", "timeout:1"]}"#,
                "# own\nnameserver ::1\noptions rotate timeout:1\n",
            ),
        ];
        for (json, expected) in rows {
            let naming = serde_json::from_str(json).unwrap();
            assert_eq!(
                text(resolv_conf(&naming, HOST.as_bytes())),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn lines_of_hosts() {
        let host = HostFacts {
            hosts: b"127.0.0.1 localhost".to_vec(),
            ..HostFacts::default()
        };
        let spec = |network, json: &str| ContainerSpec {
            network,
            naming: serde_json::from_str(json).unwrap(),
            ..ContainerSpec::default()
        };
        let both = r#"{"hosts": ["a:192.0.2.1", "b:host-gateway"], "domain": "d"}"#;
        let made = hosts(&spec(None, both), &host, "h", false).unwrap();
        assert_eq!(
            text(made),
            "127.0.0.1 localhost\n192.0.2.1\ta\n127.0.0.1\tb\n"
        );
        let made = hosts(&spec(None, "{}"), &host, "h", false).unwrap();
        assert_eq!(text(made), "127.0.0.1 localhost");
        let own = || Some(Network::None);
        let made = hosts(&spec(own(), r#"{"domain": "d"}"#), &host, "h", true).unwrap();
        assert!(text(made).ends_with("127.0.1.1\th.d h\n"));
        let fault = hosts(&spec(own(), both), &host, "h", true).unwrap_err();
        assert!(fault.to_string().contains("b:host-gateway"), "{fault}");
    }
}
