//! Owners of files seen through a mapping (idmapped mounts, Linux 5.12). The kernel takes the
//! mapping in the form of a user namespace, which nobody needs to be in: a child makes it and goes.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use super::proc::Proc;
use super::process::{Exit, Namespaces, die_with_parent, spawn};

/// First ID, the ID that it is shown as, how many.
pub type Range = (u32, u32, u32);

/// Makes a user namespace with these mappings. Not from a process with threads.
pub fn user_namespace(uids: &[Range], gids: &[Range]) -> io::Result<OwnedFd> {
    let (mut there, says) = io::pipe()?;
    let child = spawn(Namespaces::default(), move || match enter(says) {
        Ok(()) => 0,
        Err(error) => u8::try_from(error.raw_os_error().unwrap_or(libc::EIO)).unwrap_or(u8::MAX),
    })?;
    let made = match there.read_exact(&mut [0]) {
        Ok(()) => describe(child.pid().as_raw_nonzero().get(), uids, gids),
        Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
    };
    // One that has failed is gone already.
    let _ = child.signal(libc::SIGKILL);
    let ended = child.wait()?;
    match (made, ended) {
        (Err(error), Exit::Code(errno)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(io::Error::from_raw_os_error(errno.into()))
        }
        (made, _) => made,
    }
}

/// In the child: stays until it is killed.
fn enter(mut says: impl Write) -> io::Result<()> {
    die_with_parent()?;
    // SAFETY: it touches no memory; this process is a copy with one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
        return Err(io::Error::last_os_error());
    }
    says.write_all(b"x")?;
    loop {
        // SAFETY: it touches no memory of ours.
        unsafe { libc::pause() };
    }
}

fn describe(pid: i32, uids: &[Range], gids: &[Range]) -> io::Result<OwnedFd> {
    let proc = Proc::open()?;
    proc.write(&format!("{pid}/uid_map"), &lines(uids))?;
    proc.write(&format!("{pid}/gid_map"), &lines(gids))?;
    proc.open_file(&format!("{pid}/ns/user"))
}

fn lines(ranges: &[Range]) -> String {
    let line = |(first, shown, count): &Range| format!("{first} {shown} {count}\n");
    ranges.iter().map(line).collect()
}
