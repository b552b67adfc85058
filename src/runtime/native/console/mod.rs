//! The streams of a container whose ucr is in the background: what it prints goes to the log and to
//! whoever is attached, what those type goes to it.
//!
//! Nothing is lost: where somebody who is attached reads slowly, the container waits, as it would
//! for a slow terminal. Nothing grows without bound, and nothing here ever blocks; all that is
//! waited for is behind one descriptor.

mod client;
mod clients;
mod keys;
mod log;
mod output;
mod wire;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::{Errno, ioctl_fionbio};

use crate::sys::process::Exit;
use crate::sys::tty::{self, Saved, Size};
use clients::Clients;
use log::LogFile;
use output::Output;
use wire::ToConsole;

pub use client::{Attached, Attachment, attach, connect};
pub use keys::DetachKeys;
pub use log::{Line, LogReader, Stream};
pub use wire::Channel;

/// Most bytes that were typed and not taken yet; then nobody is asked for more.
const MAX_TYPED: usize = 64 << 10;
/// What the one descriptor says is ready.
const LISTENER: u64 = 0;
const OUTPUTS: [u64; 2] = [1, 2];
const INPUT: u64 = 3;
/// Those of clients follow.
const FIRST_CLIENT: u64 = 4;

/// What whoever is attached wants of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A signal, by number.
    Signal(i32),
    /// Whoever started it is gone, without having let go of it.
    Abandoned,
}

/// The streams of one container.
#[derive(Debug)]
pub struct Console {
    epoll: OwnedFd,
    clients: Clients,
    outputs: [Option<Output>; 2],
    input: Option<Input>,
    /// The container's end of its terminal, held so that the terminal lives through moments when
    /// nobody inside has it open.
    slave: Option<OwnedFd>,
    log: Option<LogFile>,
    size: Option<Size>,
    is_terminal: bool,
    /// What could not be written down.
    complaint: Option<String>,
    terminal_of_owner: Option<Saved>,
}

/// Whoever starts a container, and is attached to it from the start.
#[derive(Debug)]
pub struct Owner {
    /// The way to him.
    pub channel: Channel,
    /// His terminal as it was, which he cannot restore if he is killed.
    pub terminal: Option<Saved>,
}

/// What is typed for the container.
#[derive(Debug)]
struct Input {
    file: File,
    pending: Vec<u8>,
    /// Closed when the rest is written.
    is_ending: bool,
    is_watched: bool,
}

impl Console {
    /// Without anybody and without streams yet.
    pub(super) fn new(is_terminal: bool) -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            clients: Clients::default(),
            outputs: [None, None],
            input: None,
            slave: None,
            log: None,
            size: None,
            is_terminal,
            complaint: None,
            terminal_of_owner: None,
        })
    }

    /// Writes down what is printed.
    pub(super) fn keep_log(&mut self, path: &Path, max_size: Option<u64>) -> Result<()> {
        self.log = Some(LogFile::create(path, max_size)?);
        Ok(())
    }

    /// Lets others attach by a socket.
    pub(super) fn listen(&mut self, directory: &Path, id: &str) -> Result<()> {
        let listener = self.clients.listen(directory, id)?;
        let data = EventData::new_u64(LISTENER);
        Ok(epoll::add(&self.epoll, listener, data, EventFlags::IN)?)
    }

    /// Takes whoever started the container; if he is gone later, the container is abandoned.
    pub(super) fn adopt(&mut self, owner: Owner) -> Result<()> {
        self.terminal_of_owner = owner.terminal;
        let token = self.clients.add(owner.channel, true);
        self.watch_client(token)
    }

    /// The size that its terminal is to have.
    pub(super) fn size(&self) -> Option<Size> {
        self.size
    }

    /// Gives it another size, as whoever started it has.
    pub(super) fn set_size(&mut self, size: Option<Size>) {
        self.size = size;
    }

    /// The container's ends of new pipes: standard input, output, error.
    pub(super) fn make_pipes(&mut self, has_input: bool) -> Result<[Option<OwnedFd>; 3]> {
        let mut inside = [None, None, None];
        if has_input {
            let (read, write) = io::pipe()?;
            inside[0] = Some(read.into());
            self.take_input(OwnedFd::from(write))?;
        }
        for number in [0, 1] {
            let (read, write) = io::pipe()?;
            inside[number + 1] = Some(write.into());
            self.take_output(number, OwnedFd::from(read))?;
        }
        Ok(inside)
    }

    /// Takes the container's terminal.
    pub(super) fn take_terminal(&mut self, master: OwnedFd) -> Result<()> {
        self.slave = Some(tty::peer(master.as_fd())?);
        self.take_input(master.try_clone()?)?;
        self.take_output(0, master)
    }

    fn take_input(&mut self, fd: OwnedFd) -> Result<()> {
        ioctl_fionbio(&fd, true)?;
        self.input = Some(Input {
            file: fd.into(),
            pending: Vec::new(),
            is_ending: false,
            is_watched: false,
        });
        Ok(())
    }

    fn take_output(&mut self, number: usize, fd: OwnedFd) -> Result<()> {
        ioctl_fionbio(&fd, true)?;
        self.outputs[number] = Some(Output::new(fd));
        self.balance()
    }

    fn watch(&self, fd: BorrowedFd, token: u64, events: EventFlags) -> Result<()> {
        Ok(epoll::add(
            &self.epoll,
            fd,
            EventData::new_u64(token),
            events,
        )?)
    }

    fn watch_client(&self, token: u64) -> Result<()> {
        match self.clients.channel(token) {
            Some(channel) => self.watch(channel, token, EventFlags::IN),
            None => Ok(()),
        }
    }

    /// Becomes readable when [`Self::step`] has something to do.
    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Moves what can be moved, and returns what is wanted of the container.
    pub(super) fn step(&mut self) -> Result<Vec<Request>> {
        let mut requests = Vec::new();
        let mut events = [epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; 16];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let ready = match epoll::wait(&self.epoll, &mut events, Some(&now)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..ready] {
            match event.data.u64() {
                LISTENER => self.accept()?,
                1 => self.print(0),
                2 => self.print(1),
                INPUT => self.type_on(),
                token => self.serve(token, &mut requests),
            }
        }
        self.balance()?;
        if self.clients.is_abandoned() {
            self.terminal_of_owner
                .take()
                .into_iter()
                .for_each(Saved::restore);
            requests.push(Request::Abandoned);
        } else if !self.clients.have_owner() {
            self.terminal_of_owner = None;
        }
        Ok(requests)
    }

    fn accept(&mut self) -> Result<()> {
        if let Some(token) = self.clients.accept() {
            self.watch_client(token)?;
        }
        Ok(())
    }

    /// Takes one buffer of what the container printed; `false` if there is none.
    fn print_some(&mut self, number: usize) -> bool {
        let Some(output) = &mut self.outputs[number] else {
            return false;
        };
        let mut buffer = [0_u8; 16 << 10];
        match output.read(&mut buffer) {
            Some(0) => {
                // Copies of a descriptor keep it in the list.
                let _ = output.watch(self.epoll.as_fd(), OUTPUTS[number], false);
                self.outputs[number] = None;
                false
            }
            Some(read) => {
                self.deliver(number, &buffer[..read]);
                true
            }
            None => false,
        }
    }

    fn print(&mut self, number: usize) {
        self.print_some(number);
    }

    fn deliver(&mut self, number: usize, bytes: &[u8]) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.write(number, bytes)
        {
            self.complaint = Some(format!("its log is not complete: {error:#}"));
            self.log = None;
        }
        self.clients.print(number, bytes);
    }

    /// Writes what was typed.
    fn type_on(&mut self) {
        let Some(input) = &mut self.input else {
            return;
        };
        if !input.pending.is_empty() {
            match input.file.write(&input.pending) {
                Ok(written) => drop(input.pending.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                // The container closed its side; what was typed is lost as with any terminal.
                Err(_) => input.pending.clear(),
            }
        }
        if input.pending.is_empty() && input.is_ending {
            if input.is_watched {
                let _ = epoll::delete(&self.epoll, &input.file);
            }
            self.input = None;
        }
    }

    fn serve(&mut self, token: u64, requests: &mut Vec<Request>) {
        for said in self.clients.serve(token) {
            match said {
                ToConsole::Typed(bytes) => {
                    if let Some(input) = &mut self.input {
                        input.pending.extend_from_slice(&bytes);
                    }
                    self.type_on();
                }
                ToConsole::EndOfInput => {
                    if let Some(input) = self.input.as_mut().filter(|_| !self.is_terminal) {
                        input.is_ending = true;
                    }
                    self.type_on();
                }
                ToConsole::Size(size) => self.resize(size),
                ToConsole::Signal(number) => requests.push(Request::Signal(number)),
                ToConsole::LetGo => (),
            }
        }
    }

    fn resize(&mut self, size: Size) {
        self.size = Some(size);
        if let Some(output) = self.outputs[0].as_ref().filter(|_| self.is_terminal) {
            // The kernel tells the programs inside when the size changes.
            size.apply(output.as_fd());
        }
    }

    /// Decides what is waited for: no more output while somebody has not taken what there was, no
    /// more input while the container has not.
    fn balance(&mut self) -> Result<()> {
        let may_print = !self.clients.are_behind();
        for (output, token) in self.outputs.iter_mut().zip(OUTPUTS) {
            if let Some(output) = output {
                output.watch(self.epoll.as_fd(), token, may_print)?;
            }
        }
        let mut may_type = true;
        if let Some(input) = &mut self.input {
            may_type = input.pending.len() < MAX_TYPED;
            let wanted = !input.pending.is_empty();
            if wanted && !input.is_watched {
                epoll::add(
                    &self.epoll,
                    &input.file,
                    EventData::new_u64(INPUT),
                    EventFlags::OUT,
                )?;
            } else if !wanted && input.is_watched {
                epoll::delete(&self.epoll, &input.file)?;
            }
            input.is_watched = wanted;
        }
        self.clients.balance(self.epoll.as_fd(), may_type)
    }

    /// Takes what the container printed last, when it has ended; what could not be written down.
    pub(super) fn drain(&mut self) -> Option<String> {
        self.slave = None;
        for number in [0, 1] {
            while self.print_some(number) {
                // The container is gone and what it left is a pipe's worth: no need to wait.
            }
            self.outputs[number] = None;
        }
        self.input = None;
        self.complaint.take()
    }

    /// Tells everybody how it ended, and waits until they have all that it printed, or are gone.
    pub(super) fn close(mut self, exit: Exit, oom_kills: u64) {
        self.clients.say_goodbye(exit, oom_kills);
    }
}

/// A buffer of what a terminal or pipe has.
fn read_some(file: &mut File, buffer: &mut [u8]) -> Option<usize> {
    match file.read(buffer) {
        Ok(read) => Some(read),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            None
        }
        // EIO is how a terminal says that its last user is gone.
        Err(_) => Some(0),
    }
}

/// What a console needs from the machine, to say it early.
pub(super) fn check(directory: &Path) -> Result<()> {
    crate::sys::make_private(directory)
        .with_context(|| format!("state directory {}", directory.display()))
}
