//! `docker exec`, `logs` and `attach` with our streams, and what their ends mean: docker answers 1
//! where it failed itself, and tells on the command's own streams why a command was not executed.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Docker;
use super::arguments::variables;
use super::create::ENV_FILE;
use super::relay::{Relay, To};
use super::verdict::{State, failure};
use crate::engine::{fault, is_own_word};
use crate::error::{Fault, Kind};
use crate::exit::Exit;

/// How often what is held back is looked at.
const STEP: Duration = Duration::from_millis(100);

/// What the command line of docker is for.
#[derive(Clone, Copy, Debug)]
pub enum Task<'a> {
    /// What was printed.
    Logs,
    /// The streams of a container's first process.
    Attach,
    /// This command in a container, perhaps with a terminal.
    Exec {
        /// Its first word.
        command: &'a str,
        /// It has a terminal, whose size the CLI asks our stdout for.
        tty: bool,
    },
}

impl Docker {
    /// Options of `docker exec` that set these variables, for one call.
    pub fn environment(&self, env: &[String]) -> Result<Vec<String>> {
        let private = self.engine.private();
        let told = variables(env, &private.path().join(ENV_FILE))?;
        private.text(ENV_FILE, &told.variables)?;
        Ok(told.words)
    }

    /// Lets docker do it with our streams. Fails with what docker says if it could not, with
    /// [`Kind::NoCommand`] or [`Kind::NotExecutable`] if the command cannot be executed.
    pub fn hand_over(&self, task: Task, words: &[&str], has_stdin: bool) -> Result<Exit> {
        let shows_stdout = matches!(task, Task::Exec { tty: false, .. });
        let mut command = self.engine.command(words);
        if has_stdin {
            command.stdin(Stdio::inherit());
        }
        let mut child = command
            .stdout(match shows_stdout {
                true => Stdio::piped(),
                false => Stdio::inherit(),
            })
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.engine.no_cli(&error))?;
        let mut relays = [
            Relay::new(child.stdout.take().map(Into::into), To::Stdout),
            Relay::new(child.stderr.take().map(Into::into), To::Stderr),
        ];
        let status = follow(&mut child, &mut relays)?;
        let [stdout, stderr] = &mut relays;
        let (stdout, stderr) = (stdout.finish()?, stderr.finish()?);
        if let Some(fault) = verdict(task, status, &stdout, &stderr) {
            return Err(fault.into());
        }
        To::Stdout.print(&stdout)?;
        To::Stderr.print(&stderr)?;
        Ok(Exit::Code(code(status)))
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(crate::exit::FAULT)
}

/// Passes on what comes until the CLI ends.
fn follow(child: &mut Child, relays: &mut [Relay; 2]) -> Result<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.context("docker has no process")?;
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let mut fds = vec![PollFd::new(&handle, PollFlags::IN)];
        let streams = relays.iter().filter_map(Relay::handle);
        fds.extend(streams.map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN)));
        let holds = relays.iter().any(Relay::holds);
        let limit = holds.then(|| Timespec::try_from(STEP).ok()).flatten();
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
        relays.iter_mut().try_for_each(Relay::step)?;
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
    }
}

/// What went wrong, if it is docker that says so. Pure.
fn verdict(task: Task, status: ExitStatus, stdout: &[u8], stderr: &[u8]) -> Option<Fault> {
    let verb = match task {
        Task::Logs => "logs",
        Task::Attach => "attach",
        Task::Exec { .. } => "exec",
    };
    if let Some(number) = status.signal() {
        let message = format!("docker {verb}: signal {number} ended it");
        return Some(Fault::new(Kind::Interrupted, message).hint("try again"));
    }
    if let (Task::Exec { command, .. }, Some(code)) = (task, status.code()) {
        let said = [stdout, stderr].map(|it| String::from_utf8_lossy(it).into_owned());
        let is_refusal = |it: &&String| REFUSALS.iter().any(|part| it.contains(part));
        let refused = said.iter().find(is_refusal);
        let is_dockers = matches!(code, 126 | 127) || code == 1 && is_own_word(stderr);
        if let Some(said) = refused.filter(|_| is_dockers) {
            let state = State {
                exit_code: code,
                ..State::default()
            };
            return Some(failure(verb, &state, said.trim(), command));
        }
    }
    let is_dockers = match task {
        Task::Logs => !status.success(),
        Task::Attach | Task::Exec { .. } => status.code() == Some(1) && is_own_word(stderr),
    };
    is_dockers.then(|| fault(verb, stderr))
}

/// How the Engine tells that a command could not be executed, on whatever stream.
const REFUSALS: [&str; 3] = [
    "OCI runtime exec failed: ",
    "unable to find user ",
    "unable to find group ",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_fault_it_is() {
        let exec = Task::Exec {
            command: "x",
            tty: false,
        };
        let missing = "OCI runtime exec failed: exec failed: unable to start container process: \
                       exec: \"x\": executable file not found in $PATH: unknown\r\n";
        let gone = "Error response from daemon: container x is not running";
        let rows = [
            (exec, 0, "", "", None),
            (exec, 1, "", "no\n", None),
            (exec, 1, "", gone, Some(Kind::Spec)),
            (exec, 126, missing, "", Some(Kind::NoCommand)),
            (exec, 127, "", missing, Some(Kind::NoCommand)),
            (
                exec,
                126,
                "unable to find user x: y\r\n",
                "",
                Some(Kind::Spec),
            ),
            (exec, 3, missing, "", None),
            (Task::Attach, 1, "", gone, Some(Kind::Spec)),
            (Task::Attach, 3, "", gone, None),
            (Task::Logs, 0, "", gone, None),
            (Task::Logs, 1, "", "", Some(Kind::Spec)),
        ];
        for (task, code, stdout, stderr, expected) in rows {
            let status = ExitStatus::from_raw(code << 8);
            let fault = verdict(task, status, stdout.as_bytes(), stderr.as_bytes());
            assert_eq!(fault.map(|it| it.kind()), expected, "{task:?} {code}");
        }
        let killed = verdict(exec, ExitStatus::from_raw(9), b"", b"");
        assert_eq!(killed.map(|it| it.kind()), Some(Kind::Interrupted));
    }
}
