//! Which values below `/proc/sys` are set for a container.

use crate::error::Fault;
use crate::spec::{ContainerSpec, sysctl};
use crate::sys::users::{Mapping, Range};

/// Every user may send ICMP echoes and serve low ports where the network is nobody else's, as in
/// docker. Groups of all users cannot be named where those users are not the host's.
fn of_own_network(mapping: Option<&Mapping>) -> [(String, String); 2] {
    // The kernel takes no group that there is not.
    let last_group = match mapping {
        None => i32::MAX.unsigned_abs(),
        Some(mapping) => last_from_zero(&mapping.gids),
    };
    let pair = |path: &str, value: String| (path.to_owned(), value);
    [
        pair("net/ipv4/ping_group_range", format!("0 {last_group}")),
        pair("net/ipv4/ip_unprivileged_port_start", "0".to_owned()),
    ]
}

/// Up to where there are all IDs.
fn last_from_zero(ranges: &[Range]) -> u32 {
    let next = ranges.iter().fold(
        0,
        |next, (inside, _, count)| {
            if *inside == next { next + count } else { next }
        },
    );
    next.saturating_sub(1)
}

/// By path, in the order of writing. What was asked for comes last, and counts.
pub(super) fn sysctls(
    spec: &ContainerSpec,
    own_network: bool,
    has_users: bool,
    mapping: Option<&Mapping>,
) -> Result<Vec<(String, String)>, Fault> {
    let asked = sysctl::sysctls(spec, own_network)?;
    let is_asked = |path: &str| asked.iter().any(|(own, _)| own == path);
    let mut all = match own_network && !has_users {
        true => of_own_network(mapping).to_vec(),
        false => Vec::new(),
    };
    all.retain(|(path, _)| !is_asked(path));
    let domain = spec.naming.domain.iter().cloned();
    all.extend(domain.map(|name| ("kernel/domainname".to_owned(), name)));
    all.extend(asked);
    Ok(all)
}
