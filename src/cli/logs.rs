//! `ucr logs` and `ucr attach`: what containers in the background print.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{ArgAction, Args};

use super::background;
use super::context::Context;
use crate::error::{Fault, Kind};
use crate::exit::Outcome;
use crate::runtime::native::{Attachment, DetachKeys, Line, LogReader, Stream, connect};
use crate::runtime::{Container, State};
use crate::spec::TimeSpan;
use crate::sys;

/// How often a log is looked at that does not grow.
const PAUSE: Duration = Duration::from_millis(50);

/// Print what a container in the background printed
///
/// What it printed to standard error comes out there.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Go on until the container ends
    #[arg(long, short)]
    pub(super) follow: bool,
    /// Only the last lines
    #[arg(long, short = 'n', value_name = "NUMBER|all", default_value = "all")]
    tail: Tail,
    /// Only what was printed since then: a time (RFC 3339, or seconds since 1970) or how long ago,
    /// as in 10m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) since: Option<DateTime<Utc>>,
    /// Only what was printed until then
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) until: Option<DateTime<Utc>>,
    /// Show the time of each line
    #[arg(long, short)]
    pub(super) timestamps: bool,
    /// Name or ID
    #[arg(value_name = "CONTAINER")]
    pub(super) name: String,
}

/// Attach to a container in the background
///
/// Shows what it prints from now on, and types for it what is typed here, until it ends (the exit
/// code is its own) or the keys of --detach-keys let go of it.
#[derive(Debug, Args)]
pub(super) struct Attach {
    /// Keys that let go of a container with a terminal
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub(super) detach_keys: DetachKeys,
    /// Type nothing for it
    #[arg(long)]
    pub(super) no_stdin: bool,
    /// Pass signals on to the container [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    pub(super) sig_proxy: Option<bool>,
    /// Name or ID
    #[arg(value_name = "CONTAINER")]
    pub(super) name: String,
}

/// How many lines.
#[derive(Clone, Copy, Debug)]
struct Tail(Option<usize>);

impl std::str::FromStr for Tail {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match text.parse() {
            _ if text == "all" || text == "-1" => Ok(Self(None)),
            Ok(number) => Ok(Self(Some(number))),
            Err(_) => Err(Fault::new(
                Kind::Usage,
                format!("'{text}' is no number of lines"),
            )),
        }
    }
}

/// A time as docker takes it.
fn time(text: &str) -> Result<DateTime<Utc>, Fault> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let wrong = || {
        Fault::new(Kind::Usage, format!("'{text}' is no time"))
            .hint("say 2026-11-22T10:00:00Z, seconds since 1970, or how long ago, as in 1h30m")
    };
    if let Ok(seconds) = text.parse::<i64>() {
        return DateTime::from_timestamp(seconds, 0).ok_or_else(wrong);
    }
    let ago: TimeSpan = text.parse().map_err(|_| wrong())?;
    let ago = TimeDelta::from_std(ago.duration()).map_err(|_| wrong())?;
    let now = i64::try_from(sys::now()).ok();
    let now = now.and_then(|now| DateTime::from_timestamp(now, 0));
    now.and_then(|now| now.checked_sub_signed(ago))
        .ok_or_else(wrong)
}

impl Logs {
    /// How many lines, if not all.
    pub(super) fn lines(&self) -> Option<usize> {
        self.tail.0
    }

    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let (store, state) = (context.store()?, context.state()?);
        let container = state.find(&store, &self.name)?;
        let path = store.container_log(&container.record.id);
        let Some(mut reader) = LogReader::open(&path)? else {
            return Err(no_log(&container).into());
        };
        match self.print_all(&mut reader, &state, &container) {
            Err(error) if is_closed(&error) => Ok(Outcome::Done),
            done => done.map(|()| Outcome::Done),
        }
    }

    fn print_all(&self, reader: &mut LogReader, state: &State, of: &Container) -> Result<()> {
        let mut last = VecDeque::new();
        let mut is_open = false;
        while let Some(line) = reader.next_line()? {
            if !self.takes(&line) {
                continue;
            }
            let Tail(Some(most)) = self.tail else {
                self.print(&line)?;
                continue;
            };
            // Parts of a line count with it.
            if !is_open {
                last.push_back(Vec::new());
            }
            is_open = line.content.last() != Some(&b'\n');
            last.back_mut()
                .into_iter()
                .for_each(|all| all.push(line.clone()));
            if last.len() > most {
                last.pop_front();
            }
        }
        last.iter()
            .flatten()
            .try_for_each(|line| self.print(line))?;
        match self.follow {
            true => self.go_on(reader, state, of),
            false => Ok(()),
        }
    }

    fn go_on(&self, reader: &mut LogReader, state: &State, of: &Container) -> Result<()> {
        loop {
            // Asked before the log is read for the last time.
            let is_over = match state.watch(&of.record.id)? {
                Some(watched) => watched.is_over()?,
                None => true,
            };
            while let Some(line) = reader.next_line()? {
                if self.takes(&line) {
                    self.print(&line)?;
                }
            }
            if is_over {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn takes(&self, line: &Line) -> bool {
        self.since.is_none_or(|since| line.time >= since)
            && self.until.is_none_or(|until| line.time <= until)
    }

    fn print(&self, line: &Line) -> Result<()> {
        let mut bytes = Vec::new();
        if self.timestamps {
            let time = line.time.to_rfc3339_opts(SecondsFormat::Nanos, true);
            bytes.extend_from_slice(format!("{time} ").as_bytes());
        }
        bytes.extend_from_slice(&line.content);
        match line.stream {
            Stream::Output => {
                stdout().write_all(&bytes)?;
                stdout().flush()?;
            }
            Stream::Error => stderr().write_all(&bytes)?,
        }
        Ok(())
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn no_log(container: &Container) -> Fault {
    let name = container.record.name();
    let hint = match container.record.has_console {
        true => "it was started with --log-driver none",
        false => "it runs in the foreground, and prints there",
    };
    Fault::new(Kind::NotFound, format!("container {name} has no log")).hint(hint)
}

impl Attach {
    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let state = context.state()?;
        let container = state.find_running(&context.store()?, &self.name)?;
        let channel = connect(&state.consoles(), &container.record.id)?;
        let spec = &container.record.spec;
        let how = Attachment {
            tty: spec.tty,
            stdin: spec.stdin && !self.no_stdin,
            stdout: true,
            stderr: true,
            forwards_signals: self.sig_proxy.unwrap_or(true),
            keys: self.detach_keys,
        };
        background::follow(channel, &how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time("10").unwrap().timestamp(), 10);
        assert!(time("2026-11-22T10:00:00+01:00").is_ok());
        assert!(time("yesterday").is_err());
    }
}
