//! The options about app definitions.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};

use crate::cli::pull::duration;
use crate::frontend::marathon::ports::Ranges;
use crate::secrets::{Explicit, SecretCommand};

/// Title of these options.
const HEADING: &str = "App options";

/// Refuses options about an app where there is none; clap overlooks them beside an image, which
/// excludes `--app`.
pub(in crate::cli) fn check(
    command: &mut Command,
    matches: &ArgMatches,
) -> Result<(), clap::Error> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let Some(command) = command.find_subcommand_mut(name) else {
        return Ok(());
    };
    let said = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let is_about = |it: &&Arg| it.get_help_heading() == Some(HEADING) && it.get_id() != "app";
    let mut about = command.get_arguments().filter(is_about);
    let alone = about.find(|it| said(it.get_id().as_str()) && !said("app"));
    let Some(option) = alone.and_then(Arg::get_long).map(str::to_owned) else {
        return Ok(());
    };
    drop(about);
    let message = format!("--{option} is about an app definition, and none is given: --app FILE");
    Err(command.error(ErrorKind::MissingRequiredArgument, message))
}

/// Which app, and how strictly it is read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = HEADING)]
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
    /// The network for apps that say "mode": "container" without a name
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
#[command(next_help_heading = HEADING)]
pub(in crate::cli) struct AppSecrets {
    /// Value of a secret of the app, by name or source: NAME=file:PATH, env:VARIABLE or fd:NUMBER;
    /// repeatable
    #[arg(long, value_name = "NAME=WHERE", requires = "app")]
    pub(super) app_secret: Vec<Explicit>,
    /// Directory in which the value of source a/b is file a/b [default: /etc/ucr/secrets, if it is
    /// there]
    #[arg(
        long,
        value_name = "DIR",
        requires = "app",
        env = "UCR_SECRETS_DIR",
        hide_env_values = true
    )]
    pub(super) secrets_dir: Option<PathBuf>,
    /// The value of source a/b is environment variable PREFIXA_B
    #[arg(long, value_name = "PREFIX", requires = "app")]
    pub(super) secret_env_prefix: Option<String>,
    /// Program that prints a value, with {source} where the source goes, as in 'get {source}'; no
    /// shell
    #[arg(long, value_name = "COMMAND", requires = "app")]
    pub(super) secret_command: Option<SecretCommand>,
    /// Give an app only secrets whose directory begins its id, as DC/OS does: /shop/web gets shop/key
    #[arg(long, requires = "app")]
    pub(super) enforce_spaces: bool,
}

/// What this machine offers an app.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(in crate::cli) struct AppMachine {
    /// Ports of the host to choose from, as in 8000-8999,9090 [default: 31000-32000]; if said, fixed
    /// ones must be among them, too
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
#[command(next_help_heading = HEADING)]
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
