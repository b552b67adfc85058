//! What a container may use: limits in docker's words and meanings. Pure.
//!
//! Unset stays unset: defaults belong to the runtime, which tells them from what was asked for. Zero
//! means "no limit" wherever docker says so. [`Resources::check`] holds docker's rules between the
//! fields; what only the kernel or the machine can know is found when limits are planned and set.

use std::fmt;
use std::ops::Not;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::disk::{DiskRate, DiskWeight};
pub use super::quantity::{Cpus, bytes, bytes_or_unlimited, cpu_list};
pub use super::ulimit::{Ulimit, UlimitName};
use crate::error::{Fault, Kind};

/// Docker's least memory limit: below it nothing starts.
const LEAST_MEMORY: u64 = 6 << 20;

/// The kernel's range of `cpu.shares`.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

/// Limits of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Processor time per time, in processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Weight against other containers; 1024 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// Length of the scheduler's period in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<u64>,
    /// Processor time in a period in microseconds; negative is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<i64>,
    /// Length of the period of real-time processes in microseconds; version 1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_rt_period: Option<u64>,
    /// Time of real-time processes in a period in microseconds; version 1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_rt_runtime: Option<u64>,
    /// Processors that may be used, as in `0-1,3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes that may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<String>,
    /// Bytes of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of memory that are taken back last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<u64>,
    /// Bytes of memory and swap together; -1 is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<i64>,
    /// How readily its memory goes to swap, 0 to 100; -1 is the machine's; version 1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swappiness: Option<i64>,
    /// It waits where its memory is used up, instead of being killed; version 1 only.
    #[serde(skip_serializing_if = "Not::not")]
    pub oom_kill_disable: bool,
    /// Processes and threads; zero and less is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<i64>,
    /// Weight of disk accesses against other containers, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_weight: Option<u16>,
    /// Weights of accesses to single disks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blkio_weight_devices: Vec<DiskWeight>,
    /// Bytes read from a disk in a second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_read_bps: Vec<DiskRate>,
    /// Bytes written to a disk in a second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_write_bps: Vec<DiskRate>,
    /// Reads from a disk in a second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_read_iops: Vec<DiskRate>,
    /// Writes to a disk in a second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_write_iops: Vec<DiskRate>,
    /// Limits of each process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// How readily the kernel kills it when memory runs out, -1000 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i16>,
    /// Bytes of `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u64>,
    /// What happens when a limit cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroups: Option<CgroupPolicy>,
    /// The cgroup that its own are made in, from the top of each tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
}

/// What happens when a limit that was asked for cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupPolicy {
    /// Nothing is started.
    #[default]
    Strict,
    /// The container runs without that limit, and a note says so.
    BestEffort,
}

impl FromStr for CgroupPolicy {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text {
            "strict" => Ok(Self::Strict),
            "best-effort" => Ok(Self::BestEffort),
            _ => {
                let message = format!("--cgroups '{text}': there is no such policy");
                Err(Fault::new(Kind::Usage, message).hint("say 'strict' or 'best-effort'"))
            }
        }
    }
}

impl fmt::Display for CgroupPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::BestEffort => "best-effort",
        })
    }
}

impl Resources {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Docker's rules for the values and between them. Fails with [`Kind::Spec`], naming the flag.
    pub fn check(&self) -> Result<(), Fault> {
        self.check_cpu()?;
        self.check_memory()?;
        if let Some(weight) = self.blkio_weight
            && weight != 0
        {
            within("--blkio-weight", weight, 10..=1000)?;
        }
        self.blkio_weight_devices
            .iter()
            .try_for_each(DiskWeight::check)?;
        if let Some(path) = &self.cgroup_parent {
            check_cgroup(path)?;
        }
        if let Some(adjustment) = self.oom_score_adj {
            within("--oom-score-adj", adjustment, -1000..=1000)?;
        }
        for (place, limit) in self.ulimits.iter().enumerate() {
            limit.check().map_err(|fault| respell(&fault))?;
            if self.ulimits[..place].iter().any(|l| l.name == limit.name) {
                let message = format!("--ulimit {}: it stands there twice", limit.name);
                return Err(Fault::new(Kind::Spec, message).hint("keep one of them"));
            }
        }
        Ok(())
    }

    /// The disks that something is said about, as often as it is.
    pub fn disks(&self) -> impl Iterator<Item = &PathBuf> {
        let rates = [
            &self.device_read_bps,
            &self.device_write_bps,
            &self.device_read_iops,
            &self.device_write_iops,
        ];
        let weights = self.blkio_weight_devices.iter().map(|it| &it.path);
        rates
            .into_iter()
            .flatten()
            .map(|it| &it.path)
            .chain(weights)
    }

    fn check_cpu(&self) -> Result<(), Fault> {
        if let Some(cpus) = self.cpus {
            let other = match (self.cpu_period, self.cpu_quota) {
                (Some(_), _) => Some("--cpu-period"),
                (None, Some(_)) => Some("--cpu-quota"),
                (None, None) => None,
            };
            if let Some(other) = other {
                let message = format!("--cpus and {other} contradict each other");
                return Err(Fault::new(Kind::Spec, message).hint("keep one of them"));
            }
            cpus.check().map_err(|fault| respell(&fault))?;
        }
        if let Some(shares) = self.cpu_shares
            && shares != 0
        {
            within("--cpu-shares", shares, SHARES)?;
        }
        if let Some(period) = self.cpu_period
            && period != 0
        {
            within("--cpu-period", period, 1000..=1_000_000)?;
        }
        if let Some(quota) = self.cpu_quota
            && quota > 0
        {
            within("--cpu-quota", quota, 1000..=i64::MAX)?;
        }
        for (flag, list) in [
            ("--cpuset-cpus", &self.cpuset_cpus),
            ("--cpuset-mems", &self.cpuset_mems),
        ] {
            if let Some(list) = list {
                cpu_list(list).map_err(|fault| {
                    Fault::new(Kind::Spec, format!("{flag}: {fault}")).hint("say 0-1,3")
                })?;
            }
        }
        Ok(())
    }

    fn check_memory(&self) -> Result<(), Fault> {
        let memory = self.memory.filter(|&bytes| bytes != 0);
        let reservation = self.memory_reservation.filter(|&bytes| bytes != 0);
        for (flag, limit) in [("--memory", memory), ("--memory-reservation", reservation)] {
            if let Some(limit) = limit
                && limit < LEAST_MEMORY
            {
                let message = format!("{flag} {limit}: it is less than {LEAST_MEMORY} bytes");
                return Err(Fault::new(Kind::Spec, message).hint("say 512m, or 6m at least"));
            }
            if let Some(limit) = limit {
                within(flag, limit, LEAST_MEMORY..=i64::MAX.unsigned_abs())?;
            }
        }
        let wrong = |message: &str, hint: &str| Err(Fault::new(Kind::Spec, message).hint(hint));
        if let (Some(memory), Some(reservation)) = (memory, reservation)
            && reservation > memory
        {
            return wrong(
                "--memory-reservation: it is more than --memory",
                "make it smaller",
            );
        }
        if let Some(swappiness) = self.memory_swappiness {
            within("--memory-swappiness", swappiness, -1..=100)?;
        }
        match (self.memory_swap, memory) {
            (None | Some(0 | -1), _) => Ok(()),
            (Some(..-1), _) => wrong("--memory-swap: it is negative", "-1 is unlimited"),
            (Some(_), None) => wrong("--memory-swap needs --memory", "add --memory"),
            (Some(total), Some(memory)) if total.unsigned_abs() < memory => wrong(
                "--memory-swap: it is less than --memory",
                "it is the total of memory and swap; the same as --memory means no swap",
            ),
            _ => Ok(()),
        }
    }
}

/// A path of cgroups, which never leads upwards.
fn check_cgroup(path: &str) -> Result<(), Fault> {
    let mut parts = path
        .trim_start_matches('/')
        .trim_end_matches('/')
        .split('/');
    let is_usable = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\n']);
    if parts.all(is_usable) {
        return Ok(());
    }
    let message = format!("--cgroup-parent '{path}': it is no path of cgroups");
    Err(Fault::new(Kind::Spec, message).hint("say /NAME"))
}

fn within<T>(flag: &str, value: T, range: std::ops::RangeInclusive<T>) -> Result<(), Fault>
where
    T: PartialOrd + fmt::Display,
{
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = (range.start(), range.end());
    let message = format!("{flag} {value}: it is not between {least} and {most}");
    Err(Fault::new(Kind::Spec, message))
}

/// A fault of a word, where the word came in a description.
fn respell(fault: &Fault) -> Fault {
    Fault::new(Kind::Spec, fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Resources {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn contradictions_and_values_out_of_range_are_named() {
        let rows = [
            (r#"{"cpus": 0.5, "cpu_quota": 5000}"#, "--cpu-quota"),
            (r#"{"cpus": 0.5, "cpu_period": 5000}"#, "--cpu-period"),
            (r#"{"cpus": 0.001}"#, "--cpus"),
            (r#"{"cpu_shares": 1}"#, "--cpu-shares"),
            (r#"{"cpu_shares": 262145}"#, "--cpu-shares"),
            (r#"{"cpu_period": 999}"#, "--cpu-period"),
            (r#"{"cpu_period": 1000001}"#, "--cpu-period"),
            (r#"{"cpu_quota": 999}"#, "--cpu-quota"),
            (r#"{"cpuset_cpus": "1-"}"#, "--cpuset-cpus"),
            (r#"{"cpuset_mems": ""}"#, "--cpuset-mems"),
            (r#"{"memory": 6291455}"#, "--memory"),
            (r#"{"memory_reservation": 6291455}"#, "--memory-reservation"),
            (
                r#"{"memory": 7000000, "memory_reservation": 7000001}"#,
                "--memory-reservation",
            ),
            (r#"{"memory_swap": 7000000}"#, "needs --memory"),
            (
                r#"{"memory": 7000001, "memory_swap": 7000000}"#,
                "less than --memory",
            ),
            (r#"{"memory": 7000001, "memory_swap": -2}"#, "--memory-swap"),
            (r#"{"blkio_weight": 9}"#, "--blkio-weight"),
            (r#"{"blkio_weight": 1001}"#, "--blkio-weight"),
            (
                r#"{"blkio_weight_devices": [{"path": "/dev/x", "weight": 9}]}"#,
                "--blkio-weight-device",
            ),
            (r#"{"memory_swappiness": 101}"#, "--memory-swappiness"),
            (r#"{"cgroup_parent": "/a/../b"}"#, "--cgroup-parent"),
            (r#"{"cgroup_parent": ""}"#, "--cgroup-parent"),
            (r#"{"oom_score_adj": 1001}"#, "--oom-score-adj"),
            (r#"{"oom_score_adj": -1001}"#, "--oom-score-adj"),
            (
                r#"{"ulimits": [{"name": "core", "soft": 2, "hard": 1}]}"#,
                "--ulimit core",
            ),
            (
                r#"{"ulimits": [{"name": "core", "soft": 1, "hard": 1},
                                {"name": "core", "soft": 2, "hard": 2}]}"#,
                "twice",
            ),
        ];
        for (text, part) in rows {
            let fault = json(text).check().unwrap_err();
            assert_eq!(fault.kind(), Kind::Spec, "{text}");
            assert!(fault.to_string().contains(part), "{text}: {fault}");
        }
    }

    #[test]
    fn edges_and_dockers_zeroes_are_fine() {
        for text in [
            "{}",
            r#"{"cpus": 0, "cpu_shares": 0, "memory": 0, "memory_swap": 0, "blkio_weight": 0}"#,
            r#"{"cpu_period": 0, "cpu_quota": -1, "memory_reservation": 0, "pids_limit": -1}"#,
            r#"{"cpus": 0.01, "cpu_shares": 2, "memory": 6291456, "memory_swap": 6291456}"#,
            r#"{"memory": 6291456, "memory_swap": -1, "oom_score_adj": -1000}"#,
            r#"{"cpu_shares": 262144, "cpu_period": 1000, "cpu_quota": 1000}"#,
            r#"{"memory_swap": -1, "blkio_weight": 10, "pids_limit": 0}"#,
        ] {
            json(text)
                .check()
                .unwrap_or_else(|fault| panic!("{text}: {fault}"));
        }
    }

    #[test]
    fn unset_stays_unset_and_unknown_keys_are_refused() {
        assert_eq!(serde_json::to_string(&Resources::default()).unwrap(), "{}");
        let text = r#"{"cpus":0.5,"pids_limit":7,"ulimits":[{"name":"nofile","soft":1,"hard":2}],"cgroups":"best-effort"}"#;
        assert_eq!(serde_json::to_string(&json(text)).unwrap(), text);
        for text in [
            r#"{"cpu": 1}"#,
            r#"{"cgroups": "maybe"}"#,
            r#"{"ulimits": [{"name": "x", "soft": 1, "hard": 1}]}"#,
            r#"{"memory": -1}"#,
            r#"{"cpus": "1"}"#,
        ] {
            assert!(serde_json::from_str::<Resources>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn policies() {
        for policy in [CgroupPolicy::Strict, CgroupPolicy::BestEffort] {
            assert_eq!(policy.to_string().parse::<CgroupPolicy>().unwrap(), policy);
        }
        assert!("".parse::<CgroupPolicy>().is_err());
    }
}
