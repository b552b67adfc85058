//! `--secret-command`: a program that knows values, such as the client of a vault.
//!
//! Started without a shell, with an empty standard input, in a process group of its own, which is
//! killed when time is up. Both pipes are read by one poll loop: whoever calls may have to stay
//! single-threaded.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::{MAX_VALUE, read};
use crate::error::{Fault, Kind};

/// What stands for the source, in any word.
const PLACEHOLDER: &str = "{source}";
/// How much of what a command complains of is kept, in bytes.
const MAX_COMPLAINT: usize = 4096;
/// How much of it is shown, in characters.
const MAX_SHOWN: usize = 200;
/// How often a command that closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// A command line, split into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretCommand {
    words: Vec<String>,
    patience: Duration,
}

impl FromStr for SecretCommand {
    type Err = Fault;

    /// Words as a shell splits them, with its quotes and nothing else of it.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let bad = |why: &str| {
            Fault::new(Kind::Usage, format!("--secret-command '{text}': {why}")).hint(format!(
                "say PROGRAM ARGUMENTS, with {PLACEHOLDER} where the source goes"
            ))
        };
        let words = shlex::split(text).ok_or_else(|| bad("a quote is not closed"))?;
        match words.split_first() {
            None => Err(bad("it names no program")),
            Some((_, arguments)) if !arguments.iter().any(|word| word.contains(PLACEHOLDER)) => {
                Err(bad(&format!("no argument has {PLACEHOLDER} in it")))
            }
            Some(_) => Ok(Self {
                words,
                patience: read::PATIENCE,
            }),
        }
    }
}

impl SecretCommand {
    /// With less patience than 30 s.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The program, for messages.
    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Asks for a value; the reason if it does not give one. Variables that are `private` stay
    /// here.
    pub(super) fn ask(
        &self,
        source: &str,
        private: &dyn Fn(&str) -> bool,
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut command = Command::new(self.program());
        for word in self.words.iter().skip(1) {
            command.arg(word.replace(PLACEHOLDER, source));
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(private))
        {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut pipes = Pipes::of(&mut child);
        let outcome = collect(&mut child, &mut pipes, Instant::now() + self.patience);
        if !matches!(outcome, Ok(Some(_))) {
            end(&mut child);
        }
        match outcome {
            Ok(Some(status)) if status.success() => Ok(pipes.value),
            Ok(Some(status)) => Err(pipes.complaint(status)),
            Ok(None) if pipes.value.len() as u64 > MAX_VALUE => Err(read::too_large()),
            Ok(None) => Err(format!(
                "no answer within {} s",
                self.patience.as_secs_f32()
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What a command writes, as far as it is kept.
struct Pipes {
    stdout: Option<File>,
    stderr: Option<File>,
    value: Zeroizing<Vec<u8>>,
    complaint: Vec<u8>,
}

impl Pipes {
    fn of(child: &mut Child) -> Self {
        let file = |pipe: Option<OwnedFd>| pipe.map(File::from);
        Self {
            stdout: file(child.stdout.take().map(OwnedFd::from)),
            stderr: file(child.stderr.take().map(OwnedFd::from)),
            value: Zeroizing::new(Vec::with_capacity(MAX_VALUE as usize + 1)),
            complaint: Vec::with_capacity(MAX_COMPLAINT),
        }
    }

    /// Reads what is there now from both.
    fn read(&mut self) -> io::Result<()> {
        if let Some(stdout) = &self.stdout
            && read::read_some(stdout, &mut self.value)?
        {
            self.stdout = None;
        }
        if let Some(stderr) = &self.stderr {
            // What is beyond its room is read too: the command must not wait for us.
            let mut beyond = Vec::with_capacity(MAX_COMPLAINT);
            let ended = read::read_some(stderr, &mut beyond)?;
            let room = MAX_COMPLAINT - self.complaint.len();
            self.complaint
                .extend_from_slice(&beyond[..beyond.len().min(room)]);
            if ended && beyond.len() < beyond.capacity() {
                self.stderr = None;
            }
        }
        Ok(())
    }

    /// The last line, as that is where programs say what was wrong; of one that has printed a value,
    /// or a part of it, nothing: its trace may have it, too.
    fn complaint(&self, status: ExitStatus) -> String {
        if !self.value.is_empty() {
            return status.to_string();
        }
        let text = String::from_utf8_lossy(&self.complaint);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        match line {
            Some(line) => {
                let shown: String = line.chars().take(MAX_SHOWN).collect();
                format!("{status}: {shown}")
            }
            None => status.to_string(),
        }
    }
}

/// Reads until the command has ended; `None` if time is up or the value is too large.
fn collect(
    child: &mut Child,
    pipes: &mut Pipes,
    deadline: Instant,
) -> io::Result<Option<ExitStatus>> {
    for pipe in [&pipes.stdout, &pipes.stderr].into_iter().flatten() {
        read::make_nonblocking(pipe.as_fd())?;
    }
    // The value is whole when its pipe is closed; what is said on the other by something that
    // the command left running is not waited for.
    while pipes.stdout.is_some() {
        let left = deadline.saturating_duration_since(Instant::now());
        let open = [&pipes.stdout, &pipes.stderr].into_iter().flatten();
        let mut files: Vec<PollFd> = open
            .map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN))
            .collect();
        if left.is_zero() || !read::wait(&mut files, left)? {
            return Ok(None);
        }
        pipes.read()?;
        if pipes.value.len() as u64 > MAX_VALUE {
            return Ok(None);
        }
    }
    while Instant::now() < deadline {
        pipes.read()?;
        if let Some(status) = child.try_wait()? {
            pipes.read()?;
            return Ok(Some(status));
        }
        std::thread::sleep(POLL);
    }
    Ok(None)
}

/// Ends the command and whatever it started.
fn end(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        // Not yet waited for, so the number is still this child's.
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    let _ = child.wait();
}
