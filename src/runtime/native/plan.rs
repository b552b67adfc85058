//! What will be done, decided before anything is: a pure function of the description, the image's
//! configuration and a few facts about the host.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::image::ImageConfig;
use crate::spec::{ContainerSpec, Mount, Process, SANDBOX, mount, process};

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
    /// What is mounted at the user's wish or the image's, parents before children.
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
    let mut with_sandbox = spec.clone();
    if spec.sandbox.is_some() {
        with_sandbox.env.push(format!("MESOS_SANDBOX={SANDBOX}"));
    }
    Ok(Plan {
        process: process(&with_sandbox, image, &host.name)?,
        mounts: mount::mounts(spec, image)?,
        files: own_files(host),
        tty: spec.tty,
        stdin: spec.stdin,
        init: spec.init,
    })
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
        assert_eq!(made.mounts, [Mount::bind("/box", SANDBOX)]);
    }
}
