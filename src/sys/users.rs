//! User namespaces and their maps (user_namespaces(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, fstat, openat, stat};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::mount::note_names;
use super::proc::Proc;
use super::process::{Child, Namespaces, die_with_parent, spawn};

/// The inode of the first user namespace (include/uapi/linux/nsfs.h, `USER_NS_INIT_INO`).
const FIRST: u64 = 0xEFFF_FFFD;

const OWN: &str = "/proc/self/ns/user";

/// A range of IDs: the first inside, the first outside, how many.
pub type Range = (u32, u32, u32);

/// What a user namespace other than the first has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Its users.
    pub uids: Vec<Range>,
    /// Its groups.
    pub gids: Vec<Range>,
    /// Its processes may choose their supplementary groups.
    pub may_set_groups: bool,
}

impl Mapping {
    /// Whether it has one user and one group, and no choice.
    pub fn is_single(&self) -> bool {
        let one = |ranges: &[Range]| matches!(ranges, [(_, _, 1)]);
        one(&self.uids) && one(&self.gids)
    }

    /// Whether these are a user and a group of it.
    pub fn has(&self, uid: u32, gid: u32) -> bool {
        let within = |ranges: &[Range], id: u32| {
            let mut ranges = ranges.iter();
            ranges.any(|(inside, _, count)| id >= *inside && id - inside < *count)
        };
        within(&self.uids, uid) && within(&self.gids, gid)
    }
}

/// Whether the users here are not those of the machine: root here may make no devices, write no
/// `trusted.` attributes, and raise no limits, whatever capabilities it has. Without a procfs there
/// is no telling; then they are taken for the machine's.
pub fn are_mapped() -> bool {
    stat(OWN).is_ok_and(|found| found.st_ino != FIRST)
}

/// Whether the network here belongs to our own user namespace: root here may make devices then.
pub fn own_network() -> io::Result<bool> {
    // include/uapi/linux/nsfs.h; not in libc for musl.
    const NS_GET_USERNS: libc::c_int = 0xb701;
    let network = Proc::open()?.open_file("self/ns/net")?;
    match related(&network, NS_GET_USERNS) {
        Ok(owner) => Ok(fstat(&owner)?.st_ino == stat(OWN)?.st_ino),
        // It is above us.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What our own user namespace has; `None` for the first one, which has everything.
pub fn own_mapping() -> io::Result<Option<Mapping>> {
    if !are_mapped() {
        return Ok(None);
    }
    let proc = Proc::open()?;
    Ok(Some(Mapping {
        uids: ranges(&proc.read("self/uid_map")?),
        gids: ranges(&proc.read("self/gid_map")?),
        may_set_groups: proc.read("self/setgroups")?.trim() != "deny",
    }))
}

fn ranges(map: &str) -> Vec<Range> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace().map(|field| field.parse().ok());
        Some((fields.next()??, fields.next()??, fields.next()??))
    };
    map.lines().filter_map(line).collect()
}

/// Moves this process, which has one thread, to a user namespace of its own, that has no users yet,
/// and to a mount namespace that belongs to it.
pub fn leave() -> io::Result<()> {
    note_names();
    // SAFETY: unshare takes flags; these change whom the process counts as and what it sees
    // mounted, and no memory.
    match unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the user of this process, and its group, the only ones of the namespace that it has just
/// moved to. Only a process that can be dumped may.
pub fn map_alone(uid: u32, gid: u32) -> io::Result<()> {
    let proc = Proc::open()?;
    let own = std::process::id();
    // Else whoever is denied something as one of a group could leave the group (CVE-2014-8989).
    proc.write(&format!("{own}/setgroups"), "deny")?;
    proc.write(&format!("{own}/uid_map"), &lines(&[(0, uid, 1)]))?;
    proc.write(&format!("{own}/gid_map"), &lines(&[(0, gid, 1)]))
}

/// Moves this process to the user namespace that a process is in, or that one's is below of: the one
/// that was made from here. It gets a mount namespace of its own, which belongs to that.
pub fn enter_user_namespace_of(pid: i32) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let here = stat(OWN)?.st_ino;
    let path = format!("/proc/{pid}/ns/user");
    let mut namespace = openat(CWD, path, flags, Mode::empty())?;
    loop {
        let parent = parent_of(&namespace)?;
        if fstat(&parent)?.st_ino == here {
            break;
        }
        namespace = parent;
    }
    note_names();
    move_into_thread_name_spaces(namespace.as_fd(), ThreadNameSpaceType::USER)?;
    // SAFETY: as in `leave`.
    match unsafe { libc::unshare(libc::CLONE_NEWNS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The user namespace that one was made in; fails with EPERM where that is not below our own.
fn parent_of(namespace: &OwnedFd) -> io::Result<OwnedFd> {
    // include/uapi/linux/nsfs.h; not in libc for musl.
    const NS_GET_PARENT: libc::c_int = 0xb702;
    related(namespace, NS_GET_PARENT)
}

fn related(namespace: &OwnedFd, request: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: both requests take no argument and return a new descriptor.
    let found = unsafe { libc::ioctl(namespace.as_raw_fd(), request as _) };
    if found < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(found) })
}

/// Says once and for all what the users and groups of a process's user namespace are outside.
pub fn set_map(child: &Child, uids: &[Range], gids: &[Range]) -> io::Result<()> {
    let proc = Proc::open()?;
    let pid = child.pid().as_raw_nonzero();
    proc.write(&format!("{pid}/uid_map"), &lines(uids))?;
    proc.write(&format!("{pid}/gid_map"), &lines(gids))
}

/// A user namespace with this map and nobody in it, in which form the kernel takes maps of owners
/// (idmapped mounts, Linux 5.12). The caller must be single-threaded.
pub fn namespace(uids: &[Range], gids: &[Range]) -> io::Result<OwnedFd> {
    let own = Namespaces {
        user: true,
        ..Namespaces::default()
    };
    let holder = spawn(own, || {
        if die_with_parent().is_ok() {
            rustix::event::pause();
        }
        0
    })?;
    let path = format!("{}/ns/user", holder.pid().as_raw_nonzero());
    let opened = set_map(&holder, uids, gids).and_then(|()| Proc::open()?.open_file(&path));
    holder.signal(libc::SIGKILL)?;
    holder.wait()?;
    opened
}

fn lines(ranges: &[Range]) -> String {
    let line = |(inside, outside, count): &Range| format!("{inside} {outside} {count}\n");
    ranges.iter().map(line).collect()
}
