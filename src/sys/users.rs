//! User namespaces and their maps (user_namespaces(7)).

use std::fmt::Write;
use std::io;
use std::os::fd::OwnedFd;

use super::proc::Proc;
use super::process::{Child, Namespaces, die_with_parent, spawn};

/// A range of IDs: the first inside, the first outside, how many.
pub type Range = (u32, u32, u32);

/// Says once and for all what the users and groups of a process's user namespace are outside.
pub fn set_map(child: &Child, ranges: &[Range]) -> io::Result<()> {
    set_maps(child, ranges, ranges)
}

fn set_maps(child: &Child, uids: &[Range], gids: &[Range]) -> io::Result<()> {
    let proc = Proc::open()?;
    let pid = child.pid().as_raw_nonzero();
    proc.write(&format!("{pid}/gid_map"), &lines(gids))?;
    proc.write(&format!("{pid}/uid_map"), &lines(uids))
}

fn lines(ranges: &[Range]) -> String {
    let mut lines = String::new();
    for (inside, outside, count) in ranges {
        let _ = writeln!(lines, "{inside} {outside} {count}");
    }
    lines
}

/// A user namespace with this map and nobody in it, to give mounts other owners by. The caller
/// must be single-threaded.
pub fn namespace(ranges: &[Range]) -> io::Result<OwnedFd> {
    namespace_of(ranges, ranges)
}

/// The same with a map of its own for groups.
pub fn namespace_of(uids: &[Range], gids: &[Range]) -> io::Result<OwnedFd> {
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
    let opened = set_maps(&holder, uids, gids)
        .and_then(|()| Proc::open()?.user_namespace(holder.pid().as_raw_nonzero().get()));
    holder.signal(libc::SIGKILL)?;
    holder.wait()?;
    opened
}
