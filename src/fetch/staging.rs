//! A private directory in the sandbox in which an artifact is made ready, and the way out of it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, mkdirat, openat, renameat};
use rustix::io::Errno;

use super::Options;
use crate::error::{Fault, Kind};
use crate::sys::root::{Root, remove_tree};

/// How many names are tried: an earlier artifact may have put something there.
const MAX_TRIES: u32 = 100;
const ARTIFACT: &str = "artifact";
const TREE: &str = "tree";

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Goes when it is dropped.
pub(super) struct Staging<'a> {
    sandbox: &'a Root,
    name: String,
    directory: OwnedFd,
}

impl<'a> Staging<'a> {
    pub(super) fn new(sandbox: &'a Root) -> Result<Self> {
        let process = std::process::id();
        for number in 0..MAX_TRIES {
            let name = format!(".ucr-fetch-{process}-{number}");
            match mkdirat(sandbox, &name, Mode::RWXU) {
                Ok(()) => (),
                Err(Errno::EXIST) => continue,
                Err(errno) => {
                    return Err(std::io::Error::from(errno)).context("stage in the sandbox");
                }
            }
            let directory = os(openat(sandbox, &name, DIRECTORY, Mode::empty()))?;
            os(mkdirat(&directory, TREE, Mode::RWXU))?;
            return Ok(Self {
                sandbox,
                name,
                directory,
            });
        }
        Err(Fault::new(Kind::Spec, "the sandbox is full of .ucr-fetch-* files").into())
    }

    /// Makes the file for the artifact itself, once.
    pub(super) fn file(&self) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = os(openat(
            &self.directory,
            ARTIFACT,
            flags,
            Mode::RUSR | Mode::WUSR,
        ))?;
        Ok(made.into())
    }

    /// The empty directory for what the artifact holds.
    pub(super) fn tree(&self) -> Result<Root> {
        let opened = os(openat(&self.directory, TREE, DIRECTORY, Mode::empty()))?;
        Ok(Root::from_fd(opened))
    }

    /// Gives the artifact itself its place in the sandbox.
    pub(super) fn publish(&self, sandbox: &Root, place: &Path, options: &Options) -> Result<()> {
        let shown = place.display();
        let name = place
            .file_name()
            .context("internal: an artifact without a name")?;
        let parent = place.parent().unwrap_or(Path::new(""));
        let parent = make_directories(sandbox.as_fd(), parent, options)?;
        renameat(&self.directory, ARTIFACT, &parent, name)
            .map_err(|errno| match errno {
                Errno::ISDIR => Fault::new(Kind::Spec, "a directory has its place").into(),
                errno => anyhow::Error::from(std::io::Error::from(errno)),
            })
            .with_context(|| format!("'{shown}' in the sandbox"))
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What stays goes with the sandbox.
        let _ = remove_tree(self.sandbox.as_fd(), OsStr::new(&self.name));
    }
}

/// Makes missing directories, for the owner; goes through real ones only, never through a link.
pub(super) fn make_directories(top: BorrowedFd, path: &Path, options: &Options) -> Result<OwnedFd> {
    let mut here = os(openat(top, ".", DIRECTORY, Mode::empty()))?;
    for part in path.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        let made = match mkdirat(&here, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        };
        here = match openat(&here, name, DIRECTORY, Mode::empty()) {
            Ok(next) => next,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let message = format!(
                    "'{}' is in the way: what is no directory is not gone through",
                    Path::new(name).display()
                );
                return Err(Fault::new(Kind::Layer, message).into());
            }
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        };
        if made {
            options.own(&here)?;
            os(rustix::fs::fchmod(&here, Mode::from_raw_mode(0o755)))?;
        }
    }
    Ok(here)
}

/// The error of a system call as the standard library's, by which `error::kind` knows it.
pub(super) fn os<T>(result: rustix::io::Result<T>) -> std::io::Result<T> {
    result.map_err(std::io::Error::from)
}
