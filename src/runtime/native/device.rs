//! The content of a fresh `/dev`: the plan's devices, five links, three directories, and nothing of
//! the image's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, makedev, mkdirat, mknodat,
    openat, symlinkat,
};

use super::ground::Ground;
use super::plan::{Node, Plan};
use super::rootfs::KernelFilesystems;
use crate::error::{Fault, Kind};
use crate::spec::defaults::DEVICE_LINKS;
use crate::sys::mount::{self, Restrict};
use crate::sys::root::Root;

/// A node of the host, by a mount of that one file.
pub(super) type Shown = Option<OwnedFd>;

/// Takes handles of the nodes that cannot be made inside. In the parent, because their mounts are
/// none of a new mount namespace's.
pub(super) fn open_shown(plan: &Plan) -> Result<Vec<Shown>> {
    let open = |node: &Node| -> Result<Shown> {
        if !node.is_shown {
            return Ok(None);
        }
        let take = || -> Result<OwnedFd> {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let source = openat(CWD, &node.source, flags, Mode::empty())?;
            // Another driver's device may have got the name since the plan was made.
            let found = fstat(&source)?;
            if found.st_rdev != makedev(node.major, node.minor) {
                return Err(Fault::new(Kind::Spec, "it is another device now").into());
            }
            let tree = mount::clone_handle(source.as_fd())?;
            // The device can be written to all the same, its node not be given another mode or owner,
            // which would be the host's.
            let restrict = Restrict {
                read_only: true,
                no_suid: true,
                no_exec: true,
                ..Restrict::default()
            };
            mount::restrict(tree.as_fd(), restrict, false)?;
            Ok(tree)
        };
        take()
            .map(Some)
            .with_context(|| format!("device {}", node.source.display()))
    };
    plan.devices.iter().map(open).collect()
}

/// Fills a detached tmpfs with what is made there: everything but the nodes that are shown.
pub(super) fn fill(dev: BorrowedFd, plan: &Plan) -> Result<()> {
    // mknod's mode is subject to the umask.
    let before = rustix::process::umask(Mode::empty());
    let filled = fill_unmasked(dev, plan);
    rustix::process::umask(before);
    filled
}

fn fill_unmasked(dev: BorrowedFd, plan: &Plan) -> Result<()> {
    for (name, target) in DEVICE_LINKS {
        symlinkat(target, dev, name).with_context(|| format!("link /dev/{name}"))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        mkdirat(dev, name, Mode::from_raw_mode(0o755))
            .with_context(|| format!("make /dev/{name}"))?;
    }
    for node in plan.devices.iter().filter(|node| !node.is_shown) {
        make(dev, node).with_context(|| format!("make {}", node.target.display()))?;
    }
    Ok(())
}

fn make(dev: BorrowedFd, node: &Node) -> Result<()> {
    let below = node.target.strip_prefix("/dev")?;
    let parent = match below.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            Some(Root::from_fd(dev.try_clone_to_owned()?).create_dir_all(parent, 0o755)?)
        }
        _ => None,
    };
    let parent = parent.as_ref().map_or(dev, AsFd::as_fd);
    let name = below.file_name().context("it has no name")?;
    let kind = if node.is_block {
        FileType::BlockDevice
    } else {
        FileType::CharacterDevice
    };
    let mode = Mode::from_raw_mode(node.mode);
    mknodat(parent, name, kind, mode, makedev(node.major, node.minor)).map_err(io::Error::from)?;
    if (node.uid, node.gid) != (0, 0) {
        let owner = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        chownat(parent, name, Some(owner.0), Some(owner.1), flags).map_err(io::Error::from)?;
    }
    Ok(())
}

/// Shows the nodes that could not be made, when `/dev` is in its place. A link of the image may lead
/// one anywhere but into the kernel's filesystems.
pub(super) fn show(
    ground: &Ground,
    plan: &Plan,
    shown: &[Shown],
    kernel: &KernelFilesystems,
) -> Result<()> {
    for (node, tree) in plan.devices.iter().zip(shown) {
        let Some(tree) = tree else { continue };
        let attach = || -> Result<()> {
            let target = ground.file(&node.target, 0o644)?;
            kernel.refuse_but(target.as_fd(), &node.target, &["/dev"])?;
            Ok(mount::attach(tree.as_fd(), target.as_fd())?)
        };
        attach().with_context(|| format!("show {}", node.target.display()))?;
    }
    Ok(())
}

/// The null device of our own `/dev`, which nothing that is mounted later can replace
/// (CVE-2025-31133).
pub(super) fn null(dev: BorrowedFd) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || -> Result<OwnedFd> {
        let null = openat(dev, Path::new("null"), flags, Mode::empty())?;
        let found = fstat(&null)?;
        if found.st_rdev != makedev(1, 3) {
            return Err(Fault::new(Kind::Spec, "another device was put in its place").into());
        }
        Ok(null)
    };
    open().context("open /dev/null")
}
