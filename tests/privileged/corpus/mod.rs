//! The cases of layers: each row is an image, made byte by byte, pulled and unpacked by the real
//! program beside a tree of canaries. What it came to stands in the row, in full, and in short in
//! the table `tests/data/layer-cases.md`, whose parts say which of the known cases they show.
//!
//! Cases that other tests show are in the table's last part, with their names.

mod deletions;
mod elsewhere;
mod entries;
mod hard_links;
mod headers;
mod images;
mod links;
mod metadata;
mod names;
mod overlay;
mod parents;
mod places;
mod seen;
mod sizes;
mod streams;
mod table;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::image::Image;
use crate::support::layer::Layer;
use crate::support::layout::Layout;
use crate::support::process::Finished;
use crate::support::raw_tar::RawTar;
use crate::support::samples::TAG;
use crate::support::tree::Tree;
use crate::support::ucr::Ucr;

use self::seen::{assert_same, listing, marks, refusal, warnings};
use self::table::{Part, in_short, shortened};

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

/// What must become of a case.
enum Expected {
    /// Exit code 125 with these words, and nothing in the store.
    Refused(Vec<String>),
    /// Unpacked to exactly these objects, in order; see [`listing`].
    Tree(Vec<String>),
}

/// One image.
struct Case {
    name: String,
    /// What it shows, if not what its part of the table says.
    numbers: Option<&'static str>,
    layers: Vec<Layer>,
    flags: Vec<&'static str>,
    expected: Expected,
    /// A word of each warning, in order.
    warnings: Vec<String>,
}

fn case(name: impl Into<String>, layers: impl IntoIterator<Item = Layer>) -> Case {
    Case {
        name: name.into(),
        numbers: None,
        layers: layers.into_iter().collect(),
        flags: Vec::new(),
        expected: Expected::Tree(Vec::new()),
        warnings: Vec::new(),
    }
}

/// An image of one layer.
fn one(name: impl Into<String>, tar: RawTar) -> Case {
    case(name, [tar.layer()])
}

impl Case {
    fn shows(mut self, numbers: &'static str) -> Self {
        self.numbers = Some(numbers);
        self
    }

    fn refused(mut self, words: &[&str]) -> Self {
        self.expected = Expected::Refused(words.iter().map(|word| (*word).into()).collect());
        self
    }

    fn becomes<S: Into<String>>(mut self, lines: impl IntoIterator<Item = S>) -> Self {
        self.expected = Expected::Tree(lines.into_iter().map(Into::into).collect());
        self
    }

    fn warns(mut self, words: &[&str]) -> Self {
        self.warnings = words.iter().map(|word| (*word).into()).collect();
        self
    }

    fn limit(mut self, setting: &'static str) -> Self {
        self.flags.extend(["--limit", setting]);
        self
    }
}

/// A ucr with a tree of canaries beside its store, and the part of the table that it fills.
struct Range {
    ucr: Ucr,
    canary: String,
    before: Vec<String>,
    part: Part,
}

impl Range {
    fn new(title: &str) -> Self {
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
            part: Part::new(title),
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

    /// Pulls one image, looks at what it came to, and cleans up.
    fn run(&self, case: Case) {
        let image = case.layers.iter().cloned();
        let layout = Layout::of(TAG, &image.fold(Image::new(), Image::layer));
        let reference = layout.reference(TAG);
        let line = [&["pull"], case.flags.as_slice(), &[&reference]].concat();
        let done = self.ucr.run(line);
        let result = match &case.expected {
            Expected::Refused(words) => {
                let digests = layout.layer_digests(&layout.resolve(TAG));
                let layer = format!("layer {}", digests.last().expect("a layer"));
                let words = words.iter().map(String::as_str).chain([layer.as_str()]);
                self.refused(&case.name, &done, words)
            }
            Expected::Tree(lines) => {
                assert_eq!(done.code, 0, "{}:\n{}", case.name, done.stderr);
                let result = self.unpacked(&case, &layout, lines, &done);
                self.ucr.run(["rm", &reference]).ok();
                self.ucr.run(["prune"]).ok();
                result
            }
        };
        self.assert_untouched(&case.name);
        self.row(case.numbers, &case.name, &result);
    }

    /// The refusal in short.
    fn refused<'a>(
        &self,
        name: &str,
        done: &Finished,
        words: impl IntoIterator<Item = &'a str>,
    ) -> String {
        let stderr = &done.stderr;
        assert_eq!(done.code, 125, "{name}:\n{}{stderr}", done.stdout);
        let is_fault = stderr.lines().any(|line| line.starts_with("ucr: "));
        assert!(is_fault, "{name}:\n{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{name}: no {word:?} in\n{stderr}");
        }
        format!("refused: {}", refusal(stderr))
    }

    /// The tree in short, with the warnings and the marks on disk.
    fn unpacked(&self, case: &Case, layout: &Layout, lines: &[String], done: &Finished) -> String {
        let name = &case.name;
        for backend in BACKENDS {
            let found = self.listing(&layout.reference(TAG), backend);
            assert_same(&format!("{name}: {backend}"), &found, lines);
        }
        let warned = warnings(&done.stderr);
        let wanted = warned.len() == case.warnings.len();
        let wanted = wanted
            && warned
                .iter()
                .zip(&case.warnings)
                .all(|(found, word)| found.contains(word));
        assert!(
            wanted,
            "{name}: warned {warned:#?}, not {:#?}",
            case.warnings
        );
        let marks = marks(&self.ucr.root(), layout);
        let at_bottom = marks.iter().any(|mark| mark.starts_with("1: "));
        assert!(!at_bottom, "{name}: marks in the lowest layer: {marks:?}");
        let tree = match lines {
            [] => "nothing".to_owned(),
            _ => format!("`{}`", in_short(&self.without_canary(lines))),
        };
        let more = |what: &str, things: &[String]| match things {
            [] => String::new(),
            _ => format!("; {what}: {}", in_short(things)),
        };
        format!(
            "{tree}{}{}",
            more("*on disk*", &marks),
            more("*warning*", &warned)
        )
    }

    fn run_all(&self, cases: impl IntoIterator<Item = Case>) {
        let mut count = 0;
        for case in cases {
            self.run(case);
            count += 1;
        }
        assert!(count > 0, "a table without rows");
    }

    /// A row of the table, without what is this machine's.
    fn row(&self, numbers: Option<&str>, name: &str, result: &str) {
        let (name, result) = (self.placeless(name), self.placeless(result));
        self.part.row(numbers, &shortened(&name), &result);
    }

    /// The canary's path as a word, also as it is below another root.
    fn placeless(&self, text: &str) -> String {
        let outside = text.replace(&self.canary, "CANARY");
        outside.replace(&self.canary[1..], "CANARY")
    }

    /// A tree without the directories above the canary's path in it: how many there are differs.
    fn without_canary(&self, lines: &[String]) -> Vec<String> {
        let inside = &self.canary[1..];
        let is_above = |line: &str| {
            let path = line.strip_suffix(" @0").unwrap_or_default();
            path.ends_with('/') && inside.starts_with(path)
        };
        let lines = lines.iter().filter(|line| !is_above(line));
        lines.map(|line| self.placeless(line)).collect()
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

    /// Nothing came into the store, or nothing stayed; and no canary changed.
    fn assert_untouched(&self, name: &str) {
        let kept = self.ucr.entries(&STORE);
        assert!(kept.is_empty(), "{name}: left in the store: {kept:#?}");
        assert_eq!(self.canaries(), self.before, "{name}: a canary changed");
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.part.compare();
        }
    }
}
