//! The end of a layer: whiteouts onto the disk, then what directories look like, then what is left
//! for the parents to decide.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};

use super::walk::{Place, Walked};
use super::{Extracted, Extractor, Pending, PendingDir, PendingLink, implied, shown};
use crate::layer::dirs::{Id, Origin, ROOT};
use crate::layer::whiteout::{self, Mark};
use crate::sys::xattr;

impl Extractor {
    pub(super) fn finish(mut self) -> Result<Extracted> {
        let mut pending = Pending {
            limits: self.limits.clone(),
            ..Pending::default()
        };
        for (directory, mark) in std::mem::take(&mut self.marks.by_directory) {
            self.mark(&directory, &mark, &mut pending)
                .with_context(|| shown("whiteouts in", &directory))?;
        }
        // A directory that was replaced took its links with it.
        let links = std::mem::take(&mut self.links).into_iter();
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            links.partition(|((dir, _), _)| self.dirs.is_live(*dir));
        self.links = kept;
        self.replaced.extend(gone.into_values());
        self.check_links()?;
        for id in self.dirs.live().rev() {
            self.finish_directory(id)
                .with_context(|| format!("directory '{}'", self.dirs.path(id).display()))?;
        }
        pending.dirs = self
            .dirs
            .live()
            .filter_map(|id| self.pending_dir(id))
            .collect();
        let replaced = self.replaced.into_iter().map(|link| PendingLink {
            is_replaced: true,
            ..link
        });
        pending.links = self.links.into_values().chain(replaced).collect();
        pending.links.sort_by_key(|link| link.number);
        self.owners.report(&mut self.applier.warnings);
        Ok(Extracted {
            entries: self.entries,
            bytes: self.bytes,
            warnings: self.applier.warnings.into_vec(),
            pending,
        })
    }

    fn mark(&mut self, directory: &[u8], mark: &Mark, pending: &mut Pending) -> Result<()> {
        let parts: Vec<&[u8]> = directory
            .split(|b| *b == b'/')
            .filter(|p| !p.is_empty())
            .collect();
        let Some(dir) = self.enter_for_whiteouts(&parts)? else {
            return Ok(());
        };
        if mark.opaque {
            self.dirs.node_mut(dir).opaque = true;
        }
        for name in &mark.names {
            match self.dirs.child(dir, name) {
                Some(child) => self.dirs.node_mut(child).cut = true,
                // Nothing of the lower directory shines through; a whiteout would be a ghost.
                None if self.dirs.node(dir).opaque || self.dirs.node(dir).cut => {}
                None => self.make_whiteout(dir, name, pending)?,
            }
        }
        Ok(())
    }

    fn make_whiteout(&mut self, dir: Id, name: &[u8], pending: &mut Pending) -> Result<()> {
        let handle = self.dirs.handle(dir)?;
        let os_name = OsStr::from_bytes(name);
        if whiteout::make(handle.as_fd(), os_name)? {
            let path = self.dirs.path(dir).join(os_name);
            self.remember(path.as_os_str().len() as u64)?;
            pending.whiteouts.push(path);
        }
        Ok(())
    }

    /// `None` if the directory is a file in this layer, or deleted by it.
    fn enter_for_whiteouts(&mut self, parts: &[&[u8]]) -> Result<Option<Id>> {
        let mut walked = Walked::default();
        let mut place = self.locate(ROOT, parts, &mut walked)?;
        loop {
            place = match place {
                Place::Directory(id) => return Ok(Some(id)),
                Place::InTheWay(..) => return Ok(None),
                Place::Missing(at, name, rest) => {
                    let made = self.make_directory(at, &name, Origin::ForWhiteouts)?;
                    self.walk(made, rest, &mut walked)?
                }
            }
        }
    }

    fn finish_directory(&mut self, id: Id) -> Result<()> {
        let handle = self.dirs.handle(id)?;
        if let Origin::Listed(attributes) = &self.dirs.node(id).origin
            && !attributes.xattrs.is_empty()
        {
            self.applier
                .about(self.dirs.path(id).as_os_str().as_bytes());
        }
        let node = self.dirs.node(id);
        if (node.opaque || node.cut) && id != ROOT {
            xattr::set(&handle, whiteout::opaque_mark(), b"y").context("mark as opaque")?;
        }
        match &node.origin {
            Origin::Listed(attributes) => self.applier.fresh(&handle, attributes),
            Origin::Implied | Origin::ForWhiteouts => self.applier.fresh(&handle, &implied()),
        }
    }

    fn pending_dir(&self, id: Id) -> Option<PendingDir> {
        let node = self.dirs.node(id);
        let listed = matches!(node.origin, Origin::Listed(_));
        let opaque = node.opaque || node.cut;
        if listed && !opaque {
            return None;
        }
        Some(PendingDir {
            path: self.dirs.path(id),
            inherits: !listed && !node.cut,
            for_whiteouts: node.is_for_whiteouts(),
            opaque,
        })
    }
}
