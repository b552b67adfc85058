//! `ucr executor`: what a Mesos agent starts so that its tasks run under ucr.
//!
//! ```text
//! agent ─► executor::agent ─► executor::machine ─► task: a `ucr run` of its own
//!                 ▲────────────────┘    ▲───────────────┘
//! ```
//!
//! One thread. Whatever may wait is a process of its own, and ends with this one.

mod environment;
mod order;
mod start;
mod task;
mod warden;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::cni::CniOptions;
use super::context::Context;
use super::pull::{PullOptions, duration};
use crate::exit::Outcome;
use crate::spec::CgroupPolicy;

/// Run the tasks of a Mesos agent
///
/// Is started by the agent, as ExecutorInfo.command of a custom executor. Each task becomes a
/// container: from TaskInfo.container, and from TaskInfo.data, its labels or the words here. What
/// happens is written to the sandbox's stderr. See ucr-executor(7).
#[derive(Debug, Args)]
pub(super) struct Executor {
    /// How long to wait for another task when all are over
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    linger: Duration,
    /// Directory of profiles for LinuxInfo.seccomp [default: /etc/ucr/seccomp]
    #[arg(long, value_name = "DIR")]
    seccomp_dir: Option<PathBuf>,
    /// Hold tasks to their "cpus" even if other processors idle (Mesos: cgroups_enable_cfs)
    #[arg(long)]
    limit_cpus: bool,
    /// What to do where a limit cannot be had: require (default) or best-effort
    #[arg(long, value_name = "POLICY")]
    cgroups: Option<CgroupPolicy>,
    /// Look for the files of CDI devices here; repeatable
    #[arg(long, value_name = "DIR")]
    cdi_spec_dir: Vec<PathBuf>,
    #[command(flatten)]
    cni: CniOptions,
    #[command(flatten)]
    options: PullOptions,
    /// The arguments of tasks that do not say any themselves
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    words: Vec<String>,
}

impl Executor {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let variables = environment::variables()?;
        // First: it has a copy of all that was read before.
        let warden = warden::start(context)?;
        let configuration = variables.configuration()?;
        work::work(&self, context, &configuration, warden)
    }

    /// Options of `ucr run` that hold for all tasks.
    fn words_for_run(&self) -> Vec<String> {
        let cdi = self.cdi_spec_dir.iter();
        let cdi = cdi.map(|path| format!("--cdi-spec-dir={}", path.display()));
        cdi.chain(self.cni.words()).collect()
    }
}
