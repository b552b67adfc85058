//! The table of all cases, `tests/data/layer-cases.md`, written from what the program did.
//!
//! Each test function owns one part of it, and only that: functions run in any order, at the same
//! time, or alone. A part that differs from the file fails its test; `UCR_BLESS=1` rewrites it
//! instead. Nothing of this machine is in it: no paths, no digests, no words of its C library.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The parts in the order of the file: what they are about, and what they show of the list of
/// cases that the project was given ("1.2.3" is the third row of its section 1.2).
const PARTS: &[(&str, &str)] = &[
    ("spellings of a name", "1.2.3, 7.1"),
    ("an entry for the root", "1.2.4, 1.5.1"),
    ("names and types", "7.8"),
    (
        "one object in place of another",
        "1.2.11, 1.2.24, 7.6, 7.26",
    ),
    ("directories that nobody lists", "1.2.6, 7.22, 1.4.9"),
    ("something else where a directory is implied", "1.2.8, 7.28"),
    ("links of the layer as parents", "1.2.9, 7.27"),
    ("directories are described last", "1.2.43, 7.24, 7.25"),
    ("whiteouts over a lower layer", "7.11"),
    ("opaque directories", "1.2.17, 1.4.2"),
    ("whiteouts of nothing", "1.2.19, 7.16"),
    (
        "whiteouts that are no empty files, and what AUFS leaves",
        "1.2.23, 7.21",
    ),
    ("hard links in one layer", "1.2.30, 7.29"),
    ("hard links into lower layers", "1.2.28, 7.31"),
    (
        "hard links to a file of several names",
        "1.2.28, 1.4.10, 7.31, 7.32",
    ),
    ("extended attributes", "1.2.34"),
    ("access control lists", "1.2.39, 7.42"),
    ("access control lists of the host", "7.42"),
    ("times", "7.43"),
    ("owners and modes", "1.2.44"),
    ("files with holes", "7.55"),
    ("empty layers", "7.49"),
    ("the same layer twice", "7.49"),
    ("many layers", "1.4.7, 7.60"),
    ("odd paths of the store and the tree", "1.4.8"),
    ("the mount", "1.4.4"),
    ("a file system without extended attributes", "1.2.38"),
    ("the root", "3.5, 7.2"),
    ("`..` in names", "1.2.2, 3.12, 7.3"),
    (
        "whiteouts that lead out, or of no name",
        "1.2.20, 1.2.21, 3.16-19, 7.17",
    ),
    ("long, deep and alike", "3.36, 3.38, 3.51, 7.5"),
    (
        "links as parents, in one layer",
        "1.2.1, 1.2.9, 3.1-3, 3.14, 7.27",
    ),
    ("links of a lower layer", "1.2.10, 1.5.2, 3.4, 3.18"),
    ("a poisoned cache of directories", "3.6"),
    ("metadata through links", "3.7, 3.8, 7.7"),
    ("hard links that lead out", "3.9-11, 7.3, 7.29"),
    ("loops and long expansions", "3.13, 3.15"),
    ("sizes that disagree", "1.2.52, 3.28, 3.31, 3.53, 7.47"),
    ("PAX records", "3.29, 3.30, 3.53, 7.48"),
    ("too much of a header", "3.33, 3.37, 7.53"),
    ("impossible owners", "1.2.45, 3.39, 7.44"),
    ("impossible maps of sparse files", "3.34, 7.53"),
    (
        "marks of the overlay file system",
        "1.4.5, 1.4.6, 3.21-24, 7.40",
    ),
    ("ghosts and repetition", "3.20, 3.52, 7.16, 7.20"),
    ("devices", "1.5.3, 3.25, 7.45, 7.46"),
    ("bits that give rights", "3.26, 3.27, 7.58"),
    ("bombs", "3.35, 3.36, 7.54"),
    ("commands that take limits", "3.35, 7.54"),
    ("damage", "3.40, 7.50"),
    ("what follows the data", "1.2.58, 3.54, 3.55, 7.49"),
    ("digests that do not match", "3.41, 3.42, 7.51"),
    ("digests as paths", "3.43"),
    ("sizes of descriptors", "3.32"),
    ("links in an image layout", "3.44"),
    ("documents that are two things", "3.40, 3.45"),
    ("shown elsewhere", ""),
];

const HEAD: &str = "# What ucr makes of each layer\n\n\
    Written by the tests in `tests/privileged/corpus` from what the program did; a difference fails them.\n\
    After a change that is meant: `UCR_BLESS=1 cargo test --test privileged corpus`.\n\n\
    Each case is an image, pulled and unpacked as `overlay` and as `copy`, which must give one tree. The numbers\n\
    are those of the list that the cases were taken from. A tree is shown without its root, `/`, unless that has\n\
    other attributes than 0755, 0:0 and the time 0. `a/` is a directory, `a=x` a file with content, `a->x` a\n\
    symbolic link, `a==b` another name of `b`; then mode, owner, `@time` and attributes where they are not 0644 (0755 of a\n\
    directory), 0:0 and `@1500000000`. Directories that no layer lists have the time 0. CANARY is a directory\n\
    outside, which never changes. *On disk* are the marks that the layers have in the store, by layer.\n";

/// The widest result that is shown whole.
const WIDTH: usize = 240;

/// One part, as the run of its test function makes it.
#[derive(Debug)]
pub struct Part {
    title: &'static str,
    numbers: &'static str,
    rows: RefCell<String>,
}

impl Part {
    /// The part of this title.
    pub fn new(title: &str) -> Self {
        let known = PARTS.iter().find(|(known, _)| *known == title);
        let (title, numbers) = known.unwrap_or_else(|| panic!("no part '{title}' in the table"));
        Self {
            title,
            numbers,
            rows: RefCell::default(),
        }
    }

    /// Adds a case; without numbers of its own it has those of the part.
    pub fn row(&self, numbers: Option<&str>, name: &str, result: &str) {
        let (numbers, name) = (numbers.unwrap_or(self.numbers), escape(name));
        let line = format!("| {numbers} | {name} | {} |\n", escape(result));
        self.rows.borrow_mut().push_str(&line);
    }

    /// Compares the part with the file, or puts it there.
    #[track_caller]
    pub fn compare(&self) {
        let rows = self.rows.borrow();
        assert!(!rows.is_empty(), "{}: a part without rows", self.title);
        let text = format!(
            "\n## {}\n\n| | case | ucr |\n|-|-|-|\n{rows}",
            title(self.title)
        );
        if blesses() {
            bless(self.title, &text);
            return;
        }
        let file = fs::read_to_string(path()).unwrap_or_default();
        let old = split(&file)
            .into_iter()
            .find(|part| is_about(part, self.title));
        let old = old.unwrap_or_default();
        let changed = |these: &str, those: &str| -> String {
            let new = these
                .lines()
                .filter(|line| !those.lines().any(|other| other == *line));
            new.fold(String::new(), |all, line| all + line + "\n")
        };
        assert!(
            old == text,
            "{}: '{}' differs; UCR_BLESS=1 cargo test --test privileged corpus rewrites it\nnow:\n{}in the file:\n{}",
            path().display(),
            self.title,
            changed(&text, &old),
            changed(&old, &text)
        );
    }
}

/// Whether the table is to be rewritten.
pub fn blesses() -> bool {
    std::env::var_os("UCR_BLESS").is_some_and(|value| value == "1")
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/layer-cases.md")
}

fn title(title: &str) -> String {
    title[..1].to_uppercase() + &title[1..]
}

fn is_about(part: &str, about: &str) -> bool {
    part.starts_with(&format!("\n## {}\n", title(about)))
}

/// The parts of the file, without its head.
fn split(file: &str) -> Vec<String> {
    let parts = file.split("\n## ").skip(1);
    parts.map(|part| format!("\n## {part}")).collect()
}

/// Other functions put theirs at the same time: the file is locked.
fn bless(about: &str, text: &str) {
    fs::create_dir_all(path().parent().expect("a directory")).expect("mkdir");
    let mut options = fs::OpenOptions::new();
    let open = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path());
    let lock = open.expect("open the table");
    lock.lock().expect("lock the table");
    let old = split(&fs::read_to_string(path()).expect("read the table"));
    let mut all = HEAD.to_owned();
    for (title, _) in PARTS {
        let same = || old.iter().find(|part| is_about(part, title));
        match *title == about {
            true => all.push_str(text),
            false => all.push_str(same().map_or("", String::as_str)),
        }
    }
    fs::write(path(), all).expect("write the table");
}

/// A cell: a bar would end it, a line break the row.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', "\\n")
}

/// All numbers that the lines of the file show.
pub fn numbers_in_file() -> BTreeSet<String> {
    let file = fs::read_to_string(path()).expect("the table");
    let cells = file.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = cells.filter_map(|line| line.split(" | ").next());
    cells.flat_map(numbers).collect()
}

/// `1.2.3, 3.4-5` as three numbers.
pub fn numbers(text: &str) -> Vec<String> {
    let each = |item: &str| -> Vec<String> {
        let (section, rows) = item.rsplit_once('.').unwrap_or(("", item));
        let (first, last) = rows.split_once('-').unwrap_or((rows, rows));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) => (first..=last)
                .map(|row| format!("{section}.{row}"))
                .collect(),
            _ => Vec::new(),
        }
    };
    text.split(", ").flat_map(each).collect()
}

/// Some things on one line, the first ones that fit.
pub fn in_short(things: &[String]) -> String {
    let mut line = String::new();
    for (at, thing) in things.iter().enumerate() {
        let rest = things.len() - at;
        if line.len() + thing.len() > WIDTH && at > 0 {
            write!(line, ", … {rest} more").expect("a String takes all");
            break;
        }
        let separator = if at == 0 { "" } else { ", " };
        write!(line, "{separator}{}", shortened(thing)).expect("a String takes all");
    }
    line
}

/// One thing without its middle, if it is long.
pub fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= 100 {
        return text.into();
    }
    let head: String = text.chars().take(50).collect();
    let tail: String = text.chars().skip(count - 30).collect();
    format!("{head}…{tail}")
}

/// The file has these parts, in this order, and no other.
#[test]
fn the_table_is_whole() {
    if blesses() {
        return;
    }
    let file = fs::read_to_string(path()).expect("the table");
    let found = split(&file);
    let known = |(at, (title, _)): (usize, &(&str, &str))| {
        found.get(at).is_some_and(|part| is_about(part, title))
    };
    let whole = PARTS.iter().enumerate().all(known) && found.len() == PARTS.len();
    assert!(
        whole && file.starts_with(HEAD),
        "{}: UCR_BLESS=1",
        path().display()
    );
}
