//! Places in the container, each on a handle found inside the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, fstat};

use super::{Tree, restrict};
use crate::error::{Fault, Kind};
use crate::runtime::native::ground::Ground;
use crate::runtime::native::rootfs::KernelFilesystems;
use crate::runtime::native::stage::Stage;
use crate::spec::mount::{Access, Source, Tmpfs};
use crate::sys::mount;

/// Attaches all mounts of the plan, parents first; `images` are those that the stage has made.
pub(in crate::runtime::native) fn attach(
    stage: &Stage,
    images: &[Option<Tree>],
    ground: &Ground,
    kernel: &KernelFilesystems,
) -> Result<()> {
    let opened = stage.handles.trees.iter().zip(images);
    let opened = opened.map(|(taken, made)| taken.as_ref().or(made.as_ref()));
    for (mount, opened) in stage.plan.mounts.iter().zip(opened) {
        let place = Place {
            ground,
            kernel,
            target: &mount.target,
        };
        let attached = match (&mount.source, opened) {
            (Source::Tmpfs(tmpfs), _) => place.memory(tmpfs, mount.access),
            (_, Some(tree)) => place.tree(tree),
            (_, None) => Err(anyhow::anyhow!("internal: nothing was made for it")),
        };
        attached.with_context(|| format!("mount {mount}"))?;
    }
    Ok(())
}

/// Where in the container something goes.
struct Place<'a> {
    ground: &'a Ground<'a>,
    kernel: &'a KernelFilesystems,
    target: &'a Path,
}

impl Place<'_> {
    fn tree(&self, tree: &Tree) -> Result<()> {
        let target = if tree.is_directory {
            self.directory()?
        } else {
            self.file()?
        };
        self.attach(tree.tree.as_fd(), target.as_fd())
    }

    /// Memory looks like the directory that it covers; what is made for it, like /tmp.
    fn memory(&self, tmpfs: &Tmpfs, access: Access) -> Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let (target, covered) = match self.ground.root.resolve(self.target, flags, Mode::empty()) {
            Ok(found) => {
                let stat = fstat(&found)?;
                (found, (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid))
            }
            Err(_) => (self.directory()?, (0o1777, 0, 0)),
        };
        let mode = format!("{:o}", tmpfs.mode.unwrap_or(covered.0));
        let uid = tmpfs.uid.unwrap_or(covered.1).to_string();
        let gid = tmpfs.gid.unwrap_or(covered.2).to_string();
        let size = tmpfs.size_bytes.map(|bytes| bytes.to_string());
        let mut options = vec![
            ("mode", Some(mode.as_str())),
            ("uid", Some(uid.as_str())),
            ("gid", Some(gid.as_str())),
        ];
        options.extend(size.as_deref().map(|bytes| ("size", Some(bytes))));
        let default = Access {
            read_only: None,
            no_exec: Some(true),
            no_suid: Some(true),
            no_dev: Some(true),
        };
        let tree = mount::filesystem("tmpfs", &options, restrict(access, default))?;
        self.attach(tree.as_fd(), target.as_fd())
    }

    fn attach(&self, tree: BorrowedFd, target: BorrowedFd) -> Result<()> {
        let (found, root) = (fstat(target)?, fstat(self.ground.root)?);
        if (found.st_dev, found.st_ino) == (root.st_dev, root.st_ino) {
            let message = format!("the image's {} leads to its root", self.target.display());
            return Err(Fault::new(Kind::Spec, message).into());
        }
        self.kernel
            .refuse_but(target, self.target, &["/dev", "/sys"])?;
        Ok(mount::attach(tree, target)?)
    }

    fn directory(&self) -> Result<OwnedFd> {
        let made = self.ground.directory(self.target, 0o755);
        made.map_err(|error| self.refuse(error, "a directory"))
    }

    fn file(&self) -> Result<OwnedFd> {
        let made = self.ground.file(self.target, 0o644);
        made.map_err(|error| self.refuse(error, "a file"))
    }

    fn refuse(&self, error: std::io::Error, what: &str) -> anyhow::Error {
        let target = self.target.display();
        let message = match error.raw_os_error() {
            Some(libc::EISDIR) => format!("the source is a file, {target} is a directory"),
            Some(libc::ENOTDIR) if what == "a directory" => {
                format!("the source is a directory, {target} is not, or goes through a file")
            }
            Some(libc::ENOTDIR) => format!("{target} goes through a file"),
            Some(libc::EROFS) => {
                format!("{target} is not there, and cannot be made on what is read-only")
            }
            Some(libc::ENOENT) if self.ground.is_hosts() => {
                format!("{target} is not there, and nothing is made on the host's own filesystem")
            }
            _ => return anyhow::Error::new(error).context(format!("make {target}")),
        };
        Fault::new(Kind::Spec, message).into()
    }
}
