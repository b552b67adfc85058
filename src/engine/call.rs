//! One call of the CLI: bounded in time and output, and it can be ended early. Without threads, of
//! which the process that starts containers must have none.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// How often it is asked whether a CLI that closed its output has ended.
const POLL: Duration = Duration::from_millis(2);

/// How a call went.
pub(super) enum Collected {
    /// Its status, and what it wrote.
    Ended(ExitStatus, Vec<u8>, Vec<u8>),
    TimedOut,
    TooMuch,
    Interrupted,
}

/// Runs a program to its end, or ends it and all that it started.
pub(super) fn collect(
    command: &mut Command,
    limit: Duration,
    interrupt: Option<BorrowedFd>,
) -> io::Result<Collected> {
    let deadline = Instant::now() + limit;
    command.stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let collected = read(&mut child, deadline, interrupt);
    if !matches!(collected, Ok(Collected::Ended(..))) {
        end(&mut child);
    }
    collected
}

fn read(
    child: &mut Child,
    deadline: Instant,
    interrupt: Option<BorrowedFd>,
) -> io::Result<Collected> {
    let mut stdout = child.stdout.take().map(Stream::new);
    let mut stderr = child.stderr.take().map(Stream::new);
    while stdout.iter().any(Stream::is_open) || stderr.iter().any(Stream::is_open) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Collected::TimedOut);
        }
        if wait(stdout.as_ref(), stderr.as_ref(), interrupt, left)? {
            return Ok(Collected::Interrupted);
        }
        let read = [
            stdout.as_mut().map_or(Ok(()), Stream::step),
            stderr.as_mut().map_or(Ok(()), Stream::step),
        ];
        if read.iter().any(Result::is_err) {
            return Ok(Collected::TooMuch);
        }
    }
    loop {
        if let Some(status) = child.try_wait()? {
            let bytes = |bytes: Option<Vec<u8>>| bytes.unwrap_or_default();
            return Ok(Collected::Ended(
                status,
                bytes(stdout.map(|it| it.bytes)),
                bytes(stderr.map(|it| it.bytes)),
            ));
        }
        if Instant::now() > deadline {
            return Ok(Collected::TimedOut);
        }
        std::thread::sleep(POLL);
    }
}

/// Waits for something to read; whether that is the interrupt.
fn wait(
    stdout: Option<&Stream<impl AsFd>>,
    stderr: Option<&Stream<impl AsFd>>,
    interrupt: Option<BorrowedFd>,
    left: Duration,
) -> io::Result<bool> {
    let mut fds = Vec::new();
    let own = [
        stdout.filter(|it| it.is_open()).map(Stream::handle),
        stderr.filter(|it| it.is_open()).map(Stream::handle),
    ];
    for fd in interrupt.into_iter().chain(own.into_iter().flatten()) {
        fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
    }
    let limit = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => (),
        Err(error) => return Err(error.into()),
    }
    Ok(interrupt.is_some() && !fds[0].revents().is_empty())
}

/// What a pipe brought so far.
struct Stream<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: Read + AsFd> Stream<R> {
    /// It must not block us where poll was wrong.
    fn new(pipe: R) -> Self {
        // A pipe of our own; where this fails, reading blocks only until there is something.
        let _ = rustix::io::ioctl_fionbio(&pipe, true);
        Self {
            pipe: Some(pipe),
            bytes: Vec::new(),
        }
    }

    /// Reads what is there. Fails when that is too much.
    fn step(&mut self) -> Result<(), ()> {
        let mut buffer = [0; 65536];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(count @ 1..) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Ok(0) | Err(_) => self.pipe = None,
            }
            if self.bytes.len() > MAX_ANSWER {
                return Err(());
            }
        }
        Ok(())
    }
}

impl<R: AsFd> Stream<R> {
    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    fn handle(&self) -> BorrowedFd<'_> {
        match &self.pipe {
            Some(pipe) => pipe.as_fd(),
            None => unreachable!("asked only while it is open"),
        }
    }
}

/// Ends the CLI and whatever it started.
fn end(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        // Not yet waited for, so the number is still this child's.
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration, interrupt: Option<BorrowedFd>) -> Collected {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        collect(&mut command, limit, interrupt).unwrap()
    }

    #[test]
    fn what_is_said_and_how_it_ends() {
        let long = Duration::from_secs(20);
        let Collected::Ended(status, stdout, stderr) =
            shell("echo a; echo b >&2; exit 3", long, None)
        else {
            panic!("it ends");
        };
        assert_eq!(
            (status.code(), &*stdout, &*stderr),
            (Some(3), &b"a\n"[..], &b"b\n"[..])
        );
        let Collected::Ended(_, stdout, _) = shell("head -c 1000000 /dev/zero", long, None) else {
            panic!("it ends");
        };
        assert_eq!(stdout.len(), 1_000_000);
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let short = Duration::from_millis(50);
        assert!(matches!(
            shell("sleep 100", short, None),
            Collected::TimedOut
        ));
        // Also one that closed its output, or left somebody behind who has it.
        assert!(matches!(
            shell("exec >&- 2>&-; sleep 100", short, None),
            Collected::TimedOut
        ));
        assert!(matches!(
            shell("sleep 100 & exit 0", short, None),
            Collected::TimedOut
        ));
        let long = Duration::from_secs(20);
        assert!(matches!(
            shell("cat /dev/zero", long, None),
            Collected::TooMuch
        ));
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        let interrupted = shell("sleep 100", long, Some(reader.as_fd()));
        assert!(matches!(interrupted, Collected::Interrupted));
    }
}
