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
    let mut lines = String::new();
    for (inside, outside, count) in ranges {
        let _ = writeln!(lines, "{inside} {outside} {count}");
    }
    let proc = Proc::open()?;
    let pid = child.pid().as_raw_nonzero();
    proc.write(&format!("{pid}/gid_map"), &lines)?;
    proc.write(&format!("{pid}/uid_map"), &lines)
}

/// A user namespace with this map and nobody in it, to give mounts other owners by. The caller
/// must be single-threaded.
pub fn namespace(ranges: &[Range]) -> io::Result<OwnedFd> {
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
    let opened = set_map(&holder, ranges)
        .and_then(|()| Proc::open()?.user_namespace(holder.pid().as_raw_nonzero().get()));
    holder.signal(libc::SIGKILL)?;
    holder.wait()?;
    opened
}
