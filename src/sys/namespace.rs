//! Namespaces that exist already, by handle.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::proc::Proc;

/// A kind of namespace.
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
}

/// Moves the calling process, which must have one thread, into a namespace of that kind.
pub fn join(namespace: BorrowedFd, kind: Kind) -> io::Result<()> {
    let kind = match kind {
        Kind::Pid => LinkNameSpaceType::ProcessID,
        Kind::Ipc => LinkNameSpaceType::InterProcessCommunication,
        Kind::Mount => LinkNameSpaceType::Mount,
    };
    Ok(move_into_link_name_space(namespace, Some(kind))?)
}

/// Runs `work` while the children of this process are started in another pid namespace, then lets
/// them be started where they were before. The second result says whether that could be done.
pub fn with_children_in<T>(
    proc: &Proc,
    namespace: BorrowedFd,
    work: impl FnOnce() -> T,
) -> io::Result<(T, io::Result<()>)> {
    let own: OwnedFd = proc.open_file("self/ns/pid_for_children")?;
    join(namespace, Kind::Pid)?;
    let result = work();
    Ok((result, join(own.as_fd(), Kind::Pid)))
}
