//! The container's root filesystem, as the stage builds it: the overlay, fresh kernel filesystems,
//! the host's files that were asked for, and what is hidden. Every place inside the image is
//! reached by handle; the image may hold any symbolic link anywhere.

use std::fs::DirBuilder;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};

use super::device;
use super::ground::Ground;
use super::own_file;
use super::plan::{BIND, CGROUP, JOINED, KernelFilesystem, Node, Plan};
use super::privileges::identity;
use super::stage::{READ_ONLY, Stage};
use super::status::Reporter;
use super::volume;
use crate::bundle::account;
use crate::error::{Fault, Kind};
use crate::provision::{Writable, inherit_root, mount_layers};
use crate::spec::Account;
use crate::sys::credential::{Identity, switch_identity};
use crate::sys::mount::{self, Restrict};
use crate::sys::proc::Proc;
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

/// Makes the container's `/dev`, attached nowhere; in the parent, because the container's device
/// cgroup forbids to make a node whose access is without `m`, also to us. In a user namespace no node is made, and
/// the filesystem has to wait until the users are mapped.
pub(super) fn early_dev(plan: &Plan) -> Result<Option<OwnedFd>> {
    let dev = plan.filesystems.iter().find(|it| is_dev(it));
    match dev.filter(|_| plan.users.is_none()) {
        None => Ok(None),
        Some(dev) => fresh(dev, plan).map(Some).context("mount /dev"),
    }
}

fn is_dev(filesystem: &KernelFilesystem) -> bool {
    filesystem.target == Path::new("/dev")
}

/// Builds it below the container's private directory.
pub(super) fn build(stage: &Stage, reporter: &Reporter) -> Result<Rootfs> {
    let plan = stage.plan;
    let target = Target::make(stage)?;
    let root = match &stage.handles.root {
        Some(tree) if plan.rootfs.is_some() => attach_directory(&target, tree.as_fd())?,
        Some(tree) => attach_root(&target, tree.as_fd())?,
        None => overlay(stage, &target)?,
    };
    let images = volume::images(stage)?;
    // The image's files are read while no kernel filesystem is there for a link to lead to.
    let account = account(&root, plan.process.user.as_deref(), &plan.groups)?;
    // Before anything is given to a user that there is not.
    identity(stage.plan, &account)?;
    let own = OwnMounts::attach(&root, stage)?;
    // Before anything of it is covered.
    let proc = Proc::of(own.at("/proc")?)?;
    stage
        .set_up_kernel(&proc)
        .context("set the kernel's values up")?;
    let dev = own.at("/dev")?.try_clone_to_owned()?;
    let devpts = own.at("/dev/pts")?.try_clone_to_owned()?;
    let kernel = KernelFilesystems::find(&root, stage, &own)?;
    let ground = Ground::new(&root, plan);
    device::show(&ground, plan, &stage.handles.devices, &kernel)?;
    let null = device::null(dev.as_fd())?;
    own_file::show(stage, reporter, &ground, &target, &kernel)?;
    volume::attach(stage, &images, &ground, &kernel)?;
    own_file::show_secrets(stage, &ground, &target, &kernel, &account)?;
    hide(&root, plan, &target, null.as_fd())?;
    Ok(Rootfs {
        root,
        dev,
        devpts,
        null,
        account,
    })
}

/// Attaches what the parent made for a container with users of its own.
fn attach_root(target: &Target, tree: BorrowedFd) -> Result<Root> {
    mount::attach(tree, target.merged.as_fd()).context("mount overlay")?;
    // Only now the owner of the host's directories above is not needed any more.
    become_root_inside()?;
    Ok(Root::from_fd(open_directory(tree, Path::new("."))?))
}

/// Attaches a directory of the host's.
fn attach_directory(target: &Target, tree: BorrowedFd) -> Result<Root> {
    mount::attach(tree, target.merged.as_fd()).context("mount the root filesystem")?;
    Ok(Root::from_fd(open_directory(tree, Path::new("."))?))
}

/// Takes the ID 0 that the container's map has: what is made from here on belongs to it.
pub(super) fn become_root_inside() -> Result<()> {
    let root = Identity {
        uid: 0,
        gid: 0,
        groups: Some(Vec::new()),
    };
    switch_identity(&root).context("become the container's root")
}

/// Where the root filesystem is mounted until it becomes the root.
pub(super) struct Target {
    path: PathBuf,
    merged: OwnedFd,
    /// The container's private directory, which is not needed any more by its name. Filesystems
    /// that only lend files are mounted here and go with the host's, all at once: to let go of
    /// each by itself takes the kernel long, and before Linux 6.15 a mount that is mounted nowhere
    /// lends nothing.
    lenders: OwnedFd,
}

impl Target {
    fn make(stage: &Stage) -> Result<Self> {
        let private = stage.basis.directory.path();
        // Hooks reach the root by its path, which must have its name and not be covered. Without
        // them any directory will do, which need not be made and removed then.
        let (path, place) = if stage.plan.hooks.is_empty() {
            (private.join("upper"), private.to_owned())
        } else {
            let both = (private.join("rootfs"), private.join("lenders"));
            DirBuilder::new().mode(0o755).create(&both.0)?;
            DirBuilder::new().mode(0o700).create(&both.1)?;
            both
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let merged = openat(CWD, &path, flags, Mode::empty())?;
        let lenders = openat(CWD, &place, flags, Mode::empty())?;
        Ok(Self {
            path,
            merged,
            lenders,
        })
    }

    /// A small memory filesystem whose files are shown elsewhere.
    pub(super) fn lender(&self, mode: &str, size: &str, restrict: Restrict) -> Result<OwnedFd> {
        let options = [("mode", Some(mode)), ("size", Some(size))];
        let memory = mount::filesystem("tmpfs", &options, restrict)?;
        mount::attach(memory.as_fd(), self.lenders.as_fd())?;
        Ok(memory)
    }
}

fn overlay(stage: &Stage, target: &Target) -> Result<Root> {
    let private = stage.basis.directory.path();
    inherit_root(
        stage.basis.store,
        stage.basis.layers,
        &private.join("upper"),
    )?;
    let writable = Writable {
        places: Some(&stage.handles.places),
        ..writable(private)
    };
    mount_layers(
        stage.basis.store,
        stage.basis.layers,
        &writable,
        target.merged.as_fd(),
    )?;
    // The handle above is of the directory below the mount.
    Ok(Root::open(&target.path)?)
}

/// Nobody sees this upper directory after the container's end, clean or not.
pub(super) fn writable(private: &Path) -> Writable<'_> {
    Writable {
        directory: private,
        volatile: true,
        no_suid: false,
        places: None,
    }
}

/// The plan's filesystems of the kernel, each with the mount that was made of it.
struct OwnMounts<'a>(Vec<(&'a KernelFilesystem, Option<OwnedFd>)>);

impl<'a> OwnMounts<'a> {
    fn attach(root: &Root, stage: &Stage<'a>) -> Result<Self> {
        let attach = |filesystem: &'a KernelFilesystem| {
            let tree = attach_filesystem(root, stage, filesystem)
                .with_context(|| format!("mount {}", filesystem.target.display()))?;
            Ok((filesystem, tree))
        };
        let filesystems = stage.plan.filesystems.iter();
        let own = Self(filesystems.map(attach).collect::<Result<_>>()?);
        // What is mounted on is write-protected when all is in its place.
        for (frame, tree) in &own.0 {
            if let Some(tree) = tree.as_ref().filter(|_| is_frame(frame)) {
                mount::restrict(tree.as_fd(), READ_ONLY, false)?;
            }
        }
        Ok(own)
    }

    fn at(&self, target: &str) -> Result<BorrowedFd<'_>> {
        let mut mounts = self.0.iter();
        let found = mounts.find(|(own, _)| own.target == Path::new(target));
        let tree = found.and_then(|(_, tree)| tree.as_ref());
        Ok(tree
            .with_context(|| format!("internal: nothing was mounted on {target}"))?
            .as_fd())
    }
}

/// Attaches one; nothing, if it is a mere default that could not be had.
fn attach_filesystem(
    root: &Root,
    stage: &Stage,
    filesystem: &KernelFilesystem,
) -> Result<Option<OwnedFd>> {
    let target = own_directory(root, &filesystem.target, !stage.plan.is_on_host())?;
    let of_host = match filesystem.kind.as_str() {
        BIND => Some(mount::clone_tree(&filesystem.target)?),
        JOINED => match &stage.handles.joined.shm {
            Some(tree) => Some(tree.try_clone()?),
            None => anyhow::bail!("internal: nothing was joined"),
        },
        CGROUP => match stage.handles.cgroup(&filesystem.options) {
            Some(tree) => Some(tree.try_clone_to_owned()?),
            None => return Ok(None),
        },
        _ => None,
    };
    let tree = match (
        of_host,
        stage.handles.dev.as_ref().filter(|_| is_dev(filesystem)),
    ) {
        (Some(tree), _) => {
            mount::restrict(tree.as_fd(), restrict(filesystem), true)?;
            tree
        }
        (None, Some(dev)) => dev.try_clone()?,
        (None, None) => fresh(filesystem, stage.plan)?,
    };
    mount::attach(tree.as_fd(), target.as_fd())?;
    Ok(Some(tree))
}

/// Whether other filesystems have their places in it.
fn is_frame(filesystem: &KernelFilesystem) -> bool {
    filesystem.kind == "tmpfs" && filesystem.read_only
}

fn restrict(filesystem: &KernelFilesystem) -> Restrict {
    Restrict {
        read_only: filesystem.read_only,
        no_suid: true,
        no_exec: filesystem.no_exec,
        no_dev: filesystem.no_dev,
    }
}

/// A filesystem of the kernel's, attached nowhere.
fn fresh(filesystem: &KernelFilesystem, plan: &Plan) -> Result<OwnedFd> {
    let restrict = Restrict {
        read_only: filesystem.read_only && !is_frame(filesystem),
        ..restrict(filesystem)
    };
    let options: Vec<(&str, Option<&str>)> = filesystem
        .options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (option.as_str(), None),
        })
        .collect();
    let tree = mount::filesystem(&filesystem.kind, &options, restrict)?;
    // Filled before anybody can see it.
    if is_dev(filesystem) {
        device::fill(tree.as_fd(), plan)?;
    }
    Ok(tree)
}

/// The place of a kernel filesystem: a real directory, made if missing. A link would put it
/// elsewhere, and what ucr later writes there too (CVE-2019-16884, CVE-2026-41579).
fn own_directory(root: &Root, path: &Path, may_make: bool) -> Result<OwnedFd> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        anyhow::bail!("internal: a kernel filesystem without a name");
    };
    let parent = open_own(root, parent)?;
    // What is below one of the top directories is on a mount of ucr's own.
    let is_made = may_make || path.components().count() > 2;
    let make = || mkdirat(&parent, name, Mode::from_raw_mode(0o755));
    match if is_made { make() } else { Ok(()) } {
        // On a filesystem of the kernel's where nothing can be made it is there already.
        Ok(()) | Err(rustix::io::Errno::EXIST | rustix::io::Errno::ROFS) => (),
        Err(error) => return Err(error.into()),
    }
    open_directory(parent.as_fd(), Path::new(name)).map_err(|error| refuse_link(error, path))
}

/// Opens a directory that only ucr's own mounts lead to.
fn open_own(root: &Root, path: &Path) -> Result<OwnedFd> {
    let mut directory = reopen(root.as_fd())?;
    for part in path.components() {
        if let std::path::Component::Normal(name) = part {
            directory = open_directory(directory.as_fd(), Path::new(name))
                .map_err(|error| refuse_link(error, path))?;
        }
    }
    Ok(directory)
}

fn reopen(directory: BorrowedFd) -> Result<OwnedFd> {
    Ok(open_directory(directory, Path::new("."))?)
}

fn open_directory(parent: BorrowedFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn refuse_link(error: rustix::io::Errno, path: &Path) -> anyhow::Error {
    match error {
        rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => {
            let path = path.display();
            Fault::new(Kind::Spec, format!("the image's {path} is not a directory")).into()
        }
        _ => std::io::Error::from(error).into(),
    }
}

/// The kernel's filesystems in the container, by device number: a link of the image must not lead a
/// mount onto `/dev/null` or into `/proc`.
pub(super) struct KernelFilesystems {
    filesystems: Vec<(PathBuf, u64)>,
    /// Nodes of the host's that are shown in `/dev`, and belong to another filesystem.
    nodes: Vec<(PathBuf, (u64, u64))>,
}

impl KernelFilesystems {
    /// Notes them while no volume covers them.
    fn find(root: &Root, stage: &Stage, own: &OwnMounts) -> Result<Self> {
        let device = |(mount, tree): &(&KernelFilesystem, Option<OwnedFd>)| {
            let found = match tree {
                Some(tree) => fstat(tree)?,
                None => fstat(open_own(root, &mount.target)?)?,
            };
            Ok((mount.target.clone(), found.st_dev))
        };
        let devices = stage.plan.devices.iter().zip(&stage.handles.devices);
        let shown = devices.filter_map(|(node, tree)| Some((node, tree.as_ref()?)));
        let node = |(node, tree): (&Node, &OwnedFd)| {
            let found = fstat(tree)?;
            Ok((node.target.clone(), (found.st_dev, found.st_ino)))
        };
        Ok(Self {
            filesystems: own.0.iter().map(device).collect::<Result<_>>()?,
            nodes: shown.map(node).collect::<Result<_>>()?,
        })
    }

    /// Refuses a place in any of them.
    pub(super) fn refuse(&self, target: BorrowedFd, path: &Path) -> Result<()> {
        self.refuse_but(target, path, &[])
    }

    /// Refuses a place in any but those below one of `allowed` that the path itself is below:
    /// `/dev/fd` leads into `/proc`.
    pub(super) fn refuse_but(
        &self,
        target: BorrowedFd,
        path: &Path,
        allowed: &[&str],
    ) -> Result<()> {
        let is_asked_for = |name: &Path| {
            let mut allowed = allowed.iter();
            allowed.any(|own| name.starts_with(own) && path.starts_with(own))
        };
        let found = fstat(target)?;
        let identity = (found.st_dev, found.st_ino);
        let of_kernel = self.filesystems.iter();
        let of_kernel = of_kernel.filter(|(_, own)| *own == found.st_dev);
        let shown = self.nodes.iter().filter(|(_, own)| *own == identity);
        let mut names = of_kernel
            .map(|(name, _)| name)
            .chain(shown.map(|(name, _)| name))
            .filter(|name| !is_asked_for(name));
        match names.next() {
            None => Ok(()),
            Some(name) => {
                let (path, name) = (path.display(), name.display());
                let message = format!("the image's {path} leads into {name}");
                Err(Fault::new(Kind::Spec, message).into())
            }
        }
    }
}

/// Nothing but to be read.
pub(super) const INERT: Restrict = Restrict {
    read_only: true,
    no_suid: true,
    no_exec: true,
    no_dev: true,
};

/// The same for a device, whose mode and times are those of the container's own.
const NULL: Restrict = Restrict {
    no_dev: false,
    ..INERT
};

/// Masks and write-protects kernel files that exist here.
fn hide(root: &Root, plan: &Plan, target: &Target, null: BorrowedFd) -> Result<()> {
    let empty = target.lender("555", "4k", INERT)?;
    for path in &plan.masked_paths {
        mask(root, path, empty.as_fd(), null).with_context(|| format!("mask {path}"))?;
    }
    for path in &plan.read_only_paths {
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

fn mask(root: &Root, path: &str, empty: BorrowedFd, null: BorrowedFd) -> Result<()> {
    let Some(target) = kernel_file(root, path)? else {
        return Ok(());
    };
    let is_directory = FileType::from_raw_mode(fstat(&target)?.st_mode) == FileType::Directory;
    let cover = if is_directory { empty } else { null };
    let tree = mount::clone_handle(cover)?;
    if !is_directory {
        mount::restrict(tree.as_fd(), NULL, false)?;
    }
    Ok(mount::attach(tree.as_fd(), target.as_fd())?)
}

fn kernel_file(root: &Root, path: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match root.resolve(Path::new(path), flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.to_owned()),
    }
}
