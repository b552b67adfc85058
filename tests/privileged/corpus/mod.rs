//! The attack corpus: each row is a hostile image, made byte by byte, pulled and unpacked by the
//! real program beside a tree of canaries. Numbers in comments are those of the corpus's classes.
//!
//! Classes that concern neither layers nor digests: 32's endless blob is in tests/registry/faults.rs;
//! 48 and 49 (mount targets, accounts and working directories that are links) in escapes.rs; 47
//! (others at work in the same store) partly in tests/cli/concurrency.rs. Nothing can be run for 46
//! and 50, as ucr calls no helper of the image and keeps no state in its tree, and 51 needs a file
//! system that folds case: names that only such a one confuses are in names.rs.

mod headers;
mod images;
mod links;
mod names;
mod overlay;
mod sizes;

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::raw_tar::RawTar;
use crate::support::samples::TAG;
use crate::support::tree::Tree;
use crate::support::ucr::Ucr;

/// All that a pull may leave in a store.
const STORE: [&str; 8] = [
    "layers",
    "blobs/sha256",
    "refs",
    "tmp",
    "ingest",
    "trash",
    "rootfs",
    "containers",
];

const BACKENDS: [&str; 2] = ["overlay", "copy"];

/// What must become of an attack.
enum Expected {
    /// Exit code 125 with these words, and nothing in the store.
    Refused(Vec<String>),
    /// Unpacked to exactly these objects, in order; see [`listing`].
    Tree(Vec<String>),
}

/// One hostile image.
struct Attack {
    name: String,
    layers: Vec<Layer>,
    flags: Vec<&'static str>,
    expected: Expected,
}

fn attack(name: impl Into<String>, layers: impl IntoIterator<Item = Layer>) -> Attack {
    Attack {
        name: name.into(),
        layers: layers.into_iter().collect(),
        flags: Vec::new(),
        expected: Expected::Tree(Vec::new()),
    }
}

/// An attack of one layer.
fn one(name: impl Into<String>, tar: RawTar) -> Attack {
    attack(name, [tar.layer()])
}

impl Attack {
    fn refused(mut self, words: &[&str]) -> Self {
        self.expected = Expected::Refused(words.iter().map(|word| (*word).into()).collect());
        self
    }

    fn becomes<S: Into<String>>(mut self, lines: impl IntoIterator<Item = S>) -> Self {
        self.expected = Expected::Tree(lines.into_iter().map(Into::into).collect());
        self
    }

    fn limit(mut self, setting: &'static str) -> Self {
        self.flags.extend(["--limit", setting]);
        self
    }
}

/// A ucr with a tree of canaries beside its store.
struct Range {
    ucr: Ucr,
    canary: String,
    before: Vec<String>,
}

impl Range {
    fn new() -> Self {
        let ucr = Ucr::new();
        let canary = ucr.scratch().dir("canary");
        fs::create_dir(canary.join("dir")).unwrap();
        for name in ["passwd", "dir/file"] {
            fs::write(canary.join(name), "outside").unwrap();
        }
        std::os::unix::fs::symlink("passwd", canary.join("link")).unwrap();
        let canary = canary.to_str().unwrap().to_owned();
        let mut range = Self {
            ucr,
            canary,
            before: Vec::new(),
        };
        range.before = range.canaries();
        range
    }

    /// Content, mode, owner, times and inode of everything that must stay as it is.
    fn canaries(&self) -> Vec<String> {
        let mut found = Vec::new();
        for root in [&self.canary, "/etc/passwd", "/etc/shadow"] {
            let tree = Tree::read(Path::new(root));
            let inodes = tree.0.keys().map(|path| {
                let path = Path::new(root).join(path);
                let path = path.components().as_path().to_owned();
                fs::symlink_metadata(path).unwrap().ino()
            });
            let lines = tree.lines().into_iter().zip(inodes);
            found.extend(lines.map(|(line, inode)| format!("{root} {inode} {line}")));
        }
        found
    }

    /// Pulls one attack, looks at what it came to, and cleans up.
    fn run(&self, attack: Attack) {
        let name = &attack.name;
        let image = attack.layers.into_iter().fold(Image::new(), Image::layer);
        let layout = Layout::of(TAG, &image);
        let reference = layout.reference(TAG);
        let line = [&["pull"], attack.flags.as_slice(), &[&reference]].concat();
        let done = self.ucr.run(line);
        let stderr = &done.stderr;
        match attack.expected {
            Expected::Refused(words) => {
                assert_eq!(done.code, 125, "{name}:\n{}{stderr}", done.stdout);
                assert!(stderr.starts_with("ucr: "), "{name}:\n{stderr}");
                let digests = layout.layer_digests(&layout.resolve(TAG));
                let layer = digests.last().expect("a layer");
                for word in words.iter().chain([&format!("layer {layer}")]) {
                    assert!(stderr.contains(word), "{name}: no {word:?} in\n{stderr}");
                }
                self.assert_empty(name);
            }
            Expected::Tree(lines) => {
                assert_eq!(done.code, 0, "{name}:\n{stderr}");
                for backend in BACKENDS {
                    let found = self.listing(&reference, backend);
                    assert_same(&format!("{name}: {backend}"), &found, &lines);
                }
                self.ucr.run(["rm", &reference]).ok();
                self.ucr.run(["prune"]).ok();
                self.assert_empty(name);
            }
        }
        assert_eq!(self.canaries(), self.before, "{name}: a canary changed");
    }

    fn run_all(&self, attacks: impl IntoIterator<Item = Attack>) {
        let mut count = 0;
        for attack in attacks {
            self.run(attack);
            count += 1;
        }
        assert!(count > 0, "a table without rows");
    }

    fn listing(&self, image: &str, backend: &str) -> Vec<String> {
        let place = self.ucr.scratch().join("place");
        let path = place.to_str().unwrap();
        let line = ["provision", "--backend", backend, image, path];
        self.ucr.run(line).ok();
        let lines = listing(&place);
        self.ucr.run(["rm", path]).ok();
        lines
    }

    /// Nothing came into the store, or nothing stayed.
    fn assert_empty(&self, name: &str) {
        let kept = self.ucr.entries(&STORE);
        assert!(kept.is_empty(), "{name}: left in the store: {kept:#?}");
    }
}

/// Panics with the first line in which the two differ: some trees are large.
#[track_caller]
fn assert_same(name: &str, found: &[String], expected: &[String]) {
    let at = (0..found.len().max(expected.len())).find(|at| found.get(*at) != expected.get(*at));
    let around = |lines: &[String], at: usize| -> Vec<String> {
        let near = lines.iter().skip(at.saturating_sub(5)).take(20);
        near.cloned().collect()
    };
    if let Some(at) = at {
        let (found, expected) = (around(found, at), around(expected, at));
        panic!("{name}, line {at}:\nfound {found:#?}\nexpected {expected:#?}");
    }
}

/// A tree in short lines, without its root: `dir/`, `file=content`, `link->target`,
/// `device c1:3`, `name==first name` for further names of a file; then ` mode` where it is not the
/// usual one, ` uid:gid` where it is not root, and ` [xattr=value]`.
fn listing(root: &Path) -> Vec<String> {
    let tree = Tree::read(root);
    let rest = tree.0.iter().filter(|(path, _)| **path != PathBuf::new());
    let line = |(path, node): (&PathBuf, &crate::support::tree::Node)| {
        let mut line = path.to_string_lossy().into_owned();
        if let Some(first) = node.same_as.as_ref().filter(|first| *first != path) {
            write!(line, "=={}", first.display()).unwrap();
            return line;
        }
        let usual = match node.kind {
            "dir" => {
                line.push('/');
                0o755
            }
            "symlink" => {
                write!(line, "->{}", node.target.as_ref().unwrap().display()).unwrap();
                0o777
            }
            "file" => {
                let content = fs::read(root.join(path)).unwrap();
                write!(line, "={}", content.escape_ascii()).unwrap();
                0o644
            }
            kind => {
                let (major, minor) = node.rdev.unwrap_or_default();
                write!(line, " {}{major}:{minor}", &kind[..1]).unwrap();
                0o644
            }
        };
        if node.mode != usual {
            write!(line, " {:04o}", node.mode).unwrap();
        }
        if (node.uid, node.gid) != (0, 0) {
            write!(line, " {}:{}", node.uid, node.gid).unwrap();
        }
        for (name, value) in &node.xattrs {
            write!(line, " [{name}={}]", value.escape_ascii()).unwrap();
        }
        line
    };
    rest.map(line).collect()
}
