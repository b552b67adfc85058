//! One run of one plugin: a program of the host that is told what to do by its environment and its
//! standard input, and answers on standard output.
//!
//! It gets nothing else of ucr's: no descriptor, and of the environment only the `PATH`. It dies
//! with ucr, and what it says and how long it takes is bounded.

use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, PipeReader, Read, Seek, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, Mode, OFlags, fcntl_setfl, memfd_create};
use rustix::process::{Signal, kill_process_group};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use serde_json::Value;

use crate::error::{Fault, Kind};
use crate::sys::process::{
    Child, Exit, Namespaces, Words, close_all_but, die_with_parent, exec, spawn,
};
use crate::sys::signal;

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// How much of the end of standard error is kept, in bytes.
const MAX_WORDS: usize = 4 << 10;
/// Longest piece of what a plugin says that is shown, in characters.
const MAX_SHOWN: usize = 600;
/// How often we ask whether it is still wanted.
const STEP: Duration = Duration::from_millis(50);

/// What a plugin can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Del,
    Check,
    Version,
}

impl Verb {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Version => "VERSION",
        }
    }
}

/// How long it may take.
pub(super) struct Patience<'a> {
    pub(super) time: Duration,
    /// Asked now and then: whether nobody wants it any more.
    pub(super) is_over: &'a dyn Fn() -> Result<bool>,
}

/// Finds a plugin's program.
pub(super) fn find(name: &str, directories: &[PathBuf]) -> Result<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
    };
    let mut places = directories.iter().map(|directory| directory.join(name));
    places.find(is_program).ok_or_else(|| {
        let places: Vec<_> = directories
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        let message = format!("there is no plugin '{name}' in {}", places.join(", "));
        Fault::new(Kind::NotFound, message)
            .hint("apt install containernetworking-plugins, or say --cni-plugin-dir")
            .into()
    })
}

/// Runs a plugin to its end and returns its answer; an empty one is `Null`. Our process must have
/// one thread.
pub(super) fn run(
    program: &Path,
    env: &[(&str, String)],
    input: &[u8],
    patience: &Patience,
) -> Result<Value> {
    let said = Said::of(program, env, input, patience)?;
    let answer = || serde_json::from_slice::<Value>(&said.out);
    let is_empty = said.out.trim_ascii().is_empty();
    match said.exit {
        Exit::Code(0) if is_empty => Ok(Value::Null),
        Exit::Code(0) => answer().map_err(|error| {
            let message = format!("what it prints is not JSON: {error}");
            Fault::new(Kind::Unsupported, message).into()
        }),
        exit => Err(said.failure(exit, answer().unwrap_or_default()).into()),
    }
}

/// What a plugin said, and how it ended.
struct Said {
    exit: Exit,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Said {
    fn of(
        program: &Path,
        env: &[(&str, String)],
        input: &[u8],
        patience: &Patience,
    ) -> Result<Self> {
        let mut stdin = File::from(memfd_create("config", MemfdFlags::CLOEXEC)?);
        stdin.write_all(input)?;
        stdin.rewind()?;
        let (out, out_theirs) = pipe()?;
        let (err, err_theirs) = pipe()?;
        for ours in [&out, &err] {
            fcntl_setfl(ours, OFlags::NONBLOCK)?;
        }
        let path = CString::new(program.as_os_str().as_bytes())?;
        let args = Words::new([path.as_bytes()])?;
        let words = env.iter().map(|(name, value)| format!("{name}={value}"));
        let env = Words::new(words)?;
        let become_plugin = || -> Result<std::convert::Infallible> {
            // With all that it starts, to be ended together.
            rustix::process::setpgid(None, None)?;
            die_with_parent()?;
            dup2_stdin(&stdin)?;
            dup2_stdout(&out_theirs)?;
            dup2_stderr(&err_theirs)?;
            close_all_but(std::iter::empty())?;
            rustix::process::umask(Mode::from_raw_mode(0o022));
            rustix::process::chdir("/")?;
            signal::reset()?;
            Ok(exec(&path, &args, &env)?)
        };
        let child = spawn(Namespaces::default(), || match become_plugin() {
            Ok(never) => match never {},
            Err(error) => {
                // Its standard error is ours to read.
                let _ = writeln!(std::io::stderr(), "{}", crate::error::render(&error));
                126
            }
        })?;
        drop((out_theirs, err_theirs));
        let mut listening = Listening {
            out: Some(out),
            err: Some(err),
            said: Vec::new(),
            words: Vec::new(),
        };
        let watched = listening.watch(&child, patience);
        if watched.is_err() {
            let _ = kill_process_group(child.pid(), Signal::KILL);
            child.signal(libc::SIGKILL)?;
        }
        let exit = child.wait()?;
        watched?;
        Ok(Self {
            exit,
            out: listening.said,
            err: listening.words,
        })
    }

    /// The specification's form of an error, on standard output; else what was said last.
    fn failure(&self, exit: Exit, answer: Value) -> Fault {
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        let code = answer.get("code").and_then(Value::as_u64);
        let (msg, details) = (text("msg"), text("details"));
        let why = match (msg, details) {
            ("", "") => self.last_words(exit),
            (msg, "") | ("", msg) => msg.to_owned(),
            (msg, details) => format!("{msg}: {details}"),
        };
        let why: String = why.chars().take(MAX_SHOWN).collect();
        match code {
            None => Fault::new(Kind::Unsupported, why),
            Some(code) => {
                let fault = Fault::new(Kind::Unsupported, format!("{why} (CNI error {code})"));
                match meaning(code) {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                }
            }
        }
    }

    fn last_words(&self, exit: Exit) -> String {
        let ended = match exit {
            Exit::Code(code) => format!("it ended with code {code}"),
            Exit::Signal(number) => format!("signal {number} killed it"),
        };
        let words = String::from_utf8_lossy(&self.err);
        let mut lines = words.lines().rev();
        match lines.find(|line| !line.trim().is_empty()) {
            Some(line) => format!("{ended}: {}", line.trim()),
            None => ended,
        }
    }
}

/// What to do about the errors that every plugin has in common (CNI specification, section 5).
fn meaning(code: u64) -> Option<&'static str> {
    match code {
        1 => Some("the plugin does not know this cniVersion: say an older one in the list"),
        2 => Some("the plugin does not know a field of the list"),
        7 => Some("the list is wrong for this plugin"),
        11 => Some("try again later"),
        _ => None,
    }
}

/// The pipes of a plugin that runs, and what came through them.
struct Listening {
    out: Option<PipeReader>,
    err: Option<PipeReader>,
    said: Vec<u8>,
    words: Vec<u8>,
}

impl Listening {
    /// Until its end, whoever else still has its pipes.
    fn watch(&mut self, child: &Child, patience: &Patience) -> Result<()> {
        let deadline = Instant::now() + patience.time;
        loop {
            let ended = self.wait(child)?;
            self.read()?;
            if ended {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let seconds = patience.time.as_secs();
                let message = format!("it did not end within {seconds} s and was killed");
                return Err(Fault::new(Kind::Unsupported, message)
                    .hint("$UCR_CNI_TIMEOUT says how many seconds a plugin may take")
                    .into());
            }
            if (patience.is_over)()? {
                return Err(Fault::new(Kind::Interrupted, "it was interrupted").into());
            }
        }
    }

    fn wait(&self, child: &Child) -> Result<bool> {
        let handle = child.handle();
        let mut fds = vec![PollFd::new(&handle, PollFlags::IN)];
        let pipes = [&self.out, &self.err];
        let open = pipes.into_iter().flatten();
        fds.extend(open.map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)));
        match poll(&mut fds, Some(&Timespec::try_from(STEP)?)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
        Ok(fds.first().is_some_and(|it| !it.revents().is_empty()))
    }

    fn read(&mut self) -> Result<()> {
        drain(&mut self.out, &mut self.said)?;
        if self.said.len() > MAX_ANSWER {
            let message = format!("it printed more than {MAX_ANSWER} bytes and was killed");
            return Err(Fault::new(Kind::Limit, message).into());
        }
        drain(&mut self.err, &mut self.words)?;
        let surplus = self.words.len().saturating_sub(MAX_WORDS);
        self.words.drain(..surplus);
        Ok(())
    }
}

/// Reads what is there, but not for ever: who writes as fast as we read must not keep us.
fn drain(pipe: &mut Option<PipeReader>, into: &mut Vec<u8>) -> Result<()> {
    let mut buffer = [0; 16 << 10];
    let mut room = MAX_ANSWER + 1;
    while let Some(open) = pipe.as_mut().filter(|_| room > 0) {
        match open.read(&mut buffer) {
            Ok(0) => *pipe = None,
            Ok(count) => {
                into.extend(buffer.get(..count).context("internal: more than fits")?);
                room = room.saturating_sub(count);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
