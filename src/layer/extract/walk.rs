//! From the names of a path to the directory that they lead to in this layer: through links that the
//! layer made, never out of it, within bounds.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use rustix::io::Errno;

use super::{Extractor, bad};
use crate::layer::dirs::{Id, Origin, ROOT};
use crate::layer::{os, whiteout};

/// As many links as the kernel follows in one path.
const MAX_LINKS: u32 = 40;

/// Names that one path may have when its links are followed: twice what fits into `PATH_MAX`.
/// Links of 2000 names each would make 80,000 steps of every short entry.
const MAX_STEPS: u32 = 4096;

/// Where a path leads, as far as this layer knows.
pub(super) enum Place {
    Directory(Id),
    /// Nothing of this name in the directory; what is left of the path.
    Missing(Id, Vec<u8>, VecDeque<Vec<u8>>),
    /// Something else than a directory; what is left of the path.
    InTheWay(Id, Vec<u8>, VecDeque<Vec<u8>>),
}

/// What following links has taken for one path so far.
#[derive(Default)]
pub(super) struct Walked {
    links: u32,
    steps: u32,
}

impl Extractor {
    /// The directory of a path; what is missing is made, what is in the way is replaced.
    pub(super) fn enter(&mut self, parts: &[&[u8]]) -> Result<Id> {
        let mut walked = Walked::default();
        let mut place = self.locate(ROOT, parts, &mut walked)?;
        loop {
            let (at, name, rest) = match place {
                Place::Directory(id) => return Ok(id),
                Place::Missing(at, name, rest) | Place::InTheWay(at, name, rest) => {
                    (at, name, rest)
                }
            };
            // Only a link leads here: an entry that says so itself is a whiteout or refused.
            if whiteout::is_reserved(&name) {
                return Err(bad("a link to the name of a whiteout"));
            }
            let made = self.make_directory(at, &name, Origin::Implied)?;
            place = self.walk(made, rest, &mut walked)?;
        }
    }

    pub(super) fn locate(
        &mut self,
        from: Id,
        parts: &[&[u8]],
        walked: &mut Walked,
    ) -> Result<Place> {
        let mut at = from;
        for (depth, part) in parts.iter().enumerate() {
            match self.dirs.child(at, part) {
                Some(child) => at = child,
                None => {
                    let rest = parts[depth..].iter().map(|part| part.to_vec()).collect();
                    return self.walk(at, rest, walked);
                }
            }
        }
        Ok(Place::Directory(at))
    }

    /// Follows links that this layer made, inside the layer.
    pub(super) fn walk(
        &mut self,
        from: Id,
        mut queue: VecDeque<Vec<u8>>,
        walked: &mut Walked,
    ) -> Result<Place> {
        let mut at = from;
        while let Some(name) = queue.pop_front() {
            walked.steps += 1;
            if walked.steps > MAX_STEPS {
                return Err(bad("a path that is too long when its links are followed"));
            }
            if name == b".." {
                at = self.dirs.node(at).parent;
                continue;
            }
            if let Some(child) = self.dirs.child(at, &name) {
                at = child;
                continue;
            }
            let handle = self.dirs.handle(at)?;
            let target = match rustix::fs::readlinkat(&handle, OsStr::from_bytes(&name), Vec::new())
            {
                Ok(target) => target.into_bytes(),
                Err(Errno::NOENT) => return Ok(Place::Missing(at, name, queue)),
                Err(Errno::INVAL) => return Ok(Place::InTheWay(at, name, queue)),
                Err(errno) => return os(Err(errno)).context("read a link"),
            };
            walked.links += 1;
            if walked.links > MAX_LINKS {
                return Err(bad("too many symbolic links in the path"));
            }
            if target.starts_with(b"/") {
                at = ROOT;
            }
            for part in target.split(|byte| *byte == b'/').rev() {
                if !matches!(part, b"" | b".") {
                    queue.push_front(part.to_vec());
                }
            }
        }
        Ok(Place::Directory(at))
    }
}
