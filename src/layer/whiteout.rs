//! Names in a layer: which object they name, or which object of a lower layer they delete.
//!
//! An OCI whiteout is an empty file `.wh.NAME`; `.wh..wh..opq` hides everything that lower layers
//! have in its directory (image-spec, layer.md, "Whiteouts"). On disk they take overlay's form: a
//! character device 0:0 and the attribute `trusted.overlay.opaque`, or `user.overlay.opaque` where
//! users are not the machine's. Whiteouts only concern lower layers, wherever they stand in the archive, so they are collected and applied at the end: one
//! flag for a directory however often it is said (CVE-2026-95838).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use rustix::fs::{FileType, Mode, Stat};
use rustix::io::Errno;

use super::limits::{self, Limits};
use crate::error::{Fault, Kind};
use crate::sys::users;

/// Overlay's mark on a directory that hides what is below it.
pub(super) fn opaque_mark() -> &'static OsStr {
    static MARK: OnceLock<&str> = OnceLock::new();
    OsStr::new(MARK.get_or_init(|| match users::are_mapped() {
        true => "user.overlay.opaque",
        false => "trusted.overlay.opaque",
    }))
}

const PREFIX: &[u8] = b".wh.";
const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";
const AUFS_PREFIX: &[u8] = b".wh..wh.";

/// The components of a name inside a layer: no empty one, no `.`, no `..`. None at all is the root.
pub(super) type Components<'a> = Vec<&'a [u8]>;

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// An object; the root if there are no components.
    Object(Components<'a>),
    /// The object of this name in lower layers is gone.
    Whiteout(Components<'a>, &'a [u8]),
    /// All that this directory has in lower layers is gone.
    Opaque(Components<'a>),
    /// Book-keeping of AUFS (`.wh..wh.plnk` and so on): not part of the image.
    Aufs,
}

fn bad(why: &str) -> Fault {
    Fault::new(Kind::Layer, why)
}

/// Splits a path of the archive. `..` is refused wherever it stands: no real layer has it, and
/// what it means after a symbolic link differs from tool to tool (CVE-2007-4559 class).
pub(super) fn components<'a>(path: &'a [u8], limits: &Limits) -> Result<Components<'a>, Fault> {
    let parts = path.split(|byte| *byte == b'/');
    let parts: Components = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) {
        return Err(bad("'..' in a name"));
    }
    if parts.iter().any(|part| part.len() > 255) {
        return Err(bad("a name of more than 255 bytes"));
    }
    limits.check(limits::Name::Depth, parts.len() as u64)?;
    let length = parts.iter().map(|part| part.len() + 1).sum::<usize>();
    limits.check(limits::Name::Path, length.saturating_sub(1) as u64)?;
    Ok(parts)
}

/// Whether no object may have this name.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

/// Tells objects from whiteouts.
pub(super) fn classify<'a>(path: &'a [u8], limits: &Limits) -> Result<Name<'a>, Fault> {
    let mut parts = components(path, limits)?;
    if parts
        .iter()
        .any(|part| part.starts_with(AUFS_PREFIX) && *part != OPAQUE_MARKER)
    {
        return Ok(Name::Aufs);
    }
    let Some(last) = parts.pop() else {
        return Ok(Name::Object(parts));
    };
    if parts.iter().any(|part| is_reserved(part)) {
        return Err(bad("a whiteout as a directory"));
    }
    if last == OPAQUE_MARKER {
        return Ok(Name::Opaque(parts));
    }
    match last.strip_prefix(PREFIX) {
        Some(b"" | b"." | b"..") => Err(bad("a whiteout of no name")),
        Some(hidden) => Ok(Name::Whiteout(parts, hidden)),
        None => {
            parts.push(last);
            Ok(Name::Object(parts))
        }
    }
}

/// The whiteouts of one layer, by directory. In the order of the map, parents come before what is
/// in them.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) by_directory: BTreeMap<Vec<u8>, Mark>,
}

/// The whiteouts of one directory.
#[derive(Debug, Default)]
pub(super) struct Mark {
    pub(super) opaque: bool,
    pub(super) names: BTreeSet<Vec<u8>>,
}

impl Marks {
    /// Remembers a whiteout; returns how many bytes that took.
    pub(super) fn hide(&mut self, directory: &[&[u8]], name: &[u8]) -> u64 {
        let (mark, cost) = self.mark(directory);
        match mark.names.insert(name.to_vec()) {
            true => cost + name.len() as u64 + 64,
            false => cost,
        }
    }

    /// Remembers an opaque directory; returns how many bytes that took.
    pub(super) fn make_opaque(&mut self, directory: &[&[u8]]) -> u64 {
        let (mark, cost) = self.mark(directory);
        mark.opaque = true;
        cost
    }

    fn mark(&mut self, directory: &[&[u8]]) -> (&mut Mark, u64) {
        let key = directory.join(&b'/');
        let cost = if self.by_directory.contains_key(&key) {
            0
        } else {
            key.len() as u64 + 128
        };
        (self.by_directory.entry(key).or_default(), cost)
    }
}

/// Whether this is a whiteout in overlay's form.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Makes a whiteout in overlay's form; `false` if something of that name is there.
pub(super) fn make(dir: BorrowedFd, name: &OsStr) -> std::io::Result<bool> {
    match rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether a directory has overlay's opaque mark.
pub(super) fn is_opaque(directory: impl std::os::fd::AsFd) -> std::io::Result<bool> {
    let value = crate::sys::xattr::get(directory, opaque_mark())?;
    Ok(value.as_deref() == Some(b"y"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let limits = Limits::default();
        let parts = |text: &'static str| -> Components<'static> {
            text.split('/')
                .filter(|p| !p.is_empty())
                .map(str::as_bytes)
                .collect()
        };
        for (path, expected) in [
            ("./", Some(Name::Object(parts("")))),
            ("/", Some(Name::Object(parts("")))),
            ("./a//b/", Some(Name::Object(parts("a/b")))),
            ("/a", Some(Name::Object(parts("a")))),
            ("a/.wh.b", Some(Name::Whiteout(parts("a"), b"b"))),
            (".wh..b", Some(Name::Whiteout(parts(""), b".b"))),
            (".wh..wh..opq", Some(Name::Opaque(parts("")))),
            ("d/.wh..wh..opq", Some(Name::Opaque(parts("d")))),
            (".wh..wh.plnk/1.2", Some(Name::Aufs)),
            ("d/.wh..wh.aufs", Some(Name::Aufs)),
            ("../e", None),
            ("a/../../e", None),
            ("a/..", None),
            ("..", None),
            ("../.wh.x", None),
            ("../.wh..wh..opq", None),
            (".wh.", None),
            ("etc/.wh.", None),
            (".wh..", None),
            (".wh...", None),
            ("x/.wh...", None),
            (".wh.x/y", None),
        ] {
            assert_eq!(classify(path.as_bytes(), &limits).ok(), expected, "{path}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        let limits = Limits::default();
        let ok = |path: String| components(path.as_bytes(), &limits).is_ok();
        assert!(ok("a".repeat(255)));
        assert!(!ok("a".repeat(256)));
        assert!(ok(format!("{}a", "abc/".repeat(1023))));
        assert!(!ok("a/".repeat(1025)));
        assert!(ok(format!("{}{}", "abcdefg/".repeat(511), "abcdefg")));
        assert!(!ok(format!("{}{}", "abcdefg/".repeat(511), "abcdefgh")));
    }
}
