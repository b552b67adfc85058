//! Values below `/proc/sys` that a container may have of its own: those that the kernel keeps for
//! each namespace, where the namespace is the container's. All others would be the host's. Pure.

use std::str::FromStr;

use super::ContainerSpec;
use crate::error::{Fault, Kind};

/// Values of an IPC namespace (ipc/ipc_sysctl.c); those of message queues are below `fs/mqueue`.
const OF_IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// `NAME=VALUE` of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// As it was written.
    pub name: String,
    /// The value.
    pub value: String,
}

impl FromStr for Sysctl {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(Fault::new(
                Kind::Usage,
                format!("--sysctl '{text}': it is not NAME=VALUE"),
            )
            .hint("say net.ipv4.ip_forward=1")),
        }
    }
}

/// Where a value is below `/proc/sys`, by any name that sysctl(8) takes: the separator that comes
/// first separates, the other one stands for it.
pub fn path(name: &str) -> Result<String, Fault> {
    let first = name.find(['.', '/']);
    let path: String = match first.map(|at| name.as_bytes()[at]) {
        Some(b'.') => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    };
    let is_usable = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    match path.split('/').all(is_usable) {
        true => Ok(path),
        false => Err(Fault::new(
            Kind::Spec,
            format!("--sysctl {name}: there is no such value"),
        )),
    }
}

/// What is to be written where: `own_network` says whether the network is nobody else's. Fails with
/// [`Kind::Spec`] for a value that would be the host's, or another container's.
pub fn sysctls(spec: &ContainerSpec, own_network: bool) -> Result<Vec<(String, String)>, Fault> {
    let mut all = Vec::new();
    for (name, value) in &spec.sysctls {
        let path = path(name)?;
        check(spec, own_network, name, &path)?;
        all.push((path, value.clone()));
    }
    Ok(all)
}

fn check(spec: &ContainerSpec, own_network: bool, name: &str, path: &str) -> Result<(), Fault> {
    let refuse = |why: &str, hint: &str| {
        let message = format!("--sysctl {name}: {why}");
        Err(Fault::new(Kind::Spec, message).hint(hint))
    };
    let of_ipc = OF_IPC.contains(&path) || path.starts_with("fs/mqueue/");
    if path.starts_with("net/") {
        return match own_network {
            true => Ok(()),
            false => refuse(
                "the network is not the container's own",
                "give it one with --network",
            ),
        };
    }
    if of_ipc && spec.sharing.has_ipc_of_others() {
        return refuse("the IPC namespace is shared", "leave --ipc out");
    }
    if of_ipc {
        return Ok(());
    }
    match path {
        "kernel/domainname" if spec.sharing.has_uts_of_host() => {
            refuse("the host's names are shared", "leave --uts out")
        }
        "kernel/domainname" if spec.naming.domain.is_some() => {
            refuse("--domainname says it, too", "keep one of them")
        }
        "kernel/domainname" => Ok(()),
        "kernel/hostname" => refuse("--hostname sets it", "say --hostname"),
        _ => refuse(
            "it is the whole machine's",
            "set it on the host: sysctl(8); of a container's own are net.*, kernel.msg*, \
             kernel.sem, kernel.shm*, fs.mqueue.* and kernel.domainname",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            (
                "net.ipv4.conf.eth0/1.forwarding",
                "net/ipv4/conf/eth0.1/forwarding",
            ),
            (
                "net/ipv4/conf/eth0.1/forwarding",
                "net/ipv4/conf/eth0.1/forwarding",
            ),
        ] {
            assert_eq!(path(name).unwrap(), expected);
        }
        for name in [
            "",
            "..",
            "net/../kernel/x",
            "net..x",
            "/net/x",
            "net.",
            "net.x/",
        ] {
            // A slash in a dotted name is a dot.
            let refused = path(name).is_err();
            assert_eq!(refused, name != "net.x/", "{name}");
        }
    }

    #[test]
    fn what_is_not_the_containers_own_is_refused() {
        let rows = [
            ("kernel.panic", "{}", true, Some("whole machine")),
            ("vm.swappiness", "{}", true, Some("whole machine")),
            ("kernel.msgmaxx", "{}", true, Some("whole machine")),
            ("kernel.hostname", "{}", true, Some("--hostname")),
            ("net.ipv4.ip_forward", "{}", false, Some("network")),
            ("net.ipv4.ip_forward", "{}", true, None),
            ("kernel.msgmax", "{}", false, None),
            ("fs.mqueue.msg_max", r#"{"ipc":"shareable"}"#, false, None),
            ("fs.mqueue.msg_max", r#"{"ipc":"host"}"#, true, Some("IPC")),
            ("kernel.sem", r#"{"ipc":"container:x"}"#, true, Some("IPC")),
            (
                "kernel.domainname",
                r#"{"uts":"host"}"#,
                true,
                Some("host's names"),
            ),
            ("kernel.domainname", "{}", false, None),
        ];
        for (name, sharing, own_network, words) in rows {
            let spec = ContainerSpec {
                sysctls: [(name.to_owned(), "1".to_owned())].into(),
                sharing: serde_json::from_str(sharing).unwrap(),
                ..ContainerSpec::default()
            };
            match (sysctls(&spec, own_network), words) {
                (Ok(all), None) => assert_eq!(all.len(), 1, "{name}"),
                (Err(fault), Some(words)) => {
                    assert!(fault.to_string().contains(words), "{fault}");
                }
                (other, _) => panic!("{name} {sharing}: {other:?}"),
            }
        }
    }
}
