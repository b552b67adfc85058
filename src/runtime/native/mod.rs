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
mod console;
mod container;
mod copies;
mod device;
mod exec;
mod ground;
mod handles;
mod health;
mod hook;
mod host;
mod join;
mod monitor;
pub mod network;
mod observe;
mod own_file;
mod plan;
mod privileges;
pub mod reaper;
mod rootfs;
pub mod seccomp;
mod secrets;
mod stage;
mod status;
mod streams;
mod users;
mod volume;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use anyhow::Result;

use crate::error::{Fault, Kind};
use crate::image::{ChainId, ImageConfig};
use crate::runtime::{Ended, Happening, State};
use crate::spec::{ContainerSpec, GivenValues, Network};
use crate::store::{ContainerDir, Image, Lease, Store};
use crate::sys;
use crate::sys::tty::Size;

pub use apparmor::AppArmor;
pub use console::{
    Attached, Attachment, Channel, Console, DetachKeys, Line, LogReader, Owner, Stream, attach,
    connect,
};
use container::Container;
pub use exec::{Command, Streams, exec};
pub use host::{HostFacts, host_name};
use network::cni::Places;
pub use observe::{Process, Sample, Stopped, processes, root, sample, users};
pub use plan::{Plan, plan};

/// Where containers run.
#[derive(Debug)]
pub struct Native<'a> {
    /// Holds the layers.
    pub store: &'a Store,
    /// Holds the records.
    pub state: &'a State,
    /// Hold the descriptions of CDI devices; later ones win.
    pub cdi_directories: &'a [PathBuf],
    /// Have the networks that plugins make.
    pub cni: &'a Places,
}

/// A container that is to run.
pub struct Asked<'a> {
    /// Twelve hex digits that no other container has.
    pub id: &'a str,
    /// What it is made of; nothing, where the description names a directory.
    pub image: Option<&'a Image>,
    /// What it is to be like.
    pub spec: &'a ContainerSpec,
    /// Values of its secrets that were given, for every start of it.
    pub values: &'a GivenValues,
    /// It stays after its end.
    pub is_kept: bool,
    /// Its streams are not this process's, but a console's.
    pub has_console: bool,
    /// The size of its terminal.
    pub size: Option<Size>,
    /// Is told what happens to it.
    pub happened: &'a dyn Fn(&Happening),
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.debug_struct("Asked")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<'a> Asked<'a> {
    /// What its image says.
    fn config(&self) -> Cow<'a, ImageConfig> {
        config(self.image)
    }

    /// Its image's layers, bottom first.
    fn layers(&self) -> &'a [ChainId] {
        self.image.map_or(&[], |image| &image.layers)
    }
}

fn config(image: Option<&Image>) -> Cow<'_, ImageConfig> {
    match image {
        Some(image) => Cow::Borrowed(&image.config),
        None => Cow::Owned(ImageConfig::none()),
    }
}

impl Native<'_> {
    /// Runs a container to its end and removes it, unless it is kept. Fails before anything is
    /// started if the description makes no sense; with [`Kind::NoCommand`] or
    /// [`Kind::NotExecutable`] if the command cannot be executed. `owner` is attached to it from
    /// the start, if it has a console.
    pub fn run(&self, asked: &Asked, owner: Option<Owner>) -> Result<Ended> {
        if !sys::is_root() {
            return Err(
                Fault::new(Kind::Unsupported, "running containers needs root")
                    .hint("run ucr as root")
                    .into(),
            );
        }
        let container = Container::make(self, asked)?;
        let mut console = match asked.has_console {
            true => Some(self.console(asked, owner)?),
            false => None,
        };
        (asked.happened)(&Happening::Created { id: asked.id });
        let ended = container.run(&mut console)?;
        // Who waits for the end need not wait for those who read slowly.
        drop(container);
        if let Some(console) = console {
            console.close(ended.exit, ended.oom_kills);
        }
        Ok(ended)
    }

    fn console(&self, asked: &Asked, owner: Option<Owner>) -> Result<Console> {
        let mut console = Console::new(asked.spec.tty)?;
        if !asked.spec.log.none {
            let path = self.store.container_log(asked.id);
            console.keep_log(&path, asked.spec.log.max_size)?;
        }
        console.set_size(asked.size);
        console.listen(&self.state.consoles(), asked.id)?;
        owner.map_or(Ok(()), |owner| console.adopt(owner))?;
        Ok(console)
    }

    fn prepare(&self, id: &str, lease: &Lease) -> Result<ContainerDir> {
        // Between this lock and the lease a prune cannot take the layers away.
        let _shared = self.store.lock_layers(&lease.layers)?;
        self.store.create_container(id, lease)
    }
}

/// Refuses what only another runtime can do. Fails with [`Kind::Unsupported`].
pub fn check(spec: &ContainerSpec) -> Result<(), Fault> {
    check_networks(spec)?;
    match spec.docker_parameters.first() {
        None => Ok(()),
        Some(parameter) => {
            let key = &parameter.key;
            let message = format!("docker_parameters[0] (--docker-param {key}): they are docker's");
            Err(Fault::new(Kind::Unsupported, message)
                .hint("say --runtime docker, or leave it out"))
        }
    }
}

/// Refuses devices that no CDI file describes. Fails as a start would.
pub fn check_devices(spec: &ContainerSpec, cdi_directories: &[PathBuf]) -> Result<()> {
    host::cdi_edits(spec, cdi_directories).map(drop)
}

/// Plugins each know one network of several; the bridges of ucr's own are alone.
fn check_networks(spec: &ContainerSpec) -> Result<(), Fault> {
    let first = (spec.network(), "network".to_owned());
    let further = spec.more_networks.iter().enumerate();
    let further = further.map(|(at, it)| (it.network.clone(), format!("more_networks[{at}]")));
    let mut all = std::iter::once(first).chain(further);
    let is_bridged = |(network, _): &(Network, String)| !matches!(network, Network::Cni(_));
    match all
        .find(is_bridged)
        .filter(|_| !spec.more_networks.is_empty())
    {
        None => Ok(()),
        Some((network, field)) => {
            let message =
                format!("{field} (--network {network}): of several networks each must be cni:NAME");
            Err(Fault::new(Kind::Unsupported, message)
                .hint("leave out all but one --network, or make CNI lists of them"))
        }
    }
}

/// What would be done.
pub fn dry_run(
    image: Option<&Image>,
    spec: &ContainerSpec,
    cdi_directories: &[PathBuf],
) -> Result<Plan> {
    check(spec)?;
    let host = HostFacts::read(spec, cdi_directories)?;
    plan(spec, &config(image), &host, "0123456789ab")
}
