//! Entries onto the staging directory, one after the other, by handles.
//!
//! Every object is made with an exclusive call and described through its own descriptor; nothing
//! is looked up first, as most names are new (a failing `stat` costs a fifth of making the file).
//! A name that is taken is cleared and the call repeated: nothing is ever opened that the archive
//! could have put there (CVE-2018-20990, CVE-2026-33056). Directories get their attributes when
//! everything is in them.
//!
//! What depends on lower layers is only recorded, for [`super::settle`].

mod content;
mod finish;
mod link;
mod walk;

pub(super) use link::{changes, describe_link};

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::attributes::{self, Applier};
use super::dirs::{Dirs, Id, Origin, ROOT};
use super::entry::{Attributes, Entry, Reader, Type};
use super::limits::{self, Limits};
use super::os;
use super::owners::Owners;
use super::whiteout::{self, Marks, Name};
use crate::error::{Fault, Kind};
use crate::sys::root::{Root, remove_tree};
use crate::sys::xattr;

/// What only the lower layers can decide; paths are real ones below the staging directory.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Directories to look at, parents first.
    pub(super) dirs: Vec<PendingDir>,
    /// Whiteouts on disk.
    pub(super) whiteouts: Vec<PathBuf>,
    /// Hard links whose target this layer does not have, in the order of the archive.
    pub(super) links: Vec<PendingLink>,
    /// What the archive may ask for.
    pub(super) limits: Limits,
}

/// A directory that is not simply what the archive lists.
#[derive(Debug)]
pub(super) struct PendingDir {
    pub(super) path: PathBuf,
    /// Its attributes come from the lower directory, if there is one.
    pub(super) inherits: bool,
    /// It only carries whiteouts.
    pub(super) for_whiteouts: bool,
    /// It has the opaque mark, or should have: overlay ignores the mark on the root.
    pub(super) opaque: bool,
}

/// A hard link into a lower layer.
#[derive(Debug)]
pub(super) struct PendingLink {
    pub(super) path: PathBuf,
    pub(super) target: PathBuf,
    pub(super) attributes: Attributes,
    /// Its place in the archive: of several links to one file the last describes it.
    pub(super) number: u64,
    /// A later entry took its place.
    pub(super) is_replaced: bool,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Extracted {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) warnings: Vec<String>,
    pub(super) pending: Pending,
}

/// Unpacks all entries of a stream, to its very end.
pub(super) fn extract(source: impl BufRead, staging: &Root, limits: &Limits) -> Result<Extracted> {
    let mut extractor = Extractor::new(staging, limits)?;
    let mut reader = Reader::new(source, limits);
    while let Some(entry) = reader.next_entry()? {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        extractor
            .entry(entry, &mut reader)
            .with_context(|| format!("entry '{path}'"))?;
    }
    reader.drain()?;
    extractor.finish()
}

struct Extractor {
    dirs: Dirs,
    marks: Marks,
    /// By directory and name.
    links: BTreeMap<(Id, Box<[u8]>), PendingLink>,
    replaced: Vec<PendingLink>,
    applier: Applier,
    owners: Owners,
    limits: Limits,
    entries: u64,
    bytes: u64,
    logical_bytes: u64,
    index_bytes: u64,
}

fn bad(why: impl Into<String>) -> anyhow::Error {
    Fault::new(Kind::Layer, why.into()).into()
}

impl Extractor {
    fn new(staging: &Root, limits: &Limits) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let root = staging.resolve(Path::new("."), flags, Mode::empty())?;
        // Private until complete, and nothing that new entries would inherit: no ACL of the host's,
        // no group by a setgid bit.
        xattr::disinherit(&root)?;
        os(rustix::fs::fchmod(&root, Mode::RWXU))?;
        Ok(Self {
            dirs: Dirs::new(root),
            marks: Marks::default(),
            links: BTreeMap::new(),
            replaced: Vec::new(),
            applier: Applier::new(),
            owners: Owners::here()?,
            limits: limits.clone(),
            entries: 0,
            bytes: 0,
            logical_bytes: 0,
            index_bytes: 0,
        })
    }

    fn entry<R: BufRead>(&mut self, mut entry: Entry, reader: &mut Reader<R>) -> Result<()> {
        self.entries += 1;
        self.limits.check(limits::Name::Entries, self.entries)?;
        attributes::check_xattrs(&entry.attributes)?;
        self.owners.adopt(&mut entry.attributes)?;
        self.applier.about(&entry.path);
        match whiteout::classify(&entry.path, &self.limits)? {
            Name::Aufs => {
                self.applier
                    .warnings
                    .push(|| shown("left out AUFS data", &entry.path));
                Ok(())
            }
            Name::Opaque(directory) => {
                self.check_marker(&entry);
                let cost = self.marks.make_opaque(&directory);
                self.remember(cost)
            }
            Name::Whiteout(directory, name) => {
                self.check_marker(&entry);
                let cost = self.marks.hide(&directory, name);
                self.remember(cost)
            }
            Name::Object(parts) => match parts.split_last() {
                None => self.root_entry(&entry),
                Some((name, directory)) => {
                    let directory = self.enter(directory)?;
                    self.object(directory, name, &entry, reader)
                }
            },
        }
    }

    fn check_marker(&mut self, entry: &Entry) {
        if entry.kind != Type::File || entry.size > 0 {
            self.applier
                .warnings
                .push(|| shown("a whiteout that is no empty file", &entry.path));
        }
    }

    /// Counts memory that entries make us keep.
    fn remember(&mut self, bytes: u64) -> Result<()> {
        self.index_bytes += bytes;
        Ok(self
            .limits
            .check(limits::Name::IndexBytes, self.index_bytes)?)
    }

    /// Only a directory can be the root (CVE-2021-29136).
    fn root_entry(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Type::Directory {
            return Err(bad("the root is not a directory"));
        }
        let mut attributes = entry.attributes.clone();
        // A root that was packed from a private directory would lock every other user out.
        attributes.mode |= 0o555;
        self.dirs.node_mut(ROOT).origin = Origin::Listed(attributes);
        Ok(())
    }

    fn object<R: BufRead>(
        &mut self,
        dir: Id,
        name: &[u8],
        entry: &Entry,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        self.check_place(dir, name)?;
        match &entry.kind {
            Type::File | Type::SparseFile(_) => self.file(dir, name, entry, reader),
            Type::Directory => self.directory(dir, name, &entry.attributes),
            Type::Symlink => self.symlink(dir, name, entry),
            Type::HardLink => self.hard_link(dir, name, entry),
            Type::Fifo => self.node(dir, name, (FileType::Fifo, 0), &entry.attributes),
            // Overlay would take this for a whiteout wherever it comes from, so it is one.
            Type::CharDevice(0, 0) => {
                self.applier
                    .warnings
                    .push(|| shown("a device 0:0 taken for a whiteout", &entry.path));
                let path = self.dirs.path(dir).into_os_string().into_vec();
                let parts: Vec<&[u8]> = path
                    .split(|b| *b == b'/')
                    .filter(|p| !p.is_empty())
                    .collect();
                let cost = self.marks.hide(&parts, name);
                self.remember(cost)
            }
            Type::CharDevice(major, minor) => {
                let device = (
                    FileType::CharacterDevice,
                    rustix::fs::makedev(*major, *minor),
                );
                self.node(dir, name, device, &entry.attributes)
            }
            Type::BlockDevice(major, minor) => {
                let device = (FileType::BlockDevice, rustix::fs::makedev(*major, *minor));
                self.node(dir, name, device, &entry.attributes)
            }
        }
    }

    fn file<R: BufRead>(
        &mut self,
        dir: Id,
        name: &[u8],
        entry: &Entry,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        let sparse = match &entry.kind {
            Type::SparseFile(sparse) => Some(sparse),
            _ => None,
        };
        self.logical_bytes = self
            .logical_bytes
            .saturating_add(sparse.map_or(entry.size, |sparse| sparse.real_size));
        self.limits.check(limits::Name::Bytes, self.logical_bytes)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Applier::mode_of_new(&entry.attributes);
        let file = self.make(dir, name, |dir, name| {
            rustix::fs::openat(dir, name, flags, mode)
        })?;
        match sparse {
            None => content::write_run(&file, None, entry.size, reader)?,
            Some(sparse) => content::write_sparse(&file, sparse, reader)?,
        }
        self.bytes += entry.size;
        self.applier.new_file(&file, &entry.attributes)
    }

    fn directory(&mut self, dir: Id, name: &[u8], attributes: &Attributes) -> Result<()> {
        let id = match self.dirs.child(dir, name) {
            Some(id) => id,
            None => self.make_directory(dir, name, Origin::Implied)?,
        };
        self.remember(attributes.xattr_bytes())?;
        self.dirs.node_mut(id).origin = Origin::Listed(attributes.clone());
        Ok(())
    }

    /// Makes a directory that is not there; a file of this layer in its place means that the layer
    /// deleted the lower directory.
    fn make_directory(&mut self, parent: Id, name: &[u8], origin: Origin) -> Result<Id> {
        self.check_place(parent, name)?;
        // Its whole path, which settling may need: through links it is longer than in the archive.
        let path_bytes = self.dirs.node(parent).path_bytes + name.len() as u64;
        self.remember(path_bytes + 256)?;
        let handle = self.dirs.handle(parent)?;
        let os_name = OsStr::from_bytes(name);
        let replaces = match rustix::fs::mkdirat(&handle, os_name, Mode::RWXU) {
            Ok(()) => false,
            Err(Errno::EXIST) => {
                self.clear(parent, name)?;
                os(rustix::fs::mkdirat(&handle, os_name, Mode::RWXU))?;
                true
            }
            Err(errno) => return os(Err(errno)).context("make the directory"),
        };
        let id = self.dirs.add(parent, name, origin);
        self.dirs.node_mut(id).cut = replaces;
        Ok(id)
    }

    /// Links of the layer lead to longer and deeper places than the names in it say; what is beyond
    /// `PATH_MAX` nobody could open or remove by its name (CVE-2025-4517 class).
    fn check_place(&self, dir: Id, name: &[u8]) -> Result<(), Fault> {
        let dir = self.dirs.node(dir);
        let length = dir.path_bytes + name.len() as u64;
        self.limits.check(limits::Name::Path, length)?;
        self.limits.check(limits::Name::Depth, dir.depth + 1)?;
        Ok(())
    }

    fn symlink(&mut self, dir: Id, name: &[u8], entry: &Entry) -> Result<()> {
        let target = OsStr::from_bytes(&entry.link);
        if target.is_empty() || target.len() as u64 > self.limits.path_bytes {
            return Err(bad("a symbolic link with an impossible target"));
        }
        self.make(dir, name, |dir, name| {
            rustix::fs::symlinkat(target, dir, name)
        })?;
        let handle = self.dirs.handle(dir)?;
        let name = OsStr::from_bytes(name);
        self.applier
            .special(handle.as_fd(), name, &entry.attributes, true)
    }

    fn node(
        &mut self,
        dir: Id,
        name: &[u8],
        node: (FileType, u64),
        attributes: &Attributes,
    ) -> Result<()> {
        let mode = Mode::RUSR | Mode::WUSR;
        let made = self.make(dir, name, |dir, name| {
            rustix::fs::mknodat(dir, name, node.0, mode, node.1)
        });
        match made {
            Err(error) if node.0 != FileType::Fifo && is_errno(&error, Errno::PERM) => {
                self.applier
                    .warnings
                    .push(|| shown("device left out, it needs root", name));
                return Ok(());
            }
            other => other?,
        }
        let handle = self.dirs.handle(dir)?;
        self.applier
            .special(handle.as_fd(), OsStr::from_bytes(name), attributes, false)
    }

    /// Makes an object; if the name is taken, clears it and tries once more.
    fn make<T>(
        &mut self,
        dir: Id,
        name: &[u8],
        create: impl Fn(BorrowedFd, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let handle = self.dirs.handle(dir)?;
        let os_name = OsStr::from_bytes(name);
        match create(handle.as_fd(), os_name) {
            Err(Errno::EXIST) => {
                self.clear(dir, name)?;
                os(create(handle.as_fd(), os_name)).context("create")
            }
            other => os(other).context("create"),
        }
    }

    /// Removes what an earlier entry of this layer made under a name.
    fn clear(&mut self, dir: Id, name: &[u8]) -> Result<()> {
        let handle = self.dirs.handle(dir)?;
        self.dirs.detach(dir, name);
        if let Some(link) = self.links.remove(&(dir, name.into())) {
            self.replaced.push(link);
        }
        remove_tree(handle.as_fd(), OsStr::from_bytes(name)).context("replace")
    }
}

/// What a directory looks like that nobody describes, in this layer or below.
pub(super) fn implied() -> Attributes {
    Attributes {
        mode: 0o755,
        ..Attributes::default()
    }
}

fn shown(what: &str, path: &[u8]) -> String {
    format!("{what}: '{}'", String::from_utf8_lossy(path))
}

fn is_errno(error: &anyhow::Error, errno: Errno) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.raw_os_error() == Some(errno.raw_os_error()))
}
