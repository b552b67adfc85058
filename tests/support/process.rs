//! Processes with a hard time limit, in a group of their own, so that nothing outlives its test.
//!
//! Input and output are unnamed files, not pipes: no thread has to drain them, and a grandchild
//! that keeps a descriptor open cannot hold up a test.

use std::fs::File;
use std::io::{ErrorKind, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};

/// What a process came to.
#[derive(Debug)]
pub struct Finished {
    /// The words of the command line, for messages.
    pub line: String,
    /// The exit code; minus the number of the signal that killed it.
    pub code: i32,
    /// All of stdout; what is not UTF-8 is replaced.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Finished {
    /// Panics with both streams unless the code is as expected.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.line, self.stdout, self.stderr
        );
        self
    }

    /// Code 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect_code(0)
    }

    /// Code 125, nothing on stdout, and a message made as the house makes them: `ucr: …` first,
    /// that contains all these words.
    #[track_caller]
    pub fn refused(self, words: &[&str]) -> Self {
        let this = self.expect_code(125);
        assert_eq!(this.stdout, "", "{}: a fault belongs on stderr", this.line);
        let first = this.stderr.lines().find(|line| line.starts_with("ucr: "));
        assert!(
            first.is_some(),
            "{}: no 'ucr: …' line in\n{}",
            this.line,
            this.stderr
        );
        for word in words {
            assert!(
                this.stderr.contains(word),
                "{}: the message should have {word:?}:\n{}",
                this.line,
                this.stderr
            );
        }
        this
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{}: stdout is not JSON: {e}\n{}", self.line, self.stdout))
    }

    /// Stdout without the blanks around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }
}

/// A process that is still running, or not yet waited for. Killed on drop, with its group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pidfd: OwnedFd,
    line: String,
    stdout: File,
    stderr: File,
    waited: bool,
}

/// Starts a command with this input.
#[track_caller]
pub fn spawn(command: &mut Command, stdin: &[u8]) -> Running {
    let line = describe(command);
    let mut input = unnamed();
    input.write_all(stdin).expect("write the input");
    input.rewind().expect("rewind the input");
    let (stdout, stderr) = (unnamed(), unnamed());
    command
        .stdin(input)
        .stdout(Stdio::from(stdout.try_clone().expect("dup")))
        .stderr(Stdio::from(stderr.try_clone().expect("dup")))
        .process_group(0);
    let deadline = Instant::now() + Duration::from_secs(5);
    let child = loop {
        match command.spawn() {
            // Just written; a child that another test forked meanwhile has a copy of the handle
            // until it executes something.
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => break result.unwrap_or_else(|error| panic!("{line}: {error}")),
        }
    };
    let pid = rustix::process::Pid::from_child(&child);
    Running {
        pidfd: pidfd_open(pid, PidfdFlags::empty()).expect("pidfd_open"),
        child,
        line,
        stdout,
        stderr,
        waited: false,
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command, stdin: &[u8], limit: Duration) -> Finished {
    spawn(command, stdin).finish(limit)
}

/// Runs a tool of the test's own that must succeed; gives its stdout.
#[track_caller]
pub fn tool(command: &mut Command) -> String {
    run(command, b"", Duration::from_secs(300)).ok().stdout
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|e| panic!("{signal} to {}: {e}", self.line));
    }

    /// The same to all processes of its group, as a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        killpg(self.pid(), signal).unwrap_or_else(|e| panic!("{signal} to {}: {e}", self.line));
    }

    /// What it has written to stdout so far.
    pub fn stdout_so_far(&self) -> String {
        read_all(&self.stdout)
    }

    /// What it has written to stderr so far.
    pub fn stderr_so_far(&self) -> String {
        read_all(&self.stderr)
    }

    /// Has it ended within this time?
    pub fn ended_within(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).expect("a sane duration");
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.expect("poll of a pidfd") > 0,
            }
        }
    }

    /// Waits for a condition, looking every few milliseconds; panics after the limit, or when the
    /// process ends before.
    #[track_caller]
    pub fn wait_until(&self, what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + limit;
        while !condition() {
            let ended = self.ended_within(Duration::from_millis(5));
            assert!(
                condition() || !ended,
                "{}: ended before {what}:\n{}",
                self.line,
                self.stderr_so_far()
            );
            assert!(
                Instant::now() < deadline,
                "{}: no {what} in {limit:?}",
                self.line
            );
        }
    }

    /// Waits for the end; a process that is over its limit is killed with its group, and the test
    /// fails.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Finished {
        if !self.ended_within(limit) {
            self.kill_group();
            panic!(
                "{}: still running after {limit:?}\n--- stdout\n{}\n--- stderr\n{}",
                self.line,
                self.stdout_so_far(),
                self.stderr_so_far()
            );
        }
        let status = self.child.wait().expect("wait");
        self.waited = true;
        Finished {
            line: self.line.clone(),
            code: code(status),
            stdout: self.stdout_so_far(),
            stderr: self.stderr_so_far(),
        }
    }

    fn kill_group(&mut self) {
        // The group may be gone already, which is what we want.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
        self.waited = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.waited {
            self.kill_group();
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|number| -number);
    status.code().or(signal).expect("a code or a signal")
}

fn unnamed() -> File {
    tempfile::tempfile_in("/var/tmp").expect("a temporary file")
}

fn read_all(file: &File) -> String {
    use std::os::unix::fs::FileExt;
    let length = file.metadata().expect("stat").len();
    let mut bytes = vec![0; usize::try_from(length).expect("it fits in memory")];
    // read_at leaves the offset alone, which the child shares and writes at.
    file.read_exact_at(&mut bytes, 0).expect("read back");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
