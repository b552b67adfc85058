//! Limits, devices and namespaces.

use std::path::Path;

use super::Circumstances;
use super::words::{Words, part, refuse};
use crate::error::Fault;
use crate::spec::defaults::{OPEN_FILES, PIDS, SHARED_MEMORY};
use crate::spec::{
    CgroupMode, ContainerSpec, Device, HostDevice, IpcMode, Resources, Ulimit, UlimitName, UtsMode,
    sysctl,
};

pub(super) fn add(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let resources = &spec.resources;
    processors(resources, words);
    memory(resources, words);
    disks(resources, words)?;
    let pids = resources.pids_limit.unwrap_or(PIDS.cast_signed());
    // Zero and less is no limit, for which docker has one word on all versions.
    words.option("--pids-limit", if pids > 0 { pids } else { -1 });
    ulimits(&resources.ulimits, circumstances, words)?;
    let parent = resources.cgroup_parent.as_deref();
    words.perhaps("--cgroup-parent", parent.map(cgroup));
    devices(spec, circumstances, words)?;
    namespaces(spec, circumstances, words)?;
    sysctls(spec, words)
}

fn processors(resources: &Resources, words: &mut Words) {
    words.perhaps("--cpus", resources.cpus);
    words.perhaps("--cpu-shares", resources.cpu_shares);
    words.perhaps("--cpu-period", resources.cpu_period);
    words.perhaps("--cpu-quota", resources.cpu_quota);
    words.perhaps("--cpu-rt-period", resources.cpu_rt_period);
    words.perhaps("--cpu-rt-runtime", resources.cpu_rt_runtime);
    words.perhaps("--cpuset-cpus", resources.cpuset_cpus.as_ref());
    words.perhaps("--cpuset-mems", resources.cpuset_mems.as_ref());
}

fn memory(resources: &Resources, words: &mut Words) {
    words.perhaps("--memory", resources.memory);
    words.perhaps("--memory-reservation", resources.memory_reservation);
    words.perhaps("--memory-swap", resources.memory_swap);
    words.perhaps("--memory-swappiness", resources.memory_swappiness);
    if resources.oom_kill_disable {
        words.switch("--oom-kill-disable");
    }
    words.perhaps("--oom-score-adj", resources.oom_score_adj);
}

fn disks(resources: &Resources, words: &mut Words) -> Result<(), Fault> {
    words.perhaps("--blkio-weight", resources.blkio_weight);
    let weights = resources.blkio_weight_devices.iter();
    let weights = weights.map(|it| (it.path.as_path(), u64::from(it.weight)));
    of_disks(
        "blkio_weight_devices",
        "--blkio-weight-device",
        weights,
        words,
    )?;
    for (field, option, rates) in [
        (
            "device_read_bps",
            "--device-read-bps",
            &resources.device_read_bps,
        ),
        (
            "device_write_bps",
            "--device-write-bps",
            &resources.device_write_bps,
        ),
        (
            "device_read_iops",
            "--device-read-iops",
            &resources.device_read_iops,
        ),
        (
            "device_write_iops",
            "--device-write-iops",
            &resources.device_write_iops,
        ),
    ] {
        let rates = rates.iter().map(|it| (it.path.as_path(), it.rate));
        of_disks(field, option, rates, words)?;
    }
    Ok(())
}

fn of_disks<'a>(
    field: &str,
    option: &str,
    values: impl Iterator<Item = (&'a Path, u64)>,
    words: &mut Words,
) -> Result<(), Fault> {
    for (place, (path, value)) in values.enumerate() {
        let path = part(path, &format!("resources.{field}[{place}]"), option)?;
        words.option(option, format_args!("{path}:{value}"));
    }
    Ok(())
}

/// The same defaults as the native runtime has, and as there no more open files than can be had.
fn ulimits(
    asked: &[Ulimit],
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let is_asked = |name| asked.iter().any(|limit| limit.name == name);
    if !is_asked(UlimitName::Nofile) {
        let (soft, hard) = OPEN_FILES;
        let hard = hard.min(circumstances.max_files);
        let soft = soft.min(hard);
        words.option("--ulimit", format_args!("nofile={soft}:{hard}"));
    }
    if !is_asked(UlimitName::Core) {
        words.option("--ulimit", "core=0:0");
    }
    for (place, limit) in asked.iter().enumerate() {
        if limit.name == UlimitName::As {
            let field = format!("resources.ulimits[{place}]");
            let why = "Docker Engine does not limit address space";
            return Err(refuse(&field, "--ulimit as", why, "limit --memory"));
        }
        words.option("--ulimit", limit);
    }
    Ok(())
}

/// From the top of each tree. systemd's own are names.
fn cgroup(parent: &str) -> String {
    let path = parent.trim_matches('/');
    match path.ends_with(".slice") && !path.contains('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

fn devices(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    for (place, device) in spec.devices.iter().enumerate() {
        let field = format!("devices[{place}]");
        match device {
            Device::Cdi(name) => {
                circumstances.since((1, 44), &field, &format!("--device {name}"))?;
                words.option("--device", name);
            }
            Device::Host(device) => words.option("--device", of_host(device, &field)?),
        }
    }
    words.each("--device-cgroup-rule", &spec.device_rules);
    Ok(())
}

fn of_host(device: &HostDevice, field: &str) -> Result<String, Fault> {
    let path = part(&device.path, field, "--device")?;
    let target = part(device.target(), field, "--device")?;
    let access = device.access.as_deref().unwrap_or("rwm");
    Ok(format!("{path}:{target}:{access}"))
}

/// What is unsaid is the container's own, whatever the Engine's configuration has as a default.
fn namespaces(
    spec: &ContainerSpec,
    circumstances: &Circumstances,
    words: &mut Words,
) -> Result<(), Fault> {
    let sharing = &spec.sharing;
    words.perhaps("--pid", sharing.pid.as_ref());
    words.option("--ipc", sharing.ipc.as_ref().unwrap_or(&IpcMode::Private));
    if !sharing.has_ipc_of_others() && sharing.ipc != Some(IpcMode::None) {
        let asked = spec.resources.shm_size.filter(|size| *size != 0);
        words.option("--shm-size", asked.unwrap_or(SHARED_MEMORY));
    }
    // Docker has no word for an own one, which it always makes else.
    if sharing.uts == Some(UtsMode::Host) {
        words.option("--uts", "host");
    }
    let host = sharing.cgroup == Some(CgroupMode::Host);
    // Before API 1.41 there was no other view than the host's, and no option.
    if circumstances.api >= (1, 41) {
        words.option("--cgroupns", if host { "host" } else { "private" });
    } else if sharing.cgroup == Some(CgroupMode::Private) {
        circumstances.since((1, 41), "sharing.cgroup", "--cgroupns private")?;
    }
    Ok(())
}

/// Docker's names have dots only, and fewer values are a container's own there.
fn sysctls(spec: &ContainerSpec, words: &mut Words) -> Result<(), Fault> {
    let decided = sysctl::sysctls(spec, spec.network().is_own())?;
    for (asked, (path, value)) in spec.sysctls.keys().zip(decided) {
        let field = format!("sysctls.{asked}");
        if path == "kernel/domainname" {
            let why = "Docker Engine does not set it";
            return Err(refuse(&field, "--sysctl", why, "say --domainname"));
        }
        if path.contains('.') {
            let why = "docker takes no '.' within a part of a name";
            return Err(refuse(&field, "--sysctl", why, "set it from inside"));
        }
        let name = path.replace('/', ".");
        words.option("--sysctl", format_args!("{name}={value}"));
    }
    Ok(())
}
