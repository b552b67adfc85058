//! Where something goes, by docker's rules: what a path means depends on what is there, and on a
//! trailing slash.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, fstat, readlinkat};

use crate::error::{Fault, Kind};
use crate::layer::os;
use crate::sys::root::Root;

/// As many links as the kernel follows in one path (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// A path inside a root, as it was typed.
#[derive(Debug)]
pub struct Place<'a> {
    /// What it is inside of.
    pub root: &'a Root,
    /// From the root on.
    pub path: &'a Path,
}

impl Place<'_> {
    fn text(&self) -> &[u8] {
        self.path.as_os_str().as_bytes()
    }

    /// It is meant to be a directory.
    fn has_slash(&self) -> bool {
        self.text().ends_with(b"/") || self.text().ends_with(b"/.")
    }

    /// It is what is in the directory that is meant, not the directory.
    pub fn means_content(&self) -> bool {
        self.text().ends_with(b"/.") || self.path.file_name().is_none()
    }

    /// What it is called, if it is not its content that is meant.
    pub fn name(&self) -> Option<OsString> {
        let name = self.path.file_name().filter(|_| !self.means_content());
        name.map(ToOwned::to_owned)
    }

    /// A handle, good for looking only.
    pub(super) fn open(&self, follow: bool) -> std::io::Result<OwnedFd> {
        let mut flags = OFlags::PATH;
        flags.set(OFlags::NOFOLLOW, !follow && !self.has_slash());
        self.root.resolve(self.path, flags, Mode::empty())
    }

    fn directory(&self, path: &Path) -> Result<Root> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = self.root.resolve(path, flags, Mode::empty());
        let opened = opened.with_context(|| format!("'{}'", path.display()))?;
        Ok(Root::from_fd(opened))
    }

    /// The path with links at its end read, until there is none. Whoever changes them meanwhile
    /// gets what he made of it, inside the root.
    fn end_of_links(&self) -> Result<PathBuf> {
        let mut path = self.path.to_owned();
        for _ in 0..MAX_LINKS {
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            let found = match self.root.resolve(&path, flags, Mode::empty()) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(path),
                found => found.with_context(|| format!("'{}'", path.display()))?,
            };
            if form(&found)? != FileType::Symlink {
                return Ok(path);
            }
            let target = os(readlinkat(&found, "", Vec::new()))?.into_bytes();
            let target = PathBuf::from(OsString::from_vec(target));
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        let message = format!("'{}': too many symbolic links", self.path.display());
        Err(Fault::new(Kind::Usage, message).into())
    }
}

fn form(handle: &OwnedFd) -> Result<FileType> {
    Ok(FileType::from_raw_mode(os(fstat(handle))?.st_mode))
}

/// The directory that something goes into and the path that its top gets in there, which is empty
/// if it is only its content that goes there. `name` is what the source is called. Fails with
/// [`Kind::Usage`] where docker does.
pub fn find_target(
    to: &Place,
    name: Option<OsString>,
    is_directory: bool,
) -> Result<(Root, PathBuf)> {
    let shown = to.path.display();
    let refuse = |why: &str| Err(Fault::new(Kind::Usage, format!("'{shown}' {why}")).into());
    match to.open(true) {
        Ok(found) if form(&found)? == FileType::Directory => {
            Ok((to.directory(to.path)?, name.unwrap_or_default().into()))
        }
        Ok(_) if is_directory => refuse("is a file, where a directory cannot go"),
        Err(error) if is_missing(&error) && to.has_slash() && !is_directory => {
            refuse("is no directory that is there")
        }
        // What is there is replaced, at the end of links.
        Err(error) if !is_missing(&error) => Err(error).with_context(|| format!("'{shown}'")),
        Ok(_) | Err(_) => {
            let path = to.end_of_links()?;
            let Some(name) = path.file_name() else {
                return refuse("is no name for anything");
            };
            let parent = path.parent().unwrap_or(Path::new("/"));
            Ok((to.directory(parent)?, name.into()))
        }
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}
