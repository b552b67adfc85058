//! The options about app definitions.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::pull::duration;
use crate::frontend::marathon::ports::Ranges;
use crate::secrets::{Explicit, SecretCommand};

/// Which app, and how strictly it is read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "App options")]
pub(in crate::cli) struct AppFile {
    /// Take all from a Marathon app definition, ucr-app(5); - is stdin
    #[arg(long, value_name = "FILE|-")]
    pub(in crate::cli) app: Option<PathBuf>,
    /// Refuse keys that Marathon does not know, instead of warning
    #[arg(long, requires = "app")]
    pub(super) strict: bool,
    /// Let --runtime overrule the app's container.type; the app is then checked for that one
    #[arg(long, requires = "app")]
    pub(super) override_runtime: bool,
    /// The network of apps that ask for one of mode container without its name
    #[arg(long, value_name = "NAME", requires = "app")]
    pub(super) default_network: Option<String>,
    /// Honour "privileged" of type MESOS, which Marathon refuses
    #[arg(long, requires = "app")]
    pub(super) allow_privileged: bool,
    /// Honour "parameters" of type MESOS: each is the option of ucr run of that name
    #[arg(long, requires = "app")]
    pub(super) allow_parameters: bool,
}

/// Where the values of its secrets are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "App options")]
pub(in crate::cli) struct AppSecrets {
    /// Value of a secret of the app, by name or source: NAME=file:PATH, env:VARIABLE or fd:NUMBER;
    /// repeatable
    #[arg(long, value_name = "NAME=WHERE", requires = "app")]
    pub(super) app_secret: Vec<Explicit>,
    /// Directory with a file for each source [default: /etc/ucr/secrets, if it is there]
    #[arg(
        long,
        value_name = "DIR",
        requires = "app",
        env = "UCR_SECRETS_DIR",
        hide_env_values = true
    )]
    pub(super) secrets_dir: Option<PathBuf>,
    /// Look for source a/b in the environment variable PREFIX then A_B
    #[arg(long, value_name = "PREFIX", requires = "app")]
    pub(super) secret_env_prefix: Option<String>,
    /// Program that prints the value of {source}; no shell
    #[arg(long, value_name = "COMMAND", requires = "app")]
    pub(super) secret_command: Option<SecretCommand>,
    /// Give an app only secrets of its own part of the path, as DC/OS does
    #[arg(long, requires = "app")]
    pub(super) enforce_spaces: bool,
}

/// What this machine offers an app.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "App options")]
pub(in crate::cli) struct AppMachine {
    /// Ports of the host to choose from [default: 31000-32000]; fixed ones must be among them, too
    #[arg(long, value_name = "RANGES", requires = "app")]
    pub(super) ports: Option<Ranges>,
    /// Service ports to choose from [default: 10000-20000]
    #[arg(long, value_name = "RANGES", requires = "app")]
    pub(super) service_ports: Option<Ranges>,
    /// Directory of profiles for linuxInfo.seccomp [default: /etc/ucr/seccomp]
    #[arg(long, value_name = "DIR", requires = "app")]
    pub(super) seccomp_dir: Option<PathBuf>,
    /// Hold the app to its "cpus" even if other processors idle (Mesos: cgroups_enable_cfs)
    #[arg(long, requires = "app")]
    pub(super) limit_cpus: bool,
}

/// How it is run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "App options")]
pub(in crate::cli) struct AppRun {
    /// Give up if the app does not run after this time, pull and fetch included, as in 15m
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "app")]
    pub(super) launch_timeout: Option<Duration>,
    /// With --detach: return when the readiness check says that the app is ready
    #[arg(long, requires_all = ["app", "detach"])]
    pub(super) wait_ready: bool,
    /// Start it even if "instances" is 0
    #[arg(long, requires = "app")]
    pub(super) force: bool,
}
