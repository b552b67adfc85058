//! All names that some files of a settled layer have in it.
//!
//! Overlay keeps hard links between files of one layer only, so a link into a lower layer takes its
//! target along into the upper one. Applied flat, the target's other names would still be names of
//! the same file; [`names`] finds them. It looks at the whole layer, so it is only asked for the
//! target of such a link, and only if that has several names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use crate::layer::limits::{self, Limits};
use crate::layer::lower::names_in;
use crate::layer::os;
use crate::sys::root::Root;

/// What tells a file from all others of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode(u64, u64);

impl Inode {
    pub(super) fn of(stat: &Stat) -> Self {
        Self(stat.st_dev, stat.st_ino)
    }
}

/// The paths of these files. How many there may be, `index_bytes` says.
pub(super) fn names(
    layer: &Root,
    wanted: &BTreeSet<Inode>,
    limits: &Limits,
) -> Result<BTreeMap<Inode, Vec<PathBuf>>> {
    let mut found: BTreeMap<Inode, Vec<PathBuf>> = BTreeMap::new();
    let mut directories = vec![PathBuf::new()];
    let mut kept_bytes = 0;
    while let Some(directory) = directories.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let handle = layer.resolve(&directory, flags, Mode::empty())?;
        for name in names_in(&handle)? {
            let stat = os(rustix::fs::statat(
                &handle,
                &name,
                AtFlags::SYMLINK_NOFOLLOW,
            ))?;
            let path = directory.join(name);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                directories.push(path);
            } else if wanted.contains(&Inode::of(&stat)) {
                kept_bytes += path.as_os_str().len() as u64 + 64;
                limits.check(limits::Name::IndexBytes, kept_bytes)?;
                found.entry(Inode::of(&stat)).or_default().push(path);
            }
        }
    }
    Ok(found)
}
