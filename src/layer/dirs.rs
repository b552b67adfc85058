//! The directories of a layer being unpacked: what each one is, and a bounded cache of handles.
//!
//! The staging directory is empty at first and private, so this tree knows every directory in it.
//! A name is looked up by walking the tree, never in a table of path strings: a directory that was
//! replaced by a link is gone from the tree with all that was below it, and no stale string or
//! handle can lead through the link (CVE-2025-47290, CVE-2021-32803, CVE-2021-37712).

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};

use super::entry::Attributes;

/// Handles kept open beside that of the root.
const OPEN_MAX: usize = 128;

/// A directory in the tree.
pub(super) type Id = usize;

/// The layer's own root.
pub(super) const ROOT: Id = 0;

/// Why a directory is there.
#[derive(Debug)]
pub(super) enum Origin {
    /// The archive lists it.
    Listed(Attributes),
    /// Something below it is listed.
    Implied,
    /// Nothing below it is listed but whiteouts.
    ForWhiteouts,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) parent: Id,
    pub(super) name: Box<[u8]>,
    pub(super) origin: Origin,
    /// The layer says that nothing of the lower directory is left in it.
    pub(super) opaque: bool,
    /// The layer deleted the lower directory and then made a new one.
    pub(super) cut: bool,
    /// Bytes of its path, with a slash after each name.
    pub(super) path_bytes: u64,
    /// Names in its path.
    pub(super) depth: u64,
    children: HashMap<Box<[u8]>, Id>,
    handle: Option<Rc<OwnedFd>>,
    live: bool,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Dirs {
    nodes: Vec<Node>,
    open: VecDeque<Id>,
}

impl Dirs {
    /// A tree of the root alone.
    pub(super) fn new(root: OwnedFd) -> Self {
        let mut node = Node::new(ROOT, b"", Origin::Implied);
        node.handle = Some(Rc::new(root));
        Self {
            nodes: vec![node],
            open: VecDeque::new(),
        }
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id]
    }

    pub(super) fn child(&self, parent: Id, name: &[u8]) -> Option<Id> {
        self.nodes[parent].children.get(name).copied()
    }

    /// The directory at a real path, if there is one.
    pub(super) fn find(&self, path: &Path) -> Option<Id> {
        path.iter()
            .try_fold(ROOT, |at, name| self.child(at, name.as_bytes()))
    }

    /// Adds a directory that was just made.
    pub(super) fn add(&mut self, parent: Id, name: &[u8], origin: Origin) -> Id {
        let id = self.nodes.len();
        let mut node = Node::new(parent, name, origin);
        let above = &self.nodes[parent];
        node.path_bytes = above.path_bytes + name.len() as u64 + 1;
        node.depth = above.depth + 1;
        self.nodes.push(node);
        self.nodes[parent].children.insert(name.into(), id);
        id
    }

    /// Forgets a directory and all that is below it.
    pub(super) fn detach(&mut self, parent: Id, name: &[u8]) {
        let mut gone: Vec<Id> = self.nodes[parent]
            .children
            .remove(name)
            .into_iter()
            .collect();
        while let Some(id) = gone.pop() {
            let node = &mut self.nodes[id];
            node.live = false;
            node.handle = None;
            gone.extend(std::mem::take(&mut node.children).into_values());
        }
        self.open.retain(|id| self.nodes[*id].live);
    }

    pub(super) fn is_live(&self, id: Id) -> bool {
        self.nodes[id].live
    }

    /// All directories, parents first.
    pub(super) fn live(&self) -> impl DoubleEndedIterator<Item = Id> + use<> {
        let live: Vec<Id> = (0..self.nodes.len())
            .filter(|id| self.nodes[*id].live)
            .collect();
        live.into_iter()
    }

    /// The path of a directory below the root.
    pub(super) fn path(&self, id: Id) -> PathBuf {
        let mut names: Vec<&OsStr> = Vec::new();
        let mut at = id;
        while at != ROOT {
            names.push(OsStr::from_bytes(&self.nodes[at].name));
            at = self.nodes[at].parent;
        }
        names.iter().rev().collect()
    }

    /// A handle of a directory, open for reading.
    pub(super) fn handle(&mut self, id: Id) -> io::Result<Rc<OwnedFd>> {
        if let Some(handle) = &self.nodes[id].handle {
            return Ok(handle.clone());
        }
        let mut missing = vec![id];
        let mut at = self.nodes[id].parent;
        let mut handle = loop {
            match &self.nodes[at].handle {
                Some(handle) => break handle.clone(),
                None => missing.push(at),
            }
            at = self.nodes[at].parent;
        };
        for next in missing.into_iter().rev() {
            let name = OsStr::from_bytes(&self.nodes[next].name);
            handle = Rc::new(open_directory(handle.as_fd(), name)?);
            self.keep(next, handle.clone());
        }
        Ok(handle)
    }

    fn keep(&mut self, id: Id, handle: Rc<OwnedFd>) {
        if self.open.len() >= OPEN_MAX
            && let Some(oldest) = self.open.pop_front()
        {
            self.nodes[oldest].handle = None;
        }
        self.nodes[id].handle = Some(handle);
        self.open.push_back(id);
    }
}

impl Node {
    pub(super) fn is_for_whiteouts(&self) -> bool {
        matches!(self.origin, Origin::ForWhiteouts)
    }

    fn new(parent: Id, name: &[u8], origin: Origin) -> Self {
        Self {
            parent,
            name: name.into(),
            origin,
            opaque: false,
            cut: false,
            path_bytes: 0,
            depth: 0,
            children: HashMap::new(),
            handle: None,
            live: true,
        }
    }
}

/// Opens the directory `name` itself, never through a link.
pub(super) fn open_directory(parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}
