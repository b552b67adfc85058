//! Copies of mounts that nobody sees. Before Linux 6.15 no copy is made of a mount that is attached
//! nowhere; there it is attached to a directory of the container's own `/dev` while copies are made,
//! which happens before anything of the image runs. What the parent makes of such copies is made by
//! a child in a mount namespace that nobody else is in.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};

use super::status::{self, Message, Reporter};
use crate::sys::mount;
use crate::sys::process::{Namespaces, die_with_parent, spawn};

const NAME: &str = ".ucr";

/// Lets `work` copy from a detached mount, on any kernel. `dev` is a filesystem of our own. Called by
/// the container's first process.
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

/// A detached mount that `work` makes, perhaps from other detached ones. Where those cannot be
/// copied, `work` runs in a child and may attach them wherever it likes. Called by the parent.
pub(super) fn apart(work: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
    if mount::clones_detached() {
        return work();
    }
    let own = Namespaces {
        mount: true,
        ..Namespaces::default()
    };
    let (ours, theirs) = status::channel()?;
    let child = spawn(own, move || match make_apart(work, &theirs) {
        Ok(()) => 0,
        Err(error) => {
            theirs.failed(&error);
            1
        }
    });
    let child = child.context("make a mount namespace")?;
    let said = ours.next()?;
    child.wait()?;
    match said {
        Message::Handle(tree) => Ok(tree),
        Message::Failed(error) => Err(error),
        Message::Closed => anyhow::bail!("internal: what makes mounts ended without a word"),
    }
}

fn make_apart(work: impl FnOnce() -> Result<OwnedFd>, reporter: &Reporter) -> Result<()> {
    die_with_parent()?;
    mount::make_all_private().context("cut the mount namespace off")?;
    reporter.hand_over(work()?.as_fd())
}
