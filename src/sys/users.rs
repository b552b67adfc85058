//! User namespaces and their maps (user_namespaces(7)).

use std::io;
use std::os::fd::OwnedFd;

use super::proc::Proc;
use super::process::{Child, Namespaces, die_with_parent, spawn};

/// A range of IDs: the first inside, the first outside, how many.
pub type Range = (u32, u32, u32);

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
