//! Containers in the Engine: `ps`, `stop`, `kill`, `wait`, `rm`, `logs`, `attach`, `exec`.

use std::process::Stdio;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::Delegate;
use crate::cli::exec::Exec;
use crate::cli::logs::{Attach, Logs};
use crate::cli::ps::Ps;
use crate::cli::rm::Rm;
use crate::cli::stop::{Kill, Stop, Wait};
use crate::cli::{Format, output};
use crate::error::{self, Fault, Kind};
use crate::exit::Outcome;
use crate::runtime::Container;
use crate::runtime::docker::{SHORT_ID, Task};
use crate::spec::{STOP_TIMEOUT, SignalNumber};

impl Delegate<'_> {
    /// Adds what the Engine has to the native runtime's, where both are in the list.
    pub(super) fn ps(&self, ps: &mut Ps) -> Result<Option<Outcome>> {
        match self.docker().and_then(|docker| docker.all()) {
            Ok(all) => {
                let all = all.into_iter().map(|it| self.with_health(it));
                ps.others = all.map(shown).collect();
            }
            Err(error) if self.is_alone() => return Err(error),
            Err(error) => {
                output::remark("note", &format!("docker: {}", crate::error::render(&error)));
            }
        }
        match self.is_alone() {
            true => ps.print(self.context, Vec::new(), Vec::new()).map(Some),
            false => Ok(None),
        }
    }

    pub(super) fn stop(&self, stop: &mut Stop) -> Result<Option<Outcome>> {
        let names = std::mem::take(&mut stop.names);
        (stop.names, stop.done) = self.each(names, |container| {
            let seconds = stop.time.or(container.record.spec.stop_timeout);
            let seconds = seconds.unwrap_or(STOP_TIMEOUT);
            self.end(container, stop.signal, seconds)
        })?;
        Ok(stop.names.is_empty().then_some(Outcome::Done))
    }

    /// Engines before 23 know one signal for it, the container's.
    fn end(&self, container: &Container, signal: Option<SignalNumber>, seconds: u32) -> Result<()> {
        let docker = self.docker()?;
        let engine = docker.engine();
        let id = container.record.id.as_str();
        let limit = engine.long() + std::time::Duration::from_secs(seconds.into());
        if let Some(signal) = signal.filter(|_| container.process().is_some()) {
            let signal = format!("--signal={}", signal.number());
            engine.call(&["kill", &signal, id], engine.long(), None)?;
        }
        let time = format!("--time={seconds}");
        let said = engine.call(&["stop", &time, id], limit, None);
        if !container.record.is_kept {
            // Whoever started it may be gone.
            let _ = engine.call(&["wait", id], engine.short(), None);
        }
        let is_running = |found: &Container| found.process().is_some();
        match (docker.find(id)?.filter(is_running), said) {
            // An Engine that finds it ended and removed meanwhile calls that an error.
            (None, _) => Ok(()),
            (Some(_), Err(error)) => Err(error),
            (Some(still), Ok(_)) => Err(lives_on(&still).into()),
        }
    }

    pub(super) fn kill(&self, kill: &mut Kill) -> Result<Option<Outcome>> {
        let names = std::mem::take(&mut kill.names);
        let signal = format!("--signal={}", kill.signal.number());
        (kill.names, kill.done) = self.each(names, |container| {
            running(container)?;
            let words = ["kill", &signal, container.record.id.as_str()];
            self.work(&words)
        })?;
        Ok(kill.names.is_empty().then_some(Outcome::Done))
    }

    pub(super) fn wait(&self, wait: &mut Wait) -> Result<Option<Outcome>> {
        let mut rest = Vec::new();
        let mut codes = Vec::new();
        for name in std::mem::take(&mut wait.names) {
            let Some(container) = self.find(&name)? else {
                rest.push(name);
                continue;
            };
            let docker = self.docker()?;
            let mut command = docker.engine().command(&["wait", &container.record.id]);
            let answer = command.stderr(Stdio::piped()).output()?;
            if !answer.status.success() {
                return Err(crate::engine::fault("wait", &answer.stderr).into());
            }
            let code = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
            match self.context.wants_json(Format::Text) {
                true => codes.push(json!({ "name": name, "exit_code": code.parse::<i64>().ok() })),
                false => output::line(&code)?,
            }
        }
        if self.context.wants_json(Format::Text) && rest.is_empty() {
            output::json(&codes)?;
        }
        (wait.names, wait.codes) = (rest, codes);
        Ok(wait.names.is_empty().then_some(Outcome::Done))
    }

    /// Containers, and names of images if the Engine is the only runtime.
    pub(super) fn rm(&self, rm: &mut Rm) -> Result<Option<Outcome>> {
        let as_json = self.context.wants_json(Format::Text);
        let mut rest = Vec::new();
        for name in std::mem::take(&mut rm.names) {
            let (kind, done) = match self.look(&name)? {
                Some(container) => ("container", self.remove(&container, rm.force)),
                None if self.is_alone() => ("image", self.remove_image(&name)),
                None => {
                    rest.push(name);
                    continue;
                }
            };
            match done {
                Err(error) if rm.force && error::kind(&error) == Kind::NotFound => (),
                Err(error) => return Err(error),
                Ok(()) if as_json => rm.removed.push(json!({ "kind": kind, "name": name })),
                Ok(()) => output::line(&name)?,
            }
        }
        rm.names = rest;
        if as_json && rm.names.is_empty() {
            output::json(&rm.removed)?;
        }
        Ok(rm.names.is_empty().then_some(Outcome::Done))
    }

    fn remove(&self, container: &Container, force: bool) -> Result<()> {
        let name = container.record.name();
        if container.is_watched && container.process().is_some() && !force {
            let message = format!("container {name} is running");
            let hint = format!("stop it first: ucr stop {name}; or: ucr rm -f {name}");
            return Err(Fault::new(Kind::Usage, message).hint(hint).into());
        }
        let words = ["rm", "--force", "--volumes", &container.record.id];
        self.work(&words)
    }

    fn remove_image(&self, name: &str) -> Result<()> {
        let image = crate::cli::pull::name(self.context, name)
            .ok()
            .map(|name| self.docker()?.image(&name.to_string()))
            .transpose()?
            .flatten();
        let Some(image) = image else {
            let message =
                format!("'{name}' is no container of ucr's and no image in Docker Engine");
            return Err(Fault::new(Kind::NotFound, message)
                .hint("see 'ucr --runtime docker ps --all' and 'ucr --runtime docker images'")
                .into());
        };
        let words = ["image", "rm", image.name.as_str()];
        self.work(&words)
    }

    /// Has the Engine do something.
    fn work(&self, words: &[&str]) -> Result<()> {
        let engine = self.docker()?.engine();
        engine.call(words, engine.long(), None).map(drop)
    }

    /// Does it to each that the Engine has, prints its name, and returns the others, and
    /// those that are still to be printed as JSON.
    fn each(
        &self,
        names: Vec<String>,
        act: impl Fn(&Container) -> Result<()>,
    ) -> Result<(Vec<String>, Vec<String>)> {
        let (mut rest, mut done) = (Vec::new(), Vec::new());
        let as_json = self.context.wants_json(Format::Text);
        let mut failed = None;
        for name in names {
            let acted = match self.find(&name) {
                Ok(None) => {
                    rest.push(name);
                    continue;
                }
                Ok(Some(container)) => act(&container),
                Err(error) => Err(error),
            };
            match acted {
                Ok(()) if as_json => done.push(name),
                Ok(()) => output::line(&name)?,
                Err(error) => match failed {
                    None => failed = Some(error),
                    Some(_) => output::error(&error, as_json),
                },
            }
        }
        if as_json && rest.is_empty() {
            output::json(&done)?;
        }
        failed.map_or(Ok((rest, done)), Err)
    }

    pub(super) fn logs(&self, logs: &Logs) -> Result<Option<Outcome>> {
        let Some(container) = self.find(&logs.name)? else {
            return Ok(None);
        };
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let mut words = vec!["logs".to_owned()];
        if logs.follow {
            words.push("--follow".to_owned());
        }
        if logs.timestamps {
            words.push("--timestamps".to_owned());
        }
        words.extend(logs.lines().map(|lines| format!("--tail={lines}")));
        words.extend(logs.since.map(|it| format!("--since={}", time(it))));
        words.extend(logs.until.map(|it| format!("--until={}", time(it))));
        words.push(container.record.id);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let exit = self.docker()?.hand_over(Task::Logs, &words, false)?;
        Ok(Some(Outcome::Exited(exit)))
    }

    pub(super) fn attach(&self, attach: &Attach) -> Result<Option<Outcome>> {
        let Some(container) = self.find_running(&attach.name)? else {
            return Ok(None);
        };
        let keys = format!("--detach-keys={}", attach.detach_keys);
        let proxy = format!("--sig-proxy={}", attach.sig_proxy.unwrap_or(true));
        let mut words = vec!["attach", &keys, &proxy];
        if attach.no_stdin {
            words.push("--no-stdin");
        }
        words.push(&container.record.id);
        let exit = self
            .docker()?
            .hand_over(Task::Attach, &words, !attach.no_stdin)?;
        Ok(Some(Outcome::Exited(exit)))
    }

    pub(super) fn exec(&self, exec: &Exec) -> Result<Option<Outcome>> {
        let Some(container) = self.find_running(&exec.name)? else {
            return Ok(None);
        };
        let command = exec.command()?;
        let keys = format!("--detach-keys={}", exec.detach_keys);
        let mut words = vec!["exec".to_owned(), keys];
        let flags = [
            (exec.detach, "--detach"),
            (command.stdin, "--interactive"),
            (command.tty, "--tty"),
            (command.privileged, "--privileged"),
        ];
        let flags = flags.into_iter().filter(|(is_said, _)| *is_said);
        words.extend(flags.map(|(_, word)| word.to_owned()));
        let docker = self.docker()?;
        words.extend(docker.environment(&command.env)?);
        words.extend(command.user.map(|it| format!("--user={it}")));
        words.extend(command.working_dir.map(|it| format!("--workdir={it}")));
        words.push(container.record.id);
        let task = Task::Exec {
            command: command.argv.first().map_or("", String::as_str),
            tty: command.tty,
        };
        words.extend(command.argv.iter().cloned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let exit = docker.hand_over(task, &words, command.stdin)?;
        Ok(Some(Outcome::Exited(exit)))
    }
}

/// With an ID as people see it.
pub(super) fn shown(mut container: Container) -> Container {
    container.record.id.truncate(SHORT_ID);
    container
}

/// docker ends well where the Engine could not kill a process, which may hang in the kernel.
fn lives_on(container: &Container) -> Fault {
    let name = container.record.name();
    let message = format!("container {name} runs on, although docker stop says it does not");
    Fault::new(Kind::Network, message).hint("see the Engine's log (journalctl -u docker)")
}

fn running(container: &Container) -> Result<(), Fault> {
    match container.process() {
        Some(_) => Ok(()),
        None => {
            let message = format!("container {} is not running", container.record.name());
            Err(Fault::new(Kind::NotFound, message)
                .hint("'ucr --runtime docker ps --all' says how it ended"))
        }
    }
}
