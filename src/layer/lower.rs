//! What the committed layers below show at a path, as overlay would merge them: without a mount,
//! without following any link. Layers below are settled, in overlay's form, and do not change.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::dirs::open_directory;
use super::{os, whiteout};
use crate::sys::root::Root;

/// The layers below, topmost first.
pub(super) struct Lower<'a> {
    layers: &'a [Root],
}

/// What is visible at a path.
pub(super) enum Object {
    /// A directory: the topmost of those that are merged.
    Directory(OwnedFd),
    /// Anything else, by the directory that it is in.
    Other {
        dir: OwnedFd,
        name: OsString,
        stat: Stat,
        /// Counted from the topmost one.
        layer: usize,
    },
}

/// What one layer says about a path.
pub(super) enum Answer {
    /// This.
    Object(Object),
    /// Look further down.
    Nothing,
    /// Hidden, or not there: no lower layer counts.
    Hidden,
}

impl<'a> Lower<'a> {
    pub(super) fn new(layers: &'a [Root]) -> Self {
        Self { layers }
    }

    /// The object at a path without links; `None` if there is none.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Object>> {
        for (number, layer) in self.layers.iter().enumerate() {
            match ask(layer, path, number)? {
                Answer::Object(object) => return Ok(Some(object)),
                Answer::Nothing => {}
                Answer::Hidden => return Ok(None),
            }
        }
        Ok(None)
    }

    /// A layer by its number in [`Object::Other`].
    pub(super) fn layer(&self, number: usize) -> Option<&'a Root> {
        self.layers.get(number)
    }

    /// The names that the merged root shows.
    pub(super) fn root_names(&self) -> io::Result<Vec<OsString>> {
        let mut names = std::collections::BTreeSet::new();
        for layer in self.layers {
            for name in names_in(layer)? {
                names.insert(name);
            }
        }
        let visible = |name: &OsString| self.find(Path::new(name)).map(|found| found.is_some());
        let mut shown = Vec::new();
        for name in names {
            if visible(&name)? {
                shown.push(name);
            }
        }
        Ok(shown)
    }
}

/// All names in a directory, unordered.
pub(super) fn names_in(dir: impl std::os::fd::AsFd) -> io::Result<Vec<OsString>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for entry in os(Dir::read_from(dir))? {
        let entry = os(entry)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// Asks one layer, which gets this number; no link is followed anywhere in the path.
pub(super) fn ask(layer: &Root, path: &Path, number: usize) -> io::Result<Answer> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut here = layer.resolve(Path::new("."), flags, Mode::empty())?;
    let mut names = path.iter().peekable();
    let mut opaque = false;
    while let Some(name) = names.next() {
        // Paths were cleaned long before; `..` would leave the layer.
        if name == ".." {
            return Ok(Answer::Hidden);
        }
        let stat = match rustix::fs::statat(&here, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) if opaque => return Ok(Answer::Hidden),
            Err(Errno::NOENT) => return Ok(Answer::Nothing),
            Err(errno) => return Err(errno.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            here = open_directory(&here, name)?;
            opaque = opaque || whiteout::is_opaque(&here)?;
            continue;
        }
        if names.peek().is_some() || whiteout::is_whiteout(&stat) {
            return Ok(Answer::Hidden);
        }
        let name = name.to_owned();
        return Ok(Answer::Object(Object::Other {
            dir: here,
            name,
            stat,
            layer: number,
        }));
    }
    Ok(Answer::Object(Object::Directory(here)))
}
