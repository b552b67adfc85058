//! Words in, words out: the command line, one small file per subcommand.
//!
//! stdout is data, stderr is for people. Only [`main`] prints errors.

mod app;
mod background;
mod cidfile;
mod cni;
mod context;
mod cp;
mod delegate;
pub mod docker;
mod document;
mod environment;
mod exec;
mod executor;
mod images;
mod inspect;
mod logs;
mod network;
mod others;
mod output;
mod progress;
mod provision;
mod prune;
mod ps;
mod pull;
mod rm;
mod rootless;
mod run;
mod start;
mod stats;
mod stop;
mod top;
mod usage;
mod volume;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::exit::{self, Outcome};
use crate::runtime::Runtimes;
use crate::sys::process::{become_undumpable, leave};
use context::Context;
use rootless::Users;
use start::Listener;

/// A link of this name to the program is `ucr executor`.
const EXECUTOR_NAME: &str = "ucr-executor";

/// Pull, provision and run container images without a daemon
#[derive(Debug, Parser)]
#[command(name = "ucr", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: the container's own; 128+N if signal N killed it; 125 for any \
                        fault of ucr's own; 126 if the command cannot be executed; 127 if it is \
                        not found."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

/// Options that every subcommand takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Directory of the image store [default: /var/lib/ucr, or $XDG_DATA_HOME/ucr for users]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "UCR_ROOT",
        hide_env_values = true
    )]
    root: Option<PathBuf>,
    /// Directory of run-time state [default: /run/ucr, or $XDG_RUNTIME_DIR/ucr for users]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "UCR_STATE",
        hide_env_values = true
    )]
    state: Option<PathBuf>,
    /// What runs containers: native (default), docker, or a list of which the first that can serves
    #[arg(
        long,
        global = true,
        value_name = "RUNTIME[,RUNTIME]",
        env = "UCR_RUNTIME",
        hide_env_values = true
    )]
    runtime: Option<Runtimes>,
    /// How long Docker Engine may take to answer [default: 20s]; six times that to make or remove
    #[arg(long, global = true, value_name = "TIME", value_parser = pull::duration)]
    engine_timeout: Option<Duration>,
    /// How results and errors are printed
    #[arg(long, global = true, value_name = "FORM")]
    format: Option<Format>,
    /// Print no progress
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// More words on stderr. Not a global option: `run -v` is docker's volume.
#[derive(Clone, Copy, Debug, Args)]
struct Verbosity {
    /// Say more on stderr: which credential is used, what is waited for
    #[arg(long, short)]
    verbose: bool,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pull(pull::Pull),
    Provision(provision::Provision),
    Run(Box<run::Run>),
    Inspect(inspect::Inspect),
    Images(images::Images),
    Ps(ps::Ps),
    Exec(exec::Exec),
    Executor(Box<executor::Executor>),
    Rm(rm::Rm),
    Stop(stop::Stop),
    Kill(stop::Kill),
    Wait(stop::Wait),
    Logs(logs::Logs),
    Attach(logs::Attach),
    Top(top::Top),
    Stats(stats::Stats),
    Cp(cp::Cp),
    Prune(prune::Prune),
    Volume(volume::Volume),
    Network(network::Network),
}

impl Command {
    fn is_verbose(&self) -> bool {
        match self {
            Command::Pull(pull) => pull.verbosity.verbose,
            Command::Provision(provision) => provision.verbosity.verbose,
            Command::Run(run) => run.verbose,
            _ => false,
        }
    }

    /// Where an ordinary user's works: whatever reads or removes files of images and containers has
    /// to be whose they are.
    fn users(&self, context: &Context) -> Result<Users> {
        Ok(match self {
            Command::Exec(exec) => exec.users(context)?,
            Command::Top(top) => top.users(context)?,
            Command::Cp(cp) => cp.users(context)?,
            Command::Run(run) => run.users(context),
            Command::Images(_)
            | Command::Stats(_)
            | Command::Stop(_)
            | Command::Kill(_)
            | Command::Wait(_)
            | Command::Logs(_)
            | Command::Attach(_) => Users::Machine,
            _ => Users::Own,
        })
    }
}

/// The command line as clap knows it, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs a command line, prints what went wrong, and returns the program's exit code.
pub fn main(arguments: Vec<OsString>) -> u8 {
    let arguments = by_name(arguments);
    // Passwords and secrets must not get into a core file. Where it cannot be had, nothing is lost.
    let _ = become_undumpable();
    let as_json = usage::asks_for_json(&arguments);
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error, as_json),
    };
    let outcome = dispatch(cli);
    if let Err(error) = &outcome {
        // `ucr images | head`: the reader has seen enough.
        if output::is_closed_pipe(error) {
            return 0;
        }
        output::error(error, as_json);
    }
    exit::code(&outcome)
}

/// What a fault of the program itself comes to: a line, and the process ends like one that failed.
/// Not by `abort`, which a copied process of musl's sends to the one that it is a copy of: the C
/// library there does not know that the thread is another one. What was said to the panic may have
/// a secret in it and is not shown.
pub fn at_panic(info: &std::panic::PanicHookInfo) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    output::remark("internal fault", &format!("at {place}"));
    output::hint(
        "please report it with the command line; what was begun is mended by the next command",
    );
    leave(exit::FAULT)
}

/// Called by this name it is `ucr executor`: Marathon's `executor` is a path without arguments.
fn by_name(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == EXECUTOR_NAME) {
        arguments.insert(1, "executor".into());
    }
    arguments
}

fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let matched = |mut command: clap::Command, arguments: Vec<OsString>| {
        let matches = command.try_get_matches_from_mut(arguments)?;
        app::check(&mut command, &matches)?;
        Cli::from_arg_matches(&matches)
    };
    // Half of what clap takes, it takes for what the other subcommands have.
    if arguments.iter().any(|word| word == "run")
        && let Ok(cli) = matched(run_alone(), arguments.clone())
    {
        return Ok(cli);
    }
    matched(command(), arguments)
}

/// The command line as if there were no subcommand but `run`: it refuses more, and understands all
/// else the same way.
fn run_alone() -> clap::Command {
    let global = Global::augment_args(clap::Command::new("ucr"));
    let run = run::Run::augment_args(clap::Command::new("run"));
    Verbosity::augment_args(global)
        .subcommand_required(true)
        .subcommand(run)
}

/// Makes an ordinary user the root of a user namespace, if the command is one for that.
fn become_root(command: &Command, context: &Context) -> Result<()> {
    let users = command.users(context)?;
    if users == Users::Own {
        // From in there, nobody can be killed who is in another one.
        context.state()?.heal(&context.store()?);
        if let Command::Rm(rm) = command {
            rm.kill(context)?;
        }
    }
    if let Some(why) = rootless::enter(users)? {
        context.note(&format!("there are no users but root: {why}"));
    }
    Ok(())
}

fn dispatch(cli: Cli) -> Result<Outcome> {
    let verbose = cli.verbosity.verbose || cli.command.is_verbose();
    let context = Context::new(cli.global, verbose);
    match cli.command {
        Command::Run(run) if run.app.app.is_some() => run_app(*run, &context),
        Command::Pull(pull) if pull.app.app.is_some() => app::pull(pull, &context),
        Command::Provision(provision) if provision.app.app.is_some() => {
            app::provision(provision, &context)
        }
        Command::Inspect(inspect) if inspect.app.app.is_some() => {
            app::inspect(&context, &inspect.app, &inspect.app_machine)
        }
        command => perform(command, &context),
    }
}

/// Does what `ucr run --app` says.
fn run_app(run: run::Run, context: &Context) -> Result<Outcome> {
    let listener = run.start.listener();
    let outcome = app::run(run, context);
    listener.hear(&outcome);
    outcome
}

/// Does what a command without an app says.
fn perform(command: Command, context: &Context) -> Result<Outcome> {
    let listener = match &command {
        Command::Run(run) => run.start.listener(),
        _ => Listener::NOBODY,
    };
    let outcome = carry_out(command, context);
    listener.hear(&outcome);
    outcome
}

fn carry_out(mut command: Command, context: &Context) -> Result<Outcome> {
    if let Some(outcome) = delegate::serve(&mut command, context)? {
        return Ok(outcome);
    }
    if context.is_user() {
        become_root(&command, context)?;
    }
    match command {
        Command::Pull(pull) => pull.run(context),
        Command::Provision(provision) => provision.run(context),
        Command::Run(run) => run.run(context),
        Command::Inspect(inspect) => inspect.run(context),
        Command::Images(images) => images.run(context),
        Command::Ps(ps) => ps.run(context),
        Command::Exec(exec) => exec.run(context),
        Command::Executor(executor) => executor.run(context),
        Command::Rm(rm) => rm.run(context),
        Command::Stop(stop) => stop.run(context),
        Command::Kill(kill) => kill.run(context),
        Command::Wait(wait) => wait.run(context),
        Command::Logs(logs) => logs.run(context),
        Command::Attach(attach) => attach.run(context),
        Command::Top(top) => top.run(context),
        Command::Stats(stats) => stats.run(context),
        Command::Cp(cp) => cp.run(context),
        Command::Prune(prune) => prune.run(context),
        Command::Volume(volume) => volume.run(context),
        Command::Network(network) => network.run(context),
    }
}
