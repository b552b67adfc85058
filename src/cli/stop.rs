//! `ucr stop`, `ucr kill`, `ucr wait`: the ends of containers.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::{Format, output};
use crate::exit::Outcome;
use crate::runtime::{Container, Started, State, Watched};
use crate::spec::{STOP_TIMEOUT, SignalNumber};
use crate::sys::process::Stranger;

/// Ask containers to end, and kill those that do not
///
/// Sends the container's stop signal (--stop-signal, or the image's, or TERM), waits, and kills all
/// of it if it is still there. A container that was stopped is not started again. Prints the names.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// How long to wait before killing [default: the container's --stop-timeout, or 10]
    #[arg(long, short, visible_alias = "timeout", value_name = "SECONDS")]
    pub(super) time: Option<u32>,
    /// Another signal than the container's
    #[arg(long, short, value_name = "SIGNAL")]
    pub(super) signal: Option<SignalNumber>,
    /// Names or IDs
    #[arg(required = true, value_name = "CONTAINER")]
    pub(super) names: Vec<String>,
    /// What another runtime has done of them.
    #[arg(skip)]
    pub(super) done: Vec<String>,
}

/// Send a signal to containers
///
/// To the first process of each. Prints the names.
#[derive(Debug, Args)]
pub(super) struct Kill {
    /// The signal, by name or number
    #[arg(long, short, value_name = "SIGNAL", default_value = "KILL")]
    pub(super) signal: SignalNumber,
    /// Names or IDs
    #[arg(required = true, value_name = "CONTAINER")]
    pub(super) names: Vec<String>,
    /// What another runtime has done of them.
    #[arg(skip)]
    pub(super) done: Vec<String>,
}

/// Wait until containers end, and print their exit codes
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Names or IDs
    #[arg(required = true, value_name = "CONTAINER")]
    pub(super) names: Vec<String>,
    /// What another runtime says of them.
    #[arg(skip)]
    pub(super) codes: Vec<Value>,
}

impl Stop {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        each(context, &self.names, &self.done, |state, name| {
            let container = state.find(&context.store()?, name)?;
            stop(state, &container, self.signal, self.time)
        })
    }
}

impl Kill {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        each(context, &self.names, &self.done, |state, name| {
            let container = state.find_running(&context.store()?, name)?;
            if self.signal == SignalNumber::KILL {
                state.stopping(&container.record.id)?;
            }
            match process(&container)? {
                Some(process) => Ok(process.signal(self.signal.number())?),
                None => Ok(()),
            }
        })
    }
}

impl Wait {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let state = context.state()?;
        let mut codes = self.codes;
        for name in &self.names {
            let code = wait(context, &state, name)?;
            match context.wants_json(Format::Text) {
                true => codes.push(json!({ "name": name, "exit_code": code })),
                false => output::line(&code.to_string())?,
            }
        }
        if context.wants_json(Format::Text) {
            output::json(&codes)?;
        }
        Ok(Outcome::Done)
    }
}

/// How often a container is looked at that has no process now.
const PAUSE: Duration = Duration::from_millis(10);

/// What nobody saw is as if it had been killed.
const UNSEEN: u8 = 137;

fn wait(context: &Context, state: &State, name: &str) -> Result<u8> {
    let found = state.find(&context.store()?, name)?;
    let seen = match state.watch(&found.record.id)? {
        Some(watched) => watched.wait()?,
        // It ended just now, or long ago.
        None => match &found.life.ended {
            Some(ended) => Some(ended.clone()),
            None => {
                let again = state.find(&context.store()?, &found.record.id);
                again.ok().and_then(|container| container.life.ended)
            }
        },
    };
    Ok(seen.map_or(UNSEEN, |ended| ended.exit.code()))
}

/// Does it for each and prints its name; goes on after a failure, and reports the first. `others` are
/// done already, and printed unless that is as JSON.
fn each(
    context: &Context,
    names: &[String],
    others: &[String],
    act: impl Fn(&State, &str) -> Result<()>,
) -> Result<Outcome> {
    let state = context.state()?;
    let mut done: Vec<&String> = others.iter().collect();
    let mut failed = None;
    let as_json = context.wants_json(Format::Text);
    for name in names {
        match act(&state, name) {
            Ok(()) if as_json => done.push(name),
            Ok(()) => output::line(name)?,
            Err(error) => match failed {
                None => failed = Some(error),
                Some(_) => output::error(&error, as_json),
            },
        }
    }
    if as_json {
        output::json(&done)?;
    }
    failed.map_or(Ok(Outcome::Done), Err)
}

/// The first process, held so that no other is hit; `None` if it is gone.
fn process(container: &Container) -> Result<Option<Stranger>> {
    hold(container.process())
}

fn hold(started: Option<Started>) -> Result<Option<Stranger>> {
    let Some(started) = started else {
        return Ok(None);
    };
    Ok(Stranger::hold(started.pid, started.start_time)?)
}

/// Ends a container, and returns when nothing of it is left.
pub(super) fn stop(
    state: &State,
    container: &Container,
    signal: Option<SignalNumber>,
    seconds: Option<u32>,
) -> Result<()> {
    let record = &container.record;
    let Some(mut watched) = state.watch(&record.id)? else {
        return Ok(());
    };
    // It may have ended since; then there is nobody to tell.
    let _ = state.stopping(&record.id);
    let signal = signal.map_or(record.stop_signal, SignalNumber::number);
    let seconds = seconds.or(record.spec.stop_timeout).unwrap_or(STOP_TIMEOUT);
    // One that is being started has none yet, and one that was started again has another.
    while !watched.is_over()? {
        if let Some(process) = hold(watched.life()?.started)? {
            end(container, &process, signal, seconds)?;
            break;
        }
        sleep(PAUSE);
    }
    gone(watched)
}

fn end(container: &Container, process: &Stranger, signal: i32, seconds: u32) -> Result<()> {
    process.signal(signal)?;
    if process.wait(Duration::from_secs(seconds.into()))? {
        return Ok(());
    }
    if seconds > 0 && signal != libc::SIGKILL {
        let name = container.record.name();
        let text = format!(
            "{name} did not end within {seconds} s of signal {signal} and was killed; --init gives \
             signals their usual meaning, --stop-signal chooses another"
        );
        output::remark("note", &text);
    }
    Ok(process.signal(libc::SIGKILL)?)
}

fn gone(watched: Watched) -> Result<()> {
    watched.wait().context("wait for the end").map(drop)
}
