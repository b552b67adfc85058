//! Which fresh filesystems of the kernel a container has, and what of them is hidden.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::runtime::native::cgroup::{CgroupPlan, Group};
use crate::runtime::native::host::HostFacts;
use crate::spec::defaults::{FILESYSTEMS, Filesystem, MASKED_PATHS, READ_ONLY_PATHS};
use crate::spec::{ContainerSpec, IdRange, IpcMode};

/// The type of a view of one of the container's cgroups, whose option is its path on the host.
pub const CGROUP: &str = "cgroup";
/// The type of a view of what the host has in the same place.
pub const BIND: &str = "bind";
/// The type of a view of what another container has in the same place.
pub const JOINED: &str = "joined";

/// A filesystem that is made for the container. None honours set-user-ID bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelFilesystem {
    /// Where it is mounted.
    pub target: PathBuf,
    /// Its type; [`BIND`], [`JOINED`] and [`CGROUP`] are not its own.
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
    cgroups: &CgroupPlan,
) -> Vec<KernelFilesystem> {
    // The kernel's zero is no limit, docker's the default.
    let shm_size = spec.resources.shm_size.filter(|&size| size != 0);
    let mut all: Vec<KernelFilesystem> = FILESYSTEMS.iter().map(default).collect();
    let is_shm = |filesystem: &KernelFilesystem| filesystem.target == Path::new("/dev/shm");
    all.retain(|it| !is_shm(it) || spec.sharing.ipc != Some(IpcMode::None));
    for filesystem in &mut all {
        if let (true, Some(kind)) = (is_shm(filesystem), shm_of_others(spec)) {
            filesystem.kind = kind.to_owned();
            filesystem.options.clear();
        }
        match filesystem.kind.as_str() {
            // The group "tty", unless the container has no such group.
            "devpts" if ids.is_some_and(|ids| !is_mapped(ids, 5)) => {
                filesystem.options.retain(|option| option != "gid=5");
            }
            // A network's sysfs belongs to the network's user namespace.
            "sysfs" if ids.is_some() && !spec.network().is_own() => {
                filesystem.kind = BIND.to_owned();
            }
            _ => (),
        }
        if filesystem.target == Path::new("/sys") && spec.security.privileged {
            filesystem.read_only = false;
        }
        if let (true, Some(size)) = (is_shm(filesystem), shm_size) {
            filesystem
                .options
                .retain(|option| !option.starts_with("size="));
            filesystem.options.push(format!("size={size}"));
        }
    }
    all.extend(cgroup_views(cgroups, spec.security.privileged));
    all
}

/// Shared memory goes with the IPC namespace.
fn shm_of_others(spec: &ContainerSpec) -> Option<&'static str> {
    match spec.sharing.ipc {
        Some(IpcMode::Host) => Some(BIND),
        Some(IpcMode::Container(_)) => Some(JOINED),
        _ => None,
    }
}

/// The container's own cgroups, for programs that fit themselves to their limits: version 2 as a
/// whole, of version 1 those that limit something.
fn cgroup_views(cgroups: &CgroupPlan, writable: bool) -> Vec<KernelFilesystem> {
    let view = |target: PathBuf, kind: &str, options: Vec<String>| KernelFilesystem {
        target,
        kind: kind.to_owned(),
        options,
        read_only: !writable,
        no_exec: true,
        no_dev: true,
    };
    let top = Path::new("/sys/fs/cgroup");
    let path = |group: &Group| vec![group.path().display().to_string()];
    match cgroups.groups.as_slice() {
        [] => return Vec::new(),
        [only] if only.v2 => return vec![view(top.into(), CGROUP, path(only))],
        _ => (),
    }
    let options = vec!["mode=755".to_owned(), "size=64k".to_owned()];
    let mut views = vec![view(top.into(), "tmpfs", options)];
    for group in &cgroups.groups {
        let name = match group.v2 {
            true => "unified".to_owned(),
            false => {
                let names: Vec<_> = group.controllers.iter().map(|c| c.v1_name()).collect();
                names.join(",")
            }
        };
        views.push(view(top.join(name), CGROUP, path(group)));
    }
    views
}

pub(super) fn is_mapped(ids: &[IdRange], id: u32) -> bool {
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
