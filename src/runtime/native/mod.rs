//! The native runtime: namespaces, an overlay, and the image's command in them.
//!
//! ```text
//! ucr run ──clone3──► stage (pid 1 in there): mounts, identity ──exec──► the command
//!    │                                                          └──exec──► ucr-init ──fork──► the command
//!    └─ monitor: waits by pidfd, forwards signals, moves terminal bytes, cleans up
//! ```
//!
//! The parent is single-threaded when it clones. The stage reports over a socket that exec closes:
//! an error, the terminal's other end, or, by closing, success. All mounts live in the container's
//! mount namespace, so nothing is left of them when it ends, however it ends.

mod apart;
mod apparmor;
pub mod cdi;
pub mod cgroup;
mod command;
mod copies;
mod device;
mod handles;
mod hook;
mod host;
mod interpreter;
mod monitor;
pub mod network;
mod own_file;
mod plan;
pub mod reaper;
mod rootfs;
pub mod seccomp;
mod secrets;
mod stage;
mod status;
mod streams;
mod users;
mod volume;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::error::{Fault, Kind};
use crate::image::ChainId;
use crate::runtime::{ContainerRecord, State};
use crate::spec::{ContainerSpec, Network};
use crate::store::{ContainerDir, Image, Store};
use crate::sys;
use crate::sys::proc::Proc;
use crate::sys::process::{Child, Exit, spawn_into};
use crate::sys::users::{Range, set_map};

pub use apparmor::AppArmor;
use handles::{Basis, Handles};
pub use host::{HostFacts, host_name};
use monitor::Monitor;
use network::{Connection, Joined};
pub use plan::{Plan, plan};
use stage::Stage;
use status::Listener;
use users::Leased;
use volume::Kept;

/// Where containers run.
#[derive(Debug)]
pub struct Native<'a> {
    /// Holds the layers.
    pub store: &'a Store,
    /// Holds the records.
    pub state: &'a State,
    /// Hold the descriptions of CDI devices; later ones win.
    pub cdi_directories: &'a [PathBuf],
}

impl Native<'_> {
    /// Runs a container to its end and removes it. Fails before anything is started if the
    /// description makes no sense; with [`Kind::NoCommand`] or [`Kind::NotExecutable`] if the
    /// command cannot be executed.
    /// Notes for the curious go to `note`.
    pub fn run(&self, image: &Image, spec: &ContainerSpec, note: &dyn Fn(&str)) -> Result<Ended> {
        if !sys::is_root() {
            return Err(
                Fault::new(Kind::Unsupported, "running containers needs root")
                    .hint("run ucr as root")
                    .into(),
            );
        }
        let id = sys::random_name()?;
        let mut host = HostFacts::read(spec, self.cdi_directories)?;
        let joined = match spec.network() {
            Network::Container(id) => Some(Joined::find(self.store, self.state, &id)?),
            _ => None,
        };
        host.joined = joined.as_ref().map(|joined| joined.names.clone());
        host.can_make_containers()?;
        let mut plan = plan(spec, &image.config, &host, &id)?;
        plan.notes.iter().for_each(|text| note(text));
        let mut kept = Kept::find(self.store, &plan.mounts)?;
        let leased: Vec<_> = image.layers.iter().chain(kept.layers()).cloned().collect();
        let directory = self.prepare(&id, &leased)?;
        kept.use_volumes(self.store, &plan.mounts)?;
        let monitor = Monitor::prepare(&plan)?;
        let users = Leased::take(&plan, self.state)?;
        let mut connection = Connection::prepare(plan.bridged.as_ref(), self.store, self.state)?;
        if let Some(connection) = &connection {
            let addresses = connection.addresses();
            plan.name_addresses(addresses.ip, addresses.ip6);
        }
        let mut record = self.record(id, image, spec, &plan);
        record.connection = connection.as_ref().map(Connection::record);
        // Before there are cgroups, so that whoever finds the record can remove them.
        let published = self.state.publish(&record)?;
        let cgroups = plan.cgroups.create()?;
        let new = |text: &&String| !plan.notes.contains(text);
        cgroups
            .notes()
            .iter()
            .filter(new)
            .for_each(|text| note(text));
        let users = users.as_ref().map(Leased::ranges);
        let basis = Basis {
            store: self.store,
            layers: &image.layers,
            directory: &directory,
            cgroups: &cgroups,
            kept: &kept,
            ids: users,
        };
        let (streams, copies) = copies::prepare(&plan).context("connect standard streams")?;
        let handles = Handles::open(&plan, &basis, streams)?;
        let stage = Stage {
            store: self.store,
            layers: &image.layers,
            plan: &plan,
            directory: &directory,
            handles,
            cgroups: &cgroups,
            kept: &kept,
            network: joined.as_ref().map(|joined| &joined.namespace),
        };
        let (child, listener) = start(stage, users)?;
        let connected = connection.as_ref().map_or(Ok(()), |it| it.connect(&child));
        record.pid = child.pid().as_raw_nonzero().get();
        let proc = Proc::open()?;
        record.start_time = proc.start_time(record.pid);
        // By us: in a user namespace of its own it might not.
        if let Some(score) = plan.oom_score_adj {
            proc.write(&format!("{}/oom_score_adj", record.pid), &score.to_string())
                .context("out-of-memory score")?;
        }
        // Before it executes anything: from then on it could outlive us.
        published.update(&record)?;
        // What others left that died, while the stage is busy and we are not.
        self.state.heal();
        self.store.heal();
        let forwarder = connection.as_mut().and_then(Connection::forwarder);
        let exit = match connected {
            // Of a container that failed by itself, it says why.
            Err(error) if !listener.is_closed() => Err(error),
            connected => listener
                .go()
                .and_then(|()| monitor.attend(&child, listener, copies, forwarder))
                .and_then(|exit| connected.map(|()| exit)),
        };
        if exit.is_err() {
            // A fault of the watching, not of the container: what nobody watches must not go on.
            // One that has ended already cannot be waited for again.
            child.signal(libc::SIGKILL)?;
            let _ = child.wait();
        }
        let oom_kills = cgroups.oom_kills().unwrap_or(0);
        let removed = cgroups.destroy();
        Ok(Ended {
            exit: exit?,
            oom_kills: removed.map(|()| oom_kills)?,
        })
    }

    fn record(
        &self,
        id: String,
        image: &Image,
        spec: &ContainerSpec,
        plan: &Plan,
    ) -> ContainerRecord {
        ContainerRecord {
            id,
            image: image.record.name.clone(),
            manifest: image.record.manifest_digest.clone(),
            pid: 0,
            start_time: None,
            argv: plan.process.argv.clone(),
            started_at: sys::now(),
            store: self.store.root().to_owned(),
            cgroups: plan
                .cgroups
                .groups
                .iter()
                .map(cgroup::Group::path)
                .collect(),
            connection: None,
            spec: spec.clone(),
        }
    }

    fn prepare(&self, id: &str, layers: &[ChainId]) -> Result<ContainerDir> {
        // Between this lock and the lease a prune cannot take the layers away.
        let _shared = self.store.lock_layers(layers)?;
        self.store.create_container(id, layers)
    }
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How its first process did.
    pub exit: Exit,
    /// How many of its processes the kernel killed because its memory was used up.
    pub oom_kills: u64,
}

/// Starts the first process, which builds its root filesystem and then waits to be let go.
fn start(stage: Stage, users: Option<&[Range]>) -> Result<(Child, Listener)> {
    if !sys::process::is_single_threaded()? {
        return Err(Fault::new(Kind::Kernel, "internal: more than one thread at clone").into());
    }
    let (listener, reporter) = status::channel()?;
    let (namespaces, cgroup) = (stage.plan.namespaces, stage.cgroups.clone_into());
    let plan = stage.plan;
    let child = spawn_into(namespaces, cgroup, move || stage.run(&reporter));
    let child = child.context("make namespaces")?;
    if let Some(users) = users {
        for limit in &plan.ulimits {
            limit.permit(child.pid())?;
        }
        set_map(&child, users, users).context("map the container's users")?;
        listener.users_are_mapped()?;
    }
    Ok((child, listener))
}

/// What would be done.
pub fn dry_run(image: &Image, spec: &ContainerSpec, cdi_directories: &[PathBuf]) -> Result<Plan> {
    let host = HostFacts::read(spec, cdi_directories)?;
    plan(spec, &image.config, &host, "0123456789ab")
}
