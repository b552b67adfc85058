//! A tree on disk that objects are put into.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, fstat, futimens, linkat,
    mkdirat, mknodat, openat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::walk::is_kernels_own;
use super::{Form, Object, Owners, Sink};
use crate::error::{Fault, Kind};
use crate::layer::attributes::times;
use crate::layer::os;
use crate::layer::pax::Timestamp;
use crate::sys::root::Root;

/// Bytes of directory paths that may wait for their times.
const MAX_WAITING: usize = 64 << 20;

/// A directory that takes a tree.
#[derive(Debug)]
pub struct Tree {
    root: Root,
    owners: Owners,
    /// Take set-user-ID and set-group-ID bits away: who owned it before is not who owns it now.
    drops_suid: bool,
    /// Directories that were made get their times when everything is in them.
    made: Vec<(PathBuf, Timestamp)>,
    waiting: usize,
}

impl Tree {
    /// Into this directory.
    pub fn new(root: Root, owners: Owners, drops_suid: bool) -> Self {
        Self {
            root,
            owners,
            drops_suid,
            made: Vec::new(),
            waiting: 0,
        }
    }

    /// The directory that something goes into, made where an archive did not list it.
    fn parent(&self, path: &Path) -> Result<OwnedFd> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let parent = self.root.create_dir_all(parent, 0o755)?;
        if is_kernels_own(&parent)? {
            let message = "the place is the kernel's, not the container's";
            return Err(Fault::new(Kind::Usage, message).into());
        }
        Ok(parent)
    }

    fn mode(&self, object: &Object) -> Mode {
        let dropped = if self.drops_suid { 0o6000 } else { 0 };
        Mode::from_raw_mode(object.mode & !dropped)
    }

    fn owner(&self, object: &Object) -> Result<(Option<Uid>, Option<Gid>)> {
        let (uid, gid) = self.owners.of(object)?;
        Ok((Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
    }

    fn directory(&mut self, object: &Object) -> Result<()> {
        // Its own attributes are nobody's business.
        let Some(name) = object.path.file_name() else {
            return Ok(());
        };
        let parent = self.parent(&object.path)?;
        match mkdirat(&parent, name, Mode::RWXU) {
            Ok(()) => (),
            Err(Errno::EXIST) => return is_real_directory(&parent, name),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = os(openat(&parent, name, flags, Mode::empty()))?;
        let (uid, gid) = self.owner(object)?;
        os(fchown(&made, uid, gid))?;
        os(fchmod(&made, self.mode(object)))?;
        self.waiting += object.path.as_os_str().len() + size_of::<(PathBuf, Timestamp)>();
        if self.waiting < MAX_WAITING {
            self.made.push((object.path.clone(), object.mtime));
        }
        Ok(())
    }

    fn file(&self, object: &Object, content: &mut dyn Read) -> Result<()> {
        let (parent, name) = self.place(object)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match clear(&parent, name)? {
            true => os(openat(&parent, name, flags, Mode::RUSR | Mode::WUSR))?,
            false => return overwrite(&parent, name, content),
        };
        let mut file = std::fs::File::from(opened);
        copy(content, &mut file)?;
        let (uid, gid) = self.owner(object)?;
        os(fchown(&file, uid, gid))?;
        os(fchmod(&file, self.mode(object)))?;
        Ok(os(futimens(&file, &times(object.mtime)))?)
    }

    /// Where it goes, and its name there.
    fn place<'a>(&self, object: &'a Object) -> Result<(OwnedFd, &'a OsStr)> {
        let name = object.path.file_name();
        let name = name.context("internal: an object without a name")?;
        Ok((self.parent(&object.path)?, name))
    }

    fn free_place<'a>(&self, object: &'a Object) -> Result<(OwnedFd, &'a OsStr)> {
        let (parent, name) = self.place(object)?;
        match clear(&parent, name)? {
            true => Ok((parent, name)),
            false => Err(Fault::new(Kind::Usage, "something is mounted there").into()),
        }
    }

    fn hard_link(&self, object: &Object, first: &Path) -> Result<()> {
        let (parent, name) = self.free_place(object)?;
        let from = self.parent(first)?;
        let first = first.file_name().context("a link to nothing")?;
        Ok(os(linkat(&from, first, &parent, name, AtFlags::empty()))?)
    }

    /// What cannot be opened, or should not be.
    fn special(&self, object: &Object) -> Result<()> {
        let (parent, name) = self.free_place(object)?;
        let is_link = match &object.form {
            Form::Symlink(text) => {
                os(symlinkat(OsStr::from_bytes(text), &parent, name))?;
                true
            }
            _ => {
                let mode = self.mode(object);
                os(mknodat(&parent, name, FileType::Fifo, mode, 0))?;
                false
            }
        };
        let (uid, gid) = self.owner(object)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        os(chownat(&parent, name, uid, gid, flags))?;
        if !is_link {
            // By a handle: what has the name by now may be a link.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fifo = os(openat(&parent, name, flags, Mode::empty()))?;
            if FileType::from_raw_mode(os(fstat(&fifo))?.st_mode) == FileType::Fifo {
                os(fchmod(&fifo, self.mode(object)))?;
            }
        }
        Ok(os(utimensat(&parent, name, &times(object.mtime), flags))?)
    }
}

impl Sink for Tree {
    fn add(&mut self, object: &Object, content: &mut dyn Read) -> Result<()> {
        match &object.form {
            Form::Directory => self.directory(object),
            Form::File => self.file(object, content),
            Form::HardLink(first) => self.hard_link(object, first),
            Form::Symlink(_) | Form::Fifo => self.special(object),
        }
    }

    fn finish(&mut self) -> Result<()> {
        for (path, mtime) in std::mem::take(&mut self.made).iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            // Who changes the tree meanwhile loses a time.
            if let Ok(made) = self.root.resolve(path, flags, Mode::empty()) {
                let _ = futimens(&made, &times(*mtime));
            }
        }
        Ok(())
    }
}

fn copy(from: &mut dyn Read, to: &mut std::fs::File) -> Result<()> {
    let mut buffer = vec![0_u8; 128 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_real_directory(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    let found = os(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW))?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => Ok(()),
        _ => Err(Fault::new(Kind::Usage, "what is no directory has its place").into()),
    }
}

/// Takes away what has a name; `false` if something is mounted there.
fn clear(parent: &OwnedFd, name: &OsStr) -> Result<bool> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::BUSY) => Ok(false),
        Err(Errno::ISDIR) => Err(Fault::new(Kind::Usage, "a directory has its place").into()),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// A file that is mounted there, like /etc/hosts, keeps all but its content.
fn overwrite(parent: &OwnedFd, name: &OsStr, content: &mut dyn Read) -> Result<()> {
    // Looked at before it is opened: opening a device can have effects.
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = os(openat(parent, name, look, Mode::empty()))?;
    let is_file =
        |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let write = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if is_file(os(fstat(&handle))?) && !is_kernels_own(handle.as_fd())? {
        let opened = os(openat(parent, name, write, Mode::empty()))?;
        let (one, other) = (os(fstat(&handle))?, os(fstat(&opened))?);
        if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) {
            let mut file = std::fs::File::from(opened);
            file.set_len(0)?;
            return copy(content, &mut file);
        }
    }
    Err(Fault::new(Kind::Usage, "something is mounted there").into())
}
