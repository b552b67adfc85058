//! From what the agent says of a task to what is to be done.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Executor;
use crate::cli::app::SECCOMP;
use crate::cli::context::Context;
use crate::cli::{network, output};
use crate::executor::api;
use crate::executor::launch;
use crate::executor::machine::Launch;
use crate::frontend::marathon::container::Machine;
use crate::frontend::mesos::{self, Place, TaskDefinition};
use crate::store::Store;
use crate::sys::proc::Proc;

/// What all tasks of this executor have in common.
pub(super) struct Surroundings {
    store: Store,
    sandbox: PathBuf,
    seccomp: PathBuf,
    machine: Machine,
    words: Vec<String>,
}

impl Surroundings {
    pub(super) fn new(executor: &Executor, context: &Context, sandbox: &Path) -> Result<Self> {
        let seccomp = executor.seccomp_dir.clone();
        Ok(Self {
            store: context.store()?,
            sandbox: sandbox.to_owned(),
            seccomp: context.absolute(seccomp.unwrap_or_else(|| SECCOMP.into()))?,
            machine: Machine {
                memory: Proc::open()?.memory()?,
                limit_cpus: executor.limit_cpus,
                cgroups: executor.cgroups,
            },
            words: executor.words.clone(),
        })
    }

    pub(super) fn sandbox(&self) -> &Path {
        &self.sandbox
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Understands a task; what is noteworthy is said.
    pub(super) fn understand(&self, task: api::Task) -> (Launch, Option<TaskDefinition>) {
        let place = Place {
            sandbox: &self.sandbox,
            seccomp: &self.seccomp,
            network: &|name| network::named(&self.store, name),
            machine: self.machine,
            words: &self.words,
        };
        let (order, definition) = match mesos::read(&task.info, &place) {
            Ok((definition, findings)) => {
                for finding in &findings.0 {
                    output::remark("warning", &format!("task {}: {finding}", task.id));
                    if let Some(hint) = &finding.hint {
                        output::hint(hint);
                    }
                }
                (Ok(launch::order(&definition)), Some(definition))
            }
            Err(findings) => (Err(launch::refusal(&findings)), None),
        };
        (Launch { task, order }, definition)
    }
}
