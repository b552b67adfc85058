//! The container's root filesystem, as the stage builds it: the overlay, fresh kernel filesystems,
//! the host's files that were asked for, and what is hidden. Every place inside the image is
//! reached by handle; the image may hold any symbolic link anywhere.

use std::fs::{self, DirBuilder};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};

use super::device;
use super::stage::Stage;
use super::volume;
use crate::bundle::account;
use crate::error::{Fault, Kind};
use crate::provision::{Writable, inherit_root, mount_layers};
use crate::spec::Account;
use crate::spec::defaults::{FILESYSTEMS, Filesystem, MASKED_PATHS, READ_ONLY_PATHS};
use crate::sys::mount::{self, Restrict};
use crate::sys::root::Root;

/// A finished root filesystem, not entered yet.
#[derive(Debug)]
pub(super) struct Rootfs {
    pub(super) root: Root,
    /// Our own tmpfs, whatever the image has in its place.
    dev: OwnedFd,
    pub(super) devpts: OwnedFd,
    /// The device of our own tmpfs.
    pub(super) null: OwnedFd,
    /// The user, as the image's own files have it.
    pub(super) account: Account,
}

impl Rootfs {
    /// Shows the container's terminal as `/dev/console`.
    pub(super) fn show_console(&self, terminal: BorrowedFd) -> Result<()> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let target = openat(&self.dev, "console", flags, Mode::from_raw_mode(0o620))?;
        let tree = mount::clone_handle(terminal).context("show /dev/console")?;
        mount::attach(tree.as_fd(), target.as_fd()).context("show /dev/console")
    }
}

/// Builds it below the container's private directory.
pub(super) fn build(stage: &Stage) -> Result<Rootfs> {
    let root = overlay(stage)?;
    let made = volume::make(stage, &root)?;
    // The image's files are read while no kernel filesystem is there for a link to lead to.
    let account = account(&root, stage.plan.process.user.as_deref())?;
    let mut null = None;
    for filesystem in &FILESYSTEMS {
        let made = attach_filesystem(&root, filesystem);
        null = made
            .with_context(|| format!("mount {}", filesystem.target))?
            .or(null);
    }
    let null = null.context("internal: no /dev was made")?;
    let dev = open_own(&root, "/dev")?;
    let devpts = open_own(&root, "/dev/pts")?;
    let kernel = KernelFilesystems::find(&root)?;
    own_files(stage, &root, &kernel)?;
    volume::attach(stage, &made, &root, &kernel)?;
    hide(&root, null.as_fd())?;
    Ok(Rootfs {
        root,
        dev,
        devpts,
        null,
        account,
    })
}

fn overlay(stage: &Stage) -> Result<Root> {
    let private = stage.directory.path();
    inherit_root(stage.store, stage.layers, &private.join("upper"))?;
    let merged = private.join("rootfs");
    DirBuilder::new().mode(0o755).create(&merged)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = openat(CWD, &merged, flags, Mode::empty())?;
    // Nobody sees this upper directory after the container's end, clean or not.
    let writable = Writable {
        directory: private,
        volatile: true,
        no_suid: false,
    };
    mount_layers(stage.store, stage.layers, &writable, target.as_fd())?;
    // The handle above is of the directory below the mount.
    Ok(Root::open(&merged)?)
}

/// Attaches one; of `/dev` it returns the null device.
fn attach_filesystem(root: &Root, filesystem: &Filesystem) -> Result<Option<OwnedFd>> {
    let target = own_directory(root, filesystem.target)?;
    let restrict = Restrict {
        read_only: filesystem.read_only,
        no_suid: true,
        no_exec: filesystem.no_exec,
        no_dev: filesystem.no_dev,
    };
    let tree = mount::filesystem(filesystem.kind, filesystem.options, restrict)?;
    // Filled before anybody can see it.
    let null = (filesystem.target == "/dev")
        .then(|| device::fill(tree.as_fd()))
        .transpose()?;
    mount::attach(tree.as_fd(), target.as_fd())?;
    Ok(null)
}

/// The place of a kernel filesystem: a real directory, made if missing. A link would put it
/// elsewhere, and what ucr later writes there too (CVE-2019-16884, CVE-2026-41579).
fn own_directory(root: &Root, path: &str) -> Result<OwnedFd> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = if parent.is_empty() {
        reopen(root.as_fd())?
    } else {
        open_own(root, parent)?
    };
    match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => (),
        Err(error) => return Err(error.into()),
    }
    open_directory(parent.as_fd(), name).map_err(|error| refuse_link(error, path))
}

/// Opens a directory that only ucr's own mounts lead to.
fn open_own(root: &Root, path: &str) -> Result<OwnedFd> {
    let mut directory = reopen(root.as_fd())?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        directory =
            open_directory(directory.as_fd(), name).map_err(|error| refuse_link(error, path))?;
    }
    Ok(directory)
}

fn reopen(directory: BorrowedFd) -> Result<OwnedFd> {
    Ok(open_directory(directory, ".")?)
}

fn open_directory(parent: BorrowedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn refuse_link(error: rustix::io::Errno, path: &str) -> anyhow::Error {
    match error {
        rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => {
            Fault::new(Kind::Spec, format!("the image's {path} is not a directory")).into()
        }
        _ => std::io::Error::from(error).into(),
    }
}

/// The kernel's filesystems in the container, by device number: a link of the image must not lead a
/// mount onto `/dev/null` or into `/proc`.
pub(super) struct KernelFilesystems(Vec<(&'static str, u64)>);

impl KernelFilesystems {
    /// Notes them while no volume covers them.
    fn find(root: &Root) -> Result<Self> {
        let device = |path| Ok((path, fstat(open_own(root, path)?)?.st_dev));
        Ok(Self(
            FILESYSTEMS
                .iter()
                .map(|it| device(it.target))
                .collect::<Result<_>>()?,
        ))
    }

    pub(super) fn refuse(&self, target: BorrowedFd, path: &Path) -> Result<()> {
        let device = fstat(target)?.st_dev;
        match self.0.iter().find(|(_, own)| *own == device) {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("the image's {} leads into {name}", path.display());
                Err(Fault::new(Kind::Spec, message).into())
            }
        }
    }
}

/// Writes ucr's own files outside the image and shows them inside.
fn own_files(stage: &Stage, root: &Root, kernel: &KernelFilesystems) -> Result<()> {
    for file in &stage.plan.files {
        let what = || format!("mount {}", file.target.display());
        let name = file.target.file_name().unwrap_or_default();
        let outside = stage.directory.path().join(name);
        fs::write(&outside, &file.content).with_context(what)?;
        let tree = mount::clone_tree(&outside).with_context(what)?;
        let target = root.create_file(&file.target, 0o644).with_context(what)?;
        kernel.refuse(target.as_fd(), &file.target)?;
        mount::attach(tree.as_fd(), target.as_fd()).with_context(what)?;
    }
    Ok(())
}

/// Nothing but to be read.
const INERT: Restrict = Restrict {
    read_only: true,
    no_suid: true,
    no_exec: true,
    no_dev: true,
};

/// Masks and write-protects kernel files that exist here.
fn hide(root: &Root, null: BorrowedFd) -> Result<()> {
    let empty = mount::filesystem(
        "tmpfs",
        &[("mode", Some("555")), ("size", Some("4k"))],
        INERT,
    )?;
    for path in MASKED_PATHS {
        let Some(target) = kernel_file(root, path)? else {
            continue;
        };
        let is_directory = FileType::from_raw_mode(fstat(&target)?.st_mode) == FileType::Directory;
        let cover = if is_directory { empty.as_fd() } else { null };
        let tree = mount::clone_handle(cover).with_context(|| format!("mask {path}"))?;
        mount::attach(tree.as_fd(), target.as_fd()).with_context(|| format!("mask {path}"))?;
    }
    for path in READ_ONLY_PATHS {
        let Some(target) = kernel_file(root, path)? else {
            continue;
        };
        let what = || format!("write-protect {path}");
        let tree = mount::clone_handle(target.as_fd()).with_context(what)?;
        mount::restrict(tree.as_fd(), INERT, true).with_context(what)?;
        mount::attach(tree.as_fd(), target.as_fd()).with_context(what)?;
    }
    Ok(())
}

fn kernel_file(root: &Root, path: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match root.resolve(Path::new(path), flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.to_owned()),
    }
}
