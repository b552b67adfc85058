//! A directory on tmpfs to unpack in, with a canary beside whatever is unpacked: after every run
//! the canary is the same to the last change time, and nothing else has appeared beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ucr::error::{self, Kind};
use ucr::image::Digest;
use ucr::layer::{Buffers, Expect, Limits, Unpacked, unpack, unpack_with_threads};
use ucr::sys::root::Root;

/// What there is to see of an object. `changed` is its change time, which no call can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub mode: u32,
    pub owner: (u32, u32),
    pub modified: (i64, i64),
    pub changed: (i64, i64),
    pub device: u64,
    pub links: u64,
    pub data: Vec<u8>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

pub type Tree = BTreeMap<PathBuf, Seen>;

/// The directory; gone when the process ends well.
#[derive(Debug)]
pub struct Sandbox {
    base: PathBuf,
    canary: Tree,
    known: Vec<String>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

impl Sandbox {
    /// Below `$UCR_FUZZ_DIR`, which tests/fuzz/run makes a tmpfs of bounded size.
    pub fn new() -> Self {
        let top = std::env::var_os("UCR_FUZZ_DIR").unwrap_or_else(|| "/dev/shm".into());
        let base = Path::new(&top).join(format!("ucr-fuzz.{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(base.join("canary/dir")).expect("a sandbox");
        fs::write(base.join("canary/file"), "outside").expect("a canary");
        fs::write(base.join("canary/dir/file"), "outside").expect("a canary");
        let canary = dump(&base.join("canary"));
        Self {
            base,
            canary,
            known: vec!["canary".into()],
        }
    }

    /// A new, empty directory; what an earlier run left there goes.
    pub fn fresh(&mut self, name: &str) -> Root {
        let path = self.base.join(name);
        if self.known.iter().any(|known| known == name) {
            fs::remove_dir_all(&path).expect("what was unpacked can be removed");
        } else {
            self.known.push(name.into());
        }
        fs::create_dir(&path).expect("a staging directory");
        Root::open(&path).expect("a staging directory")
    }

    /// What is in one of the directories.
    pub fn dump(&self, name: &str) -> Tree {
        dump(&self.base.join(name))
    }

    /// Panics unless the canary is unharmed and alone.
    pub fn check(&self) {
        assert_eq!(self.canary, self.dump("canary"), "the canary changed");
        let entries = fs::read_dir(&self.base).expect("the sandbox");
        for entry in entries {
            let name = entry.expect("an entry").file_name();
            let known = self.known.iter().any(|known| name == known.as_str());
            assert!(known, "{} appeared outside", name.display());
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

/// Small enough that every limit is met.
pub fn limits() -> Limits {
    Limits {
        entries: 40,
        unpacked_bytes: 1 << 20,
        ratio: 500,
        ratio_floor: 64 << 10,
        path_bytes: 300,
        depth: 12,
        xattrs: 4,
        xattr_bytes: 2048,
        headers: 4,
        header_bytes: 4096,
        sparse_regions: 24,
        index_bytes: 4096,
    }
}

/// How the stages of unpacking run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stages {
    Alone,
    WithThreads,
}

impl Stages {
    /// Unpacks into an empty directory.
    pub fn unpack(
        self,
        blob: impl Read,
        expect: &Expect,
        staging: &Root,
    ) -> anyhow::Result<Unpacked> {
        let (limits, buffers) = (limits(), Buffers::default());
        match self {
            Self::Alone => unpack(blob, expect, staging, &limits, &buffers),
            Self::WithThreads => unpack_with_threads(blob, expect, staging, &limits, &buffers),
        }
    }
}

/// Unpacks a stream as the right one. The first try at a compressed one tells its diff ID.
pub fn apply(
    sandbox: &mut Sandbox,
    name: &str,
    stream: &[u8],
    stages: Stages,
) -> anyhow::Result<(Root, Unpacked)> {
    let digest = Digest::of(stream);
    let mut diff_id = digest.clone();
    for _ in 0..2 {
        let staging = sandbox.fresh(name);
        let expect = Expect {
            blob: &digest,
            size: stream.len() as u64,
            diff_id: &diff_id,
        };
        match stages.unpack(stream, &expect, &staging) {
            Ok(unpacked) => return Ok((staging, unpacked)),
            Err(error) => diff_id = refused(error)?,
        }
    }
    panic!("the diff ID is never right")
}

/// The diff ID that a stream should have been announced with; any other error is returned.
fn refused(error: anyhow::Error) -> anyhow::Result<Digest> {
    let text = error::render(&error);
    let kind = error::kind(&error);
    let expected = matches!(
        kind,
        Kind::Layer | Kind::Limit | Kind::Unsupported | Kind::Integrity
    );
    assert!(expected, "{kind:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    let told = text.split("has the diff ID ").nth(1);
    match told.and_then(|told| told.split(',').next()?.parse().ok()) {
        Some(digest) if kind == Kind::Integrity => Ok(digest),
        _ => Err(error),
    }
}

fn dump(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut queue = vec![PathBuf::new()];
    while let Some(path) = queue.pop() {
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full).expect("metadata");
        let data = if meta.is_symlink() {
            fs::read_link(&full)
                .expect("a link")
                .into_os_string()
                .into_encoded_bytes()
        } else if meta.is_file() {
            fs::read(&full).expect("content")
        } else {
            Vec::new()
        };
        if meta.is_dir() {
            let entries = fs::read_dir(&full).expect("a directory");
            queue.extend(entries.map(|entry| path.join(entry.expect("an entry").file_name())));
        }
        let seen = Seen {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            device: meta.rdev(),
            links: meta.nlink(),
            data,
            xattrs: xattrs(&full),
        };
        tree.insert(path, seen);
    }
    tree
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0);
    let mut found = BTreeMap::new();
    for name in names.filter(|name| !name.is_empty()) {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).expect("an attribute");
        value.truncate(length);
        found.insert(name.to_vec(), value);
    }
    found
}
