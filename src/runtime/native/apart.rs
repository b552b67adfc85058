//! Overlays that are mounted nowhere, on kernels that cannot make them from layers that are mounted
//! nowhere (before Linux 6.15): by a child in a mount namespace that nobody else is in, which hands
//! them over and ends.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};

use super::status::{self, Message, Reporter};
use crate::sys::mount;
use crate::sys::process::{Namespaces, die_with_parent, spawn};

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
