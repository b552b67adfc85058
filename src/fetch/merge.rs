//! What was unpacked goes to its place, by renaming: as tar replaces what is there, but through no
//! symbolic link.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Dir, Mode, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::staging::{DIRECTORY, os};
use crate::error::{Fault, Kind};
use crate::sys::root::Root;

/// How often something is taken out of the way of one name.
const MAX_TRIES: u32 = 4;

/// Moves everything out of one directory into another on the same file system.
pub(super) fn merge(from: &Root, to: &Root) -> Result<()> {
    directory(from.as_fd(), to.as_fd())
}

fn directory(from: BorrowedFd, to: BorrowedFd) -> Result<()> {
    for name in names(from)? {
        let shown = || format!("'{}' in the sandbox", name.to_string_lossy());
        entry(from, to, &name).with_context(shown)?;
    }
    Ok(())
}

fn names(directory: BorrowedFd) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in os(Dir::read_from(directory))? {
        let entry = os(entry)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    Ok(names)
}

fn entry(from: BorrowedFd, to: BorrowedFd, name: &OsStr) -> Result<()> {
    for _ in 0..MAX_TRIES {
        let cleared = match renameat(from, name, to, name) {
            Ok(()) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => return into_directory(from, to, name),
            // A directory in the place of something else, and the other way round.
            Err(Errno::NOTDIR) => unlinkat(to, name, AtFlags::empty()),
            Err(Errno::ISDIR) => unlinkat(to, name, AtFlags::REMOVEDIR),
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        };
        match cleared {
            Ok(()) | Err(Errno::NOENT) => (),
            Err(Errno::NOTEMPTY | Errno::EXIST) => break,
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        }
    }
    Err(Fault::new(Kind::Spec, "a directory has its place").into())
}

/// What is there already keeps its owner and permissions.
fn into_directory(from: BorrowedFd, to: BorrowedFd, name: &OsStr) -> Result<()> {
    let inner = os(openat(from, name, DIRECTORY, Mode::empty()))?;
    let outer = os(openat(to, name, DIRECTORY, Mode::empty()))?;
    directory(inner.as_fd(), outer.as_fd())?;
    Ok(os(unlinkat(from, name, AtFlags::REMOVEDIR))?)
}
