//! One probe, made by a process of its own, which may block, enter the task's network and be killed
//! at any time. What it finds comes back as one line for each finding; the last one counts.

mod command;
mod http;
mod tcp;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

use super::plan::{Command, Place, Probe};
use crate::error;
use crate::sys::namespace::Network;
use crate::sys::proc::Proc;
use crate::sys::process::{self, Child, Exit, Namespaces, spawn};

/// Most that is kept of what a command prints, in bytes.
const MAX_PRINTED: usize = 4096;
/// Most that is told of why a probe could not be made, in characters.
const MAX_CAUSE: usize = 500;
/// Most that is read of what a probe reports. It must not have to wait for that, and so reports no
/// more than the smallest pipe holds: two lines, one with a cause.
const MAX_REPORT: u64 = 4096;
/// How long a killed probe may take to reap what it has started.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Executes a command in the task to its end. Called in a process of its own with `/dev/null` for
/// standard input, and whose standard output and error are read; when the time is over that process
/// is killed, and with it what it has started and the process groups that these lead.
pub type RunCommand<'a> = dyn Fn(&Command) -> Result<Exit> + 'a;

/// What a probe came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The status code of the answer.
    Status(u16),
    /// The connection was made.
    Connected,
    /// It was not, and why.
    Unconnected(String),
    /// The command ended.
    Exited(Exit),
    /// It could not be made, and why.
    Failed(String),
}

impl Outcome {
    fn of(error: &anyhow::Error) -> Self {
        Self::Failed(error::render(error).chars().take(MAX_CAUSE).collect())
    }
}

/// A probe that is being made.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    is_command: bool,
    report: File,
    output: Option<File>,
    printed: Vec<u8>,
}

impl Running {
    /// Starts it. The caller must be single-threaded.
    pub(super) fn start(
        probe: &Probe,
        network: Option<&Network>,
        run: &RunCommand,
    ) -> Result<Self> {
        let (report, findings) = io::pipe().context("make a pipe")?;
        let is_command = matches!(probe, Probe::Command(_));
        let (output, printed) = match is_command {
            true => {
                let (output, printed) = io::pipe().context("make a pipe")?;
                ioctl_fionbio(&output, true)?;
                (Some(output), Some(printed))
            }
            false => (None, None),
        };
        let body = || {
            let findings = Findings(findings.as_fd());
            let made = make(
                probe,
                network,
                run,
                printed.as_ref().map(AsFd::as_fd),
                &findings,
            );
            findings.tell(&made.unwrap_or_else(|error| Outcome::of(&error)));
            0
        };
        let child = spawn(Namespaces::default(), body).context("start a process")?;
        Ok(Self {
            child,
            is_command,
            report: OwnedFd::from(report).into(),
            output: output.map(|output| OwnedFd::from(output).into()),
            printed: Vec::new(),
        })
    }

    /// Readable when it has ended.
    pub(super) fn process(&self) -> BorrowedFd<'_> {
        self.child.handle()
    }

    /// Readable when the command has printed something, until [`Self::read`] finds the end.
    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Takes what the command has printed, a part at a time; `false` once there is no more.
    pub(super) fn read(&mut self) -> bool {
        let mut buffer = [0; MAX_PRINTED];
        let Some(output) = &mut self.output else {
            return false;
        };
        match output.read(&mut buffer) {
            Ok(0) => return false,
            Ok(read) => {
                let room = MAX_PRINTED - self.printed.len();
                self.printed.extend_from_slice(&buffer[..read.min(room)]);
            }
            Err(error) => {
                return matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
            }
        }
        true
    }

    /// Ends it soon: what it has started in the task goes first, so that it can reap that. The end
    /// still comes by [`Self::process`].
    pub(super) fn kill(&self) {
        match self.is_command && self.kill_started().unwrap_or(false) {
            true => drop(self.child.signal(libc::SIGCONT)),
            false => self.kill_group(),
        }
    }

    /// Ends it at once, whoever reaps what it has started.
    pub(super) fn kill_now(&self) {
        if self.is_command {
            // It may have started more since.
            let _ = self.kill_started();
        }
        self.kill_group();
    }

    /// Kills its children, and whether there are any; it stands still then. A command in a native
    /// container leads a session of its own, whose other processes would outlive both.
    fn kill_started(&self) -> io::Result<bool> {
        self.child.halt()?;
        let started = Proc::open()?.children(self.child.pid().as_raw_nonzero().get());
        // Their parent stands still, so that their numbers stay theirs.
        for pid in started.iter().copied().filter_map(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = kill_process(pid, Signal::KILL);
        }
        Ok(!started.is_empty())
    }

    fn kill_group(&self) {
        // It may not have made its group yet, and is then alone.
        let _ = kill_process_group(self.child.pid(), Signal::KILL);
        let _ = self.child.signal(libc::SIGKILL);
    }

    /// Reaps it, which must have ended, and ends what it has left in its group; `None` if it found
    /// nothing.
    pub(super) fn finish(mut self) -> Result<(Option<Outcome>, String)> {
        while !self.is_drained() {}
        // Before its number, which is also the group's, can be another's.
        self.kill_group();
        self.child.wait().context("wait for a probe")?;
        ioctl_fionbio(&self.report, true)?;
        let mut text = Vec::new();
        let _ = (&self.report).take(MAX_REPORT).read_to_end(&mut text);
        let lines = text.split(|byte| *byte == b'\n');
        let mut found = lines.filter_map(|line| serde_json::from_slice(line).ok());
        let printed = String::from_utf8_lossy(&self.printed);
        Ok((found.next_back(), printed.trim().to_owned()))
    }

    /// Whether all is kept that is to be kept of what was printed until now.
    fn is_drained(&mut self) -> bool {
        let before = self.printed.len();
        !self.read() || self.printed.len() == before
    }

    /// Waits for the end of a killed one, in bounded time.
    pub(super) fn reap(self) {
        match self.child.has_ended(LAST_WORDS) {
            Ok(true) => self.kill_group(),
            Ok(false) | Err(_) => self.kill_now(),
        }
        let _ = self.child.wait();
    }
}

/// Where a probe tells what it finds.
struct Findings<'a>(BorrowedFd<'a>);

impl Findings<'_> {
    /// Whoever does not listen any more has no use for it.
    fn tell(&self, outcome: &Outcome) {
        if let Ok(mut line) = serde_json::to_vec(outcome) {
            line.push(b'\n');
            let pipe = self.0.try_clone_to_owned();
            let _ = pipe.and_then(|pipe| File::from(pipe).write_all(&line));
        }
    }
}

/// What the new process does.
fn make(
    probe: &Probe,
    network: Option<&Network>,
    run: &RunCommand,
    printed: Option<BorrowedFd>,
    findings: &Findings,
) -> Result<Outcome> {
    process::die_with_parent()?;
    rustix::process::setsid()?;
    if probe.place() == Place::Inside {
        let network = network.context("the task has no process here")?;
        network.enter().context("enter the task's network")?;
        // A change of users has undone it.
        process::die_with_parent()?;
    }
    match (probe, printed) {
        (Probe::Command(command), Some(printed)) => command::run(command, printed, run),
        (Probe::Command(_), None) => anyhow::bail!("internal: a command without output"),
        (Probe::Tcp(target), _) => {
            process::close_all_but([findings.0].into_iter())?;
            Ok(tcp::connect(*target))
        }
        (Probe::Http(http), _) => {
            process::close_all_but([findings.0].into_iter())?;
            http::ask(http, &|status| findings.tell(&Outcome::Status(status)))
        }
    }
}
