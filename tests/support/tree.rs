//! A directory tree as text, one line per object, to compare what two ways of unpacking made.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::digest_reader;

/// One object of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `file`, `dir`, `symlink`, `char`, `block`, `fifo`, `socket`.
    pub kind: &'static str,
    /// The permission bits, with set-id and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Seconds and nanoseconds.
    pub mtime: (i64, i64),
    /// The length of a file; 0 for all else.
    pub size: u64,
    /// Device numbers of a device.
    pub rdev: Option<(u64, u64)>,
    /// Target of a symbolic link.
    pub target: Option<PathBuf>,
    /// All extended attributes that root sees.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Digest of a regular file's content.
    pub sha256: Option<String>,
    /// The first name, in order, of a file that has several in the tree. What other names the
    /// file has elsewhere is not the tree's: overlay counts names that a layer hides.
    pub same_as: Option<PathBuf>,
}

/// A tree: relative path to object, the root itself as the empty path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<PathBuf, Node>);

impl Tree {
    /// Reads a whole tree; does not follow symbolic links.
    pub fn read(root: &Path) -> Self {
        let mut nodes = BTreeMap::new();
        let mut inodes = HashMap::new();
        for path in walk(root) {
            let relative = path.strip_prefix(root).expect("below the root").to_owned();
            let meta = fs::symlink_metadata(&path).expect("lstat");
            let mut node = Node::read(&path, &meta);
            if meta.nlink() > 1 && !meta.is_dir() {
                let first = inodes
                    .entry((meta.dev(), meta.ino()))
                    .or_insert(relative.clone());
                node.same_as = Some(first.clone());
            }
            nodes.insert(relative, node);
        }
        let mut count: HashMap<PathBuf, usize> = HashMap::new();
        for first in nodes.values().filter_map(|node| node.same_as.as_ref()) {
            *count.entry(first.clone()).or_default() += 1;
        }
        for node in nodes.values_mut() {
            node.same_as.take_if(|first| count[first] == 1);
        }
        Self(nodes)
    }

    /// The same without modification times.
    #[must_use]
    pub fn timeless(mut self) -> Self {
        self.0.values_mut().for_each(|node| node.mtime = (0, 0));
        self
    }

    /// The object at a path, which must be there.
    #[track_caller]
    pub fn node(&self, path: &str) -> &Node {
        let found = self.0.get(Path::new(path));
        found.unwrap_or_else(|| panic!("no {path} in\n{}", self.lines().join("\n")))
    }

    /// Is there something at this path?
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(Path::new(path))
    }

    /// One line per object.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(|(path, node)| node.line(path)).collect()
    }

    /// Panics with the lines that only one of the two has.
    #[track_caller]
    pub fn assert_same(&self, other: &Self) {
        let difference = self.difference(other);
        assert!(difference.is_empty(), "the trees differ:\n{difference}");
    }

    /// The lines that only one of the two has.
    pub fn difference(&self, other: &Self) -> String {
        let set = |tree: &Self| tree.lines().into_iter().collect::<BTreeSet<_>>();
        let (left, right) = (set(self), set(other));
        let only = |sign: char, these: &BTreeSet<String>, those: &BTreeSet<String>| {
            let missing = these.difference(those);
            missing.fold(String::new(), |text, line| format!("{text}{sign} {line}\n"))
        };
        only('-', &left, &right) + &only('+', &right, &left)
    }
}

impl Node {
    fn read(path: &Path, meta: &Metadata) -> Self {
        let kind = kind(meta);
        let device = matches!(kind, "char" | "block");
        Self {
            kind,
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            size: if kind == "file" { meta.len() } else { 0 },
            rdev: device.then(|| (major(meta.rdev()), minor(meta.rdev()))),
            target: (kind == "symlink").then(|| fs::read_link(path).expect("readlink")),
            xattrs: xattrs(path),
            sha256: (kind == "file").then(|| sha256(path)),
            same_as: None,
        }
    }

    fn line(&self, path: &Path) -> String {
        let mut line = format!(
            "/{} {} {:04o} {}:{} {}.{:09} {}",
            path.display(),
            self.kind,
            self.mode,
            self.uid,
            self.gid,
            self.mtime.0,
            self.mtime.1,
            self.size
        );
        let mut add = |text: String| write!(line, " {text}").expect("a String takes all");
        if let Some((major, minor)) = self.rdev {
            add(format!("device={major}:{minor}"));
        }
        if let Some(target) = &self.target {
            add(format!("-> {}", target.display()));
        }
        for (name, value) in &self.xattrs {
            add(format!("{name}={}", value.escape_ascii()));
        }
        if let Some(sha256) = &self.sha256 {
            add(sha256.clone());
        }
        if let Some(first) = &self.same_as {
            add(format!("same as /{}", first.display()));
        }
        line
    }
}

fn walk(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if fs::symlink_metadata(&path).expect("lstat").is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            found.extend(entries.map(|entry| entry.expect("readdir").path()));
        }
    }
    // Sorted, so that the first name of a hard-linked file does not depend on the directory.
    found.sort();
    found
}

fn kind(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    let kinds = [
        (kind.is_file(), "file"),
        (kind.is_dir(), "dir"),
        (kind.is_symlink(), "symlink"),
        (kind.is_char_device(), "char"),
        (kind.is_block_device(), "block"),
        (kind.is_fifo(), "fifo"),
    ];
    let known = kinds.iter().find(|(is, _)| *is);
    known.map_or("socket", |(_, name)| name)
}

fn major(device: u64) -> u64 {
    u64::from(rustix::fs::major(device))
}

fn minor(device: u64) -> u64 {
    u64::from(rustix::fs::minor(device))
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, names.as_mut_slice()).expect("llistxattr");
    let names = names[..length].split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty());
    let pairs = names.map(|name| {
        let name = str::from_utf8(name).expect("the name of an xattr");
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).expect("lgetxattr");
        value.truncate(length);
        (name.to_owned(), value)
    });
    pairs.collect()
}

fn sha256(path: &Path) -> String {
    let mut file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    digest_reader(&mut file).0
}
