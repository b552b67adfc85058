//! Which kernel files a limit means, and what is written to them. Pure.

use super::plan::{Disks, Setting, Value, Wanted};
use super::{Controller, DeviceList, DeviceRule};
use crate::spec::defaults::PIDS;
use crate::spec::{DiskRate, Resources};
use crate::sys::cgroup::Version;

/// The scheduler's usual period in microseconds.
const PERIOD: u64 = 100_000;

/// What a controller has to be told for these limits, in the order of writing.
pub(super) fn settings(wanted: &Wanted, controller: Controller, version: Version) -> Vec<Setting> {
    let resources = wanted.resources;
    match (controller, version) {
        (Controller::Cpu, Version::V1) => cpu_v1(resources),
        (Controller::Cpu, Version::V2) => cpu_v2(resources),
        (Controller::Cpuset, version) => cpuset(resources, version),
        (Controller::Memory, version) => memory(resources, version),
        (Controller::Pids, _) => pids(wanted),
        (Controller::Blkio, version) => {
            let mut all = blkio(resources, version);
            all.extend(disks(resources, wanted.disks, version));
            all
        }
        (Controller::Devices, version) => {
            let list = wanted.devices.as_ref();
            list.map_or_else(Vec::new, |list| device_list(list, version))
        }
    }
}

/// Flag, quota and period; a quota of `None` is unlimited.
fn bandwidth(resources: &Resources) -> Option<(&'static str, Option<u64>, u64)> {
    if let Some(cpus) = resources.cpus.filter(|cpus| cpus.nanos() != 0) {
        return Some(("--cpus", Some(cpus.quota(PERIOD)), PERIOD));
    }
    let period = resources.cpu_period.filter(|&period| period != 0);
    let quota = resources.cpu_quota.filter(|&quota| quota != 0);
    let flag = match (quota, period) {
        (None, None) => return None,
        (Some(_), _) => "--cpu-quota",
        (None, Some(_)) => "--cpu-period",
    };
    let quota = quota.and_then(|quota| u64::try_from(quota).ok());
    Some((flag, quota, period.unwrap_or(PERIOD)))
}

fn cpu_v1(resources: &Resources) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some((flag, quota, period)) = bandwidth(resources) {
        let quota = quota.map_or("-1".to_owned(), |quota| quota.to_string());
        all.push(Setting::asked(flag, "cpu.cfs_period_us", period));
        all.push(Setting::asked(flag, "cpu.cfs_quota_us", quota));
    }
    let shares = resources.cpu_shares.filter(|&shares| shares != 0);
    all.extend(shares.map(|shares| Setting::asked("--cpu-shares", "cpu.shares", shares)));
    all.extend(real_time(resources));
    all
}

/// Version 2 has no such files, and says so.
fn real_time(resources: &Resources) -> impl Iterator<Item = Setting> {
    let period = resources.cpu_rt_period.filter(|&period| period != 0);
    let runtime = resources.cpu_rt_runtime.filter(|&runtime| runtime != 0);
    let period = period.map(|it| Setting::asked("--cpu-rt-period", "cpu.rt_period_us", it));
    let runtime = runtime.map(|it| Setting::asked("--cpu-rt-runtime", "cpu.rt_runtime_us", it));
    period.into_iter().chain(runtime)
}

fn cpu_v2(resources: &Resources) -> Vec<Setting> {
    let mut all = Vec::new();
    if let Some((flag, quota, period)) = bandwidth(resources) {
        let quota = quota.map_or("max".to_owned(), |quota| quota.to_string());
        all.push(Setting::asked(flag, "cpu.max", format!("{quota} {period}")));
    }
    if let Some(shares) = resources.cpu_shares.filter(|&shares| shares != 0) {
        let weight = weight_of_shares(shares);
        all.push(Setting::asked("--cpu-shares", "cpu.weight", weight));
    }
    all.extend(real_time(resources));
    all
}

/// The weight of version 2 for shares of version 1: a curve through both least, usual (1024 is 100)
/// and greatest values, as newer crun and runc have it. The straight line that was used before
/// made the usual share a weight of 39, less than what runs beside.
fn weight_of_shares(shares: u64) -> u64 {
    // At most 262144: exact.
    let shares = u32::try_from(shares).unwrap_or(262_144).clamp(2, 262_144);
    let log = f64::from(shares).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    // What misses a whole number by less than arithmetic does is that number.
    let weight = (10_f64.powf(exponent) - 1e-6).ceil();
    let whole = (1_u32..=10_000).find(|&whole| f64::from(whole) >= weight);
    u64::from(whole.unwrap_or(10_000))
}

/// On version 1 nothing can be attached before both files are filled.
fn cpuset(resources: &Resources, version: Version) -> Vec<Setting> {
    let wanted = [
        ("--cpuset-cpus", "cpuset.cpus", &resources.cpuset_cpus),
        ("--cpuset-mems", "cpuset.mems", &resources.cpuset_mems),
    ];
    if wanted.iter().all(|(_, _, list)| list.is_none()) {
        return Vec::new();
    }
    let settings = wanted
        .into_iter()
        .filter_map(|(flag, file, list)| match list {
            Some(list) => Some(Setting::asked(flag, file, list)),
            None if version == Version::V1 => Some(Setting {
                value: Value::Parents,
                ..Setting::asked(flag, file, "")
            }),
            None => None,
        });
    settings.collect()
}

fn memory(resources: &Resources, version: Version) -> Vec<Setting> {
    let [limit, low, swap] = match version {
        Version::V1 => [
            "memory.limit_in_bytes",
            "memory.soft_limit_in_bytes",
            "memory.memsw.limit_in_bytes",
        ],
        Version::V2 => ["memory.max", "memory.low", "memory.swap.max"],
    };
    let mut all = Vec::new();
    let memory = resources.memory.filter(|&memory| memory != 0);
    if let Some(memory) = memory {
        // Before the total, which may not be less.
        all.push(Setting::asked("--memory", limit, memory));
        // Version 1 limits memory and swap together, version 2 swap alone.
        let of_total = |total: u64| match version {
            Version::V1 => total,
            Version::V2 => total.saturating_sub(memory),
        };
        match resources.memory_swap {
            // Docker's default: as much swap as memory.
            None | Some(0) => {
                let total = memory.saturating_mul(2);
                all.push(Setting::default_of("--memory-swap", swap, of_total(total)));
            }
            Some(total) => {
                let total = u64::try_from(total).ok();
                let total = total.map(|total| of_total(total).to_string());
                all.extend(total.map(|total| Setting::asked("--memory-swap", swap, total)));
            }
        }
    }
    let reservation = resources.memory_reservation.filter(|&bytes| bytes != 0);
    all.extend(reservation.map(|bytes| Setting::asked("--memory-reservation", low, bytes)));
    // Version 2 has neither file, and says so.
    let swappiness = resources.memory_swappiness.filter(|&number| number >= 0);
    let flag = "--memory-swappiness";
    all.extend(swappiness.map(|number| Setting::asked(flag, "memory.swappiness", number)));
    if resources.oom_kill_disable {
        all.push(Setting::asked(
            "--oom-kill-disable",
            "memory.oom_control",
            1,
        ));
    }
    all
}

fn pids(wanted: &Wanted) -> Vec<Setting> {
    match wanted.resources.pids_limit {
        None => vec![Setting::default_of("--pids-limit", "pids.max", PIDS)],
        // Counted all the same, so that forks can be stopped when it is ended.
        Some(..=0) if wanted.holds_all => {
            vec![Setting::default_of("--pids-limit", "pids.max", "max")]
        }
        Some(..=0) => Vec::new(),
        Some(limit) => vec![Setting::asked("--pids-limit", "pids.max", limit)],
    }
}

/// Which files there are depends on the disk's scheduler.
fn blkio(resources: &Resources, version: Version) -> Vec<Setting> {
    let Some(weight) = resources.blkio_weight.filter(|&weight| weight != 0) else {
        return Vec::new();
    };
    let setting = |file: &'static str, other: &'static str, value: u64| Setting {
        or: Some((other, value.to_string())),
        ..Setting::asked("--blkio-weight", file, weight)
    };
    match version {
        Version::V1 => vec![setting("blkio.weight", "blkio.bfq.weight", weight.into())],
        Version::V2 => {
            // 10 to 1000 become 1 to 10000, as in crun and runc.
            let stretched = 1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990;
            vec![setting("io.bfq.weight", "io.weight", stretched)]
        }
    }
}

/// One line for each disk; version 2 has one file for all rates.
fn disks(resources: &Resources, disks: &Disks, version: Version) -> Vec<Setting> {
    let number = |path| {
        let found = disks.get(path);
        found.map(|(major, minor)| format!("{major}:{minor}"))
    };
    let mut all = Vec::new();
    for weight in &resources.blkio_weight_devices {
        let (file, other) = match version {
            Version::V1 => ("blkio.weight_device", "blkio.bfq.weight_device"),
            Version::V2 => ("io.bfq.weight", "io.weight"),
        };
        let value = number(&weight.path).map(|disk| format!("{disk} {}", weight.weight));
        all.extend(value.map(|value| Setting {
            or: Some((other, value.clone())),
            ..Setting::asked("--blkio-weight-device", file, value)
        }));
    }
    let rates: [Rates; 4] = [
        (
            "--device-read-bps",
            &resources.device_read_bps,
            "blkio.throttle.read_bps_device",
            "rbps",
        ),
        (
            "--device-write-bps",
            &resources.device_write_bps,
            "blkio.throttle.write_bps_device",
            "wbps",
        ),
        (
            "--device-read-iops",
            &resources.device_read_iops,
            "blkio.throttle.read_iops_device",
            "riops",
        ),
        (
            "--device-write-iops",
            &resources.device_write_iops,
            "blkio.throttle.write_iops_device",
            "wiops",
        ),
    ];
    for (flag, rates, file, key) in rates {
        for rate in rates {
            let Some(disk) = number(&rate.path) else {
                continue;
            };
            all.push(match version {
                Version::V1 => Setting::asked(flag, file, format!("{disk} {}", rate.rate)),
                Version::V2 => {
                    Setting::asked(flag, "io.max", format!("{disk} {key}={}", rate.rate))
                }
            });
        }
    }
    all
}

/// Flag, what it says, the file of version 1, the key of version 2.
type Rates<'a> = (&'static str, &'a [DiskRate], &'static str, &'static str);

fn device_list(list: &DeviceList, version: Version) -> Vec<Setting> {
    let flag = list.asked.unwrap_or("--device");
    let asked = list.asked.is_some();
    let setting = |file, asked, value| Setting {
        flag,
        asked,
        file,
        value,
        or: None,
    };
    if version == Version::V2 {
        let rules = Value::Devices(list.rules.to_vec());
        return vec![setting("BPF_CGROUP_DEVICE", asked, rules)];
    }
    let allow = list.rules.iter().map(|rule| {
        // A cgroup above may lack one that nobody needs.
        let asked = asked && !DeviceRule::DEFAULT.contains(rule);
        setting("devices.allow", asked, Value::Text(rule.to_string()))
    });
    let deny = setting("devices.deny", asked, Value::Text("a".to_owned()));
    std::iter::once(deny).chain(allow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `file=value` for each, `(…)` around defaults.
    fn shown(json: &str, controller: Controller, version: Version) -> String {
        let resources: Resources = serde_json::from_str(json).unwrap();
        resources.check().unwrap();
        let disks = [("/dev/x".into(), (8, 0))].into();
        let wanted = Wanted {
            resources: &resources,
            devices: None,
            disks: &disks,
            holds_all: false,
        };
        let all = settings(&wanted, controller, version);
        let words = all.iter().map(|setting| {
            let or = setting.or.as_ref();
            let or = or.map_or(String::new(), |(file, value)| format!("|{file}={value}"));
            let text = format!("{}={}{or}", setting.file, setting.value);
            match setting.asked {
                true => text,
                false => format!("({text})"),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn limits_become_files() {
        use Controller::{Blkio, Cpu, Cpuset, Memory, Pids};
        let rows = [
            (Cpu, "{}", "", ""),
            (Cpu, r#"{"cpus": 0}"#, "", ""),
            (
                Cpu,
                r#"{"cpus": 0.5}"#,
                "cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000",
                "cpu.max=50000 100000",
            ),
            (
                Cpu,
                r#"{"cpu_quota": -1, "cpu_period": 5000, "cpu_shares": 1024}"#,
                "cpu.cfs_period_us=5000 cpu.cfs_quota_us=-1 cpu.shares=1024",
                "cpu.max=max 5000 cpu.weight=100",
            ),
            (
                Cpu,
                r#"{"cpu_quota": 20000, "cpu_shares": 0}"#,
                "cpu.cfs_period_us=100000 cpu.cfs_quota_us=20000",
                "cpu.max=20000 100000",
            ),
            (
                Cpuset,
                r#"{"cpuset_cpus": "0-1"}"#,
                "cpuset.cpus=0-1 cpuset.mems=<the parent's>",
                "cpuset.cpus=0-1",
            ),
            (
                Cpuset,
                r#"{"cpuset_mems": "0"}"#,
                "cpuset.cpus=<the parent's> cpuset.mems=0",
                "cpuset.mems=0",
            ),
            (Memory, "{}", "", ""),
            (
                Memory,
                r#"{"memory": 8000000}"#,
                "memory.limit_in_bytes=8000000 (memory.memsw.limit_in_bytes=16000000)",
                "memory.max=8000000 (memory.swap.max=8000000)",
            ),
            (
                Memory,
                r#"{"memory": 8000000, "memory_swap": 8000000, "memory_reservation": 7000000}"#,
                "memory.limit_in_bytes=8000000 memory.memsw.limit_in_bytes=8000000 \
                 memory.soft_limit_in_bytes=7000000",
                "memory.max=8000000 memory.swap.max=0 memory.low=7000000",
            ),
            (
                Memory,
                r#"{"memory": 8000000, "memory_swap": -1}"#,
                "memory.limit_in_bytes=8000000",
                "memory.max=8000000",
            ),
            (Pids, "{}", "(pids.max=2048)", "(pids.max=2048)"),
            (Pids, r#"{"pids_limit": 7}"#, "pids.max=7", "pids.max=7"),
            (Pids, r#"{"pids_limit": 0}"#, "", ""),
            (Pids, r#"{"pids_limit": -1}"#, "", ""),
            (
                Blkio,
                r#"{"blkio_weight": 1000}"#,
                "blkio.weight=1000|blkio.bfq.weight=1000",
                "io.bfq.weight=1000|io.weight=10000",
            ),
        ];
        compare(&rows);
    }

    type Row<'a> = (Controller, &'a str, &'a str, &'a str);

    fn compare(rows: &[Row]) {
        for &(controller, json, v1, v2) in rows {
            assert_eq!(shown(json, controller, Version::V1), v1, "{json}");
            assert_eq!(shown(json, controller, Version::V2), v2, "{json}");
        }
    }

    #[test]
    fn limits_of_disks_and_those_of_version_1_only() {
        use Controller::{Blkio, Cpu, Memory};
        compare(&[
            (
                Blkio,
                r#"{"blkio_weight_devices": [{"path": "/dev/x", "weight": 70}]}"#,
                "blkio.weight_device=8:0 70|blkio.bfq.weight_device=8:0 70",
                "io.bfq.weight=8:0 70|io.weight=8:0 70",
            ),
            (
                Blkio,
                r#"{"device_read_bps": [{"path": "/dev/x", "rate": 9}],
                    "device_write_iops": [{"path": "/dev/x", "rate": 3}]}"#,
                "blkio.throttle.read_bps_device=8:0 9 blkio.throttle.write_iops_device=8:0 3",
                "io.max=8:0 rbps=9 io.max=8:0 wiops=3",
            ),
            (
                Memory,
                r#"{"memory_swappiness": 5, "oom_kill_disable": true}"#,
                "memory.swappiness=5 memory.oom_control=1",
                "memory.swappiness=5 memory.oom_control=1",
            ),
            (Memory, r#"{"memory_swappiness": -1}"#, "", ""),
            (
                Cpu,
                r#"{"cpu_rt_period": 1000, "cpu_rt_runtime": 10}"#,
                "cpu.rt_period_us=1000 cpu.rt_runtime_us=10",
                "cpu.rt_period_us=1000 cpu.rt_runtime_us=10",
            ),
        ]);
    }

    #[test]
    fn usual_shares_are_the_usual_weight() {
        for (shares, weight) in [
            (2, 1),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_144, 10_000),
        ] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
    }

    #[test]
    fn devices_are_denied_before_any_is_allowed() {
        let rules = ["c 1:3 rwm".parse().unwrap(), "b 8:0 r".parse().unwrap()];
        let set = |version, asked| {
            let list = DeviceList {
                rules: &rules,
                asked,
            };
            let wanted = Wanted {
                resources: &Resources::default(),
                devices: Some(list),
                disks: &Disks::default(),
                holds_all: false,
            };
            let all = settings(&wanted, Controller::Devices, version);
            let words = all
                .iter()
                .map(|s| format!("{}={} {}", s.file, s.value, s.asked));
            words.collect::<Vec<_>>()
        };
        let v1 = |deny, allow| {
            [
                format!("devices.deny=a {deny}"),
                "devices.allow=c 1:3 rwm false".to_owned(),
                format!("devices.allow=b 8:0 r {allow}"),
            ]
        };
        assert_eq!(set(Version::V1, None), v1(false, false));
        assert_eq!(set(Version::V1, Some("--device")), v1(true, true));
        for asked in [None, Some("--device")] {
            let expected = format!("BPF_CGROUP_DEVICE=c 1:3 rwm, b 8:0 r {}", asked.is_some());
            assert_eq!(set(Version::V2, asked), [expected]);
        }
    }
}
