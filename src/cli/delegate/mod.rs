//! Commands that Docker Engine serves: `--runtime docker`, or a list that has it.
//!
//! What makes containers is served by the first runtime of the list that can; a container that is
//! there, by the one that has it.

mod containers;
mod images;
mod run;

use std::cell::OnceCell;
use std::path::PathBuf;

use anyhow::{Error, Result};

use super::context::Context;
use super::{Command, output};
use crate::engine::{Environment, forget};
use crate::error::{Fault, Kind, kind, render};
use crate::exit::Outcome;
use crate::image::ImageConfig;
use crate::runtime::docker::{Docker, SHORT_ID};
use crate::runtime::{Container, RuntimeName};
use crate::store::{SandboxRoom, Store};

/// What is asked of an Engine, which is reached when it is needed.
struct Delegate<'a> {
    context: &'a Context,
    directory: PathBuf,
    environment: Environment,
    docker: OnceCell<Docker>,
}

/// Serves a command, if the Engine is to; what is left of it is for the native runtime.
pub(super) fn serve(command: &mut Command, context: &Context) -> Result<Option<Outcome>> {
    let directory = context.state_directory()?.join("docker");
    if context.runtimes().only() == Some(RuntimeName::Native) {
        // A pull that was killed may have left a credential there. If it cannot be removed now, the
        // next command tries.
        let _ = forget(&directory);
        return Ok(None);
    }
    let delegate = Delegate {
        context,
        directory,
        environment: context.engine(),
        docker: OnceCell::new(),
    };
    let patience = delegate.environment.patience;
    let healed = Docker::heal(&delegate.directory, patience);
    for key in healed.removed {
        context.note(&format!(
            "removed what an earlier ucr left in Docker Engine (ucr-{key})"
        ));
    }
    let served = match command {
        Command::Run(run) => delegate.run(run),
        Command::Pull(pull) => delegate.pull(pull),
        Command::Provision(provision) => delegate.provision(provision),
        Command::Images(_) => delegate.images(),
        Command::Inspect(inspect) => delegate.inspect(inspect),
        Command::Ps(ps) => delegate.ps(ps),
        Command::Stop(stop) => delegate.stop(stop),
        Command::Kill(kill) => delegate.kill(kill),
        Command::Wait(wait) => delegate.wait(wait),
        Command::Rm(rm) => delegate.rm(rm),
        Command::Logs(logs) => delegate.logs(logs),
        Command::Attach(attach) => delegate.attach(attach),
        Command::Exec(exec) => delegate.exec(exec),
        // Its tasks say themselves by which runtime.
        Command::Executor(_) => Ok(None),
        Command::Top(_) => delegate.not_here("top", "docker top CONTAINER"),
        Command::Stats(_) => delegate.not_here("stats", "docker stats CONTAINER"),
        Command::Cp(_) => delegate.not_here("cp", "docker cp"),
        Command::Prune(_) => delegate.not_here("prune", "docker system prune"),
        Command::Volume(_) => delegate.not_here("volume", "docker volume"),
        Command::Network(_) => delegate.not_here("network", "docker network"),
    }?;
    for key in healed.waiting {
        output::remark(
            "warning",
            &format!(
                "an earlier ucr left a container (ucr-{key}) in a Docker Engine that does not answer"
            ),
        );
    }
    Ok(served)
}

/// A container by its ID, wherever it is. `None` if it is gone.
pub(super) fn container(context: &Context, id: &str) -> Result<Option<Container>> {
    if context.runtimes().only() == Some(RuntimeName::Native) {
        return Ok(context.state()?.find(&context.store()?, id).ok());
    }
    let directory = context.state_directory()?.join("docker");
    Docker::connect(&directory, &context.engine())?.find(id)
}

/// What an image says that an Engine has. `None` also where there is no Engine.
pub(super) fn image_config(context: &Context, name: &str) -> Option<ImageConfig> {
    let directory = context.state_directory().ok()?.join("docker");
    let docker = Docker::connect(&directory, &context.engine()).ok()?;
    Some(docker.image(name).ok()??.config)
}

/// Removes the sandboxes of apps whose ucr and container in the Engine are gone.
pub(super) fn sweep_sandboxes(context: &Context, store: &Store) {
    store.sweep_sandboxes(SandboxRoom::Engine, || {
        let directory = context.state_directory()?.join("docker");
        let all = Docker::connect(&directory, &context.engine())?.all()?;
        let used = all.into_iter().filter_map(|it| it.record.spec.sandbox);
        Ok(used.collect())
    });
}

impl Delegate<'_> {
    fn docker(&self) -> Result<&Docker> {
        if let Some(docker) = self.docker.get() {
            return Ok(docker);
        }
        let docker = Docker::connect(&self.directory, &self.environment)?;
        Ok(self.docker.get_or_init(|| docker))
    }

    /// Whether the Engine is the only one that may serve.
    fn is_alone(&self) -> bool {
        self.context.runtimes().only() == Some(RuntimeName::Docker)
    }

    fn is_native_first(&self) -> bool {
        self.context.runtimes().iter().next() == Some(RuntimeName::Native)
    }

    /// A command that the native runtime alone has.
    fn not_here(&self, verb: &str, instead: &str) -> Result<Option<Outcome>> {
        if !self.is_alone() {
            return Ok(None);
        }
        let message = format!("ucr {verb} is not there for Docker Engine");
        Err(Fault::new(Kind::Unsupported, message)
            .hint(format!("say {instead}, or --runtime native"))
            .into())
    }

    /// The first runtime of the list that can serve something: what the Engine needs for it, or
    /// `None` for the native one. Says which it is if it is not the preferred one.
    fn first<T>(
        &self,
        native: impl Fn() -> Result<()>,
        docker: impl Fn(&Docker) -> Result<T>,
    ) -> Result<Option<T>> {
        let runtimes = self.context.runtimes();
        let mut reasons: Vec<(RuntimeName, Error)> = Vec::new();
        for name in runtimes.iter() {
            let served = match name {
                RuntimeName::Native => native().map(|()| None),
                RuntimeName::Docker => self.docker().and_then(&docker).map(Some),
            };
            match served {
                Ok(served) => {
                    self.say(name, &reasons);
                    return Ok(served);
                }
                Err(error) if runtimes.only().is_some() || !is_reason(&error) => return Err(error),
                Err(error) => reasons.push((name, error)),
            }
        }
        let message = format!("no runtime can do this: {}", in_words(&reasons));
        Err(Fault::new(Kind::Unsupported, message)
            .hint("leave out what keeps one of them from it, or mend that one")
            .into())
    }

    fn say(&self, name: RuntimeName, reasons: &[(RuntimeName, Error)]) {
        if reasons.is_empty() {
            self.context
                .note(&format!("runtime {name}: the first of the list"));
        } else if !self.context.is_quiet() {
            let text = format!("runtime {name}, because {}", in_words(reasons));
            output::remark("note", &text);
        }
    }

    /// A container that the Engine has; `None` if another runtime may have it.
    fn find(&self, name: &str) -> Result<Option<Container>> {
        match self.look(name)? {
            None if self.is_alone() => {
                let message = format!("there is no container '{name}' of ucr's in Docker Engine");
                Err(Fault::new(Kind::NotFound, message)
                    .hint("'ucr --runtime docker ps --all' lists them")
                    .into())
            }
            found => Ok(found),
        }
    }

    /// The same; `None` also if there is none at all.
    fn look(&self, name: &str) -> Result<Option<Container>> {
        if self.is_native_first() {
            let (state, store) = (self.context.state()?, self.context.store()?);
            if state.find(&store, name).is_ok() {
                return Ok(None);
            }
        }
        match self.docker().and_then(|docker| docker.find(name)) {
            Err(error) if !self.is_alone() && is_reason(&error) => {
                output::remark("note", &format!("docker: {}", render(&error)));
                Ok(None)
            }
            found => Ok(found?.map(|it| self.with_health(it))),
        }
    }

    /// With what an app's own checks say, of which the Engine does not know.
    fn with_health(&self, mut container: Container) -> Container {
        let id = container.record.id.get(..SHORT_ID).unwrap_or_default();
        let told = self.context.state().ok().and_then(|it| it.told_health(id));
        if container.process().is_some() && told.is_some() {
            container.life.health = told;
        }
        container
    }

    /// The same, of one that runs.
    fn find_running(&self, name: &str) -> Result<Option<Container>> {
        let found = self.find(name)?;
        match &found {
            Some(container) if container.process().is_none() => {
                let message = format!("container {} is not running", container.record.name());
                Err(Fault::new(Kind::NotFound, message)
                    .hint("'ucr --runtime docker ps --all' says how it ended")
                    .into())
            }
            _ => Ok(found),
        }
    }
}

/// Whether another runtime may be able to: not if the request itself is wrong.
fn is_reason(error: &Error) -> bool {
    matches!(kind(error), Kind::Unsupported | Kind::Network)
}

fn in_words(reasons: &[(RuntimeName, Error)]) -> String {
    let words = reasons.iter();
    let words = words.map(|(name, error)| format!("{name}: {}", render(error)));
    words.collect::<Vec<_>>().join("; ")
}
