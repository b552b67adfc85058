//! Hard links: to what this layer has at once, to what it does not have for [`settle`] to find.
//!
//! [`settle`]: crate::layer::settle

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::walk::{Place, Walked};
use super::{Extractor, PendingLink, bad, is_errno};
use crate::layer::attributes::{self, Applier};
use crate::layer::dirs::{Id, ROOT};
use crate::layer::entry::{Attributes, Entry};
use crate::layer::{os, whiteout};
use crate::sys::xattr;

impl Extractor {
    pub(super) fn hard_link(&mut self, dir: Id, name: &[u8], entry: &Entry) -> Result<()> {
        let parts = whiteout::components(&entry.link, &self.limits).context("hard link target")?;
        let Some((last, parents)) = parts.split_last() else {
            return Err(bad("a hard link to the root"));
        };
        let to = || format!("hard link to '{}'", String::from_utf8_lossy(&entry.link));
        let target = match self
            .locate(ROOT, parents, &mut Walked::default())
            .with_context(to)?
        {
            Place::Directory(id) => id,
            Place::Missing(at, missing, rest) => {
                let rest = rest.iter().map(|part| OsStr::from_bytes(part));
                let below = self.dirs.path(at).join(OsStr::from_bytes(&missing));
                let path = below.join(rest.collect::<PathBuf>());
                return self.link_later(dir, name, path.join(OsStr::from_bytes(last)), entry);
            }
            Place::InTheWay(..) => return Err(bad("a parent is no directory")).with_context(to),
        };
        if self.dirs.child(target, last).is_some() {
            return Err(bad("a directory has only one name")).with_context(to);
        }
        if (target, *last) == (dir, name) {
            return Err(bad("a link to itself")).with_context(to);
        }
        if let Some(other) = self.links.get(&(target, (*last).into())) {
            let path = other.target.clone();
            return self.link_later(dir, name, path, entry);
        }
        let from = self.dirs.handle(target)?;
        let last_name = OsStr::from_bytes(last);
        let linked = self.make(dir, name, |dir, name| {
            rustix::fs::linkat(&from, last_name, dir, name, AtFlags::empty())
        });
        match linked {
            Err(error) if is_errno(&error, Errno::NOENT) => {
                let path = self.dirs.path(target).join(last_name);
                self.link_later(dir, name, path, entry)
            }
            Err(error) => Err(error).with_context(to),
            Ok(()) => {
                let handle = self.dirs.handle(dir)?;
                describe_link(
                    &mut self.applier,
                    handle.as_fd(),
                    OsStr::from_bytes(name),
                    &entry.attributes,
                )
            }
        }
    }

    /// The target may be in a lower layer; that this layer deletes or makes it later is for
    /// [`super::settle`] and [`Extractor::check_links`] to find. An empty file keeps the place, so
    /// that whatever else the layer does with the name finds something there.
    fn link_later(&mut self, dir: Id, name: &[u8], target: PathBuf, entry: &Entry) -> Result<()> {
        let path = self.dirs.path(dir).join(OsStr::from_bytes(name));
        let cost = path.as_os_str().len() + target.as_os_str().len() + 256;
        self.remember(cost as u64 + entry.attributes.xattr_bytes())?;
        self.make(dir, name, |dir, name| {
            rustix::fs::mknodat(dir, name, FileType::RegularFile, Mode::empty(), 0)
        })?;
        let link = PendingLink {
            path,
            target,
            attributes: entry.attributes.clone(),
            number: self.entries,
            is_replaced: false,
        };
        self.links.insert((dir, name.into()), link);
        Ok(())
    }

    /// A target that this layer has after all came after the link.
    pub(super) fn check_links(&mut self) -> Result<()> {
        for link in self.links.values() {
            let (Some(parent), Some(name)) = (link.target.parent(), link.target.file_name()) else {
                continue;
            };
            let Some(dir) = self.dirs.find(parent) else {
                continue;
            };
            let child = self.dirs.child(dir, name.as_bytes());
            if child.is_some_and(|id| self.dirs.node(id).is_for_whiteouts()) {
                continue;
            }
            let handle = self.dirs.handle(dir)?;
            let stat = rustix::fs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW);
            if stat.is_ok_and(|stat| !whiteout::is_whiteout(&stat)) {
                let (path, target) = (link.path.display(), link.target.display());
                return Err(bad(format!(
                    "hard link '{path}' comes before its target '{target}'"
                )));
            }
        }
        Ok(())
    }
}

/// Whether describing a file by its other name may change it. Never through a symbolic link
/// (CVE-2021-32760), and never by opening a device.
pub(in crate::layer) fn changes(attributes: &Attributes, stat: &Stat) -> bool {
    let has_all = attributes.xattrs.is_empty() && attributes::are_those_of(attributes, stat);
    attributes::is_file(stat) && !has_all
}

/// Gives a regular file what its other name says of it; mostly it has it already.
pub(in crate::layer) fn describe_link(
    applier: &mut Applier,
    dir: BorrowedFd,
    name: &OsStr,
    attributes: &Attributes,
) -> Result<()> {
    let stat = os(rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))?;
    if !changes(attributes, &stat) {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = os(rustix::fs::openat(dir, name, flags, Mode::empty()))?;
    // A change of owner clears the capabilities that the first name came with.
    let kept = attributes::of_stat(&stat, xattr::list(&file)?).xattrs;
    let mut attributes = attributes.clone();
    let given = std::mem::take(&mut attributes.xattrs);
    attributes.xattrs = kept;
    attributes
        .xattrs
        .retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
    attributes.xattrs.extend(given);
    applier.existing(&file, &attributes)
}
