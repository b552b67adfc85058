//! What there is to see of a case: the tree, the marks in the store, what the program said.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::digest;
use crate::support::layout::Layout;
use crate::support::samples::TAG;
use crate::support::tree::{Node, Tree};

/// The time of the entries that `RawTar` makes.
const USUAL_TIME: (i64, i64) = (1_500_000_000, 0);

/// File systems differ in how far their times reach; all reach to here.
const FAR: i64 = 1 << 33;

/// Panics with the first line in which the two differ: some trees are large.
#[track_caller]
pub fn assert_same(name: &str, found: &[String], expected: &[String]) {
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

/// A tree in short lines: `dir/`, `file=content`, `link->target`, `device c1:3`, `name==first name`
/// for further names of a file; then ` mode` where it is not the usual one, ` uid:gid` where it is
/// not root, ` @time` where it is not that of `RawTar`, and ` [xattr=value]`. The root, `/`, only
/// if it is not as ucr makes it.
pub fn listing(root: &Path) -> Vec<String> {
    let tree = Tree::read(root);
    let is_plain = |node: &Node| describe(root, node, 0o755) == " @0";
    let shown = tree.0.iter().filter(|(path, node)| {
        let is_root = path.as_os_str().is_empty();
        !is_root || !is_plain(node)
    });
    shown.map(|(path, node)| line(root, path, node)).collect()
}

fn line(root: &Path, path: &Path, node: &Node) -> String {
    let mut line = name(path);
    if let Some(first) = node.same_as.as_ref().filter(|first| *first != path) {
        return format!("{line}=={}", name(first));
    }
    let usual = match node.kind {
        "dir" => {
            line.push('/');
            0o755
        }
        "symlink" => {
            write!(line, "->{}", name(node.target.as_ref().unwrap())).unwrap();
            0o777
        }
        "file" => {
            write!(line, "={}", content(&root.join(path), node)).unwrap();
            0o644
        }
        kind => {
            let (major, minor) = node.rdev.unwrap_or_default();
            write!(line, " {}{major}:{minor}", &kind[..1]).unwrap();
            0o644
        }
    };
    line + &describe(&root.join(path), node, usual)
}

/// Any bytes as text; other alphabets stay readable.
fn name(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    match str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => text.into(),
        _ => bytes.escape_ascii().to_string(),
    }
}

fn content(path: &Path, node: &Node) -> String {
    let meta = fs::metadata(path).unwrap();
    if meta.len() <= 64 << 10 {
        return fs::read(path).unwrap().escape_ascii().to_string();
    }
    let sha256 = node.sha256.as_ref().unwrap();
    let holes = match meta.blocks() * 512 < meta.len() / 2 {
        true => " with holes",
        false => "",
    };
    format!("<{} bytes, {}>{holes}", meta.len(), &sha256[..23])
}

fn describe(path: &Path, node: &Node, usual_mode: u32) -> String {
    let mut line = String::new();
    let mut add = |text: String| write!(line, " {text}").expect("a String takes all");
    if node.mode != usual_mode {
        add(format!("{:04o}", node.mode));
    }
    if (node.uid, node.gid) != (0, 0) {
        add(format!("{}:{}", node.uid, node.gid));
    }
    match node.mtime {
        USUAL_TIME => {}
        (seconds, 0) if seconds <= FAR => add(format!("@{seconds}")),
        (seconds, nanoseconds) if seconds <= FAR => add(format!("@{seconds}.{nanoseconds:09}")),
        _ => add("@far".into()),
    }
    for (name, value) in &node.xattrs {
        assert!(
            !name.starts_with("trusted.overlay."),
            "{}: {name}",
            path.display()
        );
        add(format!("[{name}={}]", value.escape_ascii()));
    }
    line
}

/// Whiteouts and opaque marks of an image's layers as they are in the store, the lowest layer
/// being number 1.
pub fn marks(store: &Path, layout: &Layout) -> Vec<String> {
    let mut found = Vec::new();
    for (at, chain) in chain_ids(layout).iter().enumerate() {
        let layer = store
            .join("layers")
            .join(chain.replace("sha256:", ""))
            .join("fs");
        for (path, node) in Tree::read(&layer).0 {
            let path = name(&path);
            if node.rdev == Some((0, 0)) {
                found.push(format!("{}: whiteout {path}", at + 1));
            }
            let marks = node
                .xattrs
                .iter()
                .filter(|(name, _)| name.contains("overlay"));
            for (name, value) in marks {
                let what = match (name.as_str(), value.as_slice()) {
                    ("trusted.overlay.opaque", b"y") => "opaque".to_owned(),
                    _ => format!("{name}={}", value.escape_ascii()),
                };
                found.push(format!("{}: {what} {path}/", at + 1));
            }
        }
    }
    found
}

/// Chain IDs, the lowest layer's first (image-spec, config.md, "Layer ChainID").
fn chain_ids(layout: &Layout) -> Vec<String> {
    let manifest = layout.json(&layout.resolve(TAG));
    let config = layout.json(manifest["config"]["digest"].as_str().unwrap());
    let mut chain: Vec<String> = Vec::new();
    for diff_id in config["rootfs"]["diff_ids"].as_array().unwrap() {
        let diff_id = diff_id.as_str().unwrap();
        chain.push(match chain.last() {
            None => diff_id.to_owned(),
            Some(below) => digest(format!("{below} {diff_id}").as_bytes()),
        });
    }
    chain
}

/// The fault in the words of the program, without what names the image, and its hint.
pub fn refusal(stderr: &str) -> String {
    let mut lines = stderr.lines();
    let fault = lines.find(|line| line.starts_with("ucr: ") && !is_news(line));
    let fault = plain(fault.unwrap_or_default());
    let mut rest = fault.strip_prefix("ucr: ").unwrap_or(&fault);
    for start in [
        "pull oci:",
        "provision /",
        "layer sha256:…",
        "blob sha256:…",
    ] {
        if rest.starts_with(start) {
            rest = rest.split_once(": ").map_or(rest, |(_, rest)| rest);
        }
    }
    let rest = rest.split(" at line 1 column ").next().unwrap_or(rest);
    let words: Vec<String> = rest.split(' ').map(super::shortened).collect();
    let hint = lines.find_map(|line| line.strip_prefix("hint: "));
    let option = hint.and_then(|hint| hint.split(' ').find(|word| word.contains("=VALUE")));
    let option = option.map_or(String::new(), |option| format!(" (--limit {option})"));
    format!("{}{option}", without_measures(&words))
}

/// How much was found when a limit was met depends on how much is looked at at once.
fn without_measures(words: &[String]) -> String {
    let text = words.join(" ");
    for what in [
        "unpacked bytes are",
        "bytes unpacked from",
        "bytes of directories",
    ] {
        if let Some((before, after)) = text.split_once(what) {
            let before = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
            let space = if before.is_empty() { "" } else { " " };
            return format!("{before}{space}N {what}{after}");
        }
    }
    text
}

/// What is said of a layer that is unpacked nevertheless.
pub fn warnings(stderr: &str) -> Vec<String> {
    let lines = stderr
        .lines()
        .filter(|line| is_news(line) && !line.contains(" fetched and "));
    let text = lines.map(|line| line.splitn(4, ": ").nth(3).unwrap_or(line));
    text.map(plain).collect()
}

/// `ucr: pull: layer 0123456789ab: …`
fn is_news(line: &str) -> bool {
    line.starts_with("ucr: pull: ")
}

/// Without digests, and without the C library's words for an error.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let word = rest[at..].chars().take_while(char::is_ascii_hexdigit);
        let (before, from) = rest.split_at(at);
        let (word, after) = from.split_at(word.count());
        plain += before;
        plain += if word.len() == 64 { "…" } else { word };
        rest = after;
    }
    plain += rest;
    match plain.split_once(" (os error ") {
        None => plain,
        Some((before, number)) => {
            let before = before.rsplit_once(": ").map_or("", |(before, _)| before);
            format!("{before}: (os error {number}")
        }
    }
}
