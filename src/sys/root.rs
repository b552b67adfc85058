//! A directory handle inside which every path is resolved.
//!
//! The kernel does the resolving (`openat2` with `RESOLVE_IN_ROOT`, Linux 5.6): absolute paths and
//! links start at the root, `..` stops there, magic links of /proc are refused. What must be
//! created is walked component by component on handles, so a link planted by an image, or swapped
//! while we look, never leads outside (CVE-2014-6407, CVE-2024-45310, CVE-2022-23648 class).
//!
//! Does not know what the tree means: a layer, a root file system, a sandbox.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// As many links as the kernel follows in one path (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// `openat2` gives up with EAGAIN when something was renamed meanwhile; so do we, in the end.
const MAX_RETRIES: u32 = 64;

const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A directory that paths cannot leave.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Root {
    /// Opens the directory itself; a symbolic link as the last component is refused.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Takes a directory handle that is already open.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Opens a path inside the root, following links inside the root.
    pub fn resolve(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        for _ in 0..MAX_RETRIES {
            match rustix::fs::openat2(&self.fd, path, flags, mode, how) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// Makes the directories of a path as `mkdir -p` does, with exactly `mode` whatever the umask.
    /// Links inside the root are followed, and what a dangling one points at is made. Returns a
    /// handle of the last directory, which may be `O_PATH`.
    pub fn create_dir_all(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        match self.resolve(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut walk = Walk::new(self, path)?;
        while let Some(name) = walk.next_name()? {
            match walk.look(&name)? {
                Found::Nothing => {
                    make_dir(walk.here.as_fd(), &name, mode)?;
                    walk.queue.push_front(name);
                }
                Found::Directory(handle) => walk.enter(&name, handle),
                Found::Link => {}
                Found::Other(_) => return Err(Errno::NOTDIR.into()),
            }
        }
        Ok(walk.here)
    }

    /// Makes an empty file, and missing parents with mode 0755: a place to mount a file on. What
    /// exists and is not a directory is returned as it is, as an `O_PATH` handle.
    pub fn create_file(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        let mut walk = Walk::new(self, path)?;
        while let Some(name) = walk.next_name()? {
            let last = walk.queue.is_empty();
            match walk.look(&name)? {
                Found::Nothing if last => match make_file(walk.here.as_fd(), &name, mode) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        walk.queue.push_front(name);
                    }
                    other => return other,
                },
                Found::Nothing => {
                    make_dir(walk.here.as_fd(), &name, 0o755)?;
                    walk.queue.push_front(name);
                }
                Found::Directory(handle) => walk.enter(&name, handle),
                Found::Link => {}
                Found::Other(handle) if last => return Ok(handle),
                Found::Other(_) => return Err(Errno::NOTDIR.into()),
            }
        }
        Err(Errno::ISDIR.into())
    }

    /// The content of a small regular file; `None` if there is no such file. Anything else than a
    /// regular file is refused before it is opened: opening a device can have effects.
    pub fn read_small(&self, path: &Path, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        let handle = match self.resolve(path, OFlags::PATH, Mode::empty()) {
            Ok(handle) => handle,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        check_small(&handle, max_bytes)?;
        // By name again, as an O_PATH handle can only be reopened through /proc; checked again.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.resolve(path, flags, Mode::empty())?;
        check_small(&file, max_bytes)?;
        let mut bytes = Vec::new();
        std::fs::File::from(file)
            .take(max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(bytes))
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn check_small(file: &OwnedFd, max_bytes: u64) -> io::Result<()> {
    let stat = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > max_bytes {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(())
}

/// A walk over a path inside a root that stops where something is missing.
struct Walk<'a> {
    root: &'a Root,
    here: OwnedFd,
    /// Where `here` is, free of links; only used to find the way back for `..`.
    at: PathBuf,
    queue: VecDeque<OsString>,
    links: u32,
}

enum Found {
    Nothing,
    Directory(OwnedFd),
    /// Its target was put at the head of the queue.
    Link,
    Other(OwnedFd),
}

impl<'a> Walk<'a> {
    fn new(root: &'a Root, path: &Path) -> io::Result<Self> {
        Ok(Self {
            root,
            here: root.resolve(Path::new("."), OFlags::PATH, Mode::empty())?,
            at: PathBuf::new(),
            queue: names(path).collect(),
            links: 0,
        })
    }

    /// The next real name; `..` is dealt with on the way.
    fn next_name(&mut self) -> io::Result<Option<OsString>> {
        while let Some(name) = self.queue.pop_front() {
            if name != ".." {
                return Ok(Some(name));
            }
            self.at.pop();
            self.reopen()?;
        }
        Ok(None)
    }

    fn reopen(&mut self) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        self.here = self.root.resolve(&self.at, flags, Mode::empty())?;
        Ok(())
    }

    fn look(&mut self, name: &OsStr) -> io::Result<Found> {
        let handle = match rustix::fs::openat(&self.here, name, HANDLE, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(errno) => return Err(errno.into()),
        };
        match FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode) {
            FileType::Directory => Ok(Found::Directory(handle)),
            FileType::Symlink => self.follow(name, &handle).map(|()| Found::Link),
            _ => Ok(Found::Other(handle)),
        }
    }

    fn follow(&mut self, name: &OsStr, link: &OwnedFd) -> io::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        // The text of a magic link is a path of another root. The kernel says which ones are.
        if rustix::fs::fstatfs(link)?.f_type == rustix::fs::PROC_SUPER_MAGIC {
            let how = ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
            rustix::fs::openat2(&self.here, name, OFlags::PATH, Mode::empty(), how)?;
        }
        let target = rustix::fs::readlinkat(link, "", Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            self.at.clear();
            self.reopen()?;
        }
        for name in names(&target).rev() {
            self.queue.push_front(name);
        }
        Ok(())
    }

    fn enter(&mut self, name: &OsStr, handle: OwnedFd) {
        self.at.push(name);
        self.here = handle;
    }
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

/// Makes one directory with an exact mode; one that somebody else made first is left as it is.
fn make_dir(parent: BorrowedFd, name: &OsStr, mode: u32) -> io::Result<()> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(mode)) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    }
    let made = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
    // Where others rename, another one may have the name by now: theirs keeps its mode.
    if !is_empty(made.as_fd())? {
        return Ok(());
    }
    Ok(rustix::fs::fchmod(&made, Mode::from_raw_mode(mode))?)
}

/// Whether nothing is in a directory.
pub fn is_empty(directory: BorrowedFd) -> io::Result<bool> {
    // Again, as the handle may be O_PATH.
    let readable = rustix::fs::openat(directory, ".", DIRECTORY, Mode::empty())?;
    for entry in Dir::read_from(&readable)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn make_file(parent: BorrowedFd, name: &OsStr, mode: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let made = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(mode))?;
    rustix::fs::fchmod(&made, Mode::from_raw_mode(mode))?;
    Ok(made)
}

/// Removes a tree, or one object, below a directory handle. Links are removed, never followed; a
/// mount inside the tree is an error. A missing name is fine.
///
/// Needs a handful of descriptors and two levels of recursion however deep the tree is: a directory
/// that is not empty is first moved up to the top of the tree.
pub fn remove_tree(parent: BorrowedFd, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno.into()),
    }
    empty(parent, name, 0, &mut 0)
}

/// How many directories deep a tree is walked, each with a descriptor; what is deeper is moved up.
const NESTED: u32 = 8;

/// Removes a directory with all that is in it, and with what is moved into it meanwhile.
fn empty(parent: BorrowedFd, name: &OsStr, depth: u32, serial: &mut u64) -> io::Result<()> {
    let dir = open_writable(parent, name)?;
    let up = (depth > NESTED).then_some(parent);
    loop {
        let any = empty_once(dir.as_fd(), up, depth, serial)?;
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) if any => (),
            result => return ignore_missing(result),
        }
    }
}

/// Removes the entries of one directory; the non-empty directories among them are moved to `up`,
/// or are emptied in their turn. Returns whether there was anything.
fn empty_once(
    dir: BorrowedFd,
    up: Option<BorrowedFd>,
    depth: u32,
    serial: &mut u64,
) -> io::Result<bool> {
    let mut any = false;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        any = true;
        if entry.file_type() != FileType::Directory {
            match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            // Something else has its name now; the next round removes that.
            Err(Errno::NOTDIR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        match up {
            Some(up) => hoist(dir, name, up, serial)?,
            None => empty(dir, name, depth + 1, serial)?,
        }
    }
    Ok(any)
}

/// Moves a directory up under a name that is not taken by anything that matters: whatever has that
/// name is to be removed as well.
fn hoist(dir: BorrowedFd, name: &OsStr, up: BorrowedFd, serial: &mut u64) -> io::Result<()> {
    let mut opened = false;
    loop {
        *serial += 1;
        let fresh = format!(".ucr-removed-{serial}");
        match rustix::fs::renameat(dir, name, up, &fresh) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            // A directory without write permission cannot get another parent (its `..` changes).
            Err(Errno::ACCESS) if !opened => {
                open_writable(dir, name)?;
                opened = true;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Opens a directory for emptying; without root, one of mode 0555 must be opened up first.
fn open_writable(parent: BorrowedFd, name: &OsStr) -> io::Result<OwnedFd> {
    if !rustix::process::geteuid().is_root() {
        let handle = rustix::fs::openat(parent, name, HANDLE | OFlags::DIRECTORY, Mode::empty())?;
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        rustix::fs::chmod(path, Mode::RWXU)?;
    }
    Ok(rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?)
}

fn ignore_missing(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        std::fs::write(dir.path().join("canary"), "outside").unwrap();
        let root = Root::open(&dir.path().join("root")).unwrap();
        (dir, root)
    }

    #[test]
    fn nothing_resolves_outside() {
        let (dir, root) = root();
        let inside = dir.path().join("root");
        std::fs::write(inside.join("canary"), "inside").unwrap();
        std::fs::create_dir(inside.join("d")).unwrap();
        symlink("/canary", inside.join("d/absolute")).unwrap();
        symlink("../../../canary", inside.join("d/relative")).unwrap();
        symlink("/proc/self/root", inside.join("d/magic")).unwrap();
        for path in [
            "/canary",
            "../canary",
            "d/absolute",
            "/d/relative",
            "d/../../../canary",
        ] {
            let bytes = root.read_small(Path::new(path), 100).unwrap();
            assert_eq!(bytes.as_deref(), Some(&b"inside"[..]), "{path}");
        }
        assert_eq!(
            root.read_small(Path::new("d/magic/canary"), 9).unwrap(),
            None
        );
        root.create_dir_all(Path::new("d/magic/x"), 0o700).unwrap();
        assert!(inside.join("proc/self/root/x").is_dir());
    }

    #[test]
    fn directories_are_made_through_links_with_an_exact_mode() {
        let (dir, root) = root();
        let inside = dir.path().join("root");
        symlink("/opt/../srv/data", inside.join("dangling")).unwrap();
        symlink("../../../../up", inside.join("escape")).unwrap();
        for path in ["dangling/a/b", "/escape/x", "plain/./y", "plain/../z"] {
            let made = root.create_dir_all(Path::new(path), 0o777).unwrap();
            assert_eq!(
                rustix::fs::fstat(&made).unwrap().st_mode & 0o7777,
                0o777,
                "{path}"
            );
        }
        for path in ["srv/data/a/b", "up/x", "plain/y", "z"] {
            let mode = inside.join(path).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o777, "{path}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn loops_and_files_in_the_way_are_errors() {
        let (dir, root) = root();
        let inside = dir.path().join("root");
        symlink("b", inside.join("a")).unwrap();
        symlink("a", inside.join("b")).unwrap();
        std::fs::write(inside.join("file"), "").unwrap();
        let code = |path: &str| {
            let error = root.create_dir_all(Path::new(path), 0o755).unwrap_err();
            error.raw_os_error().unwrap()
        };
        assert_eq!(code("a/x"), libc::ELOOP);
        assert_eq!(code("file"), libc::ENOTDIR);
        assert_eq!(code("file/x"), libc::ENOTDIR);
    }

    #[test]
    fn mount_points_for_files_are_made_inside() {
        let (dir, root) = root();
        let inside = dir.path().join("root");
        symlink("/run/stub/resolv.conf", inside.join("link")).unwrap();
        root.create_file(Path::new("/link"), 0o644).unwrap();
        root.create_file(Path::new("etc/hosts"), 0o600).unwrap();
        assert_eq!(
            inside.join("etc/hosts").metadata().unwrap().mode() & 0o7777,
            0o600
        );
        let made = inside.join("run/stub/resolv.conf").metadata().unwrap();
        assert_eq!(made.mode() & 0o7777, 0o644);
        let again = root.create_file(Path::new("link"), 0o600).unwrap();
        assert_eq!(rustix::fs::fstat(&again).unwrap().st_ino, made.ino());
        for path in ["/", "etc", "etc/.."] {
            assert!(root.create_file(Path::new(path), 0o644).is_err(), "{path}");
        }
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let (dir, root) = root();
        let inside = dir.path().join("root");
        std::fs::write(inside.join("ten"), "0123456789").unwrap();
        rustix::fs::mknodat(CWD, inside.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let read = |path: &str| root.read_small(Path::new(path), 10);
        assert_eq!(read("ten").unwrap().unwrap().len(), 10);
        assert_eq!(read("ten/x").unwrap(), None);
        assert_eq!(read("none").unwrap(), None);
        assert!(read("fifo").is_err());
        assert!(read("/").is_err());
        assert!(root.read_small(Path::new("ten"), 9).is_err());
    }

    #[test]
    fn trees_of_any_depth_and_mode_are_removed() {
        let (dir, root) = root();
        let inside = dir.path().join("root");
        symlink(dir.path(), inside.join("out")).unwrap();
        std::fs::create_dir(inside.join("t")).unwrap();
        symlink("../..", inside.join("t/up")).unwrap();
        let mut here = rustix::fs::openat(&root, "t", DIRECTORY, Mode::empty()).unwrap();
        for level in 0..3000 {
            let file = format!(".ucr-removed-{level}");
            rustix::fs::openat(&here, file, OFlags::CREATE, Mode::RUSR).unwrap();
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = rustix::fs::openat(&here, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        for name in ["t", "out", "missing"] {
            remove_tree(root.as_fd(), OsStr::new(name)).unwrap();
        }
        assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 0);
        assert_eq!(
            std::fs::read(dir.path().join("canary")).unwrap(),
            b"outside"
        );
    }
}
