//! The side of whoever is attached to a console: his terminal or pipes on one hand, the container
//! on the other.

use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdin, stdout};

use super::keys::{DetachKeys, Watch};
use super::wire::{Channel, FromConsole, ToConsole};
use crate::error::{Fault, Kind};
use crate::sys::process::Exit;
use crate::sys::signal::{Inbox, is_forwarded, is_job_control, stop_ourselves};
use crate::sys::tty::{self, Size};

/// How somebody is attached.
#[derive(Debug)]
pub struct Attachment {
    /// The container has a terminal.
    pub tty: bool,
    /// What is typed goes to the container.
    pub stdin: bool,
    /// What it prints to standard output is shown.
    pub stdout: bool,
    /// What it prints to standard error is shown.
    pub stderr: bool,
    /// Signals go to it, too.
    pub forwards_signals: bool,
    /// Keys that end this, and not the container.
    pub keys: DetachKeys,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The container ended.
    Exited {
        /// How its first process did.
        exit: Exit,
        /// How many of its processes the kernel killed because its memory was used up.
        oom_kills: u64,
    },
    /// The container goes on.
    Detached,
}

/// One who is attached.
struct Client<'a> {
    channel: Channel,
    how: &'a Attachment,
    keys: Watch,
    inbox: Inbox,
    /// Typed, but not taken yet.
    waiting: Vec<Vec<u8>>,
    reads: bool,
    is_mute: [bool; 2],
}

/// Attaches to a container by its socket. Fails with [`Kind::NotFound`] if nobody is there.
pub fn connect(directory: &Path, id: &str) -> Result<Channel> {
    super::clients::connect(directory, id).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ECONNREFUSED) => {
            Fault::new(Kind::NotFound, "nobody can attach to this container")
                .hint("it runs in the foreground of another terminal")
                .into()
        }
        _ => anyhow::Error::from(error).context("attach"),
    })
}

/// Moves bytes until the container ends or the keys are typed. Fails if the other side is gone.
pub fn attach(channel: Channel, how: &Attachment) -> Result<Attached> {
    let mut client = Client {
        channel,
        keys: Watch::new(&how.keys),
        inbox: Inbox::open().context("read signals")?,
        waiting: Vec::new(),
        reads: how.stdin,
        is_mute: [!how.stdout, !how.stderr],
        how,
    };
    // Undone however this ends, but for a kill of this process.
    let _raw = match how.tty && how.stdin {
        true => tty::Raw::enter(stdin())?,
        false => None,
    };
    client.tell_size()?;
    client.attend()
}

impl Client<'_> {
    fn attend(&mut self) -> Result<Attached> {
        loop {
            let (typed, signals) = self.wait()?;
            if signals {
                self.signals()?;
            }
            if typed && self.read()? {
                return Ok(Attached::Detached);
            }
            self.flush()?;
            // Few at a time, so that Ctrl-C is heard while much is printed.
            for _ in 0..8 {
                match self.channel.receive() {
                    Ok(None) => break,
                    Ok(Some(packet)) => match FromConsole::decode(&packet) {
                        Some(FromConsole::Printed { is_error, bytes }) => {
                            self.print(is_error, &bytes)?;
                        }
                        Some(FromConsole::Ended { exit, oom_kills }) => {
                            return Ok(Attached::Exited { exit, oom_kills });
                        }
                        None => return Err(lost()),
                    },
                    Err(_) => return Err(lost()),
                }
            }
        }
    }

    /// Whether something was typed, and whether signals came.
    fn wait(&self) -> Result<(bool, bool)> {
        let mut events = PollFlags::IN;
        events.set(PollFlags::OUT, !self.waiting.is_empty());
        let own = stdin();
        let mut fds = vec![
            PollFd::new(&self.channel, events),
            PollFd::new(&self.inbox, PollFlags::IN),
        ];
        if self.reads && self.waiting.is_empty() {
            fds.push(PollFd::from_borrowed_fd(own, PollFlags::IN));
        }
        while let Err(error) = poll(&mut fds, None) {
            if error != Errno::INTR {
                return Err(error.into());
            }
        }
        let typed = fds.get(2).is_some_and(|fd| !fd.revents().is_empty());
        Ok((typed, !fds[1].revents().is_empty()))
    }

    fn tell_size(&mut self) -> Result<()> {
        match Size::of(stdin()).filter(|_| self.how.tty) {
            Some(size) => self.say(&ToConsole::Size(size)),
            None => Ok(()),
        }
    }

    fn say(&mut self, words: &ToConsole) -> Result<()> {
        self.waiting.push(words.encode());
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let mut sent = 0;
        for packet in &self.waiting {
            match self.channel.send(packet) {
                Ok(true) => sent += 1,
                Ok(false) => break,
                // What it said last is still to be read.
                Err(_) => sent = self.waiting.len(),
            }
            if sent == self.waiting.len() {
                break;
            }
        }
        self.waiting.drain(..sent);
        Ok(())
    }

    fn signals(&mut self) -> Result<()> {
        while let Some(number) = self.inbox.next()? {
            if number == libc::SIGWINCH {
                self.tell_size()?;
            } else if is_job_control(number) {
                // The shell wants its terminal back; the container goes on.
                stop_ourselves()?;
            } else if self.how.forwards_signals && is_forwarded(number) {
                self.say(&ToConsole::Signal(number))?;
            } else if matches!(
                number,
                libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT
            ) {
                let message = "interrupted";
                return Err(Fault::new(Kind::Interrupted, message).into());
            }
        }
        Ok(())
    }

    /// Passes on what was typed; `true` if it was the keys that end this.
    fn read(&mut self) -> Result<bool> {
        let mut buffer = [0_u8; 16 << 10];
        // EIO: our own terminal is gone, or belongs to another job.
        let read = io::stdin().lock().read(&mut buffer).unwrap_or(0);
        if read == 0 {
            self.reads = false;
            self.say(&ToConsole::EndOfInput)?;
            return Ok(false);
        }
        let (passed, is_end) = match self.how.tty {
            true => self.keys.filter(&buffer[..read]),
            false => (buffer[..read].to_vec(), false),
        };
        if !passed.is_empty() {
            self.say(&ToConsole::Typed(passed))?;
        }
        if is_end {
            self.say(&ToConsole::LetGo)?;
            self.deliver()?;
        }
        Ok(is_end)
    }

    /// Waits until all that was said was taken.
    fn deliver(&mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            poll(&mut [PollFd::new(&self.channel, PollFlags::OUT)], None)?;
            self.flush()?;
        }
        Ok(())
    }

    fn print(&mut self, is_error: bool, bytes: &[u8]) -> Result<()> {
        let place = usize::from(is_error);
        if !self.is_mute[place] {
            let stream = [stdout(), stderr()][place];
            self.is_mute[place] = !write_all(stream, bytes)?;
        }
        Ok(())
    }
}

fn lost() -> anyhow::Error {
    Fault::new(
        Kind::Interrupted,
        "the ucr that watched the container is gone",
    )
    .hint("the container goes with it; 'ucr ps --all' says more")
    .into()
}

/// Writes everything, also where it is a descriptor that does not block; `false` if nobody reads
/// it any more.
fn write_all(out: BorrowedFd, mut bytes: &[u8]) -> Result<bool> {
    while !bytes.is_empty() {
        match rustix::io::write(out, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => (),
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::from_borrowed_fd(out, PollFlags::OUT)], None)?;
            }
            Err(Errno::PIPE) => return Ok(false),
            Err(error) => return Err(io::Error::from(error)).context("standard output"),
        }
    }
    Ok(true)
}
