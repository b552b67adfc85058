//! One container of this process: made, started, watched, perhaps started again, and ended.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};

use super::cgroup::{self, Cgroups};
use super::console::Console;
use super::copies::{self, Copy};
use super::handles::{Basis, Handles};
use super::health::Health;
use super::monitor::{Io, Monitor};
use super::network::cni::{Attached, Cni};
use super::network::{Carriage, Carrying, Connection, Forwarder, Joined, namespace_of};
use super::own_file::LateFiles;
use super::plan::{self, Plan};
use super::stage::Stage;
use super::status::{self, Listener};
use super::users::Leased;
use super::volume::Kept;
use super::{Asked, HostFacts, Native};
use crate::error::{self, Fault, Kind};
use crate::exit;
use crate::runtime::{
    self, ContainerRecord, Ended, Event, Happening, HealthFile, HealthState, Life, Published,
    Started,
};
use crate::spec::{Network, Restart, SignalNumber};
use crate::store::{ContainerDir, Lease};
use crate::sys;
use crate::sys::namespace::with_children_in;
use crate::sys::proc::Proc;
use crate::sys::process::{self, Child, Exit, spawn_into};
use crate::sys::users::{Range, set_map};

/// How long it waits before it starts a container again: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A container that ran so long is not one that fails at once.
const WELL: u64 = 10;

/// A container with everything that it keeps from one start to the next.
pub(super) struct Container<'a> {
    native: &'a Native<'a>,
    asked: &'a Asked<'a>,
    plan: Plan,
    kept: Kept,
    record: ContainerRecord,
    monitor: Monitor,
    health: Option<HealthFile>,
    // In this order they are let go: the record last, so that whoever finds it can end the rest.
    directory: ContainerDir,
    users: Option<Leased>,
    connection: Option<Connection>,
    plugged: Option<Plugged>,
    carriage: Option<Carriage>,
    joined: Option<Joined>,
    published: Published,
}

/// The networks that plugins make, and what the stage is told of them.
#[derive(Debug)]
struct Plugged {
    /// In the order of its devices.
    networks: Vec<Cni>,
    files: LateFiles,
}

/// What there is of a container whose first process has been started, and waits.
struct Begun {
    listener: Listener,
    copies: Vec<Copy>,
    /// Its network, where that is carried.
    network: Option<OwnedFd>,
}

impl<'a> Container<'a> {
    /// Decides all that can be decided, takes what nobody else may have, and publishes the record.
    pub(super) fn make(native: &'a Native<'a>, asked: &'a Asked<'a>) -> Result<Self> {
        let spec = asked.spec;
        let mut host = HostFacts::read(spec, native.cdi_directories)?;
        let joined = match spec.network() {
            Network::Container(id) => Some(Joined::find(native.store, native.state, &id)?),
            _ => None,
        };
        host.joined = joined.as_ref().map(|joined| joined.names.clone());
        host.can_make_containers()?;
        let mut plan = plan::plan(spec, &asked.config(), &host, asked.id)?;
        plan.notes
            .iter()
            .for_each(|text| (asked.happened)(&Happening::Note(text)));
        let mut kept = Kept::find(native.store, &plan.mounts)?;
        let lease = Lease {
            layers: asked
                .layers()
                .iter()
                .chain(kept.layers())
                .cloned()
                .collect(),
        };
        let directory = native.prepare(asked.id, &lease)?;
        kept.use_volumes(native.store, &plan.mounts)?;
        let monitor = Monitor::prepare()?;
        let users = Leased::take(&plan, native.state)?;
        let connection = Connection::prepare(plan.bridged.as_ref(), native.store, native.state)?;
        let plugged = plugged(native, asked, &plan)?;
        let carriage = Carriage::prepare(plan.bridged.as_ref())?;
        let mut record = record(native, asked, &plan)?;
        let connected = connection.as_ref().map(Connection::record);
        record.connection = connected.or_else(|| carriage.as_ref().map(Carriage::record));
        if let Some(connection) = &record.connection {
            plan.name_addresses(connection.addresses.ip, connection.addresses.ip6);
        }
        // Before there are cgroups, so that whoever finds the record can remove them.
        let published = native.state.publish(&record, native.store)?;
        let health = record
            .has_health
            .then(|| native.state.publish_health(asked.id));
        Ok(Self {
            native,
            asked,
            plan,
            kept,
            record,
            monitor,
            health: health.transpose()?,
            directory,
            users,
            connection,
            plugged,
            carriage,
            joined,
            published,
        })
    }

    /// Runs it to its last end. Fails if its first start does.
    pub(super) fn run(&self, console: &mut Option<Console>) -> Result<Ended> {
        let (mut is_first, mut failures, mut pause) = (true, 0, FIRST_PAUSE);
        loop {
            let start = sys::now();
            let ended = match self.run_once(console.as_mut(), is_first) {
                // Kept from when its command was executed.
                Err(error) if is_first && !self.native.store.is_kept(&self.record.id) => {
                    return Err(error);
                }
                ended => ended.unwrap_or_else(|error| failed(&error)),
            };
            if ended.at.saturating_sub(start) >= WELL {
                (failures, pause) = (0, FIRST_PAUSE);
            }
            failures += 1;
            if self.is_over(&ended, failures) {
                return self.end(ended);
            }
            let is_over = || self.is_over(&ended, failures);
            self.monitor.pause(pause, console.as_mut(), &is_over)?;
            if self.is_over(&ended, failures) {
                return self.end(ended);
            }
            is_first = false;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.directory.reuse()?;
        }
    }

    /// Whether this was the last end.
    fn is_over(&self, ended: &Ended, failures: u32) -> bool {
        let is_wanted = match self.asked.spec.restart {
            None | Some(Restart::No) => false,
            Some(Restart::OnFailure(most)) => {
                ended.exit.code() != 0 && most.is_none_or(|most| failures <= most)
            }
            Some(Restart::Always | Restart::UnlessStopped) => true,
        };
        !is_wanted || self.monitor.was_stopped() || ended.is_meant
    }

    /// Whether somebody asked for its end.
    fn is_meant(&self) -> bool {
        self.published.life().is_ok_and(|life| life.is_stopping)
    }

    /// From the first process to its end.
    fn run_once(&self, mut console: Option<&mut Console>, is_first: bool) -> Result<Ended> {
        let cgroups = self.plan.cgroups.create()?;
        let new = |text: &&String| !self.plan.notes.contains(text);
        let note = |text: &String| (self.asked.happened)(&Happening::Note(text));
        cgroups.notes().iter().filter(new).for_each(note);
        let (child, begun) = self.start(&cgroups, console.as_deref_mut())?;
        let exit = self.watch(&child, begun, console.as_deref_mut(), is_first);
        if exit.is_err() {
            // A fault of the watching, not of the container: what nobody watches must not go on.
            // One that has ended already cannot be waited for again.
            child.signal(libc::SIGKILL)?;
            let _ = child.wait();
        }
        let oom_kills = cgroups.oom_kills().unwrap_or(0);
        let removed = cgroups.destroy();
        let failed = self.unplug();
        failed.iter().for_each(note);
        let error = console.and_then(Console::drain).or(failed);
        let exit = exit?;
        removed?;
        Ok(Ended {
            exit,
            oom_kills,
            at: sys::now(),
            error,
            is_meant: self.is_meant(),
        })
    }

    fn start(&self, cgroups: &Cgroups, console: Option<&mut Console>) -> Result<(Child, Begun)> {
        let size = console.as_ref().and_then(|console| console.size());
        let (streams, copies) = match console {
            _ if self.plan.tty => Default::default(),
            Some(console) => (console.make_pipes(self.plan.stdin)?, Vec::new()),
            None => copies::prepare(&self.plan).context("connect standard streams")?,
        };
        let users = self.users.as_ref().map(Leased::ranges);
        let basis = Basis {
            store: self.native.store,
            state: self.native.state,
            layers: self.asked.layers(),
            directory: &self.directory,
            cgroups,
            kept: &self.kept,
            given: self.asked.values,
            ids: users,
        };
        let stage = Stage {
            plan: &self.plan,
            handles: Handles::open(&self.plan, &basis, streams)?,
            basis,
            locks: self.locks(),
            size,
            network: self.joined.as_ref().map(|joined| &joined.namespace),
            late: self.plugged.as_ref().map(|plugged| &plugged.files),
        };
        let (child, listener) = start(stage, users)?;
        let mut begun = Begun {
            listener,
            copies,
            network: None,
        };
        if self.carriage.is_some() {
            // Of a process that has changed its user, nobody without root may open it.
            begun.network = Some(namespace_of(&child).context("reach the container's network")?);
            begun.listener.users_are_known()?;
        }
        Ok((child, begun))
    }

    fn connect(&self, child: &Child, network: Option<OwnedFd>) -> Result<Option<Carrying>> {
        if let Some(connection) = &self.connection {
            connection.connect(child)?;
        }
        let carried = self.carriage.as_ref().zip(network);
        let start = |(it, network): (&Carriage, OwnedFd)| it.start(&network, self.directory.path());
        carried.map(start).transpose()
    }

    /// What holds locks of this process.
    fn locks(&self) -> Vec<std::os::fd::BorrowedFd<'_>> {
        let users = self.users.as_ref().and_then(Leased::lock);
        let volumes = self.kept.locks();
        let own = [self.directory.lock(), self.published.lock()];
        let network = self.connection.iter().flat_map(Connection::locks);
        let locks = own.into_iter().chain(users).chain(volumes);
        locks.chain(network).collect()
    }

    fn watch(
        &self,
        child: &Child,
        begun: Begun,
        console: Option<&mut Console>,
        is_first: bool,
    ) -> Result<Exit> {
        let Begun {
            listener,
            copies,
            network,
        } = begun;
        let connected = self.connect(child, network);
        // Before anybody sees this start: an earlier one's health is not this one's.
        let no_health_yet = |file: &HealthFile| file.write(&HealthState::default());
        self.health.as_ref().map_or(Ok(()), no_health_yet)?;
        let started = self.register(child)?;
        // What others left that died, while the stage is busy and we are not.
        self.native.state.heal(self.native.store);
        let connected = connected.and_then(|carrying| Ok((carrying, self.plug(child, &listener)?)));
        if connected.is_err() && !listener.is_closed() {
            return connected.map(|_| Exit::Code(exit::FAULT));
        }
        listener.go()?;
        let announce = || self.announce(&started, is_first);
        let of_bridge = self.connection.as_ref().and_then(Connection::forwarder);
        let plugged = connected.iter().flat_map(|(_, forwarders)| forwarders);
        let mut health = self.health(started)?;
        let io = Io {
            copies,
            console,
            forwarders: of_bridge.into_iter().chain(plugged).collect(),
            health: health.as_mut(),
        };
        let exit = self.monitor.attend(child, listener, io, &announce)?;
        // A container that failed by itself has said why.
        connected.map(|_| exit)
    }

    fn health(&self, started: Started) -> Result<Option<Health<'_>>> {
        let (Some(check), Some(file)) = (&self.plan.health, &self.health) else {
            return Ok(None);
        };
        let container = runtime::Container {
            record: self.record.clone(),
            life: Life {
                started: Some(started),
                ..Life::default()
            },
            is_watched: true,
        };
        Health::new(check, self.asked, file, container).map(Some)
    }

    /// Has plugins connect it, where there are any, and tells the stage what they gave.
    fn plug(&self, child: &Child, listener: &Listener) -> Result<Vec<Forwarder>> {
        let Some(Plugged { networks, files }) = &self.plugged else {
            return Ok(Vec::new());
        };
        let is_over = || {
            let is_meant = self.monitor.is_asked_to_end()? || self.published.life()?.is_stopping;
            Ok(is_meant || listener.is_closed())
        };
        // One that fails has been undone; those before it are when the start has failed.
        let connect = |cni: &Cni| cni.connect(child, &is_over);
        let attached: Vec<_> = networks.iter().map(connect).collect::<Result<_>>()?;
        let forwarders = networks.iter().zip(&attached);
        let forwarders = forwarders.map(|(cni, attached)| cni.forwarder(attached));
        let forwarders: Vec<_> = forwarders.collect::<Result<_>>()?;
        let attached = Attached::of_all(attached).context("internal: no network")?;
        let (own, servers) = (attached.own(), attached.resolv_conf());
        let naming = &self.asked.spec.naming;
        files.write(&self.plan.files_with(&own, servers.as_deref(), naming))?;
        self.published.add(&Event::Attached(attached))?;
        listener.names_are_known()?;
        Ok(forwarders.into_iter().flatten().collect())
    }

    /// Has plugins disconnect it; what they say if they cannot does not change how it ended.
    fn unplug(&self) -> Option<String> {
        let networks = self.plugged.as_ref()?.networks.iter().rev();
        let failed: Vec<_> = networks.filter_map(|cni| cni.disconnect().err()).collect();
        let why = error::render(failed.first()?);
        Some(format!("{why}: the next command tries it again"))
    }

    /// Writes down who the first process is, before it executes anything: from then on it could
    /// outlive us.
    fn register(&self, child: &Child) -> Result<Started> {
        let pid = child.pid().as_raw_nonzero().get();
        let proc = Proc::open()?;
        // By us: in a user namespace of its own it might not.
        if let Some(score) = self.plan.oom_score_adj {
            proc.write(&format!("{pid}/oom_score_adj"), &score.to_string())
                .context("out-of-memory score")?;
        }
        let started = Started {
            pid,
            start_time: proc.start_time(pid),
            at: sys::now(),
        };
        self.published.add(&Event::Started(started))?;
        Ok(started)
    }

    /// The command is being executed.
    fn announce(&self, started: &Started, is_first: bool) -> Result<()> {
        if self.record.is_kept && is_first {
            self.native
                .store
                .keep_container(&self.directory, &self.record)?;
        }
        (self.asked.happened)(&Happening::Started {
            id: &self.record.id,
            pid: started.pid,
        });
        Ok(())
    }

    fn end(&self, ended: Ended) -> Result<Ended> {
        self.published.add(&Event::Ended(ended.clone()))?;
        if self.record.is_kept {
            let life = self.published.life()?;
            let written = self.native.store.container_ended(&self.record.id, &life);
            // As on a full disk.
            written.inspect_err(|_| self.published.leave())?;
        }
        Ok(ended)
    }
}

fn plugged(native: &Native, asked: &Asked, plan: &Plan) -> Result<Option<Plugged>> {
    let (naming, id) = (&asked.spec.naming, asked.id);
    let prepare = |network| Cni::prepare(network, naming, native.state, native.cni, id);
    let networks = plan.plugged.iter().enumerate().map(prepare);
    let networks = networks.collect::<Result<Vec<_>>>()?;
    if networks.is_empty() {
        return Ok(None);
    }
    Ok(Some(Plugged {
        networks,
        files: LateFiles::new()?,
    }))
}

/// A start that failed, of a container that had been started before.
fn failed(error: &anyhow::Error) -> Ended {
    let exit = match error::kind(error) {
        Kind::NoCommand => exit::NOT_FOUND,
        Kind::NotExecutable => exit::NOT_EXECUTABLE,
        _ => exit::FAULT,
    };
    Ended {
        exit: Exit::Code(exit),
        oom_kills: 0,
        at: sys::now(),
        error: Some(error::render(error)),
        is_meant: false,
    }
}

fn record(native: &Native, asked: &Asked, plan: &Plan) -> Result<ContainerRecord> {
    let spec = asked.spec;
    let config = asked.config();
    let stop_signal = match spec.stop_signal {
        Some(signal) => signal,
        None => config
            .stop_signal
            .as_deref()
            .map_or(Ok(SignalNumber::TERM), |text| {
                text.parse().context("the image's stop signal")
            })?,
    };
    let image = asked.image.map(|image| &image.record);
    Ok(ContainerRecord {
        id: asked.id.to_owned(),
        image: image.map_or_else(String::new, |it| it.name.clone()),
        manifest: image.map(|it| it.manifest_digest.clone()),
        process: plan.process.clone(),
        stop_signal: stop_signal.number(),
        created_at: sys::now(),
        store: native.store.root().to_owned(),
        layers: asked.layers().to_vec(),
        cgroups: plan
            .cgroups
            .groups
            .iter()
            .map(cgroup::Group::path)
            .collect(),
        is_kept: asked.is_kept,
        has_console: asked.has_console,
        has_health: plan.health.is_some()
            || asked.spec.app.as_ref().is_some_and(|app| app.is_checked),
        connection: None,
        spec: spec.clone(),
    })
}

/// Starts the first process, which builds its root filesystem and then waits to be let go.
fn start(stage: Stage, users: Option<&[Range]>) -> Result<(Child, Listener)> {
    if !process::is_single_threaded()? {
        return Err(Fault::new(Kind::Kernel, "internal: more than one thread at clone").into());
    }
    let (listener, reporter) = status::channel()?;
    let plan = stage.plan;
    let (namespaces, cgroup) = (plan.namespaces, stage.basis.cgroups.clone_into());
    let other = stage.handles.joined.pid.as_ref().map(OwnedFd::try_clone);
    let other = other.transpose()?;
    // A user's may not even be given a score by its ucr, as long as its files in /proc are root's.
    let is_users = plan.mapping.is_some();
    if is_users {
        process::become_dumpable()?;
    }
    let spawn = || spawn_into(namespaces, cgroup, move || stage.run(&reporter));
    let child = match &other {
        None => spawn().context("make namespaces"),
        Some(other) => start_among(other, spawn),
    };
    if is_users {
        process::become_undumpable()?;
    }
    let child = child?;
    if let Some(users) = users {
        for limit in &plan.ulimits {
            limit.permit(child.pid())?;
        }
        set_map(&child, users, users).context("map the container's users")?;
        listener.users_are_known()?;
    }
    Ok((child, listener))
}

/// Starts the first process among those of another container.
fn start_among(other: &OwnedFd, spawn: impl FnOnce() -> std::io::Result<Child>) -> Result<Child> {
    let (child, back) = with_children_in(other.as_fd(), spawn)
        .context("enter the other container's pid namespace")?;
    let child = child.context("make namespaces")?;
    if back.is_err() {
        child.signal(libc::SIGKILL)?;
        let _ = child.wait();
    }
    back.context("leave the other container's pid namespace")?;
    Ok(child)
}
