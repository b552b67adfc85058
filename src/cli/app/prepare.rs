//! What an app needs before it can be started: ports, a sandbox, volumes, its description.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::leases::Leases;
use super::options::AppMachine;
use super::task::task;
use crate::cli::context::Context;
use crate::cli::pull;
use crate::error::{Fault, Kind};
use crate::frontend::flags::BesideApp;
use crate::frontend::marathon::app::{App, Mode, Type, VolumeKind};
use crate::frontend::marathon::container::{Machine, Places, container, host_path, launch_fault};
use crate::frontend::marathon::environment::Task;
use crate::frontend::marathon::ports::{Assigned, Offer, Ranges, Supply, assign, wanted};
use crate::spec::{ContainerSpec, Network};
use crate::store::{Sandbox, Store};
use crate::sys::proc::Proc;

/// Where profiles of filters of system calls are.
const SECCOMP: &str = "/etc/ucr/seccomp";

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
        let mut leases = leases;
        let task = task(self.app, self.beside.name.clone())?;
        let ports = assign(&wanted(self.app), &self.machine.offer(), &mut leases)?;
        let sandbox = match &self.beside.sandbox {
            Some(path) => Sandbox::create(&self.context.absolute(path.clone())?, true)?,
            None => store.create_sandbox(&task.id)?,
        };
        self.make_volumes(store, sandbox.path())?;
        let spec = self.spec(store, &task, &ports, sandbox.path())?;
        Ok(Prepared {
            spec,
            ports,
            sandbox,
            _leases: leases,
        })
    }

    /// What would be made, with ports that are free now.
    pub(super) fn preview(
        &self,
        store: &Store,
        supply: &mut dyn Supply,
    ) -> Result<(Task, ContainerSpec, Vec<Assigned>)> {
        let task = task(self.app, self.beside.name.clone())?;
        let ports = assign(&wanted(self.app), &self.machine.offer(), supply)?;
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
        Ok(spec)
    }

    /// One that `ucr network create` made, or else one of CNI's; of docker's, docker knows.
    fn network(&self, store: &Store, name: &str) -> Result<Network, Fault> {
        if self.app.container_type() == Type::Docker {
            return name.parse();
        }
        let is_made = crate::spec::network_name(name).is_ok_and(|name| {
            let found = store.network(&name);
            found.is_ok_and(|found| found.is_some())
        });
        match is_made {
            true => name.parse(),
            false => format!("cni:{name}").parse(),
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

    /// Directories that the app may expect, and those of the host that have to be there.
    fn make_volumes(&self, store: &Store, sandbox: &Path) -> Result<()> {
        let persistent = |path: &str| {
            let volumes = self.app.volumes().iter();
            let mut kept = volumes.filter(|it| matches!(it.kind, VolumeKind::Persistent(_)));
            kept.any(|it| Some(it.container_path.as_str()) == path.split('/').next())
        };
        for (index, volume) in self.app.volumes().iter().enumerate() {
            match &volume.kind {
                VolumeKind::Persistent(_) => {
                    store.persistent(&self.app.id, &volume.container_path)?;
                }
                VolumeKind::Host(path) if path.starts_with('/') => {
                    self.check_host_path(index, Path::new(path), volume.mode)?;
                }
                VolumeKind::Host(path) if !persistent(path) => {
                    make_below(sandbox, Path::new(path), index)?;
                }
                VolumeKind::Host(_) | VolumeKind::Secret(_) | VolumeKind::External(_) => (),
            }
        }
        Ok(())
    }

    /// Before a start: what a volume takes from the sandbox, or from what is kept, is still in
    /// there. The container of the last run, and what was fetched, may have put symbolic links in
    /// the way, which a mount would follow on the host.
    pub(super) fn check_volumes(&self, store: &Store, sandbox: &Path) -> Result<()> {
        for (index, path) in self.own_volumes() {
            let place = host_path(self.app, path, sandbox, &|first| {
                store.persistent_path(&self.app.id, first)
            });
            let base = match place.starts_with(sandbox) {
                true => sandbox.to_owned(),
                false => store.root().to_owned(),
            };
            let steps = place.ancestors().take_while(|it| *it != base);
            let is_directory = |it: &Path| it.symlink_metadata().is_ok_and(|it| it.is_dir());
            if !steps.into_iter().all(is_directory) {
                let text = format!("'{path}' is no directory of the sandbox any more");
                let field = format!("/container/volumes({index})/hostPath");
                return Err(launch_fault(&field, &text, "E:host-path-missing")
                    .hint("a symbolic link is not followed out of the sandbox")
                    .into());
            }
        }
        Ok(())
    }

    /// Fails if there is a volume that is a part of the sandbox.
    pub(super) fn refuse_own_volumes(&self) -> Result<()> {
        let Some((index, path)) = self.own_volumes().next() else {
            return Ok(());
        };
        let message = format!(
            "/container/volumes({index})/hostPath: '{path}' is in the sandbox, which Docker Engine \
             cannot look after when it starts the container again"
        );
        Err(Fault::new(Kind::Unsupported, message)
            .hint("leave out --detach or --restart, or say a path of the host")
            .into())
    }

    /// Host paths that are relative.
    fn own_volumes(&self) -> impl Iterator<Item = (usize, &str)> {
        let all = self.app.volumes().iter().enumerate();
        all.filter_map(|(index, volume)| match &volume.kind {
            VolumeKind::Host(path) if !path.starts_with('/') => Some((index, path.as_str())),
            _ => None,
        })
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

/// Of a path that a definition says: it may not lead out of the sandbox.
fn make_below(sandbox: &Path, path: &Path, index: usize) -> Result<()> {
    let is_plain = |it: std::path::Component| matches!(it, std::path::Component::Normal(_));
    if !path.components().all(is_plain) {
        let text = format!("'{}' leads out of the sandbox", path.display());
        let field = format!("/container/volumes({index})/hostPath");
        return Err(launch_fault(&field, &text, "E:host-path-missing").into());
    }
    let mut place = PathBuf::from(sandbox);
    for part in path.components() {
        place.push(part);
        if place.is_symlink() {
            // In a sandbox that is kept, of the last run.
            let text = format!("'{}' leads out of the sandbox", path.display());
            let field = format!("/container/volumes({index})/hostPath");
            return Err(launch_fault(&field, &text, "E:host-path-missing").into());
        }
        if place.symlink_metadata().is_err() {
            std::fs::create_dir(&place)?;
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
            std::fs::set_permissions(&place, open)?;
        }
    }
    Ok(())
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
