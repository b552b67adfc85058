//! The fix-up of an unpacked layer against its parents: what overlay would otherwise leak, lose or
//! show as a ghost. Costs as much as the layer has whiteouts, unlisted directories and links into
//! lower layers; touches metadata, and content only to copy up the target of such a link.

mod groups;
mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::attributes::Applier;
use super::copy;
use super::dirs::open_directory;
use super::entry::Attributes;
use super::extract::{Pending, PendingDir};
use super::lower::{Lower, Object};
use super::{os, whiteout};
use crate::sys::root::{Root, remove_tree};
use crate::sys::xattr;

use self::groups::Inode;

/// Fits a layer to its parents; returns warnings.
pub(super) fn settle(pending: Pending, staging: &Root, parents: &[Root]) -> Result<Vec<String>> {
    let hides = pending.dirs.iter().filter(|dir| dir.opaque);
    let mut settler = Settler {
        hides: hides.map(|dir| dir.path.clone()).collect(),
        staging,
        lower: Lower::new(parents),
        applier: Applier::new(),
        final_attributes: BTreeMap::new(),
        removed: BTreeSet::new(),
        marked_for_root: BTreeSet::new(),
        groups: BTreeMap::new(),
        copied: BTreeSet::new(),
    };
    settler.run(&pending)?;
    Ok(settler.applier.warnings.into_vec())
}

struct Settler<'a> {
    staging: &'a Root,
    lower: Lower<'a>,
    applier: Applier,
    /// Directories that hide what is below them.
    hides: BTreeSet<PathBuf>,
    /// What directories must look like at the end: changing what is in them moves their times.
    final_attributes: BTreeMap<PathBuf, Attributes>,
    removed: BTreeSet<PathBuf>,
    /// Directories that are opaque because the root is.
    marked_for_root: BTreeSet<PathBuf>,
    /// The names of files with several that links lead to, by layer.
    groups: BTreeMap<(usize, Inode), Vec<PathBuf>>,
    /// Files that links have brought up, and their other names.
    copied: BTreeSet<PathBuf>,
}

impl Settler<'_> {
    fn run(&mut self, pending: &Pending) -> Result<()> {
        for dir in &pending.dirs {
            self.directory(dir)
                .with_context(|| shown("directory", &dir.path))?;
        }
        for path in &pending.whiteouts {
            self.whiteout(path)
                .with_context(|| shown("whiteout", path))?;
        }
        for dir in pending
            .dirs
            .iter()
            .rev()
            .filter(|dir| dir.for_whiteouts && !dir.opaque)
        {
            self.remove_if_empty(&dir.path)
                .with_context(|| shown("directory", &dir.path))?;
        }
        self.links(pending)?;
        for (path, attributes) in std::mem::take(&mut self.final_attributes) {
            let dir = self.open(&path)?;
            self.applier.about(path.as_os_str().as_bytes());
            self.applier
                .existing(&dir, &attributes)
                .with_context(|| shown("directory", &path))?;
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let opened = self.staging.resolve(path, flags, Mode::empty());
        opened.with_context(|| shown("directory", path))
    }

    /// What lower layers show at a path of this layer.
    fn below(&self, path: &Path) -> Result<Option<Object>> {
        let hidden = path
            .ancestors()
            .skip(1)
            .any(|above| self.hides.contains(above));
        if hidden {
            return Ok(None);
        }
        Ok(self.lower.find(path)?)
    }

    fn is_removed(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.removed.contains(above))
    }

    /// Notes what a directory looks like before something in it changes, which then inherits
    /// nothing from it.
    fn touch(&mut self, path: &Path) -> Result<()> {
        if !self.final_attributes.contains_key(path) {
            let directory = self.open(path)?;
            let attributes = copy::attributes_of(&directory)?;
            xattr::stop_inheritance(&directory)?;
            self.final_attributes.insert(path.to_owned(), attributes);
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        self.touch(parent)?;
        remove_tree(self.open(parent)?.as_fd(), name)?;
        // Paths are ordered by component: what is in a directory comes right after it.
        while let Some((inner, _)) = self.final_attributes.range(path.to_owned()..).next() {
            if !inner.starts_with(path) {
                break;
            }
            let inner = inner.clone();
            self.final_attributes.remove(&inner);
        }
        self.removed.insert(path.to_owned());
        Ok(())
    }

    fn directory(&mut self, dir: &PendingDir) -> Result<()> {
        if self.is_removed(&dir.path) {
            return Ok(());
        }
        let is_root = dir.path.as_os_str().is_empty();
        if is_root && dir.opaque {
            self.empty_root()?;
        }
        match self.below(&dir.path)? {
            Some(Object::Directory(lower)) if dir.inherits => {
                let attributes = copy::attributes_of(lower)?;
                self.final_attributes.insert(dir.path.clone(), attributes);
            }
            Some(Object::Directory(_)) => {}
            Some(Object::Other { .. }) | None if dir.for_whiteouts => {
                self.remove(&dir.path)?;
                if self.marked_for_root.contains(&dir.path) {
                    whiteout::make(self.open(Path::new(""))?.as_fd(), dir.path.as_os_str())?;
                }
            }
            Some(Object::Other { stat, .. }) => self.shadow(dir, stat.st_mode)?,
            None if dir.opaque && !self.marked_for_root.contains(&dir.path) => {
                let handle = self.open(&dir.path)?;
                xattr::remove(&handle, whiteout::opaque_mark())?;
            }
            None => {}
        }
        Ok(())
    }

    /// A directory in the place of a lower file or link.
    fn shadow(&mut self, dir: &PendingDir, mode: u32) -> Result<()> {
        if FileType::from_raw_mode(mode) == FileType::Symlink && dir.inherits {
            let warning = shown(
                "a directory hides the symbolic link of a lower layer",
                &dir.path,
            );
            self.applier.warnings.push(|| warning);
        }
        let handle = self.open(&dir.path)?;
        xattr::set(&handle, whiteout::opaque_mark(), b"y")?;
        self.hides.insert(dir.path.clone());
        Ok(())
    }

    /// Overlay does not look for the opaque mark on the root of a layer, so each name below it
    /// gets a whiteout or a mark of its own.
    fn empty_root(&mut self) -> Result<()> {
        self.touch(Path::new(""))?;
        let root = self.open(Path::new(""))?;
        for name in self.lower.root_names()? {
            if whiteout::make(root.as_fd(), &name)? {
                continue;
            }
            let stat = os(rustix::fs::statat(&root, &name, AtFlags::SYMLINK_NOFOLLOW))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let child = open_directory(&root, &name)?;
                xattr::set(&child, whiteout::opaque_mark(), b"y")?;
                self.marked_for_root.insert(PathBuf::from(name));
            }
        }
        Ok(())
    }

    /// A whiteout of nothing would be listed, and then not be found: a ghost.
    fn whiteout(&mut self, path: &Path) -> Result<()> {
        if self.is_removed(path) || self.below(path)?.is_some() {
            return Ok(());
        }
        self.remove(path)
    }

    fn remove_if_empty(&mut self, path: &Path) -> Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        if self.is_removed(path) {
            return Ok(());
        }
        self.touch(parent)?;
        match rustix::fs::unlinkat(self.open(parent)?, name, AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.final_attributes.remove(path);
                self.removed.insert(path.to_owned());
                Ok(())
            }
            Err(Errno::NOTEMPTY) => Ok(()),
            Err(errno) => Err(std::io::Error::from(errno).into()),
        }
    }
}

fn shown(what: &str, path: &Path) -> String {
    format!("{what} '{}'", path.display())
}
