//! What will be done, decided before anything is: a pure function of the description, the image's
//! configuration and a few facts about the host.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::error::{Fault, Kind};
use crate::image::ImageConfig;
use crate::spec::{ContainerSpec, Mount, Process, process};

/// Where Mesos tasks expect their sandbox.
pub const SANDBOX: &str = "/mnt/mesos/sandbox";

/// What the host contributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Its name, which a container on the host's network shares.
    pub name: String,
    /// Its `/etc/resolv.conf`.
    pub resolv_conf: Vec<u8>,
    /// Its `/etc/hosts`.
    pub hosts: Vec<u8>,
}

impl HostFacts {
    /// Reads them; files that are not there are empty.
    pub fn read() -> Result<Self> {
        let name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let file = |path| fs::read(path).unwrap_or_default();
        Ok(Self {
            name,
            resolv_conf: file("/etc/resolv.conf"),
            hosts: file("/etc/hosts"),
        })
    }
}

/// A file that ucr writes and shows inside the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFile {
    /// Its place in the container.
    pub target: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

/// A decided container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is executed.
    pub process: Process,
    /// The host's files and directories inside, parents before children.
    pub mounts: Vec<Mount>,
    /// Files of ucr's own.
    pub files: Vec<OwnFile>,
    /// Give it a terminal of its own.
    pub tty: bool,
    /// Our standard input is its.
    pub stdin: bool,
    /// A reaping init comes first.
    pub init: bool,
}

/// Decides. Fails with [`Kind::Spec`] if the description and the image together make no container.
pub fn plan(spec: &ContainerSpec, image: &ImageConfig, host: &HostFacts) -> Result<Plan> {
    let mut spec = spec.clone();
    if let Some(sandbox) = &spec.sandbox {
        spec.env.push(format!("MESOS_SANDBOX={SANDBOX}"));
        spec.mounts.push(Mount {
            source: sandbox.clone(),
            target: SANDBOX.into(),
            read_only: false,
        });
    }
    Ok(Plan {
        process: process(&spec, image, &host.name)?,
        mounts: ordered(spec.mounts)?,
        files: own_files(host),
        tty: spec.tty,
        stdin: spec.stdin,
        init: spec.init,
    })
}

/// Parents before children, whatever order they were asked for in.
fn ordered(mut mounts: Vec<Mount>) -> Result<Vec<Mount>> {
    mounts.sort_by_key(|mount| mount.target.components().count());
    for (place, mount) in mounts.iter().enumerate() {
        if mounts[..place]
            .iter()
            .any(|earlier| earlier.target == mount.target)
        {
            let message = format!("two mounts on {}", mount.target.display());
            return Err(Fault::new(Kind::Spec, message)
                .hint("keep one of them")
                .into());
        }
    }
    Ok(mounts)
}

/// On the host's network a container sees the host's names.
fn own_files(host: &HostFacts) -> Vec<OwnFile> {
    let file = |target: &str, content: Vec<u8>| OwnFile {
        target: target.into(),
        content,
    };
    vec![
        file("/etc/resolv.conf", host.resolv_conf.clone()),
        file("/etc/hosts", host.hosts.clone()),
        file("/etc/hostname", format!("{}\n", host.name).into_bytes()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostFacts {
        HostFacts {
            name: "h".into(),
            resolv_conf: b"nameserver ::1\n".to_vec(),
            hosts: vec![],
        }
    }

    fn image() -> ImageConfig {
        ImageConfig::parse(
            br#"{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},
                 "rootfs":{"type":"layers","diff_ids":[]}}"#,
        )
        .unwrap()
    }

    #[test]
    fn mounts_are_ordered_and_targets_stand_once() {
        let mounts = |targets: &[&str]| -> Vec<Mount> {
            targets
                .iter()
                .map(|t| format!("/src:{t}").parse().unwrap())
                .collect()
        };
        let spec = |targets: &[&str]| ContainerSpec {
            mounts: mounts(targets),
            ..Default::default()
        };
        let made = plan(&spec(&["/a/b", "/z", "/a"]), &image(), &host()).unwrap();
        let order: Vec<_> = made
            .mounts
            .iter()
            .map(|m| m.target.to_str().unwrap())
            .collect();
        assert_eq!(order, ["/z", "/a", "/a/b"]);
        assert!(plan(&spec(&["/a", "/b", "/a"]), &image(), &host()).is_err());
    }

    #[test]
    fn a_sandbox_is_mounted_and_announced() {
        let spec = ContainerSpec {
            sandbox: Some("/box".into()),
            ..Default::default()
        };
        let made = plan(&spec, &image(), &host()).unwrap();
        assert!(
            made.process
                .env
                .contains(&format!("MESOS_SANDBOX={SANDBOX}"))
        );
        assert_eq!(made.mounts[0].source, PathBuf::from("/box"));
    }
}
