//! Where in a container's root filesystem something is mounted, and what may be made for that: of an
//! image's anything, but nothing on the host's own filesystem. There only what ucr mounts itself,
//! `/dev`, and the container's sandbox can take new files, each inside itself: no link leads out.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, StatVfsMountFlags, fstat, fstatvfs, openat};

use super::plan::Plan;
use crate::error::{Fault, Kind};
use crate::sys::mount::{self, Restrict, Sharing};
use crate::sys::root::Root;

/// A directory of the host's as a detached tree, with everything that is mounted below it. In the
/// parent: a new mount namespace is cut off from the host's. `plan` says whether it can be written
/// to.
pub(super) fn take(path: &Path, plan: &Plan) -> Result<OwnedFd> {
    clone(path, plan).with_context(|| format!("root filesystem {}", path.display()))
}

fn clone(path: &Path, plan: &Plan) -> Result<OwnedFd> {
    let open = |path: &Path| -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(CWD, path, flags, Mode::empty())?)
    };
    let directory = open(path).map_err(|error| Fault::new(Kind::Spec, error.to_string()))?;
    if !plan.is_on_host() && is_same(&directory, &open(Path::new("/"))?)? {
        let message = "it is the host's own under another name";
        return Err(Fault::new(Kind::Spec, message)
            .hint("say --rootfs /")
            .into());
    }
    let tree = mount::clone_tree_of(directory.as_fd(), true)?;
    let handle = tree.as_fd();
    // At once, in a call of its own: what is cloned from a shared mount is shared.
    mount::share(handle, Sharing::Private, true)?;
    let restrict = Restrict {
        read_only: plan.read_only,
        no_dev: true,
        ..Restrict::default()
    };
    let is_writable = !fstatvfs(handle)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    mount::restrict(handle, restrict, true)?;
    // The stage makes places for mounts in it, and write-protects it then.
    if plan.read_only && is_writable {
        mount::permit_writes(handle)?;
    }
    Ok(tree)
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// A root filesystem as the ground that mounts stand on.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    pub(super) root: &'a Root,
    /// Where something may be made, if not everywhere.
    own: Option<Vec<PathBuf>>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(root: &'a Root, plan: &Plan) -> Self {
        let own = || {
            let sandbox = plan.sandbox.iter().cloned();
            std::iter::once("/dev".into()).chain(sandbox).collect()
        };
        Self {
            root,
            own: plan.is_on_host().then(own),
        }
    }

    /// Whether nothing of it is to change.
    pub(super) fn is_hosts(&self) -> bool {
        self.own.is_some()
    }

    /// A directory, made if it is missing and may be made. Fails with `NotFound` if it may not.
    pub(super) fn directory(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        match self.part(path)? {
            Part::Free(root, path) => root
                .as_ref()
                .unwrap_or(self.root)
                .create_dir_all(path, mode),
            Part::Fixed => {
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                self.root.resolve(path, flags, Mode::empty())
            }
        }
    }

    /// The same for a file.
    pub(super) fn file(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        match self.part(path)? {
            Part::Free(root, path) => root.as_ref().unwrap_or(self.root).create_file(path, mode),
            Part::Fixed => {
                let found = self.root.resolve(path, OFlags::PATH, Mode::empty())?;
                match FileType::from_raw_mode(fstat(&found)?.st_mode) {
                    FileType::Directory => Err(rustix::io::Errno::ISDIR.into()),
                    _ => Ok(found),
                }
            }
        }
    }

    fn part<'b>(&self, path: &'b Path) -> io::Result<Part<'b>> {
        let Some(own) = &self.own else {
            return Ok(Part::Free(None, path));
        };
        let below = |top: &PathBuf| {
            let rest = path.strip_prefix(top).ok()?;
            Some((top.clone(), rest)).filter(|_| rest != Path::new(""))
        };
        let Some((top, rest)) = own.iter().find_map(below) else {
            return Ok(Part::Fixed);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let top = self.root.resolve(&top, flags, Mode::empty())?;
        Ok(Part::Free(Some(Root::from_fd(top)), rest))
    }
}

/// What a path is in.
enum Part<'a> {
    /// What may be changed: perhaps a directory of its own, and the path in there.
    Free(Option<Root>, &'a Path),
    /// The host's.
    Fixed,
}
