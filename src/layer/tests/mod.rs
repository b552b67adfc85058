//! Layers unpacked, settled, mounted and flattened for real; the mount and the flat tree must show
//! the same. A canary beside the layers must survive everything.

mod attacks;
mod metadata;
mod model;
mod names;
mod streams;
mod whiteouts;

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::decompress::tests::gzip;
use super::fixture::{Member, archive, dir, file, hardlink, symlink};
use super::lower::names_in;
use super::*;
use crate::error;
use crate::image::Digest;
use crate::sys::{self, xattr};

/// Type and mode, owner, mtime, device, link target or content, attributes, and the first name of
/// the same inode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    device: u64,
    data: Vec<u8>,
    xattrs: Vec<xattr::Xattr>,
    same_as: PathBuf,
}

type Tree = BTreeMap<PathBuf, Seen>;

fn dump(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut inodes = BTreeMap::new();
    let mut queue = vec![PathBuf::new()];
    while let Some(path) = queue.pop() {
        let full = root.join(&path);
        let meta = std::fs::symlink_metadata(&full).unwrap();
        let data = if meta.is_symlink() {
            std::fs::read_link(&full)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec()
        } else if meta.is_file() {
            std::fs::read(&full).unwrap()
        } else {
            Vec::new()
        };
        let parent = std::fs::File::open(full.parent().unwrap()).unwrap();
        let name = full.file_name().unwrap();
        let xattrs = xattr::list_at(parent.as_fd(), name).unwrap();
        if meta.is_dir() {
            let mut names = names_in(std::fs::File::open(&full).unwrap()).unwrap();
            names.sort();
            queue.extend(names.iter().rev().map(|name| path.join(name)));
        }
        let key = if meta.is_dir() {
            (0, queue.len() as u64)
        } else {
            (meta.dev(), meta.ino())
        };
        let first = if meta.is_dir() {
            path.clone()
        } else {
            inodes.entry(key).or_insert(path.clone()).clone()
        };
        tree.insert(
            path,
            Seen {
                mode: meta.mode(),
                owner: (meta.uid(), meta.gid()),
                mtime: (meta.mtime(), meta.mtime_nsec()),
                device: meta.rdev(),
                data,
                xattrs: xattrs
                    .into_iter()
                    .filter(|(name, _)| !xattr::is_overlay(name))
                    .collect(),
                same_as: first,
            },
        );
    }
    tree
}

/// Unpacks into an empty directory with threads and then without; both must come to the same.
fn both_ways(
    blob: &[u8],
    expect: &Expect,
    (staging, path): (&Root, &Path),
    limits: &Limits,
) -> Result<Unpacked> {
    let buffers = Buffers::default();
    let target = pipeline::Target {
        staging,
        limits,
        buffers: &buffers,
    };
    let threads = pipeline::run_with_threads(blob, expect, target);
    let with_threads = dump(path);
    for name in names_in(staging).unwrap() {
        sys::root::remove_tree(staging.as_fd(), &name).unwrap();
    }
    let result = unpack(blob, expect, staging, limits, &buffers);
    match (&threads, &result) {
        (Ok(threads), Ok(alone)) => {
            // Whiteouts, and what keeps the place of a link, have the time of now.
            let content = |tree: &Tree| -> Vec<_> {
                let seen =
                    |(name, seen): (&PathBuf, &Seen)| (name.clone(), seen.mode, seen.data.clone());
                tree.iter().map(seen).collect()
            };
            assert_eq!(content(&with_threads), content(&dump(path)));
            assert_eq!(threads.warnings, alone.warnings);
        }
        (Err(threads), Err(alone)) => {
            // An archive that is neither sound nor the right one is either, for whoever sees it
            // first.
            let kind = |error| match error::kind(error) {
                error::Kind::Layer => error::Kind::Integrity,
                kind => kind,
            };
            assert_eq!(kind(threads), kind(alone), "{threads:#}; {alone:#}");
        }
        (threads, alone) => panic!("threads: {threads:?}, alone: {alone:?}"),
    }
    result
}

struct Bench {
    dir: tempfile::TempDir,
    limits: Limits,
    warnings: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("canary")).unwrap();
        std::fs::write(dir.path().join("canary/passwd"), "outside").unwrap();
        Self {
            dir,
            limits: Limits::default(),
            warnings: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fresh(&self, name: &str) -> Root {
        std::fs::create_dir(self.path(name)).unwrap();
        Root::open(&self.path(name)).unwrap()
    }

    fn unpack(&self, name: &str, tar: &[u8]) -> Result<Unpacked> {
        let blob = gzip(tar);
        let (digest, diff_id) = (Digest::of(&blob), Digest::of(tar));
        let expect = Expect {
            blob: &digest,
            size: blob.len() as u64,
            diff_id: &diff_id,
        };
        let staging = (&self.fresh(name), &*self.path(name));
        both_ways(&blob, &expect, staging, &self.limits)
    }

    /// Applies layers, the bottom one first; the canary must be as before.
    fn apply(&mut self, layers: &[Vec<Member>]) -> Result<()> {
        let before = dump(&self.path("canary"));
        let result = self.apply_all(layers);
        assert_eq!(dump(&self.path("canary")), before);
        result
    }

    fn apply_all(&mut self, layers: &[Vec<Member>]) -> Result<()> {
        let mut parents: Vec<Root> = Vec::new();
        for (index, members) in layers.iter().enumerate() {
            let name = format!("layer{index}");
            let unpacked = self.unpack(&name, &archive(members))?;
            self.warnings.extend(unpacked.warnings.clone());
            let staging = Root::open(&self.path(&name)).unwrap();
            self.warnings.extend(settle(unpacked, &staging, &parents)?);
            parents.insert(0, staging);
        }
        Ok(())
    }

    /// The merged tree; what overlay shows and what `flatten` makes must be one.
    fn merged(&self, count: usize) -> Tree {
        let layers: Vec<Root> = (0..count)
            .map(|index| Root::open(&self.path(&format!("layer{index}"))).unwrap())
            .collect();
        flatten(&layers, &self.fresh("flat")).unwrap();
        let flat = dump(&self.path("flat"));
        let mounted = self.mounted(count);
        assert_eq!(
            flat.keys().collect::<Vec<_>>(),
            mounted.keys().collect::<Vec<_>>()
        );
        for (path, seen) in &flat {
            assert_eq!(seen, &mounted[path], "{}", path.display());
        }
        flat
    }

    fn mounted(&self, count: usize) -> Tree {
        if count == 1 {
            return dump(&self.path("layer0"));
        }
        let lower: Vec<String> = (0..count)
            .rev()
            .map(|index| self.path(&format!("layer{index}")).display().to_string())
            .collect();
        let at = self.path("mnt");
        std::fs::create_dir(&at).unwrap();
        let options = format!("lowerdir={}", lower.join(":"));
        let options = std::ffi::CString::new(options).unwrap();
        rustix::mount::mount(
            "overlay",
            &at,
            "overlay",
            rustix::mount::MountFlags::RDONLY,
            options.as_c_str(),
        )
        .unwrap();
        let tree = std::panic::catch_unwind(|| dump(&at));
        rustix::mount::unmount(&at, rustix::mount::UnmountFlags::DETACH).unwrap();
        tree.unwrap()
    }
}

/// Applies layers that must work, and returns the merged tree.
fn merged(layers: &[Vec<Member>]) -> Tree {
    let mut bench = Bench::new();
    bench
        .apply(layers)
        .unwrap_or_else(|error| panic!("{}", error::render(&error)));
    bench.merged(layers.len())
}

/// All names of a tree, without the root.
fn names(tree: &Tree) -> Vec<&str> {
    tree.keys()
        .filter_map(|path| path.to_str())
        .filter(|path| !path.is_empty())
        .collect()
}

fn data<'a>(tree: &'a Tree, path: &str) -> &'a [u8] {
    &tree[Path::new(path)].data
}

fn mode(tree: &Tree, path: &str) -> u32 {
    tree[Path::new(path)].mode & 0o7777
}

fn refused(layers: &[Vec<Member>]) -> anyhow::Error {
    let mut bench = Bench::new();
    match bench.apply(layers) {
        Ok(()) => panic!("not refused: {:?}", bench.merged(layers.len()).keys()),
        Err(error) => error,
    }
}

#[test]
fn a_plain_layer() {
    let tree = merged(&[vec![
        dir("./"),
        dir("./etc/").mtime(5),
        file("./etc/passwd", "root")
            .mode(0o600)
            .owner(3, 4)
            .mtime(7),
        symlink("etc/link", "passwd").mtime(9),
        hardlink("etc/hard", "/etc/passwd")
            .mode(0o600)
            .owner(3, 4)
            .mtime(7),
        Member::new(b'6', "fifo").mode(0o622),
        Member::new(b'3', "null").device(1, 3).mode(0o666),
    ]]);
    assert_eq!(
        names(&tree),
        ["etc", "etc/hard", "etc/link", "etc/passwd", "fifo", "null"]
    );
    let hard = &tree[Path::new("etc/hard")];
    assert_eq!(
        (hard.owner, hard.mode & 0o7777, hard.mtime),
        ((3, 4), 0o600, (7, 0))
    );
    assert_eq!(tree[Path::new("etc/passwd")].same_as, Path::new("etc/hard"));
    assert_eq!(tree[Path::new("etc")].mtime, (5, 0));
    assert_eq!(data(&tree, "etc/link"), b"passwd");
    assert_eq!(mode(&tree, "null"), 0o666);
    assert_eq!(mode(&tree, "fifo"), 0o622);
}
