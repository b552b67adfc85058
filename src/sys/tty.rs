//! Terminals: a pair from the container's own devpts, raw mode that is always undone, window size.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::{
    LocalModes, OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// Both ends of a new pseudo-terminal.
#[derive(Debug)]
pub struct Pair {
    /// The end that the watcher keeps.
    pub master: OwnedFd,
    /// The end that becomes the container's terminal.
    pub slave: OwnedFd,
}

/// Opens a pair in the devpts instance whose root is `devpts`. The slave is had from the master
/// itself, not by name, so nothing planted in `/dev` is ever opened (CVE-2025-52565).
pub fn open_pair(devpts: BorrowedFd) -> io::Result<Pair> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = openat(devpts, "ptmx", flags, Mode::empty())?;
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, which lives across the call.
    let result = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    let slave = peer(master.as_fd())?;
    Ok(Pair { master, slave })
}

/// Opens the slave of a master, by the master itself (Linux 4.13).
pub fn peer(master: BorrowedFd) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags by value and returns a new descriptor.
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    if slave == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(slave) })
}

/// Makes a terminal the controlling one of this session, which has none yet.
fn take_control(terminal: BorrowedFd) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes its argument by value.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes a terminal the controlling one and the standard streams of this process, and gives it to a
/// user.
pub fn become_own(terminal: BorrowedFd, uid: u32) -> io::Result<()> {
    rustix::fs::fchown(terminal, Some(rustix::fs::Uid::from_raw(uid)), None)?;
    take_control(terminal)?;
    dup2_stdin(terminal)?;
    dup2_stdout(terminal)?;
    Ok(dup2_stderr(terminal)?)
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in each.
    pub columns: u16,
}

impl Size {
    /// Where nobody knows.
    pub const USUAL: Self = Self {
        rows: 24,
        columns: 80,
    };

    /// Of a terminal; `None` if it is none, or has no size.
    pub fn of(terminal: impl AsFd) -> Option<Self> {
        let size = tcgetwinsize(terminal).ok()?;
        let (rows, columns) = (size.ws_row, size.ws_col);
        (rows > 0 && columns > 0).then_some(Self { rows, columns })
    }

    /// Gives a terminal this size.
    pub fn apply(self, terminal: impl AsFd) {
        let size = Winsize {
            ws_row: self.rows,
            ws_col: self.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // Only cosmetic: a program that asks gets the old size.
        let _ = tcsetwinsize(terminal, size);
    }

    /// As four bytes, most significant first.
    pub fn to_bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.rows.to_be_bytes(), self.columns.to_be_bytes());
        [a, b, c, d]
    }

    /// The reverse.
    pub fn from_bytes([a, b, c, d]: [u8; 4]) -> Self {
        Self {
            rows: u16::from_be_bytes([a, b]),
            columns: u16::from_be_bytes([c, d]),
        }
    }
}

/// A terminal in raw mode until dropped.
#[derive(Debug)]
pub struct Raw<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Raw<'a> {
    /// Switches to raw mode; `None` if this is no terminal.
    pub fn enter(terminal: BorrowedFd<'a>) -> io::Result<Option<Self>> {
        let Ok(before) = tcgetattr(terminal) else {
            return Ok(None);
        };
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Drain, &raw)?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing to restore.
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// A terminal and the modes that it had, for when the process that changes them is killed.
#[derive(Debug)]
pub struct Saved {
    terminal: OwnedFd,
    before: Termios,
}

impl Saved {
    /// Of a terminal; `None` if it is none.
    pub fn of(terminal: BorrowedFd) -> io::Result<Option<Self>> {
        let Ok(before) = tcgetattr(terminal) else {
            return Ok(None);
        };
        let terminal = fcntl_dupfd_cloexec(terminal, 3)?;
        Ok(Some(Self { terminal, before }))
    }

    /// Gives the modes back.
    pub fn restore(self) {
        // If the terminal is gone there is nothing to restore.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

impl AsFd for Saved {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.terminal.as_fd()
    }
}

/// A terminal that does not show what is typed, until dropped.
#[derive(Debug)]
pub struct Hidden<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Hidden<'a> {
    /// Prints a question and hides the answer; `None` if this is no terminal.
    pub fn ask(terminal: BorrowedFd<'a>, question: &str) -> io::Result<Option<Self>> {
        let Ok(before) = tcgetattr(terminal) else {
            return Ok(None);
        };
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Drain, &silent)?;
        let hidden = Self { terminal, before };
        io::stderr().write_all(question.as_bytes())?;
        Ok(Some(hidden))
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
        // The line end that was typed was not shown either.
        let _ = io::stderr().write_all(b"\n");
    }
}

/// Whether a descriptor is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}
