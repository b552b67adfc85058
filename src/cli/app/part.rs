//! Commands of ucr in processes of their own, which end with the one that started them.

use std::io::PipeReader;

use anyhow::{Context as _, Result};
use rustix::stdio::dup2_stdout;

use crate::checks;
use crate::cli::context::Context;
use crate::cli::exec::Exec;
use crate::cli::{Command, Format, output, perform};
use crate::exit::{self, Exit, Outcome};
use crate::sys::process::{Child, Namespaces, close_all_but, die_with_parent, spawn};
use crate::sys::signal::unblock;

/// Does what a command line would.
pub(super) fn part(context: &Context, command: Command) -> Result<Child> {
    work(context, || perform(command, context))
}

/// Executes the command of a check in a container, in this process.
pub(in crate::cli) fn in_task(
    context: &Context,
    id: &str,
    command: &checks::Command,
) -> Result<Exit> {
    unblock()?;
    let exec = Exec::plain(id.to_owned(), command.argv());
    match perform(Command::Exec(exec), context)? {
        Outcome::Exited(exit) => Ok(exit),
        Outcome::Done => Ok(Exit::Code(0)),
    }
}

/// The same, without its stdout.
pub(in crate::cli) fn part_in_silence(context: &Context, command: Command) -> Result<Child> {
    let quietly = || {
        // Copies of connections would keep them open for whoever is at the other end.
        close_all_but(std::iter::empty())?;
        let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
        dup2_stdout(null)?;
        perform(command, context)
    };
    work(context, quietly)
}

/// The same, with what it prints on stdout.
pub(super) fn part_that_prints(context: &Context, command: Command) -> Result<(Child, PipeReader)> {
    let (read, write) = std::io::pipe()?;
    let printing = || {
        dup2_stdout(write)?;
        perform(command, &context.in_text())
    };
    Ok((work(context, printing)?, read))
}

/// Does something else, and says itself what goes wrong.
pub(in crate::cli) fn work(
    context: &Context,
    work: impl FnOnce() -> Result<Outcome>,
) -> Result<Child> {
    let body = || {
        let ready = unblock().and_then(|()| die_with_parent());
        let outcome = ready.map_err(Into::into).and_then(|()| work());
        if let Err(error) = &outcome {
            output::error(error, context.wants_json(Format::Text));
        }
        exit::code(&outcome)
    };
    spawn(Namespaces::default(), body).context("start a process")
}
