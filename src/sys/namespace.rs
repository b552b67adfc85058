//! Namespaces of other processes (setns(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::proc::Proc;
use super::process::Stranger;

/// Names below `/proc/PID/ns`, and their flags; that of processes comes apart.
const KINDS: [(&str, libc::c_int); 6] = [
    ("user", libc::CLONE_NEWUSER),
    ("mnt", libc::CLONE_NEWNS),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("net", libc::CLONE_NEWNET),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

/// The namespaces of a process that are not ours, held so that no other process is meant.
#[derive(Debug)]
pub struct Others {
    process: OwnedFd,
    kinds: libc::c_int,
    has_processes: bool,
}

impl Others {
    /// Those of the process that had this number and started then; `None` if it is gone.
    pub fn of(pid: i32, start_time: Option<u64>) -> io::Result<Option<Self>> {
        let Some(held) = Pid::from_raw(pid) else {
            return Ok(None);
        };
        let process = match pidfd_open(held, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let proc = Proc::open()?;
        if start_time.is_none() || proc.start_time(pid) != start_time {
            return Ok(None);
        }
        let is_other = |kind: &str| -> io::Result<bool> {
            Ok(identity(&proc, &pid.to_string(), kind)? != identity(&proc, "self", kind)?)
        };
        let mut kinds = 0;
        for (kind, flag) in KINDS {
            if is_other(kind)? {
                kinds |= flag;
            }
        }
        Ok(Some(Self {
            process,
            kinds,
            has_processes: is_other("pid")?,
        }))
    }

    /// Whether users are others.
    pub fn have_users(&self) -> bool {
        self.kinds & libc::CLONE_NEWUSER != 0
    }

    /// Puts the children that this process has from now on among its processes (pid_namespaces(7)).
    pub fn join_processes(&self) -> io::Result<()> {
        match self.has_processes {
            true => join(self.process.as_fd(), libc::CLONE_NEWPID),
            false => Ok(()),
        }
    }

    /// Enters all others at once (Linux 5.8); the root directory is then that of its mounts.
    pub fn join(&self) -> io::Result<()> {
        match self.kinds {
            0 => Ok(()),
            kinds => join(self.process.as_fd(), kinds),
        }
    }
}

/// The network of another process, held so that no other process is meant.
#[derive(Debug)]
pub struct Network {
    process: OwnedFd,
    is_other: bool,
}

impl Network {
    /// That of the process that had this number and started then; `None` if it is gone.
    pub fn of(pid: i32, start_time: Option<u64>) -> io::Result<Option<Self>> {
        let Some(process) = Stranger::hold(pid, start_time)? else {
            return Ok(None);
        };
        let proc = Proc::open()?;
        let is_other = identity(&proc, &pid.to_string(), "net")? != identity(&proc, "self", "net")?;
        Ok(Some(Self {
            process: process.into(),
            is_other,
        }))
    }

    /// Moves the calling process, which must have one thread, there. Fails if the process that it
    /// was taken from is gone.
    pub fn enter(&self) -> io::Result<()> {
        if !self.is_other {
            return Ok(());
        }
        match join(self.process.as_fd(), libc::CLONE_NEWNET) {
            // One that belongs to other users is entered as one of them.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => join(
                self.process.as_fd(),
                libc::CLONE_NEWUSER | libc::CLONE_NEWNET,
            ),
            joined => joined,
        }
    }
}

/// Puts the children that this process has from now on among its own processes again.
pub fn leave_processes() -> io::Result<()> {
    let own = Proc::open()?.open_file("self/ns/pid")?;
    join(own.as_fd(), libc::CLONE_NEWPID)
}

fn identity(proc: &Proc, pid: &str, kind: &str) -> io::Result<(u64, u64)> {
    let found = rustix::fs::fstat(proc.open_file(&format!("{pid}/ns/{kind}"))?)?;
    Ok((found.st_dev, found.st_ino))
}

fn join(handle: BorrowedFd, kinds: libc::c_int) -> io::Result<()> {
    // SAFETY: setns takes two integers; the caller is single-threaded.
    match unsafe { libc::setns(handle.as_raw_fd(), kinds) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A kind of namespace that is entered by its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Process IDs: of children that are started from then on.
    Pid,
    /// Message queues and semaphores.
    Ipc,
    /// Mounts; the root directory changes with them.
    Mount,
}

impl Kind {
    /// Its name in `/proc/PID/ns`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Ipc => "ipc",
            Self::Mount => "mnt",
        }
    }

    fn flag(self) -> libc::c_int {
        match self {
            Self::Pid => libc::CLONE_NEWPID,
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::Mount => libc::CLONE_NEWNS,
        }
    }
}

/// Moves the calling process, which must have one thread, into a namespace of that kind.
pub fn enter(namespace: BorrowedFd, kind: Kind) -> io::Result<()> {
    join(namespace, kind.flag())
}

/// Runs `work` while the children of this process are started in another pid namespace, then lets
/// them be started among its own again. The second result says whether that could be done.
pub fn with_children_in<T>(
    namespace: BorrowedFd,
    work: impl FnOnce() -> T,
) -> io::Result<(T, io::Result<()>)> {
    enter(namespace, Kind::Pid)?;
    let result = work();
    Ok((result, leave_processes()))
}
