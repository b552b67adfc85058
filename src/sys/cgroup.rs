//! Directories of cgroup filesystems, by handle: nothing is made or written that the kernel does not
//! say is one. Where engines only trusted a path, they have made directories and files with cgroup
//! names in a tmpfs at `/sys/fs/cgroup`.
//!
//! Knows no controllers and no limits; what a number means is for the callers.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, fstatfs, mkdirat,
    openat, unlinkat,
};
use rustix::path::Arg;

// include/uapi/linux/magic.h
const CGROUP_SUPER_MAGIC: i64 = 0x0027_e0eb;
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;

/// Which of the two cgroup filesystems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One tree for each controller, or a few.
    V1,
    /// One tree for all.
    V2,
}

/// A directory that is known to be in a cgroup filesystem.
#[derive(Debug)]
pub struct Directory {
    handle: OwnedFd,
    version: Version,
}

impl Directory {
    /// Opens one by its path, and fails if it is in another filesystem.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::checked(openat(CWD, path, DIRECTORY, Mode::empty())?)
    }

    fn checked(handle: OwnedFd) -> io::Result<Self> {
        // The type is narrower on some architectures.
        #[allow(clippy::unnecessary_cast, reason = "it is i64 on this one")]
        let version = match fstatfs(&handle)?.f_type as i64 {
            CGROUP_SUPER_MAGIC => Version::V1,
            CGROUP2_SUPER_MAGIC => Version::V2,
            _ => return Err(io::Error::other("it is not in a cgroup filesystem")),
        };
        Ok(Self { handle, version })
    }

    /// Which filesystem it is in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Which mounted filesystem it is in, as mountinfo writes it: `major:minor`.
    pub fn device(&self) -> io::Result<String> {
        let device = fstat(&self.handle)?.st_dev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        Ok(format!("{major}:{minor}"))
    }

    /// Makes a new cgroup below it. One that is there is an error.
    pub fn make(&self, name: impl Arg + Copy) -> io::Result<Self> {
        mkdirat(&self.handle, name, Mode::from_raw_mode(0o755))?;
        self.enter(name)
    }

    /// Opens a cgroup below it.
    pub fn enter(&self, name: impl Arg) -> io::Result<Self> {
        Self::checked(openat(&self.handle, name, DIRECTORY, Mode::empty())?)
    }

    /// Removes an empty cgroup below it.
    pub fn remove(&self, name: impl Arg) -> io::Result<()> {
        Ok(unlinkat(&self.handle, name, AtFlags::REMOVEDIR)?)
    }

    /// The names of the cgroups below it.
    pub fn children(&self) -> io::Result<Vec<CString>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let entry = entry?;
            let name = entry.file_name();
            if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
                found.push(name.to_owned());
            }
        }
        Ok(found)
    }

    /// Waits until no other process has this lock of the directory; held until it is dropped.
    pub fn lock(&self) -> io::Result<OwnedFd> {
        let lock = openat(&self.handle, ".", DIRECTORY, Mode::empty())?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    /// Opens one of the kernel's files in it for writing.
    pub fn writer(&self, file: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.handle, file, flags, Mode::empty())?)
    }

    /// Writes one of the kernel's files in it.
    pub fn write(&self, file: &str, value: &str) -> io::Result<()> {
        write(self.writer(file)?.as_fd(), value)
    }

    /// Reads one of the kernel's files in it.
    pub fn read(&self, file: &str) -> io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.handle, file, flags, Mode::empty())?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Whether the kernel has this file in it.
    pub fn has(&self, file: &str) -> bool {
        rustix::fs::accessat(
            &self.handle,
            file,
            rustix::fs::Access::EXISTS,
            AtFlags::empty(),
        )
        .is_ok()
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Writes a value in one call, as cgroup files want it.
pub fn write(file: BorrowedFd, value: &str) -> io::Result<()> {
    match rustix::io::write(file, value.as_bytes())? {
        written if written == value.len() => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::WriteZero)),
    }
}

/// How many processors this process may run on.
pub fn processors() -> io::Result<u32> {
    Ok(rustix::thread::sched_getaffinity(None)?.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cgroup_filesystems_are_opened() {
        let scratch = tempfile::tempdir().unwrap();
        let error = Directory::open(scratch.path()).unwrap_err();
        assert!(error.to_string().contains("cgroup"), "{error}");
        for path in ["/proc", "/", "/dev"] {
            assert!(Directory::open(Path::new(path)).is_err(), "{path}");
        }
    }
}
