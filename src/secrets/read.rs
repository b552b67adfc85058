//! Bytes out of files, descriptors and pipes: bounded in size and time, in one buffer that is wiped.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::MAX_VALUE;
use crate::sys::root::Root;

/// Longest wait for a value that somebody writes while we read it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// A buffer that never moves, as moving would leave a copy: a value and what shows that it is more.
const ROOM: usize = MAX_VALUE as usize + 1;

/// Looking first: opening anything but a regular file can have effects, or wait for ever.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Opens a regular file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    check_regular(&openat(CWD, path, LOOK, Mode::empty())?)?;
    let file = openat(CWD, path, READ, Mode::empty())?;
    check_regular(&file)?;
    Ok(file.into())
}

/// Opens a regular file below a root; `None` if there is nothing.
pub(super) fn open_below(root: &Root, path: &Path) -> io::Result<Option<File>> {
    let look = match root.resolve(path, LOOK, Mode::empty()) {
        Err(error) if is_missing(&error) => return Ok(None),
        look => look?,
    };
    check_regular(&look)?;
    let file = root.resolve(path, READ, Mode::empty())?;
    check_regular(&file)?;
    Ok(Some(file.into()))
}

fn is_missing(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::NotFound || kind == io::ErrorKind::NotADirectory
}

fn check_regular(file: &impl AsFd) -> io::Result<()> {
    match FileType::from_raw_mode(fstat(file)?.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(io::Error::other("it is not a regular file")),
    }
}

/// Whether the permissions of an open file give others this.
pub(super) fn is_for_others(file: &impl AsFd, what: Mode) -> io::Result<bool> {
    Ok(Mode::from_raw_mode(fstat(file)?.st_mode).contains(what))
}

/// The rest of a regular file, or one byte more than a value may have.
pub(super) fn whole(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut value = Zeroizing::new(Vec::with_capacity(ROOM));
    read_some(&file, &mut value)?;
    Ok(value)
}

/// What comes from a descriptor that we were started with.
pub(super) fn descriptor(number: u32) -> io::Result<Zeroizing<Vec<u8>>> {
    // A description of its own: whoever has the other one keeps its position and its flags.
    let path = format!("/proc/self/fd/{number}");
    let file = File::from(openat(CWD, path, READ, Mode::empty())?);
    let mut value = Zeroizing::new(Vec::with_capacity(ROOM));
    let deadline = Instant::now() + PATIENCE;
    while !read_some(&file, &mut value)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if !wait(
            &mut [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)],
            left,
        )? {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(value)
}

/// Reads what is there now; whether that was all, or all that there is room for.
pub(super) fn read_some(mut file: &File, into: &mut Vec<u8>) -> io::Result<bool> {
    let limit = into.capacity();
    let mut piece = Zeroizing::new([0_u8; 8192]);
    loop {
        let room = (limit - into.len()).min(piece.len());
        if room == 0 {
            return Ok(true);
        }
        match file.read(&mut piece[..room]) {
            Ok(0) => return Ok(true),
            Ok(length) => into.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Waits for one of these; `false` when time is up.
pub(super) fn wait(files: &mut [PollFd], most: Duration) -> io::Result<bool> {
    let most = Timespec::try_from(most).ok();
    match poll(files, most.as_ref()) {
        Ok(0) => Ok(false),
        Ok(_) | Err(Errno::INTR) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes reads of a pipe return when nothing is there.
pub(super) fn make_nonblocking(file: BorrowedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    Ok(rustix::fs::fcntl_setfl(file, flags | OFlags::NONBLOCK)?)
}

/// What is said of a value that is.
pub(super) fn too_large() -> String {
    format!("the value has more than {MAX_VALUE} bytes")
}
