//! Which device nodes a container has.

use std::path::{Path, PathBuf};

use caps::Capability;
use serde::Serialize;

use crate::error::Fault;
use crate::runtime::native::cgroup::DeviceRule;
use crate::runtime::native::host::{DeviceFact, HostFacts};
use crate::spec::defaults::DEVICES;
use crate::spec::{ContainerSpec, Device, HostDevice};

/// A device node of the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Where it is inside.
    pub target: PathBuf,
    /// The node on the host, which is shown where none may be made.
    pub source: PathBuf,
    /// A block device; else a character device.
    pub is_block: bool,
    /// Which driver.
    pub major: u32,
    /// Which device of the driver.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner inside.
    pub uid: u32,
    /// Group inside.
    pub gid: u32,
    /// What the device cgroup allows.
    pub access: String,
    /// The host's node is shown, because none can be made there.
    pub is_shown: bool,
}

/// The six that every container has, then what was asked for. In a user namespace, as without
/// CAP_MKNOD, no node can be made.
pub(super) fn nodes(
    spec: &ContainerSpec,
    host: &HostFacts,
    has_users: bool,
) -> Result<Vec<Node>, Fault> {
    let mut nodes: Vec<Node> = DEVICES.iter().map(default_node).collect();
    if spec.security.privileged {
        let all = host.devices.iter();
        nodes.extend(
            all.filter(|fact| fact.path.starts_with("/dev"))
                .map(|fact| node(fact, fact.path.clone(), "rwm")),
        );
    }
    for device in &spec.devices {
        device.check()?;
        if let Device::Host(device) = device {
            nodes.extend(of_host(device, host));
        }
    }
    let described = host.cdi.devices.iter();
    nodes.extend(described.map(|edit| node(&edit.fact, edit.target.clone(), &edit.access)));
    // The last of a name counts; privileged containers would have the six twice.
    let mut seen = std::collections::HashSet::new();
    nodes.reverse();
    nodes.retain(|node| seen.insert(node.target.clone()));
    nodes.reverse();
    let can_make = !has_users && host.capabilities.contains(&Capability::CAP_MKNOD);
    for node in &mut nodes {
        // Only `/dev` is mounted with devices; the root filesystem is not.
        node.is_shown = !can_make || !node.target.starts_with("/dev");
    }
    Ok(nodes)
}

fn default_node(&(name, major, minor): &(&str, u32, u32)) -> Node {
    let path = Path::new("/dev").join(name);
    Node {
        target: path.clone(),
        source: path,
        is_block: false,
        major,
        minor,
        mode: 0o666,
        uid: 0,
        gid: 0,
        access: "rwm".to_owned(),
        is_shown: false,
    }
}

/// A directory's devices keep their places below it.
fn of_host<'a>(device: &'a HostDevice, host: &'a HostFacts) -> impl Iterator<Item = Node> + 'a {
    let access = device.access.as_deref().unwrap_or("rwm");
    host.devices.iter().filter_map(move |fact| {
        let below = fact.path.strip_prefix(&device.path).ok()?;
        let target = match below.as_os_str().is_empty() {
            true => device.target().clone(),
            false => device.target().join(below),
        };
        Some(node(fact, target, access))
    })
}

fn node(fact: &DeviceFact, target: PathBuf, access: &str) -> Node {
    Node {
        target,
        source: fact.path.clone(),
        is_block: fact.is_block,
        major: fact.major,
        minor: fact.minor,
        mode: fact.mode,
        uid: fact.uid,
        gid: fact.gid,
        access: access.to_owned(),
        is_shown: false,
    }
}

/// The flag that makes a list of devices necessary: without the capability to make nodes a
/// container only has those of its `/dev`, list or none.
pub(super) fn asked(spec: &ContainerSpec, capabilities: &[Capability]) -> Option<&'static str> {
    if !spec.devices.is_empty() {
        return Some("--device");
    }
    if !spec.device_rules.is_empty() {
        return Some("--device-cgroup-rule");
    }
    let can_make = capabilities.contains(&Capability::CAP_MKNOD);
    can_make.then_some("--cap-add MKNOD")
}

/// What the device cgroup allows: what every container has, terminals, and what was asked for.
///
/// With `may_make` any node may be made, which package managers and builders do, and none be opened
/// by that: docker's rule.
pub(super) fn rules(
    spec: &ContainerSpec,
    nodes: &[Node],
    may_make: bool,
) -> Result<Vec<DeviceRule>, Fault> {
    let mut rules = DeviceRule::DEFAULT.to_vec();
    if may_make {
        rules.extend([false, true].map(DeviceRule::make_any));
    }
    // What may be nothing at all, a CDI file can ask for too.
    for node in nodes.iter().filter(|node| !node.access.is_empty()) {
        let rule = DeviceRule {
            block: node.is_block,
            major: Some(node.major),
            minor: Some(node.minor),
            read: node.access.contains('r'),
            write: node.access.contains('w'),
            make: node.access.contains('m'),
        };
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    for text in &spec.device_rules {
        rules.extend(DeviceRule::asked(text)?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(path: &str, minor: u32) -> DeviceFact {
        DeviceFact {
            path: path.into(),
            is_block: false,
            major: 116,
            minor,
            mode: 0o660,
            uid: 0,
            gid: 29,
        }
    }

    #[test]
    fn directories_keep_their_shape_and_the_last_of_a_name_counts() {
        let host = HostFacts {
            devices: vec![fact("/dev/snd/timer", 33), fact("/dev/snd/by/x", 1)],
            capabilities: caps::all(),
            ..HostFacts::default()
        };
        let spec = ContainerSpec {
            devices: vec![
                "/dev/snd:/dev/sound:r".parse().unwrap(),
                "/dev/snd/timer:/dev/null".parse().unwrap(),
            ],
            ..ContainerSpec::default()
        };
        let nodes = nodes(&spec, &host, false).unwrap();
        let of = |path: &str| {
            let found: Vec<_> = nodes
                .iter()
                .filter(|node| node.target == Path::new(path))
                .collect();
            assert_eq!(found.len(), 1, "{path}");
            found[0]
        };
        assert_eq!(of("/dev/sound/timer").access, "r");
        assert_eq!(of("/dev/sound/by/x").minor, 1);
        assert!(
            !of("/dev/sound/by/x").is_shown,
            "ucr makes it, nobody else may"
        );
        assert_eq!(of("/dev/null").major, 116);
        assert_eq!(of("/dev/zero").mode, 0o666);
        assert_eq!(nodes.len(), 8);
    }
}
