//! The flags about how much a container may use.

use clap::Args;

use crate::spec::resources::{bytes, bytes_or_unlimited};
use crate::spec::{CgroupPolicy, Cpus, DiskRate, DiskWeight, Resources, Ulimit};

/// Limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Resource options")]
pub struct ResourceFlags {
    /// How many processors it may keep busy, as in 1.5
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<Cpus>,
    /// Weight against others where processors are busy; 1024 is usual
    #[arg(long, short = 'c', value_name = "SHARES")]
    cpu_shares: Option<u64>,
    /// Length of a scheduling period, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Processor time in each period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Length of a period of real-time processes, in microseconds; cgroups of version 1
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_period: Option<u64>,
    /// Time of real-time processes in each such period, in microseconds; cgroups of version 1
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_runtime: Option<u64>,
    /// Processors that it may run on, as in 0-2,5
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes that it may use, as in 0-1
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Most memory, as in 512m or 2g
    #[arg(long, short, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,
    /// Memory that it keeps when others want it
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory_reservation: Option<u64>,
    /// Most memory and swap together; -1 is unlimited; the default is twice the memory
    #[arg(long, value_name = "BYTES", value_parser = bytes_or_unlimited, allow_hyphen_values = true)]
    memory_swap: Option<i64>,
    /// How readily its memory goes to swap, 0 to 100; -1 is the machine's; cgroups of version 1
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    memory_swappiness: Option<i64>,
    /// Let its processes wait where memory is used up, and kill none; cgroups of version 1
    #[arg(long)]
    oom_kill_disable: bool,
    /// Most processes and threads; -1 is unlimited [default: 2048]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Weight of disk accesses against others, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    /// The same for one disk; repeatable
    #[arg(long, value_name = "DISK:WEIGHT")]
    blkio_weight_device: Vec<DiskWeight>,
    /// Most bytes that are read from a disk in a second; repeatable
    #[arg(long, value_name = "DISK:BYTES", value_parser = DiskRate::from_bytes)]
    device_read_bps: Vec<DiskRate>,
    /// Most bytes that are written to a disk in a second; repeatable
    #[arg(long, value_name = "DISK:BYTES", value_parser = DiskRate::from_bytes)]
    device_write_bps: Vec<DiskRate>,
    /// Most reads from a disk in a second; repeatable
    #[arg(long, value_name = "DISK:NUMBER", value_parser = DiskRate::from_number)]
    device_read_iops: Vec<DiskRate>,
    /// Most writes to a disk in a second; repeatable
    #[arg(long, value_name = "DISK:NUMBER", value_parser = DiskRate::from_number)]
    device_write_iops: Vec<DiskRate>,
    /// Device nodes that may be opened or made besides those that it has; repeatable
    #[arg(long, value_name = "TYPE MAJOR:MINOR ACCESS")]
    pub(super) device_cgroup_rule: Vec<String>,
    /// A limit of setrlimit(2), as in nofile=1024:4096; repeatable
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<Ulimit>,
    /// How soon it is killed where memory runs out, -1000 (last) to 1000
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    oom_score_adj: Option<i16>,
    /// Size of /dev/shm [default: 64m]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    shm_size: Option<u64>,
    /// Whether limits that this machine cannot keep are an error: strict (default) or best-effort
    #[arg(long, value_name = "POLICY")]
    pub(super) cgroups: Option<CgroupPolicy>,
    /// Make its cgroups in this one, from the top of each tree; made if it is missing
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
}

impl ResourceFlags {
    pub(super) fn resources(&self) -> Resources {
        Resources {
            cpus: self.cpus,
            cpu_shares: self.cpu_shares,
            cpu_period: self.cpu_period,
            cpu_quota: self.cpu_quota,
            cpu_rt_period: self.cpu_rt_period,
            cpu_rt_runtime: self.cpu_rt_runtime,
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            memory: self.memory,
            memory_reservation: self.memory_reservation,
            memory_swap: self.memory_swap,
            memory_swappiness: self.memory_swappiness,
            oom_kill_disable: self.oom_kill_disable,
            pids_limit: self.pids_limit,
            blkio_weight: self.blkio_weight,
            blkio_weight_devices: self.blkio_weight_device.clone(),
            device_read_bps: self.device_read_bps.clone(),
            device_write_bps: self.device_write_bps.clone(),
            device_read_iops: self.device_read_iops.clone(),
            device_write_iops: self.device_write_iops.clone(),
            ulimits: self.ulimit.clone(),
            oom_score_adj: self.oom_score_adj,
            shm_size: self.shm_size,
            cgroups: self.cgroups,
            cgroup_parent: self.cgroup_parent.clone(),
        }
    }
}
