//! One object from one tree into another: type, content with its holes, attributes. Content is
//! shared where the file system can (`FICLONE`), else copied inside the kernel.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::attributes::{self, Applier};
use super::os;
use crate::sys::xattr;

/// An object by the directory it is in.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) dir: BorrowedFd<'a>,
    pub(super) name: &'a OsStr,
}

/// Copies anything but a directory to a name that is free.
pub(super) fn object(applier: &mut Applier, from: At, to: At, stat: &Stat) -> Result<()> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return file(applier, from, to, stat),
        FileType::Symlink => {
            let target = os(rustix::fs::readlinkat(from.dir, from.name, Vec::new()))?;
            os(rustix::fs::symlinkat(target.as_c_str(), to.dir, to.name))?;
        }
        kind => {
            let mode = Mode::RUSR | Mode::WUSR;
            os(rustix::fs::mknodat(
                to.dir,
                to.name,
                kind,
                mode,
                stat.st_rdev,
            ))?;
        }
    }
    let attributes = attributes::of_stat(stat, xattr::list_at(from.dir, from.name)?);
    let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    applier.special(to.dir, to.name, &attributes, is_link)
}

fn file(applier: &mut Applier, from: At, to: At, stat: &Stat) -> Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = os(rustix::fs::openat(from.dir, from.name, read, Mode::empty()))?;
    let write = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = os(rustix::fs::openat(to.dir, to.name, write, Mode::RUSR))?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    content(&source, &target, size).context("copy the content")?;
    let attributes = attributes::of_stat(stat, xattr::list(&source)?);
    applier.fresh(&target, &attributes)
}

fn content(from: &OwnedFd, to: &OwnedFd, size: u64) -> io::Result<()> {
    if size == 0 || rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    rustix::fs::ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Only a hole is left.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?.min(size);
        range(from, to, start, end)?;
        at = end;
    }
    Ok(())
}

fn range(from: &OwnedFd, to: &OwnedFd, mut at: u64, end: u64) -> io::Result<()> {
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 30);
        let (mut here, mut there) = (at, at);
        let copied = match rustix::fs::copy_file_range(
            from,
            Some(&mut here),
            to,
            Some(&mut there),
            length,
        ) {
            Ok(copied) => copied as u64,
            Err(Errno::INTR) => continue,
            // Two file systems of different sorts, or one that cannot.
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                by_hand(from, to, at, end)?
            }
            Err(errno) => return Err(errno.into()),
        };
        if copied == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at += copied;
    }
    Ok(())
}

fn by_hand(from: &OwnedFd, to: &OwnedFd, at: u64, end: u64) -> io::Result<u64> {
    let length = usize::try_from(end - at).unwrap_or(usize::MAX);
    let mut buffer = vec![0; length.min(256 << 10)];
    let read = rustix::io::pread(from, &mut buffer, at)?;
    let mut written = 0;
    while written < read {
        let offset = at + written as u64;
        written += rustix::io::pwrite(to, &buffer[written..read], offset)?;
    }
    Ok(read as u64)
}

/// The attributes of an open directory, without overlay's marks.
pub(super) fn attributes_of(dir: impl AsFd) -> Result<super::entry::Attributes> {
    let stat = os(rustix::fs::fstat(&dir))?;
    Ok(attributes::of_stat(&stat, xattr::list(dir)?))
}
