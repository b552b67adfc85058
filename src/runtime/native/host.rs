//! What the host contributes to a container: read once, before anything is decided.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use caps::{Capability, CapsHashSet};
use rustix::fs::{FileType, major, minor};
use serde::Serialize;

use super::apparmor::AppArmor;
use super::cdi;
use super::cgroup::{self, Rlimit};
use super::network::{Names, WayOut};
use crate::error::{Fault, Kind};
use crate::spec::{ContainerSpec, Device, Network, Seccomp};
use crate::sys;
use crate::sys::proc::Proc;
use crate::sys::users::{self, Mapping};

/// Largest seccomp profile that is read, in bytes; moby's has 15,000.
const MAX_PROFILE: u64 = 1 << 20;

/// What the host contributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Its name, which a container on the host's network shares.
    pub name: String,
    /// Its `/etc/resolv.conf`.
    pub resolv_conf: Vec<u8>,
    /// What another container knows of names, whose network is shared.
    pub joined: Option<Names>,
    /// What systemd-resolved asks itself, where that is needed.
    pub uplink_resolv_conf: Vec<u8>,
    /// Its `/etc/hosts`.
    pub hosts: Vec<u8>,
    /// Its kernel's version: major and minor.
    pub kernel: (u32, u32),
    /// What ucr may do, and hand on.
    pub capabilities: CapsHashSet,
    /// Directories of processors that tell how hot they get.
    pub thermal: Vec<String>,
    /// The devices that were asked for; all of them for a privileged container.
    pub devices: Vec<DeviceFact>,
    /// What the CDI devices that were asked for change.
    pub cdi: cdi::Edits,
    /// The seccomp profile that was asked for.
    pub seccomp_profile: Option<Vec<u8>>,
    /// Its control groups.
    pub cgroups: cgroup::Host,
    /// The numbers of the disks that something is said about.
    pub disks: cgroup::Disks,
    /// ucr's own limits, of the names in question.
    pub limits: Vec<Rlimit>,
    /// The users that there are, if they are not the machine's: ucr was started by one of those.
    pub mapping: Option<Mapping>,
    /// ucr may make no devices on the machine's network, where they are needed.
    pub may_not_connect: bool,
    /// How a container gets out all the same.
    pub way_out: Option<WayOut>,
    /// ucr's own out-of-memory score, where another was asked for.
    pub oom_score_adj: i16,
    /// Whether ucr may raise limits and lower the score.
    pub may_raise: bool,
    /// The security modules that give processes labels.
    pub labels: Labels,
}

/// Which security modules that give processes labels are active.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// AppArmor.
    pub apparmor: Option<AppArmor>,
    /// SELinux.
    pub selinux: bool,
}

/// A device node of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceFact {
    /// Where it is on the host.
    pub path: PathBuf,
    /// A block device; else a character device.
    pub is_block: bool,
    /// Which driver.
    pub major: u32,
    /// Which device of the driver.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl HostFacts {
    /// Reads what `spec` needs to be decided; of files that every host has and this one lacks, the
    /// content is empty. CDI devices are looked for in these directories.
    pub fn read(spec: &ContainerSpec, cdi_directories: &[PathBuf]) -> Result<Self> {
        let system = rustix::system::uname();
        let proc = Proc::open().context("open a proc filesystem")?;
        let file = |path| fs::read(path).unwrap_or_default();
        let mapping = users::own_mapping().context("read the map of users")?;
        let needs_devices = mapping.is_some() && spec.network().is_bridged();
        let may_not_connect = needs_devices && !users::own_network()?;
        Ok(Self {
            name: host_name(),
            resolv_conf: file("/etc/resolv.conf"),
            joined: None,
            uplink_resolv_conf: match spec.network().is_own() {
                true => file("/run/systemd/resolve/resolv.conf"),
                false => Vec::new(),
            },
            hosts: file("/etc/hosts"),
            kernel: kernel_version(&system.release().to_string_lossy()),
            capabilities: sys::credential::available().context("read capabilities")?,
            thermal: thermal(),
            devices: devices(spec)?,
            cdi: cdi_edits(spec, cdi_directories)?,
            seccomp_profile: seccomp_profile(spec)?,
            cgroups: cgroup::Host::detect(&proc).context("find cgroups")?,
            disks: disks(spec)?,
            limits: cgroup::current_limits(&spec.resources.ulimits),
            oom_score_adj: match spec.resources.oom_score_adj {
                Some(_) => oom_score_adj(&proc)?,
                None => 0,
            },
            // Capabilities of a user namespace are none over limits.
            may_raise: mapping.is_none() && cgroup::may_raise(),
            mapping,
            may_not_connect,
            way_out: match spec.network() {
                Network::Bridge if may_not_connect => Some(way_out()?),
                _ => None,
            },
            labels: Labels {
                apparmor: AppArmor::read(&proc, wants_default_label(spec)),
                selinux: Path::new("/sys/fs/selinux/enforce").exists(),
            },
        })
    }
}

/// Programs are looked for where users look for them, and where Debian has them.
fn way_out() -> Result<WayOut, Fault> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/bin:/usr/sbin");
    WayOut::find(&path)
}

/// Whether a profile is chosen for a container.
pub(super) fn wants_default_label(spec: &ContainerSpec) -> bool {
    spec.security.apparmor.is_none() && !spec.security.privileged
}

fn oom_score_adj(proc: &Proc) -> Result<i16> {
    let text = proc.read("self/oom_score_adj")?;
    text.trim().parse().context("read the out-of-memory score")
}

impl HostFacts {
    /// Fails with [`Kind::Unsupported`] where ucr may not mount, as inside most containers.
    pub fn can_make_containers(&self) -> Result<(), Fault> {
        if self.capabilities.contains(&Capability::CAP_SYS_ADMIN) {
            return Ok(());
        }
        let message = "running containers needs the capability CAP_SYS_ADMIN";
        Err(Fault::new(Kind::Unsupported, message)
            .hint("inside a container: start that one with --privileged"))
    }
}

/// The host's name.
pub fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// The first two numbers of a release such as `6.1.0-40-amd64`.
fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Docker masks them for what they tell about other users of the machine (GHSA-6fw5-f8r9-fgfm).
fn thermal() -> Vec<String> {
    const CPUS: &str = "/sys/devices/system/cpu";
    let of = |cpu: &str| format!("{CPUS}/{cpu}/thermal_throttle");
    // Usually all processors have it or none.
    if !Path::new(&of("cpu0")).exists() {
        return Vec::new();
    }
    let names = fs::read_dir(CPUS).into_iter().flatten().flatten();
    let mut found: Vec<String> = names
        .map(|entry| of(&entry.file_name().to_string_lossy()))
        .filter(|path| Path::new(path).exists())
        .collect();
    found.sort();
    found
}

fn seccomp_profile(spec: &ContainerSpec) -> Result<Option<Vec<u8>>> {
    let Some(Seccomp::File(path)) = &spec.security.seccomp else {
        return Ok(None);
    };
    let what = || format!("seccomp profile {}", path.display());
    let metadata = fs::metadata(path).with_context(what)?;
    if !metadata.is_file() || metadata.len() > MAX_PROFILE {
        let message = format!("it is no file of at most {MAX_PROFILE} bytes");
        return Err(Fault::new(Kind::Spec, message)).with_context(what);
    }
    Ok(Some(fs::read(path).with_context(what)?))
}

/// The nodes behind the paths that were asked for: of a directory, all in it, as docker does.
fn devices(spec: &ContainerSpec) -> Result<Vec<DeviceFact>> {
    let mut found = Vec::new();
    if spec.security.privileged {
        walk(Path::new("/dev"), &mut found)?;
    }
    for device in &spec.devices {
        let Device::Host(device) = device else {
            continue;
        };
        let before = found.len();
        walk(&device.path, &mut found)
            .with_context(|| format!("device {}", device.path.display()))?;
        if found.len() == before {
            let message = format!("{} is no device, nor has devices", device.path.display());
            return Err(Fault::new(Kind::Spec, message)
                .hint("a file or directory is shown inside with -v")
                .into());
        }
    }
    Ok(found)
}

fn disks(spec: &ContainerSpec) -> Result<cgroup::Disks> {
    let number = |path: &PathBuf| {
        let what = || format!("disk {}", path.display());
        let metadata = fs::metadata(path).with_context(what)?;
        match fact(path, &metadata) {
            Some(disk) if disk.is_block => Ok((path.clone(), (disk.major, disk.minor))),
            _ => Err(Fault::new(Kind::Spec, "it is no block device")).with_context(what),
        }
    };
    spec.resources.disks().map(number).collect()
}

pub(super) fn cdi_edits(spec: &ContainerSpec, directories: &[PathBuf]) -> Result<cdi::Edits> {
    let name = |device: &'_ Device| match device {
        Device::Cdi(name) => Some(name.clone()),
        Device::Host(_) => None,
    };
    let names: Vec<String> = spec.devices.iter().filter_map(name).collect();
    if names.is_empty() {
        return Ok(cdi::Edits::default());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let look = |path: &Path| Ok(fact(path, &fs::metadata(path)?));
    Ok(cdi::resolve(&names, &cdi::read(directories)?, &look)?)
}

/// What a container has of its own in `/dev`, and what leads out of it.
const NOT_DEVICES: [&str; 6] = [
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
    "/dev/console",
    "/dev/ptmx",
    "/dev/fd",
];

fn walk(path: &Path, found: &mut Vec<DeviceFact>) -> Result<()> {
    if NOT_DEVICES.iter().any(|own| path == Path::new(own)) {
        return Ok(());
    }
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // Links in /dev name devices a second time.
            if !entry.file_type()?.is_symlink() {
                walk(&entry.path(), found)?;
            }
        }
        return Ok(());
    }
    found.extend(fact(path, &metadata));
    Ok(())
}

fn fact(path: &Path, metadata: &fs::Metadata) -> Option<DeviceFact> {
    let is_block = match FileType::from_raw_mode(metadata.mode()) {
        FileType::BlockDevice => true,
        FileType::CharacterDevice => false,
        _ => return None,
    };
    Some(DeviceFact {
        path: path.to_owned(),
        is_block,
        major: major(metadata.rdev()),
        minor: minor(metadata.rdev()),
        mode: metadata.mode() & 0o777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(kernel_version("6.1.0-40-amd64"), (6, 1));
        assert_eq!(kernel_version("5.15"), (5, 15));
        assert_eq!(kernel_version("x"), (0, 0));
    }

    #[test]
    fn a_directory_stands_for_its_devices() {
        let mut found = Vec::new();
        walk(Path::new("/dev"), &mut found).unwrap();
        let null = found
            .iter()
            .find(|device| device.path == Path::new("/dev/null"));
        let null = null.expect("every host has /dev/null");
        assert_eq!((null.is_block, null.major, null.minor), (false, 1, 3));
        assert!(
            !found
                .iter()
                .any(|device| device.path.starts_with("/dev/pts"))
        );
        let before = found.len();
        walk(Path::new("/etc/passwd"), &mut found).unwrap();
        assert_eq!(found.len(), before);
    }
}
