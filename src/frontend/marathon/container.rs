//! An app → a [`ContainerSpec`]: what each field means on one machine (reference/marathon.md,
//! sections 1.5, 1.12, 1.15). Pure: where things are is told.

use std::path::{Path, PathBuf};

use super::App;
use super::app::{EnvValue, IpcMode, LinuxInfo, Mode, NetworkMode, Type, Volume, VolumeKind};
use super::environment::{Task, environment};
use super::ports::Assigned;
use super::record::record;
use super::resources::resources;
use crate::error::{Fault, Kind};
use crate::spec::mount::Source;
use crate::spec::{
    ContainerSpec, DockerParameter, Endpoint, FurtherNetwork, Health, HealthTest,
    IpcMode as SpecIpcMode, Mount, Network, Publish, Seccomp, Secret, SecretSource, SecretTarget,
    gpus, mount,
};

pub use super::resources::Machine;

/// Executes a command that is text.
const SHELL: &str = "/bin/sh";
/// Seconds from SIGTERM to SIGKILL where the app does not say: Mesos's, of its own containers and
/// of its executor for docker's.
const GRACE: (u32, u32) = (3, 5);

/// Where things of a run are on this machine.
#[expect(
    missing_debug_implementations,
    reason = "closures have nothing to show"
)]
pub struct Places<'a> {
    /// The image's normalised name; empty without one.
    pub image: String,
    /// The sandbox on the host.
    pub sandbox: &'a Path,
    /// What is kept of the persistent volume with this container path.
    pub persistent: &'a dyn Fn(&str) -> PathBuf,
    /// The network that a name stands for.
    pub network: &'a dyn Fn(&str) -> Result<Network, Fault>,
    /// Profiles of filters of system calls.
    pub seccomp: &'a Path,
}

/// What is to be run.
pub fn container(
    app: &App,
    task: &Task,
    ports: &[Assigned],
    places: &Places,
    machine: &Machine,
) -> Result<ContainerSpec, Fault> {
    let mut spec = ContainerSpec {
        image: places.image.clone(),
        // Without an image it is the host's own filesystem.
        rootfs: app.docker().is_none().then(|| PathBuf::from("/")),
        name: Some(task.container_name.clone()),
        env: environment(app, task, ports),
        resources: resources(app, machine),
        sandbox: Some(places.sandbox.to_owned()),
        tty: app.tty == Some(true),
        app: Some(record(app, task, ports)),
        ..ContainerSpec::default()
    };
    spec.labels
        .insert("MESOS_TASK_ID".to_owned(), task.id.clone());
    command(&mut spec, app);
    let grace = app.task_kill_grace_period_seconds;
    match app.container_type() {
        Type::Mesos => {
            spec.stop_timeout = Some(grace.unwrap_or(GRACE.0));
            spec.user.clone_from(&app.user);
            // Mesos knows nothing of the image's check.
            spec.health = Some(Health {
                test: Some(HealthTest::None),
                ..Health::default()
            });
            spec.fallback_working_dir = Some(match app.docker() {
                Some(_) => mount::SANDBOX.to_owned(),
                None => places.sandbox.display().to_string(),
            });
            if app.gpus > 0 {
                spec.devices = gpus(&app.gpus.to_string())?;
            }
        }
        Type::Docker => spec.stop_timeout = Some(grace.unwrap_or(GRACE.1)),
    }
    for volume in app.volumes() {
        add_volume(&mut spec, app, volume, places);
    }
    if let Some(info) = app.container.as_ref().and_then(|it| it.linux_info.as_ref()) {
        isolate(&mut spec, info, places);
    }
    spec.secrets = secrets(app, places);
    connect(&mut spec, app, ports, places)?;
    if let Some(docker) = app.docker() {
        spec.security.privileged = docker.privileged;
    }
    if app.container_type() == Type::Docker {
        add_parameters(&mut spec, app);
    }
    Ok(spec)
}

/// A text is for a shell, and the image's entry point is left out; arguments follow it.
pub fn command(spec: &mut ContainerSpec, app: &App) {
    match &app.cmd {
        Some(text) => {
            spec.entrypoint = Some(vec![SHELL.to_owned()]);
            spec.args = vec!["-c".to_owned(), text.clone()];
        }
        None => spec.args.clone_from(&app.args),
    }
}

fn add_volume(spec: &mut ContainerSpec, app: &App, volume: &Volume, places: &Places) {
    let target = &volume.container_path;
    let mut mount = match &volume.kind {
        VolumeKind::Host(path) => of_host(app, path, target, places),
        VolumeKind::Persistent(_) => Mount::bind((places.persistent)(target), target),
        // Its value is not in a description.
        VolumeKind::Secret(_) => return,
        VolumeKind::External(external) => {
            let mode = match volume.mode {
                Some(Mode::Ro) => "ro",
                Some(Mode::Rw) | None => "rw",
            };
            let name = &external.name;
            add_parameter(spec, "volume", format!("{name}:{target}:{mode}"));
            if let Some(driver) = external.options.get("dvdi/driver") {
                add_parameter(spec, "volume-driver", driver.clone());
            }
            return;
        }
    };
    mount.access.read_only = (volume.mode == Some(Mode::Ro)).then_some(true);
    spec.mounts.push(mount);
}

/// By their names: the values are found apart.
fn secrets(app: &App, places: &Places) -> Vec<Secret> {
    let variables = app.env.iter().filter_map(|(variable, value)| match value {
        EnvValue::Secret(it) => Some((&it.secret, SecretTarget::Environment(variable.clone()))),
        EnvValue::Plain(_) => None,
    });
    let files = app
        .volumes()
        .iter()
        .filter_map(|volume| match &volume.kind {
            VolumeKind::Secret(name) => {
                // What is relative begins in the sandbox, wherever that is seen.
                let sandbox = match app.docker() {
                    Some(_) => Path::new(mount::SANDBOX),
                    None => places.sandbox,
                };
                let path = sandbox.join(&volume.container_path);
                Some((name, SecretTarget::File(path)))
            }
            _ => None,
        });
    let all = variables.chain(files);
    all.map(|(name, target)| Secret {
        source: SecretSource::Given(name.clone()),
        target,
    })
    .collect()
}

/// Relative paths begin in the sandbox, where persistent volumes are seen, too; a task may have put
/// links there.
fn of_host(app: &App, path: &str, target: &str, places: &Places) -> Mount {
    if path.starts_with('/') {
        return Mount::bind(path, target);
    }
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let is_it = |volume: &&Volume| {
        matches!(volume.kind, VolumeKind::Persistent(_)) && volume.container_path == first
    };
    let (root, part) = match app.volumes().iter().find(is_it) {
        Some(_) => ((places.persistent)(first), rest),
        None => (places.sandbox.to_owned(), path),
    };
    if part.is_empty() {
        return Mount::bind(root, target);
    }
    match app.container_type() {
        Type::Docker => Mount::bind(root.join(part), target),
        Type::Mesos => {
            let mut mount = Mount::bind(root, target);
            if let Source::Bind(bind) = &mut mount.source {
                bind.subpath = Some(part.into());
            }
            mount
        }
    }
}

/// Docker takes one option for the driver of all volumes of a container.
fn add_parameter(spec: &mut ContainerSpec, key: &str, value: String) {
    let parameter = DockerParameter {
        key: key.to_owned(),
        value,
    };
    if key != "volume-driver" || !spec.docker_parameters.contains(&parameter) {
        spec.docker_parameters.push(parameter);
    }
}

fn isolate(spec: &mut ContainerSpec, info: &LinuxInfo, places: &Places) {
    if let Some(seccomp) = &info.seccomp {
        spec.security.seccomp = Some(match &seccomp.profile_name {
            Some(name) => Seccomp::File(places.seccomp.join(name)),
            None => Seccomp::Unconfined,
        });
    }
    if let Some(ipc) = &info.ipc_info {
        match ipc.mode {
            IpcMode::ShareParent => spec.sharing.ipc = Some(SpecIpcMode::Host),
            IpcMode::Private => spec.resources.shm_size = ipc.shm_size.map(|mib| mib << 20),
        }
    }
}

fn connect(
    spec: &mut ContainerSpec,
    app: &App,
    ports: &[Assigned],
    places: &Places,
) -> Result<(), Fault> {
    let network = |it: &super::app::Network| match (it.mode, &it.name) {
        (NetworkMode::Host, _) => Ok(Network::Host),
        (NetworkMode::Container, Some(name)) => (places.network)(name),
        (NetworkMode::Bridge | NetworkMode::Container, _) => Ok(Network::Bridge),
    };
    for (place, it) in app.networks.iter().enumerate() {
        let endpoint = Endpoint {
            publish: published(app, place, ports)?,
            ..Endpoint::default()
        };
        match place {
            0 => (spec.network, spec.endpoint) = (Some(network(it)?), endpoint),
            _ => spec.more_networks.push(FurtherNetwork {
                network: network(it)?,
                endpoint,
            }),
        }
    }
    Ok(())
}

/// The ports of the host that lead to the app's end of a network. One that names none is on the
/// first.
fn published(app: &App, place: usize, ports: &[Assigned]) -> Result<Vec<Publish>, Fault> {
    let name = app.networks.get(place).and_then(|it| it.name.as_deref());
    let mut all = Vec::new();
    for (mapping, port) in app.port_mappings().iter().zip(ports) {
        let names = &mapping.network_names;
        let is_here = match names.first() {
            None => place == 0,
            Some(first) => Some(first.as_str()) == name,
        };
        let Some(host) = port.host.filter(|_| is_here) else {
            continue;
        };
        for protocol in protocols(port) {
            let text = format!("{host}:{}/{protocol}", port.inside(false));
            all.push(text.parse()?);
        }
    }
    Ok(all)
}

/// By their names.
pub(super) fn protocols(port: &Assigned) -> &'static [&'static str] {
    match port.protocol {
        super::app::Protocol::Tcp => &["tcp"],
        super::app::Protocol::Udp => &["udp"],
        super::app::Protocol::Both => &["udp", "tcp"],
    }
}

/// The first that names a network is it; the others are docker's, in their order.
fn add_parameters(spec: &mut ContainerSpec, app: &App) {
    let all = app.docker().map_or(&[][..], |docker| &docker.parameters);
    let mut is_named = false;
    for parameter in all {
        let names_network = matches!(parameter.key.as_str(), "net" | "network");
        if names_network && !is_named {
            is_named = true;
            if let Ok(network) = parameter.value.parse() {
                spec.network = Some(network);
                continue;
            }
            spec.network = None;
        }
        spec.docker_parameters.push(DockerParameter {
            key: parameter.key.clone(),
            value: parameter.value.clone(),
        });
    }
}

/// A fault of the definition that only this machine could find.
pub fn launch_fault(path: &str, text: &str, id: &str) -> Fault {
    Fault::new(Kind::Spec, format!("{path}: {text} [{id}]"))
}
