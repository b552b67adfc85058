//! The content of a fresh `/dev`: six devices, five links, three directories, and nothing of the
//! host's or the image's.

use std::os::fd::{BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, makedev, mkdirat, mknodat, openat, symlinkat};

use crate::spec::defaults::{DEVICE_LINKS, DEVICES};

/// Fills a detached tmpfs; returns its `null`, which nothing that is mounted later can replace
/// (CVE-2025-31133).
pub(super) fn fill(dev: BorrowedFd) -> Result<OwnedFd> {
    // mknod's mode is subject to the umask.
    let before = rustix::process::umask(Mode::empty());
    let filled = fill_unmasked(dev);
    rustix::process::umask(before);
    filled?;
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dev, "null", flags, Mode::empty())
        .map_err(std::io::Error::from)
        .context("open /dev/null")
}

fn fill_unmasked(dev: BorrowedFd) -> Result<()> {
    let everybody = Mode::from_raw_mode(0o666);
    for (name, major, minor) in DEVICES {
        mknodat(
            dev,
            name,
            FileType::CharacterDevice,
            everybody,
            makedev(major, minor),
        )
        .with_context(|| format!("make /dev/{name}"))?;
    }
    for (name, target) in DEVICE_LINKS {
        symlinkat(target, dev, name).with_context(|| format!("link /dev/{name}"))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        mkdirat(dev, name, Mode::from_raw_mode(0o755))
            .with_context(|| format!("make /dev/{name}"))?;
    }
    Ok(())
}
