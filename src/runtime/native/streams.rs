//! The standard streams that a container without a terminal inherits from ucr.
//!
//! An inherited descriptor can be opened again through `/proc/self/fd`, with other rights than it
//! has. A file on standard input is therefore given by a read-only mount of that one file, and
//! pipes belong to the container's user, who could not open `/dev/stderr` otherwise.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Gid, SeekFrom, Uid, fchown, fstat, seek};
use rustix::stdio::{dup2_stdin, stderr, stdin, stdout};

use super::copies::Inside;
use super::plan::Plan;
use crate::error::{Fault, Kind};
use crate::sys::mount;
use crate::sys::proc::Proc;

/// What standard input becomes.
#[derive(Debug)]
pub(super) enum Stdin {
    /// `/dev/null`, or the container's terminal.
    Own,
    /// Ours, as it is.
    Inherited,
    /// Our file, by a read-only mount.
    File(OwnedFd),
}

impl Stdin {
    /// Decides, in the parent: the file's mount is none of a new mount namespace's.
    pub(super) fn prepare(plan: &Plan) -> Result<Self> {
        refuse_directories(plan)?;
        if !plan.stdin || plan.tty {
            return Ok(Self::Own);
        }
        match FileType::from_raw_mode(fstat(stdin())?.st_mode) {
            FileType::Directory => Err(Fault::new(Kind::Usage, "standard input is a directory")
                .hint("leave out -i, or give it a file or a pipe")
                .into()),
            // A file without a name, or of a mount that is not ours, leads nowhere on this host.
            FileType::RegularFile => Ok(read_only(stdin()).map_or(Self::Inherited, Self::File)),
            _ => Ok(Self::Inherited),
        }
    }

    /// Puts it in its place, in the stage.
    pub(super) fn connect(&self, null: BorrowedFd) -> Result<()> {
        match self {
            Self::Own => dup2_stdin(null)?,
            Self::Inherited => (),
            Self::File(file) => dup2_stdin(file)?,
        }
        Ok(())
    }
}

/// A directory on a standard stream is a way out of any root (CVE-2024-21626).
fn refuse_directories(plan: &Plan) -> Result<()> {
    if plan.tty {
        return Ok(());
    }
    for (stream, name) in [(stdout(), "output"), (stderr(), "error")] {
        if FileType::from_raw_mode(fstat(stream)?.st_mode) == FileType::Directory {
            let message = format!("standard {name} is a directory");
            return Err(Fault::new(Kind::Usage, message).into());
        }
    }
    Ok(())
}

fn read_only(file: BorrowedFd) -> io::Result<OwnedFd> {
    let position = seek(file, SeekFrom::Current(0))?;
    let tree = mount::clone_file(file)?;
    let restrict = mount::Restrict {
        read_only: true,
        ..mount::Restrict::default()
    };
    mount::restrict(tree.as_fd(), restrict, false)?;
    let again = Proc::open()?.reopen(tree.as_fd())?;
    seek(&again, SeekFrom::Start(position))?;
    Ok(again)
}

/// Gives pipes to the root of a container whose users are not the host's: what belongs to nobody in
/// there, its root cannot give to anybody.
pub(super) fn lend_pipes(owner: u32, inside: &Inside) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
    let made = inside.iter().flatten().map(AsFd::as_fd);
    for stream in [stdin(), stdout(), stderr()].into_iter().chain(made) {
        if FileType::from_raw_mode(fstat(stream)?.st_mode) == FileType::Fifo {
            fchown(stream, Some(uid), Some(gid))?;
        }
    }
    Ok(())
}

/// Gives pipes to the container's user. Where there are not all users, somebody else's pipe stays
/// theirs: it can be used all the same, only not be opened again.
pub(super) fn give_pipes(uid: u32, are_mapped: bool) -> Result<()> {
    for stream in [stdin(), stdout(), stderr()] {
        let found = fstat(stream)?;
        let is_pipe = FileType::from_raw_mode(found.st_mode) == FileType::Fifo;
        if is_pipe && found.st_uid != uid {
            match fchown(stream, Some(Uid::from_raw(uid)), None) {
                // One whose user there is not is refused with a better word when it becomes that.
                Err(rustix::io::Errno::PERM | rustix::io::Errno::INVAL) if are_mapped => (),
                given => given
                    .map_err(io::Error::from)
                    .context("give the container's user its standard streams")?,
            }
        }
    }
    Ok(())
}
