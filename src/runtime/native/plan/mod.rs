//! What will be done, decided before anything is (design D6): a pure function of the description,
//! the image's configuration and facts about the host. `run --dry-run` prints it.
//!
//! What only the image's files can tell is not in it: the numbers of users and groups.

mod device;
mod filesystem;
mod naming;
mod network;
mod security;
mod sysctl;
mod text;

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::cdi;
use super::cgroup::{self, CgroupPlan, DeviceList, Rlimit, Wanted};
use super::host::HostFacts;
use super::seccomp::Filter;
use crate::error::{Fault, Kind};
use crate::image::ImageConfig;
use crate::spec::mount::{Source, mounts};
use crate::spec::{
    CgroupMode, ContainerSpec, HealthCheck, IdRange, IpcMode, Mount, Network, PidMode, Process,
    Secret, SecretTarget, Userns, health_check, process,
};
use crate::sys::process::Namespaces;
use crate::sys::users::{Mapping, Range};

pub use device::Node;
pub use filesystem::{BIND, CGROUP, JOINED, KernelFilesystem};
pub use network::{Bridged, ByPlugins};
pub use security::{Confinement, Filtering};

/// A file that ucr writes and shows inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnFile {
    /// Its place in the container.
    pub target: PathBuf,
    /// What is in it.
    #[serde(serialize_with = "lossy")]
    pub content: Vec<u8>,
}

fn names<S: serde::Serializer>(own: &Namespaces, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(own.names())
}

fn lossy<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

/// A decided container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What is executed.
    pub process: Process,
    /// Groups of the user beyond those of the image's files, names or numbers.
    pub groups: Vec<String>,
    /// What is its own.
    #[serde(serialize_with = "names")]
    pub namespaces: Namespaces,
    /// The containers whose namespaces it joins.
    #[serde(skip_serializing_if = "Joins::is_empty")]
    pub joins: Joins,
    /// Whose users its users are; `None`: the host's. For [`Userns::Auto`] the range is chosen
    /// when the container starts.
    pub users: Option<Users>,
    /// Which users there are at all, if ucr was not started by root.
    #[serde(skip)]
    pub mapping: Option<Mapping>,
    /// Its host name, if it is not the host's.
    pub hostname: Option<String>,
    /// The bridged network that it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridged: Option<Bridged>,
    /// The networks that CNI plugins connect it to, in the order of its devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugged: Vec<ByPlugins>,
    /// The directory of the host that is its root filesystem, if that is no image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<PathBuf>,
    /// Where it finds its sandbox.
    #[serde(skip)]
    pub sandbox: Option<PathBuf>,
    /// Refuse writes to the root filesystem.
    pub read_only: bool,
    /// Fresh filesystems of the kernel, in the order of mounting.
    pub filesystems: Vec<KernelFilesystem>,
    /// Which files describe its CDI devices.
    pub cdi: Vec<cdi::Origin>,
    /// Device nodes.
    pub devices: Vec<Node>,
    /// Files of ucr's own.
    pub files: Vec<OwnFile>,
    /// The host's files and directories inside, parents before children.
    pub mounts: Vec<Mount>,
    /// Programs of the host that change its root filesystem.
    pub hooks: Vec<cdi::Hook>,
    /// Values that are read when the container starts.
    pub secrets: Vec<Secret>,
    /// Paths that are covered by nothing.
    pub masked_paths: Vec<String>,
    /// Paths that may only be read.
    pub read_only_paths: Vec<String>,
    /// Values below `/proc/sys`, by path.
    pub sysctls: Vec<(String, String)>,
    /// What its processes may do.
    pub confinement: Confinement,
    /// Its cgroups and their limits.
    pub cgroups: CgroupPlan,
    /// Limits of its first process.
    pub ulimits: Vec<Rlimit>,
    /// How soon it is killed where memory runs out, if not as soon as ucr.
    pub oom_score_adj: Option<i16>,
    /// Give it a terminal of its own.
    pub tty: bool,
    /// Our standard input is its.
    pub stdin: bool,
    /// A reaping init comes first.
    pub init: bool,
    /// How it is checked whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// The system call filter.
    #[serde(skip)]
    pub filter: Option<Filter>,
    /// What differs from the default because the machine lacks something.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether the host's own filesystem is its root.
    pub fn is_on_host(&self) -> bool {
        self.rootfs.as_deref() == Some(Path::new("/"))
    }
}

/// Whose users a container's users are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Users {
    /// A range of 65,536 that nobody else has.
    Auto,
    /// These.
    Map(Vec<IdRange>),
}

impl Users {
    /// Whether an ID inside is one of theirs.
    pub fn have(&self, id: u32) -> bool {
        let ids = match self {
            Self::Auto => &AUTO_SHAPE[..],
            Self::Map(ids) => ids,
        };
        filesystem::is_mapped(ids, id)
    }
}

/// The IDs of containers whose namespaces another one joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Joins {
    /// Processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<String>,
    /// Message queues, semaphores and `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc: Option<String>,
}

impl Joins {
    fn of(spec: &ContainerSpec) -> Self {
        Self {
            pid: match &spec.sharing.pid {
                Some(PidMode::Container(id)) => Some(id.clone()),
                _ => None,
            },
            ipc: match &spec.sharing.ipc {
                Some(IpcMode::Container(id)) => Some(id.clone()),
                _ => None,
            },
        }
    }

    /// Whether there is nobody to join.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Decides for the container `id`. Fails with [`Kind::Spec`] if the description and the image
/// together make no container, and with [`Kind::Unsupported`] if this host cannot give what was
/// asked for.
pub fn plan(spec: &ContainerSpec, image: &ImageConfig, host: &HostFacts, id: &str) -> Result<Plan> {
    let mut spec = spec.clone();
    host.cdi.describe(&mut spec);
    if let Some(sandbox) = spec.sandbox_inside() {
        let variable = format!("MESOS_SANDBOX={}", sandbox.display());
        spec.env.push(variable);
    }
    let spec = &spec;
    let own_network = spec.network().is_own();
    let hostname = naming::hostname(spec, host, own_network, id)?;
    let name = hostname.as_deref().unwrap_or(&host.name);
    let users = users(spec, host)?;
    let mapping = host.mapping.as_ref();
    let groups_here = mapping.map(|mapping| id_ranges(&mapping.gids));
    let ids = match &users {
        Some(Users::Map(ids)) => Some(ids.as_slice()),
        Some(Users::Auto) => Some(&AUTO_SHAPE[..]),
        None => groups_here.as_deref(),
    };
    check_secrets(&spec.secrets)?;
    let mounts = mounts(spec, image)?;
    refuse_maps_of_owners(&mounts, host)?;
    let confinement = security::confinement(spec, host)?;
    let (ulimits, mut notes) =
        cgroup::rlimits(&spec.resources.ulimits, &host.limits, host.may_raise)?;
    notes.extend(host.cdi.notes.iter().cloned());
    notes.extend(security::notes(&confinement, spec, host));
    let devices = device::nodes(spec, host, ids.is_some())?;
    let rules = device::rules(spec, &devices, confinement.may_make_nodes())?;
    let list = DeviceList {
        rules: &rules,
        asked: device::asked(spec, &confinement.capabilities),
    };
    // Where users are mapped nobody can make a node: only those that are shown can be opened.
    let list = (!spec.security.privileged && host.mapping.is_none()).then_some(list);
    let wanted = Wanted {
        resources: &spec.resources,
        devices: list,
        disks: &host.disks,
        holds_all: spec.sharing.has_pid_of_others(),
    };
    let cgroups = cgroup::plan(&wanted, &host.cgroups, id)?;
    notes.extend(cgroups.notes.iter().cloned());
    let is_routed = own_network && spec.network() != Network::None;
    let resolv_conf = network::resolv_conf(host, is_routed, &mut notes);
    let (masked_paths, read_only_paths) = filesystem::hidden(spec, host);
    Ok(Plan {
        process: process(spec, image, name)?,
        groups: spec.groups.clone(),
        namespaces: own_namespaces(spec, own_network, users.is_some()),
        joins: Joins::of(spec),
        hostname: hostname.clone(),
        bridged: network::bridged(spec, image, host)?,
        plugged: network::by_plugins(spec, image, host)?,
        rootfs: spec.rootfs.clone(),
        sandbox: spec.sandbox_inside().map(Path::to_owned),
        read_only: spec.read_only,
        filesystems: filesystem::filesystems(spec, ids, &cgroups),
        cdi: host.cdi.origins.clone(),
        devices,
        files: naming::own_files(spec, host, name, own_network, &resolv_conf)?,
        mounts,
        hooks: hooks(spec, host, users.is_some())?,
        secrets: spec.secrets.clone(),
        masked_paths,
        read_only_paths,
        sysctls: sysctl::sysctls(spec, own_network, users.is_some(), mapping)?,
        cgroups,
        filter: security::filter(&confinement, host, &mut notes)?,
        ulimits,
        oom_score_adj: oom_score_adj(spec, host)?,
        notes,
        confinement,
        users,
        mapping: host.mapping.clone(),
        tty: spec.tty,
        stdin: spec.stdin,
        init: spec.init,
        health: health_check(spec, image)?,
    })
}

fn own_namespaces(spec: &ContainerSpec, own_network: bool, own_users: bool) -> Namespaces {
    Namespaces {
        mount: true,
        pid: !spec.sharing.has_pid_of_others(),
        ipc: !spec.sharing.has_ipc_of_others(),
        uts: !spec.sharing.has_uts_of_host(),
        cgroup: spec.sharing.cgroup != Some(CgroupMode::Host),
        network: own_network,
        user: own_users,
    }
}

/// In a user namespace a hook would be nobody to the host, whose programs and files it works with.
fn hooks(spec: &ContainerSpec, host: &HostFacts, has_users: bool) -> Result<Vec<cdi::Hook>, Fault> {
    match host.cdi.hooks.first() {
        Some(hook) if has_users => {
            let (device, path) = (&hook.device, hook.path.display());
            let message = format!("device '{device}': its hook {path} cannot be run with --userns");
            Err(Fault::new(Kind::Unsupported, message).hint("leave out --userns"))
        }
        Some(hook) if spec.is_on_host() => {
            let (device, path) = (&hook.device, hook.path.display());
            let message = format!("device '{device}': its hook {path} would change the host");
            Err(Fault::new(Kind::Unsupported, message).hint("use an image, not --rootfs /"))
        }
        _ => Ok(host.cdi.hooks.clone()),
    }
}

fn oom_score_adj(spec: &ContainerSpec, host: &HostFacts) -> Result<Option<i16>> {
    let asked = spec.resources.oom_score_adj;
    let decide = |asked| cgroup::oom_score_adj(asked, host.oom_score_adj, host.may_raise);
    asked.map(decide).transpose()
}

/// What [`Users::Auto`] has inside, wherever it is outside.
const AUTO_SHAPE: [IdRange; 1] = [IdRange {
    inside: 0,
    outside: 0,
    count: 1 << 16,
}];

/// The first kernel whose overlay takes layers with other owners; 0.0 is one that is not known.
const FIRST_WITH_USERS: (u32, u32) = (5, 19);

fn users(spec: &ContainerSpec, host: &HostFacts) -> Result<Option<Users>, Fault> {
    let Some(userns) = &spec.security.userns else {
        return Ok(None);
    };
    userns.check()?;
    if *userns != Userns::Host && spec.rootfs.is_some() {
        let message = "--userns: the owners of a directory's files are the host's";
        return Err(Fault::new(Kind::Unsupported, message).hint("leave out --userns or --rootfs"));
    }
    let kernel = host.kernel;
    if host.mapping.is_some() && *userns != Userns::Host {
        let message = "--userns: only root can show files with other owners";
        return Err(Fault::new(Kind::Unsupported, message)
            .hint("leave it out: without root a container's root is you, its other users your subordinate IDs"));
    }
    if spec.security.privileged && *userns != Userns::Host {
        return Err(Fault::new(
            Kind::Spec,
            "a privileged container cannot have users of its own",
        )
        .hint("leave out --privileged or --userns"));
    }
    if *userns != Userns::Host && kernel != (0, 0) && kernel < FIRST_WITH_USERS {
        let (major, minor) = kernel;
        let message = format!("--userns needs Linux 5.19 or newer; this is {major}.{minor}");
        return Err(Fault::new(Kind::Unsupported, message).hint("leave --userns out on this host"));
    }
    Ok(match userns {
        Userns::Host => None,
        Userns::Auto => Some(Users::Auto),
        Userns::Map(ids) => Some(Users::Map(ids.clone())),
    })
}

/// The kernel lets only root map the owners of files on the machine's filesystems.
fn refuse_maps_of_owners(mounts: &[Mount], host: &HostFacts) -> Result<(), Fault> {
    let is_mapped =
        |mount: &&Mount| matches!(&mount.source, Source::Bind(bind) if bind.idmap.is_some());
    let mut refused = mounts.iter().filter(|_| host.mapping.is_some());
    match refused.find(is_mapped) {
        None => Ok(()),
        Some(mount) => {
            let target = mount.target.display();
            let message =
                format!("mount {target}: idmap: only root can show files with other owners");
            Err(Fault::new(Kind::Unsupported, message).hint("leave idmap out, or run ucr as root"))
        }
    }
}

fn check_secrets(secrets: &[Secret]) -> Result<(), Fault> {
    for (place, secret) in secrets.iter().enumerate() {
        let bad = |why: &str| Err(Fault::new(Kind::Spec, format!("secrets[{place}]: {why}")));
        match &secret.target {
            SecretTarget::Environment(name) if name.is_empty() || name.contains(['=', '\0']) => {
                return bad("the variable has no usable name");
            }
            SecretTarget::File(path) if !path.is_absolute() => {
                return bad("the file's path inside is not absolute");
            }
            _ => (),
        }
    }
    Ok(())
}

fn id_ranges(ranges: &[Range]) -> Vec<IdRange> {
    let range = |&(inside, outside, count): &Range| IdRange {
        inside,
        outside,
        count,
    };
    ranges.iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SANDBOX;

    fn host() -> HostFacts {
        HostFacts {
            name: "h".into(),
            resolv_conf: b"nameserver ::1\n".to_vec(),
            capabilities: caps::all(),
            ..HostFacts::default()
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
    fn users_of_its_own_need_a_newer_kernel() {
        let spec = ContainerSpec {
            security: crate::spec::Security {
                userns: Some(Userns::Auto),
                ..Default::default()
            },
            ..Default::default()
        };
        for (kernel, fits) in [
            ((5, 18), false),
            ((4, 19), false),
            ((5, 19), true),
            ((6, 1), true),
        ] {
            let host = HostFacts { kernel, ..host() };
            match plan(&spec, &image(), &host, "0123456789ab") {
                Ok(_) => assert!(fits, "{kernel:?}"),
                Err(error) => assert!(!fits && error.to_string().contains("5.19"), "{error:#}"),
            }
        }
    }

    #[test]
    fn a_sandbox_is_mounted_and_announced() {
        let spec = ContainerSpec {
            sandbox: Some("/box".into()),
            ..Default::default()
        };
        let made = plan(&spec, &image(), &host(), "0123456789ab").unwrap();
        assert!(
            made.process
                .env
                .contains(&format!("MESOS_SANDBOX={SANDBOX}"))
        );
        assert_eq!(made.mounts, [Mount::bind("/box", SANDBOX)]);
    }
}
