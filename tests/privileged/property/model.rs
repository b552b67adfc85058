//! What layers make, applied to a tree in memory as the specification says (image-spec, layer.md):
//! whiteouts first, wherever they stand, then the entries in their order. Two things are ours: a
//! link of the layer itself is followed on the way to a name, one of a lower layer is not, but
//! gives way to a directory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::support::digest;
use crate::support::tree::{Node, Tree};

/// As many links as are followed on the way to one name.
const MAX_LINKS: u32 = 40;

/// A path as its names.
pub type Names = Vec<String>;

/// Mode, owner, group, time, and the value of one extended attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub mtime: (i64, i64),
    pub note: Option<u8>,
}

/// Of a directory that nobody describes.
const IMPLIED: Attributes = Attributes {
    mode: 0o755,
    owner: 0,
    group: 0,
    mtime: (0, 0),
    note: None,
};

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    File(Names, String, Attributes),
    Directory(Names, Attributes),
    Symlink(Names, String, Attributes),
    HardLink(Names, Names, Attributes),
    Whiteout(Names),
    Opaque(Names),
}

#[derive(Clone, Debug)]
enum Content {
    File(String),
    Symlink(String),
}

#[derive(Clone, Debug)]
struct Inode {
    content: Content,
    attributes: Attributes,
    /// Which layer made it.
    layer: usize,
}

#[derive(Clone, Debug)]
enum Object {
    Directory(Attributes),
    Name(usize),
}

/// The tree after some layers.
#[derive(Clone, Debug, Default)]
pub struct Model {
    objects: BTreeMap<Names, Object>,
    inodes: Vec<Inode>,
    layer: usize,
    /// Targets in lower layers that hard links of this layer lead to: the layer may not take their
    /// places later, which ucr refuses.
    pinned: Vec<Names>,
}

/// An entry that cannot be, or that ucr refuses.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused;

impl Model {
    /// Begins a layer: its whiteouts.
    pub fn begin(&mut self, ops: &[Op]) {
        self.layer += 1;
        self.pinned.clear();
        for op in ops {
            match op {
                Op::Whiteout(path) if self.is_reachable(path) => self.remove(path),
                Op::Opaque(path) if self.is_reachable(path) => self.empty(path),
                _ => {}
            }
        }
    }

    /// Applies an entry that is no whiteout.
    pub fn apply(&mut self, op: &Op) -> Result<(), Refused> {
        match op {
            Op::File(path, content, attributes) => {
                let content = Content::File(content.clone());
                self.make(path, content, *attributes)
            }
            Op::Symlink(path, target, attributes) => {
                let content = Content::Symlink(target.clone());
                self.make(path, content, *attributes)
            }
            Op::Directory(path, attributes) => {
                let path = self.place(path)?;
                if !matches!(self.objects.get(&path), Some(Object::Directory(_))) {
                    self.replace(&path)?;
                }
                self.objects.insert(path, Object::Directory(*attributes));
                Ok(())
            }
            Op::HardLink(path, target, attributes) => self.link(path, target, *attributes),
            Op::Whiteout(_) | Op::Opaque(_) => Ok(()),
        }
    }

    /// Whether the last layer made a link at this path.
    pub fn is_own_link(&self, path: &[String]) -> bool {
        self.own_link(path).is_some()
    }

    /// All names of files and links.
    pub fn names(&self) -> Vec<&Names> {
        let is_name = |(_, object): &(&Names, &Object)| matches!(object, Object::Name(_));
        self.objects
            .iter()
            .filter(is_name)
            .map(|(path, _)| path)
            .collect()
    }

    fn make(
        &mut self,
        path: &Names,
        content: Content,
        attributes: Attributes,
    ) -> Result<(), Refused> {
        let path = self.place(path)?;
        self.replace(&path)?;
        self.inodes.push(Inode {
            content,
            attributes,
            layer: self.layer,
        });
        self.objects
            .insert(path, Object::Name(self.inodes.len() - 1));
        Ok(())
    }

    fn link(
        &mut self,
        path: &Names,
        target: &Names,
        attributes: Attributes,
    ) -> Result<(), Refused> {
        let path = self.place(path)?;
        let (last, parents) = target.split_last().ok_or(Refused)?;
        let mut target = self.walk(parents, false)?;
        target.push(last.clone());
        let Some(Object::Name(inode)) = self.objects.get(&target) else {
            return Err(Refused);
        };
        let inode = *inode;
        if target.starts_with(&path) {
            return Err(Refused);
        }
        self.replace(&path)?;
        if self.inodes[inode].layer < self.layer {
            self.pinned.push(target);
        }
        if let Content::File(_) = self.inodes[inode].content {
            let note = attributes.note.or(self.inodes[inode].attributes.note);
            self.inodes[inode].attributes = Attributes { note, ..attributes };
        }
        self.objects.insert(path, Object::Name(inode));
        Ok(())
    }

    /// The real path of a name, after its directories were made.
    fn place(&mut self, path: &[String]) -> Result<Names, Refused> {
        let (last, parents) = path.split_last().ok_or(Refused)?;
        let mut real = self.walk(parents, true)?;
        real.push(last.clone());
        Ok(real)
    }

    /// Follows names from the root to a directory; makes what is missing, if that is wanted.
    fn walk(&mut self, path: &[String], make: bool) -> Result<Names, Refused> {
        let mut queue: Vec<String> = path.iter().rev().cloned().collect();
        let (mut at, mut links) = (Names::new(), 0);
        while let Some(name) = queue.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            at.push(name);
            if let Some(target) = self.own_link(&at) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Refused);
                }
                let target = target.to_owned();
                at.pop();
                if target.starts_with('/') {
                    at.clear();
                }
                let names = target
                    .split('/')
                    .rev()
                    .filter(|name| !matches!(*name, "" | "."));
                queue.extend(names.map(String::from));
                continue;
            }
            match self.objects.get(&at) {
                Some(Object::Directory(_)) => {}
                _ if make => {
                    self.replace(&at)?;
                    self.objects.insert(at.clone(), Object::Directory(IMPLIED));
                }
                _ => return Err(Refused),
            }
        }
        Ok(at)
    }

    fn own_link(&self, path: &[String]) -> Option<&str> {
        match self.objects.get(path)? {
            Object::Name(inode) if self.inodes[*inode].layer == self.layer => {
                match &self.inodes[*inode].content {
                    Content::Symlink(target) => Some(target),
                    Content::File(_) => None,
                }
            }
            _ => None,
        }
    }

    /// Whether all that is above a path are directories.
    fn is_reachable(&self, path: &[String]) -> bool {
        let above = (1..path.len()).map(|length| &path[..length]);
        let mut found = above.map(|path| self.objects.get(path));
        found.all(|object| matches!(object, Some(Object::Directory(_))))
    }

    /// Makes room for another object.
    fn replace(&mut self, path: &[String]) -> Result<(), Refused> {
        if self.pinned.iter().any(|pinned| pinned.starts_with(path)) {
            return Err(Refused);
        }
        self.remove(path);
        Ok(())
    }

    fn remove(&mut self, path: &[String]) {
        self.objects.retain(|other, _| !other.starts_with(path));
    }

    fn empty(&mut self, path: &[String]) {
        let is_inside = |other: &Names| other.len() > path.len() && other.starts_with(path);
        self.objects.retain(|other, _| !is_inside(other));
    }

    /// What the tree looks like on disk.
    pub fn tree(&self) -> Tree {
        let mut first: BTreeMap<usize, PathBuf> = BTreeMap::new();
        let mut count: BTreeMap<usize, u32> = BTreeMap::new();
        for object in self.objects.values() {
            if let Object::Name(inode) = object {
                *count.entry(*inode).or_default() += 1;
            }
        }
        let nodes = self.objects.iter().map(|(path, object)| {
            let path: PathBuf = path.iter().collect();
            let node = match object {
                Object::Directory(attributes) => node("dir", *attributes),
                Object::Name(inode) => {
                    let first = first.entry(*inode).or_insert(path.clone()).clone();
                    let same_as = Some(first).filter(|_| count[inode] > 1);
                    Node {
                        same_as,
                        ..self.inodes[*inode].node()
                    }
                }
            };
            (path, node)
        });
        Tree(nodes.collect())
    }
}

impl Inode {
    fn node(&self) -> Node {
        match &self.content {
            Content::File(text) => Node {
                size: text.len() as u64,
                sha256: Some(digest(text.as_bytes())),
                ..node("file", self.attributes)
            },
            Content::Symlink(target) => Node {
                mode: 0o777,
                target: Some(target.into()),
                xattrs: BTreeMap::new(),
                ..node("symlink", self.attributes)
            },
        }
    }
}

fn node(kind: &'static str, attributes: Attributes) -> Node {
    let note = attributes
        .note
        .map(|note| ("user.note".to_owned(), vec![note]));
    Node {
        kind,
        mode: attributes.mode,
        uid: attributes.owner,
        gid: attributes.group,
        mtime: attributes.mtime,
        size: 0,
        rdev: None,
        target: None,
        xattrs: note.into_iter().collect(),
        sha256: None,
        same_as: None,
    }
}
