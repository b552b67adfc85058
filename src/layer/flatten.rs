//! Layers merged into one plain tree, as the overlay mount would show it: for machines where
//! overlay cannot be mounted, and for whoever wants a root file system to keep.
//!
//! Walks the merged directories top-down without recursion; an object comes from the topmost layer
//! that has it. Hard links between files of one layer stay links.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use super::attributes::Applier;
use super::copy::{self, At};
use super::dirs::open_directory;
use super::extract;
use super::lower::names_in;
use super::{os, whiteout};
use crate::sys::root::Root;
use crate::sys::xattr;

/// Merges settled layers, the bottom one first, into the empty directory `target`. Returns
/// warnings.
pub fn flatten(layers: &[Root], target: &Root) -> Result<Vec<String>> {
    let mut merge = Merge {
        layers,
        target,
        applier: Applier::new(),
        links: HashMap::new(),
    };
    xattr::disinherit(target)?;
    let mut queue = vec![Merged {
        path: PathBuf::new(),
        layers: (0..layers.len()).rev().collect(),
    }];
    let mut made = Vec::new();
    while let Some(dir) = queue.pop() {
        let inner = merge.directory(&dir);
        queue.extend(inner.with_context(|| shown(&dir.path))?);
        made.push(dir);
    }
    // Inner ones first: filling a directory moves its times.
    for dir in made.iter().rev() {
        merge.describe(dir).with_context(|| shown(&dir.path))?;
    }
    Ok(merge.applier.warnings.into_vec())
}

/// A directory of the merged tree, and the layers that it is merged from, topmost first.
struct Merged {
    path: PathBuf,
    layers: Vec<usize>,
}

/// A name in a merged directory.
enum Found {
    Hidden,
    /// In these layers, and whether one of them was opaque.
    Directory(Vec<usize>, bool),
    Object(usize, Stat),
}

struct Merge<'a> {
    layers: &'a [Root],
    target: &'a Root,
    applier: Applier,
    /// Where the first name of a file with several was put, by layer, device and inode.
    links: HashMap<(usize, u64, u64), PathBuf>,
}

impl Merge<'_> {
    fn directory(&mut self, dir: &Merged) -> Result<Vec<Merged>> {
        let mut names: BTreeMap<OsString, Found> = BTreeMap::new();
        let mut handles: HashMap<usize, OwnedFd> = HashMap::new();
        for layer in &dir.layers {
            let handle = open(&self.layers[*layer], &dir.path)?;
            for name in names_in(&handle)? {
                look(&mut names, *layer, &handle, name)?;
            }
            handles.insert(*layer, handle);
        }
        let to = open(self.target, &dir.path)?;
        let mut inner = Vec::new();
        for (name, found) in names {
            match found {
                Found::Hidden => {}
                Found::Directory(layers, _) => {
                    os(rustix::fs::mkdirat(&to, &name, Mode::RWXU))
                        .with_context(|| shown(Path::new(&name)))?;
                    let path = dir.path.join(name);
                    inner.push(Merged { path, layers });
                }
                Found::Object(layer, stat) => {
                    let path = dir.path.join(&name);
                    let from = At {
                        dir: handles[&layer].as_fd(),
                        name: &name,
                    };
                    self.object((layer, &stat), from, &to, &path)
                        .with_context(|| shown(&path))?;
                }
            }
        }
        Ok(inner)
    }

    fn object(
        &mut self,
        (layer, stat): (usize, &Stat),
        from: At,
        to: &OwnedFd,
        path: &Path,
    ) -> Result<()> {
        let key = (layer, stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&key) {
                return self.link(first, to, from.name);
            }
            self.links.insert(key, path.to_owned());
        }
        let target = At {
            dir: to.as_fd(),
            name: from.name,
        };
        self.applier.about(path.as_os_str().as_bytes());
        copy::object(&mut self.applier, from, target, stat)
    }

    fn link(&self, first: &Path, to: &OwnedFd, name: &OsStr) -> Result<()> {
        let (Some(parent), Some(last)) = (first.parent(), first.file_name()) else {
            anyhow::bail!("a file without a name");
        };
        let from = open(self.target, parent)?;
        Ok(os(rustix::fs::linkat(
            from,
            last,
            to,
            name,
            AtFlags::empty(),
        ))?)
    }

    /// Attributes of the topmost directory, as overlay shows them.
    fn describe(&mut self, dir: &Merged) -> Result<()> {
        let attributes = match dir.layers.first() {
            Some(top) => copy::attributes_of(open(&self.layers[*top], &dir.path)?)?,
            // The root of an image without layers.
            None => extract::implied(),
        };
        self.applier.about(dir.path.as_os_str().as_bytes());
        self.applier
            .existing(open(self.target, &dir.path)?, &attributes)
    }
}

/// Takes one name of one layer into account; layers come topmost first.
fn look(
    names: &mut BTreeMap<OsString, Found>,
    layer: usize,
    dir: &OwnedFd,
    name: OsString,
) -> Result<()> {
    match names.get_mut(&name) {
        None => {
            let stat = os(rustix::fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW))?;
            let found = if is_directory(&stat) {
                Found::Directory(vec![layer], is_opaque(dir, &name)?)
            } else if whiteout::is_whiteout(&stat) {
                Found::Hidden
            } else {
                Found::Object(layer, stat)
            };
            names.insert(name, found);
        }
        Some(Found::Directory(layers, closed)) if !*closed => {
            let stat = os(rustix::fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW))?;
            if is_directory(&stat) {
                layers.push(layer);
                *closed = is_opaque(dir, &name)?;
            } else {
                *closed = true;
            }
        }
        Some(_) => {}
    }
    Ok(())
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_opaque(dir: &OwnedFd, name: &OsStr) -> Result<bool> {
    Ok(whiteout::is_opaque(open_directory(dir, name)?)?)
}

fn open(root: &Root, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    Ok(root.resolve(path, flags, Mode::empty())?)
}

fn shown(path: &Path) -> String {
    format!("'{}'", path.display())
}
