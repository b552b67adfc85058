//! Trees that somebody may be changing meanwhile, and who may be hostile: out of a directory or an
//! archive, into a directory or an archive.
//!
//! A [`Walk`], [`read_archive`] or [`read_zip`] says what there is, object by object; a [`Sink`] takes it. Every
//! object is reached by a handle of the directory it is in and is never followed, and names are
//! resolved inside the root that was given, so that no link, planted or swapped in meanwhile, leads
//! out of it (CVE-2018-15664, CVE-2019-14271). Nothing but regular files is ever opened.

mod archive;
mod place;
mod sink;
mod walk;
mod zip;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;

pub use archive::{Archive, read_archive};
pub use place::{Place, find_target};
pub use sink::Tree;
pub use walk::Walk;
pub use zip::read_zip;

use super::pax::Timestamp;
use crate::error::{Fault, Kind};

/// IDs of a container, as the first of each range: inside, outside, how many.
type Range = (u32, u32, u32);

/// Who owns what no range of a map has, as the kernel shows it (overflowuid).
const NOBODY: u32 = 65_534;
/// Most remarks that are kept.
const MAX_REMARKS: usize = 20;

/// An object of a tree.
#[derive(Clone, Debug)]
pub struct Object {
    /// Below the top; empty for the top itself, which is then a directory.
    pub path: PathBuf,
    /// What it is.
    pub form: Form,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner, as inside of a container.
    pub uid: u32,
    /// Group, as inside of a container.
    pub gid: u32,
    /// Modification time.
    mtime: Timestamp,
    /// Bytes of content.
    pub size: u64,
}

/// What an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A regular file, whose content is at hand.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with this text.
    Symlink(Vec<u8>),
    /// Another name of an object that came before.
    HardLink(PathBuf),
    /// A named pipe.
    Fifo,
}

/// Takes objects, a directory before what is in it.
pub trait Sink {
    /// Takes one. `content` has as many bytes as the object says, if it is a file.
    fn add(&mut self, object: &Object, content: &mut dyn Read) -> Result<()>;
    /// The end: nothing follows.
    fn finish(&mut self) -> Result<()>;
}

/// What was copied.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many objects.
    pub objects: u64,
    /// How many bytes of files.
    pub bytes: u64,
    /// What was left out or looked odd; at most a few dozen lines.
    pub remarks: Vec<String>,
}

impl Summary {
    fn count(&mut self, object: &Object) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(object.size);
    }

    fn left_out(&mut self, path: &Path, what: &str) {
        let path = path.display();
        match self.remarks.len() {
            length if length < MAX_REMARKS => {
                self.remarks.push(format!("'{path}' is left out: {what}"));
            }
            MAX_REMARKS => self.remarks.push("more is left out".to_owned()),
            _ => (),
        }
    }
}

/// Which owners objects get that go into a directory.
#[derive(Clone, Debug)]
pub enum Owners {
    /// All this one: user and group.
    One(u32, u32),
    /// Their own, through a map; without one, the same numbers.
    Own(Vec<Range>),
}

impl Owners {
    fn of(&self, object: &Object) -> Result<(u32, u32), Fault> {
        match self {
            Self::One(uid, gid) => Ok((*uid, *gid)),
            Self::Own(map) if map.is_empty() => Ok((object.uid, object.gid)),
            Self::Own(map) => Ok((outside(map, object.uid)?, outside(map, object.gid)?)),
        }
    }
}

fn outside(map: &[Range], id: u32) -> Result<u32, Fault> {
    let found = map.iter().find_map(|(inside, outside, count)| {
        let distance = id.checked_sub(*inside)?;
        (distance < *count).then_some(outside + distance)
    });
    found.ok_or_else(|| {
        let message = format!("the container has no user or group {id}");
        Fault::new(Kind::Unsupported, message).hint("leave out --archive")
    })
}

/// What an ID is inside; one that is none of its own is nobody there.
fn inside(map: &[Range], id: u32) -> u32 {
    if map.is_empty() {
        return id;
    }
    let found = map.iter().find_map(|(inside, outside, count)| {
        let distance = id.checked_sub(*outside)?;
        (distance < *count).then_some(inside + distance)
    });
    found.unwrap_or(NOBODY)
}
