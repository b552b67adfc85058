//! `ucr exec`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::background;
use super::context::Context;
use super::environment;
use super::rootless::Users;
use super::run::read_env_files;
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::frontend::flags::variables;
use crate::runtime::native::{self, Attachment, Command, DetachKeys, Streams};
use crate::sys::tty::{Size, is_terminal};

/// Run another command in a running container
///
/// In all of its namespaces and limits, and with its isolation. The exit code is the command's.
#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Do not wait for the command, and drop what it prints
    #[arg(long, short)]
    pub(super) detach: bool,
    /// Keys that let go of a command with a terminal, which goes on
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub(super) detach_keys: DetachKeys,
    /// Set an environment variable; NAME alone copies ucr's own, if it is set; repeatable
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables of a file, NAME=VALUE a line; those of -e win; repeatable
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Keep stdin open for the command; without this it is /dev/null
    #[arg(long, short)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(long, short)]
    tty: bool,
    /// Lift the isolation as for a privileged container
    #[arg(long)]
    privileged: bool,
    /// User and perhaps group, by the container's names or by number
    #[arg(long, short, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory inside
    #[arg(long, short, value_name = "DIR")]
    workdir: Option<String>,
    /// Name or ID
    #[arg(value_name = "CONTAINER")]
    pub(super) name: String,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    argv: Vec<String>,
}

impl Exec {
    /// A command without anything special.
    pub(super) fn plain(name: String, argv: Vec<String>) -> Self {
        Self {
            detach: false,
            detach_keys: DetachKeys::default(),
            env: Vec::new(),
            env_file: Vec::new(),
            interactive: false,
            tty: false,
            privileged: false,
            user: None,
            workdir: None,
            name,
            argv,
        }
    }

    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        if self.tty && self.interactive && !self.detach && !is_terminal(std::io::stdin()) {
            return Err(
                Fault::new(Kind::Usage, "-t with -i needs a terminal on standard input")
                    .hint("leave out -t, or -i")
                    .into(),
            );
        }
        let container = context
            .state()?
            .find_running(&context.store()?, &self.name)?;
        let command = self.command()?;
        if !self.detach && !self.tty {
            let exit = native::exec(&container, &command, Streams::Own, &|| Ok(()))?;
            return Ok(Outcome::Exited(exit));
        }
        let how = (!self.detach).then(|| Attachment {
            tty: self.tty,
            stdin: self.interactive,
            stdout: true,
            stderr: true,
            forwards_signals: true,
            keys: self.detach_keys.clone(),
        });
        let size = Size::of(std::io::stdin());
        let as_json = context.wants_json(super::Format::Text);
        let outcome = background::start(how.as_ref(), as_json, None, |mut background| {
            let owner = background.owner.take();
            let background = std::cell::RefCell::new(background);
            let started = || Ok(background.borrow_mut().started()?);
            let streams = Streams::Console(owner, size);
            native::exec(&container, &command, streams, &started).map(drop)
        })?;
        Ok(outcome.unwrap_or(Outcome::Done))
    }

    /// Where an ordinary user's works: those of the container's ucr.
    pub(super) fn users(&self, context: &Context) -> Result<Users> {
        Users::of_container(context, &self.name)
    }

    pub(super) fn command(&self) -> Result<Command> {
        let lookup = |variable: &str| environment::variable(variable);
        let mut env = read_env_files(&self.env_file, &lookup)?;
        env.extend(variables(&self.env, &lookup)?);
        Ok(Command {
            argv: self.argv.clone(),
            env,
            user: self.user.clone(),
            working_dir: self.workdir.clone(),
            privileged: self.privileged,
            tty: self.tty,
            stdin: self.interactive,
        })
    }
}
