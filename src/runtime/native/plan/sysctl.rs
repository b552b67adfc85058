//! Which values below `/proc/sys` are set for a container.

use crate::error::Fault;
use crate::spec::{ContainerSpec, sysctl};

/// Every user may send ICMP echoes and serve low ports where the network is nobody else's, as in
/// docker. Groups of all users cannot be named where those users are not the host's.
const OF_OWN_NETWORK: [(&str, &str); 2] = [
    ("net/ipv4/ping_group_range", "0 2147483647"),
    ("net/ipv4/ip_unprivileged_port_start", "0"),
];

/// By path, in the order of writing. What was asked for comes last, and counts.
pub(super) fn sysctls(
    spec: &ContainerSpec,
    own_network: bool,
    has_users: bool,
) -> Result<Vec<(String, String)>, Fault> {
    let asked = sysctl::sysctls(spec, own_network)?;
    let is_asked = |path: &str| asked.iter().any(|(own, _)| own == path);
    let pair = |&(path, value): &(&str, &str)| (path.to_owned(), value.to_owned());
    let mut all: Vec<_> = match own_network && !has_users {
        true => OF_OWN_NETWORK.iter().map(pair).collect(),
        false => Vec::new(),
    };
    all.retain(|(path, _)| !is_asked(path));
    let domain = spec.naming.domain.iter().cloned();
    all.extend(domain.map(|name| ("kernel/domainname".to_owned(), name)));
    all.extend(asked);
    Ok(all)
}
