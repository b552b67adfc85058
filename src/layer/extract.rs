//! Entries onto the staging directory, one after the other, by handles.
//!
//! Every object is made with an exclusive call and described through its own descriptor; nothing
//! is looked up first, as most names are new (a failing `stat` costs a fifth of making the file).
//! A name that is taken is cleared and the call repeated: nothing is ever opened that the archive
//! could have put there (CVE-2018-20990, CVE-2026-33056). Directories get their attributes when
//! everything is in them.
//!
//! What depends on lower layers is only recorded, for [`super::settle`].

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::attributes::{self, Applier};
use super::dirs::{Dirs, Id, Origin, ROOT};
use super::entry::{Attributes, Entry, Reader, Type};
use super::limits::{self, Limits};
use super::os;
use super::sparse::Sparse;
use super::whiteout::{self, Mark, Marks, Name};
use crate::error::{Fault, Kind};
use crate::sys::root::{Root, remove_tree};
use crate::sys::xattr;

/// As many links as the kernel follows in one path.
const MAX_LINKS: u32 = 40;

/// What only the lower layers can decide; paths are real ones below the staging directory.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Directories to look at, parents first.
    pub(super) dirs: Vec<PendingDir>,
    /// Whiteouts on disk.
    pub(super) whiteouts: Vec<PathBuf>,
    /// Hard links whose target this layer does not have.
    pub(super) links: Vec<PendingLink>,
    /// Such links that a later entry replaced; an archive is no better for hiding a bad one.
    pub(super) replaced: Vec<PendingLink>,
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
    limits: Limits,
    entries: u64,
    bytes: u64,
    logical_bytes: u64,
    index_bytes: u64,
}

/// Where a path leads, as far as this layer knows.
enum Place {
    Directory(Id),
    /// Nothing of this name in the directory; what is left of the path.
    Missing(Id, Vec<u8>, VecDeque<Vec<u8>>),
    /// Something else than a directory; what is left of the path.
    InTheWay(Id, Vec<u8>, VecDeque<Vec<u8>>),
}

fn bad(why: impl Into<String>) -> anyhow::Error {
    Fault::new(Kind::Layer, why.into()).into()
}

impl Extractor {
    fn new(staging: &Root, limits: &Limits) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let root = staging.resolve(Path::new("."), flags, Mode::empty())?;
        // Private until complete, and no setgid bit that new entries would inherit a group by.
        os(rustix::fs::fchmod(&root, Mode::RWXU))?;
        Ok(Self {
            dirs: Dirs::new(root),
            marks: Marks::default(),
            links: BTreeMap::new(),
            replaced: Vec::new(),
            applier: Applier::new(),
            limits: limits.clone(),
            entries: 0,
            bytes: 0,
            logical_bytes: 0,
            index_bytes: 0,
        })
    }

    fn entry<R: BufRead>(&mut self, entry: Entry, reader: &mut Reader<R>) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(limits::exceeded("entries", self.limits.entries).into());
        }
        attributes::check_xattrs(&entry.attributes)?;
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
        if self.index_bytes > self.limits.index_bytes {
            let limit = self.limits.index_bytes;
            return Err(
                limits::exceeded("bytes of directories and whiteouts to remember", limit).into(),
            );
        }
        Ok(())
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
        if self.logical_bytes > self.limits.unpacked_bytes {
            return Err(limits::exceeded("bytes of content", self.limits.unpacked_bytes).into());
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = self.make(dir, name, |dir, name| {
            rustix::fs::openat(dir, name, flags, mode)
        })?;
        match sparse {
            None => write_run(&file, None, entry.size, reader)?,
            Some(sparse) => write_sparse(&file, sparse, reader)?,
        }
        self.bytes += entry.size;
        self.applier.fresh(&file, &entry.attributes)
    }

    fn directory(&mut self, dir: Id, name: &[u8], attributes: &Attributes) -> Result<()> {
        let id = match self.dirs.child(dir, name) {
            Some(id) => id,
            None => self.make_directory(dir, name, Origin::Implied)?,
        };
        let xattrs = attributes
            .xattrs
            .iter()
            .map(|(name, value)| name.len() + value.len());
        self.remember(xattrs.sum::<usize>() as u64)?;
        self.dirs.node_mut(id).origin = Origin::Listed(attributes.clone());
        Ok(())
    }

    /// Makes a directory that is not there; a file of this layer in its place means that the layer
    /// deleted the lower directory.
    fn make_directory(&mut self, parent: Id, name: &[u8], origin: Origin) -> Result<Id> {
        self.remember(name.len() as u64 + 256)?;
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

    fn symlink(&mut self, dir: Id, name: &[u8], entry: &Entry) -> Result<()> {
        let target = OsStr::from_bytes(&entry.link);
        if target.is_empty() || target.len() > self.limits.path_bytes {
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

    fn hard_link(&mut self, dir: Id, name: &[u8], entry: &Entry) -> Result<()> {
        let parts = whiteout::components(&entry.link, &self.limits).context("hard link target")?;
        let Some((last, parents)) = parts.split_last() else {
            return Err(bad("a hard link to the root"));
        };
        let to = || format!("hard link to '{}'", String::from_utf8_lossy(&entry.link));
        let target = match self.locate(ROOT, parents).with_context(to)? {
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
        let cost = entry.path.len() + target.as_os_str().len() + 256;
        self.remember(cost as u64)?;
        self.make(dir, name, |dir, name| {
            rustix::fs::mknodat(dir, name, FileType::RegularFile, Mode::empty(), 0)
        })?;
        let link = PendingLink {
            path: self.dirs.path(dir).join(OsStr::from_bytes(name)),
            target,
            attributes: entry.attributes.clone(),
        };
        self.links.insert((dir, name.into()), link);
        Ok(())
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

    /// The directory of a path; what is missing is made, what is in the way is replaced.
    fn enter(&mut self, parts: &[&[u8]]) -> Result<Id> {
        let mut place = self.locate(ROOT, parts)?;
        loop {
            let (at, name, rest) = match place {
                Place::Directory(id) => return Ok(id),
                Place::Missing(at, name, rest) | Place::InTheWay(at, name, rest) => {
                    (at, name, rest)
                }
            };
            let made = self.make_directory(at, &name, Origin::Implied)?;
            place = self.walk(made, rest)?;
        }
    }

    fn locate(&mut self, from: Id, parts: &[&[u8]]) -> Result<Place> {
        let mut at = from;
        for (depth, part) in parts.iter().enumerate() {
            match self.dirs.child(at, part) {
                Some(child) => at = child,
                None => {
                    let rest = parts[depth..].iter().map(|part| part.to_vec()).collect();
                    return self.walk(at, rest);
                }
            }
        }
        Ok(Place::Directory(at))
    }

    /// Follows links that this layer made, inside the layer.
    fn walk(&mut self, from: Id, mut queue: VecDeque<Vec<u8>>) -> Result<Place> {
        let (mut at, mut links) = (from, 0);
        while let Some(name) = queue.pop_front() {
            if name == b".." {
                at = self.dirs.node(at).parent;
                continue;
            }
            if let Some(child) = self.dirs.child(at, &name) {
                at = child;
                continue;
            }
            let handle = self.dirs.handle(at)?;
            let target = match rustix::fs::readlinkat(&handle, OsStr::from_bytes(&name), Vec::new())
            {
                Ok(target) => target.into_bytes(),
                Err(Errno::NOENT) => return Ok(Place::Missing(at, name, queue)),
                Err(Errno::INVAL) => return Ok(Place::InTheWay(at, name, queue)),
                Err(errno) => return os(Err(errno)).context("read a link"),
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(bad("too many symbolic links in the path"));
            }
            if target.starts_with(b"/") {
                at = ROOT;
            }
            for part in target.split(|byte| *byte == b'/').rev() {
                if !matches!(part, b"" | b".") {
                    queue.push_front(part.to_vec());
                }
            }
        }
        Ok(Place::Directory(at))
    }
}

/// The ending: whiteouts, then what directories look like.
impl Extractor {
    fn finish(mut self) -> Result<Extracted> {
        let mut pending = Pending::default();
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
        pending.links = self.links.into_values().collect();
        pending.replaced = self.replaced;
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
            pending.whiteouts.push(self.dirs.path(dir).join(os_name));
        }
        Ok(())
    }

    /// `None` if the directory is a file in this layer, or deleted by it.
    fn enter_for_whiteouts(&mut self, parts: &[&[u8]]) -> Result<Option<Id>> {
        let mut place = self.locate(ROOT, parts)?;
        loop {
            place = match place {
                Place::Directory(id) => return Ok(Some(id)),
                Place::InTheWay(..) => return Ok(None),
                Place::Missing(at, name, rest) => {
                    let made = self.make_directory(at, &name, Origin::ForWhiteouts)?;
                    self.walk(made, rest)?
                }
            }
        }
    }

    /// A target that this layer has after all came after the link.
    fn check_links(&mut self) -> Result<()> {
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

    fn finish_directory(&mut self, id: Id) -> Result<()> {
        let handle = self.dirs.handle(id)?;
        let node = self.dirs.node(id);
        if (node.opaque || node.cut) && id != ROOT {
            xattr::set(&handle, OsStr::new(whiteout::OPAQUE), b"y").context("mark as opaque")?;
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

/// What a directory looks like that nobody describes, in this layer or below.
pub(super) fn implied() -> Attributes {
    Attributes {
        mode: 0o755,
        ..Attributes::default()
    }
}

/// Gives a regular file what its other name says of it; mostly it has it already.
pub(super) fn describe_link(
    applier: &mut Applier,
    dir: BorrowedFd,
    name: &OsStr,
    attributes: &Attributes,
) -> Result<()> {
    let stat = os(rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))?;
    // Never through a symbolic link (CVE-2021-32760), and never by opening a device.
    if !attributes::is_file(&stat) || attributes::are_those_of(attributes, &stat) {
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

fn shown(what: &str, path: &[u8]) -> String {
    format!("{what}: '{}'", String::from_utf8_lossy(path))
}

fn is_errno(error: &anyhow::Error, errno: Errno) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Writes content bytes from the stream's own buffers.
fn write_run<R: BufRead>(
    file: &OwnedFd,
    mut at: Option<u64>,
    mut bytes: u64,
    reader: &mut Reader<R>,
) -> Result<()> {
    while bytes > 0 {
        let piece = reader.content()?;
        let most = usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .min(piece.len());
        let written = match at {
            None => rustix::io::write(file, &piece[..most]),
            Some(at) => rustix::io::pwrite(file, &piece[..most], at),
        };
        let written = match written {
            Err(Errno::INTR) => 0,
            other => os(other).context("write")?,
        };
        reader.consume(written);
        bytes -= written as u64;
        at = at.map(|at| at + written as u64);
    }
    Ok(())
}

fn write_sparse<R: BufRead>(file: &OwnedFd, sparse: &Sparse, reader: &mut Reader<R>) -> Result<()> {
    for region in &sparse.regions {
        write_run(file, Some(region.offset), region.length, reader)?;
    }
    os(rustix::fs::ftruncate(file, sparse.real_size)).context("set the size")
}
