//! What an app needs before it can be started: ports, a sandbox, volumes, its description.

use std::path::Path;

use anyhow::Result;

use super::leases::{Leases, Preview};
use super::options::AppMachine;
use super::task::task;
use crate::cli::context::Context;
use crate::cli::{network, pull};
use crate::error::{Fault, Kind};
use crate::frontend::flags::BesideApp;
use crate::frontend::marathon::app::{App, Mode, Type, VolumeKind};
use crate::frontend::marathon::container::{Machine, Places, container, launch_fault};
use crate::frontend::marathon::environment::Task;
use crate::frontend::marathon::ports::{Assigned, Offer, Ranges, assign, wanted};
use crate::spec::{ContainerSpec, Network};
use crate::store::{Sandbox, SandboxRoom, Store, make_directory};
use crate::sys::proc::Proc;

/// Where profiles of filters of system calls are.
pub(in crate::cli) const SECCOMP: &str = "/etc/ucr/seccomp";

/// All that a start needs.
pub(super) struct Prepared<'a> {
    pub(super) spec: ContainerSpec,
    pub(super) ports: Vec<Assigned>,
    pub(super) sandbox: Sandbox,
    /// Held until the app has ended.
    _leases: Leases<'a>,
}

/// Who asks for what.
pub(super) struct Preparation<'a> {
    pub(super) context: &'a Context,
    pub(super) app: &'a App,
    pub(super) machine: &'a AppMachine,
    pub(super) beside: &'a BesideApp,
}

impl Preparation<'_> {
    /// Takes ports and makes directories.
    pub(super) fn prepare<'s>(&self, store: &Store, leases: Leases<'s>) -> Result<Prepared<'s>> {
        self.check_volumes()?;
        let mut leases = leases;
        let task = task(self.app, self.beside.name.clone())?;
        let ports = assign(&wanted(self.app), &self.machine.offer(), &mut leases)?;
        let sandbox = match &self.beside.sandbox {
            Some(path) => Sandbox::create(&self.context.absolute(path.clone())?, true)?,
            None => {
                let room = match self.app.container_type() {
                    Type::Mesos => SandboxRoom::Native,
                    Type::Docker => SandboxRoom::Engine,
                };
                store.create_sandbox(room, &task.id)?
            }
        };
        let spec = self.spec(store, &task, &ports, sandbox.path())?;
        Ok(Prepared {
            spec,
            ports,
            sandbox,
            _leases: leases,
        })
    }

    /// What would be made, with ports that are free now.
    pub(super) fn preview(&self, store: &Store) -> Result<(Task, ContainerSpec, Vec<Assigned>)> {
        let task = task(self.app, self.beside.name.clone())?;
        let wanted = wanted(self.app);
        let mut supply = Preview::new(&wanted);
        let ports = assign(&wanted, &self.machine.offer(), &mut supply)?;
        let sandbox = store.root().join("sandboxes").join(&task.id);
        let spec = self.spec(store, &task, &ports, &sandbox)?;
        Ok((task, spec, ports))
    }

    fn spec(
        &self,
        store: &Store,
        task: &Task,
        ports: &[Assigned],
        sandbox: &Path,
    ) -> Result<ContainerSpec> {
        let image = match self.app.docker() {
            Some(docker) => pull::name(self.context, &docker.image)?.to_string(),
            None => String::new(),
        };
        let seccomp = self.machine.seccomp_dir.clone();
        let seccomp = self
            .context
            .absolute(seccomp.unwrap_or_else(|| SECCOMP.into()))?;
        self.check_profile(&seccomp)?;
        let places = Places {
            image,
            sandbox,
            persistent: &|path| store.persistent_path(&self.app.id, path),
            network: &|name| self.network(store, name),
            seccomp: &seccomp,
        };
        let machine = Machine {
            memory: Proc::open()?.memory()?,
            limit_cpus: self.machine.limit_cpus,
            cgroups: self.beside.cgroups,
        };
        let mut spec = container(self.app, task, ports, &places, &machine)?;
        spec.stdin = self.beside.stdin;
        spec.init = self.beside.init;
        Ok(spec)
    }

    /// Of docker's, docker knows.
    fn network(&self, store: &Store, name: &str) -> Result<Network, Fault> {
        match self.app.container_type() {
            Type::Docker => name.parse(),
            Type::Mesos => network::named(store, name),
        }
    }

    fn check_profile(&self, directory: &Path) -> Result<(), Fault> {
        let info = self
            .app
            .container
            .as_ref()
            .and_then(|it| it.linux_info.as_ref());
        let seccomp = info.and_then(|info| info.seccomp.as_ref());
        let Some(name) = seccomp.and_then(|it| it.profile_name.as_ref()) else {
            return Ok(());
        };
        let is_name = !name.contains('/') && !matches!(name.as_str(), "" | "." | "..");
        if is_name && directory.join(name).is_file() {
            return Ok(());
        }
        let path = "/container/linuxInfo/seccomp/profileName";
        let text = format!("there is no profile '{name}' in {}", directory.display());
        Err(launch_fault(path, &text, "E:seccomp-profile")
            .hint("put it there, or say --seccomp-dir DIR"))
    }

    /// What has to be there, before anything is fetched.
    fn check_volumes(&self) -> Result<()> {
        for (index, volume) in self.app.volumes().iter().enumerate() {
            if let VolumeKind::Host(path) = &volume.kind
                && path.starts_with('/')
            {
                self.check_host_path(index, Path::new(path), volume.mode)?;
            }
        }
        Ok(())
    }

    /// Directories of the sandbox and of persistent volumes that the app may expect.
    pub(super) fn make_volumes(&self, store: &Store, sandbox: &Path) -> Result<()> {
        let volumes = self.app.volumes();
        let is_persistent = |name: &str| {
            let mut kept = volumes.iter();
            kept.any(|it| matches!(it.kind, VolumeKind::Persistent(_)) && it.container_path == name)
        };
        for (index, volume) in volumes.iter().enumerate() {
            match &volume.kind {
                VolumeKind::Persistent(_) => {
                    store.persistent(&self.app.id, &volume.container_path)?;
                }
                VolumeKind::Host(path) if !path.starts_with('/') => {
                    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
                    match is_persistent(first) {
                        true => {
                            let root = store.persistent(&self.app.id, first)?;
                            make_below(&root, Path::new(rest), index)?;
                        }
                        false => make_below(sandbox, Path::new(path), index)?,
                    }
                }
                VolumeKind::Host(_) | VolumeKind::Secret(_) | VolumeKind::External(_) => (),
            }
        }
        Ok(())
    }

    /// Docker makes a directory that is missing, as Marathon's users know it.
    fn check_host_path(&self, index: usize, path: &Path, mode: Option<Mode>) -> Result<()> {
        if path.exists() {
            return Ok(());
        }
        if self.app.container_type() == Type::Docker && mode == Some(Mode::Rw) {
            return Ok(std::fs::create_dir_all(path)?);
        }
        let text = format!("the host has no {}", path.display());
        let field = format!("/container/volumes({index})/hostPath");
        Err(launch_fault(&field, &text, "E:host-path-missing")
            .hint("make it, or mend the path")
            .into())
    }
}

/// A directory for a path that a definition says.
fn make_below(root: &Path, path: &Path, index: usize) -> Result<()> {
    make_directory(root, path).map_err(|fault| {
        let field = format!("/container/volumes({index})/hostPath");
        launch_fault(&field, &fault.to_string(), "E:host-path-missing")
            .hint("say a path below the sandbox without '..' and links")
            .into()
    })
}

impl AppMachine {
    /// What it offers.
    pub(super) fn offer(&self) -> Offer {
        Offer {
            ports: self.ports.clone().unwrap_or_default(),
            is_said: self.ports.is_some(),
            services: self
                .service_ports
                .clone()
                .unwrap_or_else(Ranges::of_services),
        }
    }
}

/// What only the machine of a container can tell, refused with the words of the definition.
pub(super) fn no_image(app: &App) -> Fault {
    let message = format!(
        "app {}: it has no image, so there is nothing to pull",
        app.id
    );
    Fault::new(Kind::Spec, message).hint("it runs on the host's filesystem: ucr run --app FILE")
}
