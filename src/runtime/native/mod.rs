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

mod command;
mod device;
mod interpreter;
mod monitor;
mod plan;
pub mod reaper;
mod rootfs;
mod stage;
mod status;
mod streams;
mod volume;

use anyhow::{Context, Result};

use crate::error::{Fault, Kind};
use crate::image::ChainId;
use crate::runtime::{ContainerRecord, State};
use crate::spec::ContainerSpec;
use crate::store::{ContainerDir, Image, Store};
use crate::sys;
use crate::sys::proc::Proc;
use crate::sys::process::{Exit, Namespaces};

use command::OwnProgram;
use monitor::Monitor;
pub use plan::{HostFacts, Plan, plan};
use stage::Stage;
use streams::Stdin;
use volume::Kept;

/// Everything but the network and the users is the container's own.
const NAMESPACES: Namespaces = Namespaces {
    mount: true,
    pid: true,
    ipc: true,
    uts: true,
    cgroup: true,
};

/// Where containers run.
#[derive(Debug)]
pub struct Native<'a> {
    /// Holds the layers.
    pub store: &'a Store,
    /// Holds the records.
    pub state: &'a State,
}

impl Native<'_> {
    /// Runs a container to its end and removes it. Fails before anything is started if the
    /// description makes no sense; with [`Kind::NoCommand`] or [`Kind::NotExecutable`] if the
    /// command cannot be executed.
    pub fn run(&self, image: &Image, spec: &ContainerSpec) -> Result<Exit> {
        if !sys::is_root() {
            return Err(
                Fault::new(Kind::Unsupported, "running containers needs root")
                    .hint("run ucr as root")
                    .into(),
            );
        }
        let plan = plan(spec, &image.config, &HostFacts::read()?)?;
        let id = sys::random_name()?;
        let mut kept = Kept::find(self.store, &plan.mounts)?;
        let leased: Vec<_> = image.layers.iter().chain(kept.layers()).cloned().collect();
        let directory = self.prepare(&id, &leased)?;
        kept.use_volumes(self.store, &plan.mounts)?;
        let monitor = Monitor::prepare(&plan)?;
        let (ours, theirs) = status::channel()?;
        let stage = Stage {
            store: self.store,
            layers: &image.layers,
            plan: &plan,
            directory: &directory,
            own: OwnProgram::find(&plan)?,
            stdin: Stdin::prepare(&plan)?,
            trees: volume::open(&plan.mounts)?,
            kept: &kept,
        };
        if !sys::process::is_single_threaded()? {
            return Err(Fault::new(Kind::Kernel, "internal: more than one thread at clone").into());
        }
        let start = move || {
            let code = stage.run(&theirs);
            // It has closed by number what it owns.
            std::mem::forget(stage);
            code
        };
        let child = sys::process::spawn(NAMESPACES, start).context("make namespaces")?;
        let pid = child.pid().as_raw_nonzero().get();
        // Recorded before it executes anything: from then on it could outlive us.
        let published = self.state.publish(&ContainerRecord {
            id,
            image: image.record.name.clone(),
            manifest: image.record.manifest_digest.clone(),
            pid,
            start_time: Proc::open()?.start_time(pid),
            argv: plan.process.argv.clone(),
            started_at: sys::now(),
            store: self.store.root().to_owned(),
            spec: spec.clone(),
        })?;
        ours.go()?;
        let exit = monitor.attend(&child, ours);
        if exit.is_err() {
            // A fault of the watching, not of the container: what nobody watches must not go on.
            // One that has ended already cannot be waited for again.
            child.signal(libc::SIGKILL)?;
            let _ = child.wait();
        }
        drop(published);
        exit
    }

    fn prepare(&self, id: &str, layers: &[ChainId]) -> Result<ContainerDir> {
        // Between this lock and the lease a prune cannot take the layers away.
        let _shared = self.store.lock_layers(layers)?;
        self.store.create_container(id, layers)
    }
}
