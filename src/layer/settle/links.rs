//! Hard links into lower layers: their targets are copied up, with all names that they have.
//!
//! What this layer has is asked for without following links anywhere in a path: a link may have come
//! into the place of a directory after the hard link was read.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Mode, Stat};

use super::groups::{self, Inode};
use super::{Settler, shown};
use crate::error::{Fault, Kind};
use crate::layer::copy::{self, At};
use crate::layer::extract::{self, Pending, PendingLink};
use crate::layer::limits::Limits;
use crate::layer::lower::{Answer, Object, ask};
use crate::layer::os;

impl Settler<'_> {
    /// All of them, in the order of the archive.
    pub(super) fn links(&mut self, pending: &Pending) -> Result<()> {
        self.find_groups(&pending.links, &pending.limits)?;
        for link in &pending.links {
            let linked = match link.is_replaced {
                true => self.replaced_link(link),
                false => self.link(link),
            };
            linked.with_context(|| shown("hard link", &link.path))?;
        }
        Ok(())
    }

    fn link(&mut self, link: &PendingLink) -> Result<()> {
        let missing = || missing_target(link);
        let (Some(dir), Some(name)) = (link.path.parent(), link.path.file_name()) else {
            return Err(missing().into());
        };
        let (Some(parent), Some(last)) = (link.target.parent(), link.target.file_name()) else {
            return Err(missing().into());
        };
        if !self.has(&link.target)? {
            self.copy_up(&link.target)?.ok_or_else(missing)?;
        }
        self.touch(dir)?;
        let (from, to) = (self.open(parent)?, self.open(dir)?);
        // What kept the place.
        os(rustix::fs::unlinkat(&to, name, AtFlags::empty()))?;
        os(rustix::fs::linkat(from, last, &to, name, AtFlags::empty()))?;
        self.applier.about(link.path.as_os_str().as_bytes());
        extract::describe_link(&mut self.applier, to.as_fd(), name, &link.attributes)
    }

    /// The link is gone, but it has described its target; and an archive is no better for hiding a
    /// bad one.
    fn replaced_link(&mut self, link: &PendingLink) -> Result<()> {
        let (Some(parent), Some(name)) = (link.target.parent(), link.target.file_name()) else {
            return Err(missing_target(link).into());
        };
        if !self.copied.contains(&link.target) {
            if self.has(&link.target)? {
                // A later entry took the target's place, too.
                return Ok(());
            }
            let Some(Object::Other { stat, .. }) = self.below(&link.target)? else {
                return Err(missing_target(link).into());
            };
            let changes = extract::changes(&link.attributes, &stat);
            if !changes || self.copy_up(&link.target)?.is_none() {
                return Ok(());
            }
        }
        let dir = self.open(parent)?;
        self.applier.about(link.path.as_os_str().as_bytes());
        extract::describe_link(&mut self.applier, dir.as_fd(), name, &link.attributes)
    }

    /// Whether this layer has an object at a path; a whiteout is none, but it stays in the way.
    fn has(&self, path: &Path) -> Result<bool> {
        let found = ask(self.staging, path, 0)?;
        Ok(matches!(found, Answer::Object(Object::Other { .. })))
    }

    /// Reads the layers that have files of several names which links lead to.
    fn find_groups(&mut self, links: &[PendingLink], limits: &Limits) -> Result<()> {
        let mut wanted: BTreeMap<usize, BTreeSet<Inode>> = BTreeMap::new();
        for link in links {
            if let Some(Object::Other { stat, layer, .. }) = self.below(&link.target)?
                && stat.st_nlink > 1
            {
                wanted.entry(layer).or_default().insert(Inode::of(&stat));
            }
        }
        for (number, inodes) in wanted {
            let Some(layer) = self.lower.layer(number) else {
                continue;
            };
            let found = groups::names(layer, &inodes, limits)?;
            let found = found.into_iter();
            self.groups
                .extend(found.map(|(inode, names)| ((number, inode), names)));
        }
        Ok(())
    }

    /// Copies a file from below to the same place in this layer, and its other names with it;
    /// `None` if there is none.
    fn copy_up(&mut self, path: &Path) -> Result<Option<()>> {
        let Some(Object::Other {
            dir,
            name,
            stat,
            layer,
        }) = self.below(path)?
        else {
            return Ok(None);
        };
        let from = At {
            dir: dir.as_fd(),
            name: &name,
        };
        let copied = self.place(path, |settler, to| {
            copy::object(&mut settler.applier, from, to, &stat)
        })?;
        if copied.is_some() {
            self.copied.insert(path.to_owned());
            let group = (layer, Inode::of(&stat));
            for other in self.groups.remove(&group).unwrap_or_default() {
                self.link_up(&other, path, group)
                    .with_context(|| shown("another name", &other))?;
            }
        }
        Ok(copied)
    }

    /// Gives a copied file another name that it has below, if that is visible.
    fn link_up(&mut self, path: &Path, copied: &Path, group: (usize, Inode)) -> Result<()> {
        let below = self.below(path)?;
        let same = |stat: &Stat, layer: usize| (layer, Inode::of(stat)) == group;
        if !matches!(below, Some(Object::Other { stat, layer, .. }) if same(&stat, layer)) {
            return Ok(());
        }
        let (Some(parent), Some(name)) = (copied.parent(), copied.file_name()) else {
            return Ok(());
        };
        let from = self.open(parent)?;
        let linked = self.place(path, |_, to| {
            let linked = rustix::fs::linkat(&from, name, to.dir, to.name, AtFlags::empty());
            Ok(os(linked)?)
        })?;
        if linked.is_some() {
            self.copied.insert(path.to_owned());
        }
        Ok(())
    }

    /// Makes an object at a path that this layer says nothing about; `None` if it does.
    fn place(
        &mut self,
        path: &Path,
        make: impl FnOnce(&mut Self, At) -> Result<()>,
    ) -> Result<Option<()>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        if !matches!(ask(self.staging, path, 0)?, Answer::Nothing) || !self.imply(parent)? {
            return Ok(None);
        }
        self.touch(parent)?;
        let dir = self.open(parent)?;
        let at = At {
            dir: dir.as_fd(),
            name,
        };
        self.applier.about(path.as_os_str().as_bytes());
        make(self, at).map(Some)
    }

    /// Makes directories that this layer lacks, looking like those below; `false` if this layer
    /// has something else in their place.
    fn imply(&mut self, path: &Path) -> Result<bool> {
        let mut missing: Vec<&Path> = Vec::new();
        for above in path.ancestors() {
            match ask(self.staging, above, 0)? {
                Answer::Object(Object::Directory(_)) => break,
                Answer::Nothing => missing.push(above),
                Answer::Object(_) | Answer::Hidden => return Ok(false),
            }
        }
        for path in missing.into_iter().rev() {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            self.touch(parent)?;
            os(rustix::fs::mkdirat(self.open(parent)?, name, Mode::RWXU))?;
            let attributes = match self.below(path)? {
                Some(Object::Directory(lower)) => copy::attributes_of(lower)?,
                _ => extract::implied(),
            };
            self.final_attributes.insert(path.to_owned(), attributes);
        }
        Ok(true)
    }
}

fn missing_target(link: &PendingLink) -> Fault {
    let target = link.target.display();
    Fault::new(Kind::Layer, format!("its target '{target}' does not exist"))
}
