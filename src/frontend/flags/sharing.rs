//! The flags about namespaces that are not the container's own, and about what the kernel keeps
//! for each.

use std::collections::BTreeMap;

use clap::Args;

use crate::spec::{CgroupMode, IpcMode, PidMode, Sharing, Sysctl, UtsMode};

/// Namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Namespace options")]
pub struct SharingFlags {
    /// Whose processes it sees, and may signal: host, or container:ID [default: its own]
    #[arg(long, value_name = "MODE")]
    pid: Option<PidMode>,
    /// Whose message queues and /dev/shm it has: private (default), shareable, none, host, or
    /// container:ID
    #[arg(long, value_name = "MODE")]
    ipc: Option<IpcMode>,
    /// Whose host name it has: private (default), or host
    #[arg(long, value_name = "MODE")]
    uts: Option<UtsMode>,
    /// Whose tree of cgroups it sees: private (default), or host
    #[arg(long, value_name = "MODE")]
    cgroupns: Option<CgroupMode>,
    /// Set a value of sysctl(8) that the kernel keeps for each container; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<Sysctl>,
}

impl SharingFlags {
    pub(super) fn sharing(&self) -> Sharing {
        Sharing {
            pid: self.pid.clone(),
            ipc: self.ipc.clone(),
            uts: self.uts,
            cgroup: self.cgroupns,
        }
    }

    /// A container that something is shared with.
    pub(super) fn joined(&self) -> Option<&str> {
        match (&self.pid, &self.ipc) {
            (Some(PidMode::Container(id)), _) | (_, Some(IpcMode::Container(id))) => Some(id),
            _ => None,
        }
    }

    /// The last of a name counts.
    pub(super) fn sysctls(&self) -> BTreeMap<String, String> {
        let all = self.sysctl.iter().cloned();
        all.map(|Sysctl { name, value }| (name, value)).collect()
    }
}
