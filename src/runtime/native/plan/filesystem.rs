//! Which fresh filesystems of the kernel a container has, and what of them is hidden.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::host::HostFacts;
use crate::spec::defaults::{FILESYSTEMS, Filesystem, MASKED_PATHS, READ_ONLY_PATHS};
use crate::spec::{ContainerSpec, IdRange, Network};

/// A filesystem that is made for the container. None honours set-user-ID bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelFilesystem {
    /// Where it is mounted.
    pub target: PathBuf,
    /// Its type; `bind` is the host's own, shown with all that is mounted in it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its own options: `KEY=VALUE`, or a flag.
    pub options: Vec<String>,
    /// Refuse writes.
    pub read_only: bool,
    /// Refuse to execute.
    pub no_exec: bool,
    /// Ignore device nodes.
    pub no_dev: bool,
}

/// In the order of mounting.
pub(super) fn filesystems(
    spec: &ContainerSpec,
    ids: Option<&[IdRange]>,
    shm_size: Option<u64>,
) -> Vec<KernelFilesystem> {
    let mut all: Vec<KernelFilesystem> = FILESYSTEMS.iter().map(default).collect();
    for filesystem in &mut all {
        match filesystem.kind.as_str() {
            // The group "tty", unless the container has no such group.
            "devpts" if ids.is_some_and(|ids| !is_mapped(ids, 5)) => {
                filesystem.options.retain(|option| option != "gid=5");
            }
            // A network's sysfs belongs to the network's user namespace.
            "sysfs" if ids.is_some() && spec.network != Some(Network::None) => {
                filesystem.kind = "bind".to_owned();
            }
            _ => (),
        }
        if filesystem.target == Path::new("/sys") && spec.security.privileged {
            filesystem.read_only = false;
        }
        if let (true, Some(size)) = (filesystem.target == Path::new("/dev/shm"), shm_size) {
            filesystem
                .options
                .retain(|option| !option.starts_with("size="));
            filesystem.options.push(format!("size={size}"));
        }
    }
    all
}

fn is_mapped(ids: &[IdRange], id: u32) -> bool {
    ids.iter()
        .any(|range| id >= range.inside && id - range.inside < range.count)
}

fn default(filesystem: &Filesystem) -> KernelFilesystem {
    let options = filesystem.options.iter().map(|(key, value)| match value {
        Some(value) => format!("{key}={value}"),
        None => (*key).to_owned(),
    });
    KernelFilesystem {
        target: filesystem.target.into(),
        kind: filesystem.kind.to_owned(),
        options: options.collect(),
        read_only: filesystem.read_only,
        no_exec: filesystem.no_exec,
        no_dev: filesystem.no_dev,
    }
}

/// Paths of the kernel's that are covered, and those that are write-protected.
pub(super) fn hidden(spec: &ContainerSpec, host: &HostFacts) -> (Vec<String>, Vec<String>) {
    if spec.security.privileged || spec.security.unmask_system_paths {
        return (Vec::new(), Vec::new());
    }
    let owned = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect();
    let mut masked: Vec<String> = owned(&MASKED_PATHS);
    masked.extend(host.thermal.iter().cloned());
    (masked, owned(&READ_ONLY_PATHS))
}
