//! Limits by control groups: version 1, version 2, and machines that have both. No systemd.
//!
//! ```text
//! Host::detect ──► plan(resources, host, id) ──► CgroupPlan::create ──► Cgroups ──► destroy
//!   what there is     pure: what to write          directories, limits    attach, OOM, kill
//! ```
//!
//! Containers stay below the cgroup that ucr was started in, in each hierarchy that has a limit to
//! hold and in no other; where version 2 forbids that, in `/ucr`. A limit that was asked for and
//! cannot be had is a fault, unless the policy is best-effort; a default that cannot is a note.
//! All limits hold before a process is attached, and nothing is written outside a cgroup filesystem.

mod below;
mod create;
mod device;
mod host;
mod leave;
mod place;
mod plan;
mod program;
mod rlimit;
mod settings;

pub use create::{Cgroups, destroy_left, entrances};
pub use device::{DeviceList, DeviceRule};
pub use host::{Hierarchy, Host, Unified};
pub use leave::leave_all;
pub use plan::{CgroupPlan, Disks, Group, Preparation, Setting, Value, Wanted, plan};
pub use rlimit::{Rlimit, current_limits, may_raise, oom_score_adj, rlimits};

use serde::Serialize;

/// What counts or limits one resource, by its version 1 name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// Processor time.
    Cpu,
    /// Which processors and memory nodes.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Processes and threads.
    Pids,
    /// Disk accesses.
    Blkio,
    /// Device nodes; a program in version 2.
    Devices,
}

impl Controller {
    const ALL: [Self; 6] = [
        Self::Cpu,
        Self::Cpuset,
        Self::Memory,
        Self::Pids,
        Self::Blkio,
        Self::Devices,
    ];

    /// The name among the mount options of version 1.
    pub fn v1_name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Blkio => "blkio",
            Self::Devices => "devices",
        }
    }

    /// The name in `cgroup.controllers` of version 2, where programs decide over devices, which
    /// needs no controller.
    pub fn v2_name(self) -> Option<&'static str> {
        match self {
            Self::Blkio => Some("io"),
            Self::Devices => None,
            same => Some(same.v1_name()),
        }
    }
}
