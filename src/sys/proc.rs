//! A procfs of our own: what is mounted on `/proc`, if anything is, need not be one
//! (CVE-2025-52881), and in a bare chroot there is none.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    CWD, Dir, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat, fstatfs, openat, openat2,
    readlinkat,
};

use super::mount::{Restrict, filesystem};

/// The inode of a procfs's top directory (PROC_ROOT_INO).
const TOP: u64 = 1;

/// A handle of a procfs for our own pid namespace.
#[derive(Debug)]
pub struct Proc {
    root: OwnedFd,
}

impl Proc {
    /// The host's, where that is one for our own pid namespace; else a new one. To let go of a new
    /// one takes the kernel milliseconds: no processor may still be looking at a mount that goes.
    pub fn open() -> io::Result<Self> {
        match Self::mounted() {
            Ok(mounted) if mounted.is_for_us() => Ok(mounted),
            _ => Self::fresh(),
        }
    }

    /// Makes one that is mounted nowhere; where the kernel refuses, as it does to users, takes the
    /// one on `/proc` after making sure that it is one.
    pub fn fresh() -> io::Result<Self> {
        let restrict = Restrict {
            no_suid: true,
            no_exec: true,
            no_dev: true,
            ..Restrict::default()
        };
        match filesystem("proc", &[], restrict) {
            Ok(root) => Self::checked(root),
            Err(_) => Self::mounted(),
        }
    }

    /// One that was made by [`filesystem`], also after it was attached.
    pub fn of(tree: BorrowedFd) -> io::Result<Self> {
        Self::checked(tree.try_clone_to_owned()?)
    }

    fn mounted() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::checked(openat(CWD, "/proc", flags, Mode::empty())?)
    }

    fn checked(root: OwnedFd) -> io::Result<Self> {
        if fstatfs(&root)?.f_type != PROC_SUPER_MAGIC {
            return Err(io::Error::other("/proc is not a proc filesystem"));
        }
        Ok(Self { root })
    }

    /// Whether it is a whole one, and knows us by the number that we know.
    fn is_for_us(&self) -> bool {
        let is_top = fstat(&self.root).is_ok_and(|found| found.st_ino == TOP);
        let own = std::process::id().to_string();
        let known = readlinkat(&self.root, "self", Vec::new());
        is_top && known.is_ok_and(|known| known.as_bytes() == own.as_bytes())
    }

    /// Reads a small file whole that need not be text.
    pub fn read_bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::from(self.open_file(path)?).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens something with these flags, magic links followed.
    pub fn open_as(&self, path: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        Ok(openat(&self.root, path, flags | OFlags::CLOEXEC, mode)?)
    }

    /// Reads a small file whole.
    pub fn read(&self, path: &str) -> io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        // Of a file whose length the kernel does not tell: few of these are longer.
        let mut text = String::with_capacity(4096);
        let file = openat(self.root.as_fd(), path, flags, Mode::empty())?;
        File::from(file).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes a value to a file in one go. The name is resolved inside this procfs, whatever is
    /// mounted over it elsewhere.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat2(self.root.as_fd(), path, flags, Mode::empty(), how)?;
        File::from(file).write_all(value.as_bytes())
    }

    /// Opens a file for reading.
    pub fn open_file(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(openat(self.root.as_fd(), path, flags, Mode::empty())?)
    }

    /// Opens a directory, perhaps through one of the kernel's own links.
    pub fn open_directory(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(self.root.as_fd(), path, flags, Mode::empty())?)
    }

    /// Bytes of memory that this machine has.
    pub fn memory(&self) -> io::Result<u64> {
        let text = self.read("meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let bytes = kib.map(|kib| kib << 10);
        bytes.ok_or_else(|| io::Error::other("/proc/meminfo has no MemTotal"))
    }

    /// When a process started, in clock ticks since boot: with its number, its identity. `None` if
    /// there is no such process.
    pub fn start_time(&self, pid: i32) -> Option<u64> {
        let stat = self.read(&format!("{pid}/stat")).ok()?;
        // The name before the last parenthesis may contain anything (proc_pid_stat(5), field 22).
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(19)?.parse().ok()
    }

    /// The children of a process with one thread (proc_tid_children(5)): all of them if it stands
    /// still. None where the kernel cannot tell.
    pub fn children(&self, pid: i32) -> Vec<i32> {
        let list = self.read(&format!("{pid}/task/{pid}/children"));
        let list = list.unwrap_or_default();
        list.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// The numbers of all processes that it shows.
    pub fn processes(&self) -> io::Result<Vec<i32>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().to_str().ok();
            found.extend(name.and_then(|name| name.parse::<i32>().ok()));
        }
        Ok(found)
    }

    /// Whether a process is gone, or on its way (PF_EXITING in include/linux/sched.h).
    pub fn is_ending(&self, pid: i32) -> bool {
        const PF_EXITING: u64 = 4;
        let flags = || {
            let stat = self.read(&format!("{pid}/stat")).ok()?;
            let (_, fields) = stat.rsplit_once(')')?;
            fields.split_whitespace().nth(6)?.parse::<u64>().ok()
        };
        flags().is_none_or(|flags| flags & PF_EXITING != 0)
    }

    /// What is mounted below a directory, itself not counted.
    pub fn mounts_below(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let table = self.read("self/mountinfo")?;
        let points = table
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .map(unescape);
        Ok(points
            .filter(|point| point != directory && point.starts_with(directory))
            .collect())
    }

    /// Whether the mount that a file is on shares later mounts with others.
    pub fn is_on_shared_mount(&self, file: BorrowedFd) -> io::Result<bool> {
        use rustix::fs::{AtFlags, StatxFlags, statx};
        let found = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
        let id = found.stx_mnt_id.to_string();
        let table = self.read("self/mountinfo")?;
        // Optional fields end at a dash (proc_pid_mountinfo(5)).
        Ok(table.lines().any(|line| {
            let mut fields = line.split(' ');
            fields.next() == Some(id.as_str())
                && fields
                    .skip(5)
                    .take_while(|field| *field != "-")
                    .any(|field| field.starts_with("shared:"))
        }))
    }

    /// Opens for reading, from its start, what another descriptor of this process stands for.
    pub fn reopen(&self, file: BorrowedFd) -> io::Result<OwnedFd> {
        let path = format!("self/fd/{}", file.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(openat(self.root.as_fd(), path, flags, Mode::empty())?)
    }

    /// A handle of the mount namespace that we are in.
    pub fn mount_namespace(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(openat(
            self.root.as_fd(),
            "self/ns/mnt",
            flags,
            Mode::empty(),
        )?)
    }

    /// A handle of our own program file.
    pub fn own_program(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Ok(openat(self.root.as_fd(), "self/exe", flags, Mode::empty())?)
    }
}

/// mountinfo writes white space and backslashes as three octal digits (proc_pid_mountinfo(5)).
pub fn unescape(field: &str) -> PathBuf {
    let mut parts = field.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.extend(digits);
        bytes.extend_from_slice(part.get(3..).unwrap_or_default().as_bytes());
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_white_space() {
        assert_eq!(unescape("/a\\040b\\134c"), PathBuf::from("/a b\\c"));
        assert_eq!(unescape("/plain"), PathBuf::from("/plain"));
    }

    #[test]
    fn our_own_program_is_the_one_that_runs() {
        let proc = Proc::open().unwrap();
        let found = rustix::fs::fstat(proc.own_program().unwrap()).unwrap();
        let expected = rustix::fs::stat("/proc/self/exe").unwrap();
        assert_eq!(
            (found.st_dev, found.st_ino),
            (expected.st_dev, expected.st_ino)
        );
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(proc.start_time(own).unwrap() > 0);
        assert_eq!(proc.start_time(-1), None);
        assert!(proc.read("self/status").unwrap().contains("Threads:"));
    }
}
