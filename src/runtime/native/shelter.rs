//! Copies of mounts that nobody sees. Before Linux 6.15 no copy is made of a mount that is attached
//! nowhere; there it is attached to a directory of the container's own `/dev` while copies are made,
//! which happens before anything of the image runs. Called by the container's first process.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};

use crate::sys::mount;

const NAME: &str = ".ucr";

/// Lets `work` copy from a detached mount, on any kernel. `dev` is a filesystem of our own.
pub(super) fn with_copies(
    dev: BorrowedFd,
    tree: BorrowedFd,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if mount::clones_detached() {
        return work();
    }
    mkdirat(dev, NAME, Mode::RWXU).context("make a directory in /dev")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(dev, NAME, flags, Mode::empty())?;
    mount::attach(tree, place.as_fd()).context("attach a memory filesystem")?;
    // A failure of it is the end of this process and of its mounts.
    work()?;
    mount::detach_in(dev, NAME).context("detach a memory filesystem")?;
    Ok(unlinkat(dev, NAME, AtFlags::REMOVEDIR)?)
}
