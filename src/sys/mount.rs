//! Mounts by handle: a mount is made detached, filled or restricted, and only then attached
//! (Linux 5.2; `mount_setattr` 5.12). A path string never decides where a mount lands.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags, fstat, openat, readlink};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, mount, mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{fchdir, pivot_root as pivot};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::proc::Proc;
use super::users;

/// `DEVPTS_SUPER_MAGIC` (include/uapi/linux/magic.h).
const DEVPTS: rustix::fs::FsWord = 0x1cd1;

/// Whether a directory is of a filesystem of terminals.
pub fn is_devpts(directory: BorrowedFd) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(directory)?.f_type == DEVPTS)
}

/// What a mount may not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restrict {
    /// Refuse writes.
    pub read_only: bool,
    /// Ignore set-user-ID bits and file capabilities.
    pub no_suid: bool,
    /// Refuse to execute.
    pub no_exec: bool,
    /// Ignore device nodes.
    pub no_dev: bool,
}

impl Restrict {
    fn flags(self) -> MountAttrFlags {
        let mut flags = MountAttrFlags::empty();
        flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, self.read_only);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOSUID, self.no_suid);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, self.no_exec);
        flags.set(MountAttrFlags::MOUNT_ATTR_NODEV, self.no_dev);
        flags
    }
}

/// Makes a filesystem of a type, detached. An option without a value is a flag.
pub fn filesystem(
    kind: &str,
    options: &[(&str, Option<&str>)],
    restrict: Restrict,
) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(context.as_fd(), *key, *value)?,
            None => fsconfig_set_flag(context.as_fd(), *key)?,
        }
    }
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        restrict.flags(),
    )?)
}

/// Most lower directories that the kernel's overlay stacks (OVL_MAX_STACK).
pub const MAX_LAYERS: usize = 500;

/// Which directories an overlay is made of.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// Handles of the layers, topmost first; at least one.
    pub lower: &'a [OwnedFd],
    /// The writable directory and the work directory on the same filesystem, if any.
    pub upper: Option<(BorrowedFd<'a>, BorrowedFd<'a>)>,
    /// Ignore set-user-ID bits and file capabilities.
    pub no_suid: bool,
    /// Skip syncing: the upper directory will not be used again after an unclean end.
    pub volatile: bool,
}

/// Mounts an overlay on the directory `target`.
///
/// Layers are named by descriptor (Linux 6.13), else by `/proc/self/fd/N` one by one (6.7), else
/// so in the options of `mount(2)`: their paths need no escaping, and 120 of them fit into the one
/// page that those options may have.
pub fn overlay(overlay: &Overlay, target: BorrowedFd) -> io::Result<()> {
    // Before, every attempt is a line in the kernel's log.
    if !is_kernel(6, 5) {
        return overlay_by_mount(overlay, target);
    }
    match overlay_tree(overlay) {
        Ok(tree) => attach(tree.as_fd(), target),
        Err(error) if is_missing(&error) => overlay_by_mount(overlay, target),
        Err(error) => Err(error),
    }
}

/// Makes an overlay that is mounted nowhere yet; not on kernels that only know `mount(2)`.
pub fn overlay_tree(overlay: &Overlay) -> io::Result<OwnedFd> {
    match overlay_detached(overlay, Naming::Descriptor) {
        Err(error) if is_missing(&error) => overlay_detached(overlay, Naming::ProcPath),
        made => made,
    }
}

/// How a directory is named to the kernel.
#[derive(Clone, Copy)]
enum Naming {
    Descriptor,
    ProcPath,
}

/// Whether an error says that the kernel, or a filter before it, lacks a call or an option. Overlays
/// of kernels before 6.5 take no descriptors at all and say EOPNOTSUPP.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOSYS
                | libc::EINVAL
                | libc::EOPNOTSUPP
                | libc::EPERM
                | libc::EBADF
                | libc::ENOENT
        )
    )
}

fn overlay_detached(overlay: &Overlay, naming: Naming) -> io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    let name = |key: &str, directory: BorrowedFd| match naming {
        Naming::Descriptor => fsconfig_set_fd(context, key, directory),
        Naming::ProcPath => fsconfig_set_string(context, key, proc_path(directory)),
    };
    fsconfig_set_string(context, "source", "ucr")?;
    for lower in overlay.lower {
        name("lowerdir+", lower.as_fd())?;
    }
    if let Some((upper, work)) = overlay.upper {
        name("upperdir", upper)?;
        name("workdir", work)?;
        if overlay.volatile {
            fsconfig_set_flag(context, "volatile")?;
        }
    }
    for (key, value) in OVERLAY_SAFETY {
        fsconfig_set_string(context, key, value)?;
    }
    if users::are_mapped() {
        fsconfig_set_flag(context, OVERLAY_OF_USERS)?;
    }
    fsconfig_create(context)?;
    let flags = Restrict {
        no_suid: overlay.no_suid,
        no_dev: true,
        ..Restrict::default()
    }
    .flags();
    Ok(fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, flags)?)
}

/// Layers are data from strangers: nothing in their attributes may redirect a lookup or borrow
/// another file's content (kernel documentation, overlayfs.rst, "Permission model").
const OVERLAY_SAFETY: [(&str, &str); 2] = [("redirect_dir", "nofollow"), ("metacopy", "off")];

/// Overlay's own attributes are `user.` ones (Linux 5.11): `trusted.` ones are for the machine's root.
const OVERLAY_OF_USERS: &str = "userxattr";

fn overlay_by_mount(overlay: &Overlay, target: BorrowedFd) -> io::Result<()> {
    let lower: Vec<String> = overlay
        .lower
        .iter()
        .map(|fd| fd.as_raw_fd().to_string())
        .collect();
    let mut options = format!("lowerdir={}", lower.join(":"));
    if let Some((upper, work)) = overlay.upper {
        options += &format!(
            ",upperdir={},workdir={}",
            upper.as_raw_fd(),
            work.as_raw_fd()
        );
        options += if overlay.volatile { ",volatile" } else { "" };
    }
    for (key, value) in OVERLAY_SAFETY {
        options += &format!(",{key}={value}");
    }
    if users::are_mapped() {
        options += &format!(",{OVERLAY_OF_USERS}");
    }
    let mut flags = MountFlags::NODEV;
    flags.set(MountFlags::NOSUID, overlay.no_suid);
    let options = CString::new(options)?;
    let before = openat(CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    // Relative names of one to three digits: 500 layers fit into a page.
    rustix::process::chdir("/proc/self/fd")?;
    let mounted = mount(
        "ucr",
        proc_path(target),
        "overlay",
        flags,
        Some(options.as_c_str()),
    );
    fchdir(before)?;
    Ok(mounted?)
}

/// The name under which an open handle can be given to calls that want a path.
pub fn proc_path(fd: BorrowedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Attaches a detached mount on what a handle stands for.
pub fn attach(tree: BorrowedFd, target: BorrowedFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", target, "", flags)?)
}

/// A detached copy of the mount tree at a path of the host, with everything mounted below it.
pub fn clone_tree(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(CWD, path, flags)?)
}

/// A detached copy of what a handle stands for; recursive, with everything mounted below it.
pub fn clone_tree_of(fd: BorrowedFd, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    Ok(open_tree(fd, "", flags)?)
}

/// Whether [`clone_handle`] takes handles in mounts that are attached nowhere (Linux 6.15).
pub fn clones_detached() -> bool {
    is_kernel(6, 15)
}

/// Whether this is that version or a later one.
fn is_kernel(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|digits| digits.parse::<u32>().ok());
    (number(), number()) >= (Some(major), Some(minor))
}

/// A detached copy of the single mount that a handle stands in, rooted at the handle.
pub fn clone_handle(fd: BorrowedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(fd, "", flags)?)
}

/// The names that our program and our standard input had in the mount namespace that we left.
static LEFT: OnceLock<Vec<CString>> = OnceLock::new();

/// Notes names for [`clone_file`], for a process that is about to leave its mount namespace: one
/// that nobody else is in goes with it, and the names of its files too.
pub(super) fn note_names() {
    let names = ["/proc/self/exe", "/proc/self/fd/0"].map(|link| readlink(link, Vec::new()).ok());
    LEFT.get_or_init(|| names.into_iter().flatten().collect());
}

/// A detached mount of the one file that a handle stands for, also where the handle is of a mount
/// namespace that we have left since: then by the name that the file had there, if it has the same
/// one here.
pub fn clone_file(file: BorrowedFd) -> io::Result<OwnedFd> {
    let error = match clone_handle(file) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => error,
        cloned => return cloned,
    };
    let meant = fstat(file)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for name in LEFT.get().into_iter().flatten() {
        let Ok(here) = openat(CWD, name, flags, Mode::empty()) else {
            continue;
        };
        let found = fstat(&here)?;
        if (found.st_dev, found.st_ino) == (meant.st_dev, meant.st_ino) {
            return clone_handle(here.as_fd());
        }
    }
    Err(error)
}

/// The kernel's `struct mount_attr` (Linux 5.12).
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Restricts a mount, and with `recursive` everything below it.
pub fn restrict(tree: BorrowedFd, restrict: Restrict, recursive: bool) -> io::Result<()> {
    let attr = MountAttr {
        attr_set: u64::from(restrict.flags().bits()),
        ..MountAttr::default()
    };
    change(tree, &attr, recursive)
}

/// Takes back that writes to a mount are refused; not to those below it. Only for what refused them
/// since it was cloned.
pub fn permit_writes(tree: BorrowedFd) -> io::Result<()> {
    let read_only = Restrict {
        read_only: true,
        ..Restrict::default()
    };
    let attr = MountAttr {
        attr_clr: u64::from(read_only.flags().bits()),
        ..MountAttr::default()
    };
    change(tree, &attr, false)
}

/// Which later mounts a mount has in common with the one that it is a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// None.
    Private,
    /// Those of the original, not its own.
    Slave,
    /// All.
    Shared,
}

/// Changes what a mount, and with `recursive` everything below it, shares.
pub fn share(tree: BorrowedFd, sharing: Sharing, recursive: bool) -> io::Result<()> {
    let flags = match sharing {
        Sharing::Private => libc::MS_PRIVATE,
        Sharing::Slave => libc::MS_SLAVE,
        Sharing::Shared => libc::MS_SHARED,
    };
    let attr = MountAttr {
        propagation: flags,
        ..MountAttr::default()
    };
    change(tree, &attr, recursive)
}

/// Shows the owners of files through the mapping of a user namespace. Of a detached mount only.
pub fn map_owners(tree: BorrowedFd, mapping: BorrowedFd, recursive: bool) -> io::Result<()> {
    let attr = MountAttr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        userns_fd: u64::from(mapping.as_raw_fd().unsigned_abs()),
        ..MountAttr::default()
    };
    change(tree, &attr, recursive)
}

fn change(tree: BorrowedFd, attr: &MountAttr, recursive: bool) -> io::Result<()> {
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: mount_setattr reads `size` bytes from `attr`, which lives across the call and is
    // exactly that large; the path is a static empty string; the descriptor is borrowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Cuts a new mount namespace off: what is mounted in it is not seen outside, nor the reverse.
pub fn make_all_private() -> io::Result<()> {
    let change = || {
        mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
    };
    match change() {
        // In a chroot "/" need not be a mount.
        Err(rustix::io::Errno::INVAL) => {
            let inside = openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            leave_chroot()?;
            change()?;
            fchdir(&inside)?;
            Ok(rustix::process::chroot(".")?)
        }
        result => Ok(result?),
    }
}

/// Goes to the root of our own mount namespace: joining a mount namespace, even the own one, does
/// that (setns(2)).
fn leave_chroot() -> io::Result<()> {
    let own = Proc::open()?.mount_namespace()?;
    Ok(move_into_link_name_space(
        own.as_fd(),
        Some(LinkNameSpaceType::Mount),
    )?)
}

/// Makes a directory that is a mount the root of this mount namespace and lets the old one go.
pub fn enter_root(root: BorrowedFd) -> io::Result<()> {
    fchdir(root)?;
    // Stacking the old root on the new one needs no directory in the image (pivot_root(2)).
    match pivot(".", ".") {
        // Nor can the root of a chroot be stacked on anything.
        Err(rustix::io::Errno::INVAL) => {
            leave_chroot()?;
            fchdir(root)?;
            pivot(".", ".")?;
        }
        result => result?,
    }
    unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}

/// Detaches whatever is mounted on a path, all of it; nothing mounted is fine.
pub fn detach(path: &Path) -> io::Result<()> {
    loop {
        match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => (),
            // EINVAL: not a mount point.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Detaches what is mounted on a name in a directory, and changes the working directory to that.
pub fn detach_in(directory: BorrowedFd, name: &str) -> io::Result<()> {
    fchdir(directory)?;
    Ok(unmount(
        name,
        UnmountFlags::DETACH | UnmountFlags::NOFOLLOW,
    )?)
}

/// Whether something is mounted on exactly this path.
pub fn is_mount_point(path: &Path) -> io::Result<bool> {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
    match statx(
        CWD,
        path,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS,
    ) {
        Ok(found) => Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A detached, read-only copy of a program file: what runs from it cannot be written to through
/// `/proc/PID/exe` (CVE-2019-5736).
pub fn read_only_program(program: BorrowedFd) -> io::Result<OwnedFd> {
    let tree = clone_file(program)?;
    restrict(
        tree.as_fd(),
        Restrict {
            read_only: true,
            ..Restrict::default()
        },
        false,
    )?;
    Ok(tree)
}
