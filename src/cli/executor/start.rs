//! How a task begins: a process of its own that fetches, pulls, and becomes its `ucr run`.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::fs::{MemfdFlags, memfd_create};

use super::order::Surroundings;
use super::task::Task;
use crate::cli::app::{Status, fetch_all, owner};
use crate::cli::context::Context;
use crate::cli::pull::{AppPull, PullOptions};
use crate::cli::run::{Given, Run};
use crate::cli::start::Listener;
use crate::cli::{Command, Format, output, perform, run_app};
use crate::error::{Fault, Kind};
use crate::exit::{self, Exit, Outcome};
use crate::fetch::Options;
use crate::frontend::mesos::{Containerizer, TaskDefinition};
use crate::runtime::{RuntimeName, Runtimes};
use crate::store::make_directory;
use crate::sys::process::{Namespaces, close_all_but, die_with_parent, spawn};
use crate::sys::root::Root;
use crate::sys::signal::unblock;

/// Longest pull where nobody says how long, as for apps.
const PULL_TIMEOUT: Duration = Duration::from_secs(600);
/// Largest pull secret that is read, in bytes.
const MAX_SECRET: u64 = 1 << 20;
/// Runtimes that a container may be of.
const EITHER: &str = "native,docker";
/// Longest container name that is made of a task's ID, in bytes.
const MAX_NAME: usize = 100;

/// How tasks are run.
pub(super) struct Means<'a> {
    pub(super) context: &'a Context,
    pub(super) surroundings: &'a Surroundings,
    pub(super) options: &'a PullOptions,
    /// Options of `ucr run` that hold for all.
    pub(super) words: &'a [String],
}

impl Means<'_> {
    /// Begins: fetches, pulls, runs.
    pub(super) fn start(&self, id: &str, definition: &TaskDefinition) -> Result<Task> {
        let runtime = match definition.containerizer {
            Containerizer::Mesos => RuntimeName::Native,
            Containerizer::Docker => RuntimeName::Docker,
        };
        // An app says itself which; whoever looks for its container later looks in both.
        let (context, later) = match definition.app {
            Some(_) => {
                let both: Runtimes = EITHER.parse()?;
                (self.context.clone(), self.context.with_runtime(both))
            }
            None => {
                let context = self.context.with_runtime(runtime);
                (context.clone(), context)
            }
        };
        let (status, write) = Status::pipe()?;
        let body = || self.body(&context, id, definition, write);
        let child = spawn(Namespaces::default(), body).context("start a process")?;
        Ok(Task::new(id, later, definition, child, status))
    }

    /// In a process of its own, with nothing of the executor's but what it knows.
    fn body(
        &self,
        context: &Context,
        id: &str,
        definition: &TaskDefinition,
        status: OwnedFd,
    ) -> u8 {
        let listener = Listener::of(&status);
        let ready = unblock()
            .and_then(|()| die_with_parent())
            .and_then(|()| close_all_but(listener.as_fd().into_iter().chain([status.as_fd()])))
            // The agent's signals to our group are for the executor.
            .and_then(|()| Ok(rustix::process::setpgid(None, None)?));
        let outcome = ready
            .map_err(Into::into)
            .and_then(|()| self.run(context, id, definition, (&listener, status)));
        if let Err(error) = &outcome {
            output::error(error, context.wants_json(Format::Text));
        }
        exit::code(&outcome)
    }

    fn run(
        &self,
        context: &Context,
        id: &str,
        definition: &TaskDefinition,
        (listener, status): (&Listener, OwnedFd),
    ) -> Result<Outcome> {
        if let failed @ Exit::Code(1..) | failed @ Exit::Signal(_) =
            self.fetch(context, id, definition, listener)?
        {
            return Ok(Outcome::Exited(failed));
        }
        let document = definition.app.as_ref().map(document).transpose();
        let prepared = document.and_then(|document| {
            let run = self.command(id, definition, document.as_ref(), status)?;
            Ok((document, run))
        });
        listener.hear(&prepared);
        // What is in memory is open until it was read.
        let (document, run) = prepared?;
        match document {
            Some(_) => run_app(run, context),
            None => perform(Command::Run(Box::new(run)), context),
        }
    }

    /// Gets what it wants in its sandbox.
    fn fetch(
        &self,
        context: &Context,
        id: &str,
        definition: &TaskDefinition,
        listener: &Listener,
    ) -> Result<Exit> {
        if definition.artifacts.is_empty() {
            return Ok(Exit::Code(0));
        }
        let options = Options {
            owner: owner(&format!("task {id}"), definition.spec.user.as_deref()),
            cache: Some(self.surroundings.store().root().join("artifacts")),
            ..Options::default()
        };
        let sandbox = self.surroundings.sandbox();
        let fetching = fetch_all(context, &definition.artifacts, sandbox, &options, listener)?;
        Ok(fetching.wait()?)
    }

    /// The command that runs it, which from now on has the descriptor.
    fn command(
        &self,
        id: &str,
        definition: &TaskDefinition,
        app: Option<&File>,
        status: OwnedFd,
    ) -> Result<Run> {
        let sandbox = self.surroundings.sandbox();
        for directory in &definition.directories {
            make_directory(sandbox, Path::new(directory)).map_err(|fault| {
                fault.hint("volumes show directories of the sandbox, not links")
            })?;
        }
        let secret = pull_secret(definition, sandbox)?;
        let document = app.map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()));
        let sandbox = format!("--sandbox={}", sandbox.display());
        let name = name(id)?;
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match &document {
            Some(path) => words.extend(["--app", path, &sandbox, "--name", &name]),
            None => words.extend(["--spec", "-"]),
        }
        let mut run = Run::of_words(&words)?;
        run.options = self.options.clone();
        if document.is_none() {
            run.options.app = Some(AppPull {
                force: definition.force_pull,
                secret,
                creds: None,
                timeout: PULL_TIMEOUT,
            });
            let mut spec = definition.spec.clone();
            spec.name = Some(name);
            let values = definition.secrets.clone();
            run.given = Some(Given { spec, values }.into());
        }
        run.start.status_fd = Some(status.into_raw_fd());
        Ok(run)
    }
}

/// An app definition in memory.
fn document(app: &serde_json::Value) -> Result<File> {
    let mut memory = File::from(memfd_create("app", MemfdFlags::CLOEXEC)?);
    memory.write_all(&serde_json::to_vec(app)?)?;
    Ok(memory)
}

/// The agent's, or what a file has, which starts in the sandbox.
fn pull_secret(definition: &TaskDefinition, sandbox: &Path) -> Result<Option<Vec<u8>>> {
    if let Some(name) = &definition.pull_secret {
        return Ok(definition.secrets.get(name).map(<[u8]>::to_vec));
    }
    let Some(file) = &definition.pull_secret_file else {
        return Ok(None);
    };
    let path = Path::new(file);
    let (root, path) = match path.strip_prefix("/") {
        Ok(path) => (Root::open(Path::new("/"))?, path),
        Err(_) => (Root::open(sandbox)?, path),
    };
    let found = root.read_small(path, MAX_SECRET);
    let found = found.with_context(|| format!("label ucr.pull-secret: {file}"))?;
    let missing = || {
        let message = format!("label ucr.pull-secret: there is no file {file}");
        Fault::new(Kind::NotFound, message).hint("relative paths start in the sandbox")
    };
    Ok(Some(found.ok_or_else(missing)?))
}

/// A container's name of a task's ID, which may have what names cannot.
fn name(id: &str) -> Result<String> {
    let plain = |c: char| match c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
        true => c,
        false => '_',
    };
    let plain: String = id.chars().map(plain).take(MAX_NAME).collect();
    let tail = crate::sys::random_name()?;
    Ok(format!("mesos-{plain}.{tail}"))
}
