//! Archives, told by their names, into a directory of our own.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use lzma_rust2::XzReader;
use rustix::fs::{Mode, OFlags, fchmod, openat};

use super::bzip2::Bzip2;
use super::staging::{DIRECTORY, make_directories, os};
use super::{Options, PLAIN, copy};
use crate::error::{Fault, Kind};
use crate::layer::gunzip;
use crate::layer::transfer::{Form, Object, Owners, Sink, Summary, Tree, read_archive, read_zip};
use crate::sys::root::Root;

/// The most memory that an xz file may ask for, in KiB: `xz -9` makes ones that ask for 65 MiB.
const XZ_MEMORY: u32 = 256 << 10;
/// Bytes unpacked from each byte of the archive that are no bomb: gzip reaches 1032 with zeros.
const RATIO: u64 = 1000;
/// Bytes up to which the ratio does not count.
const RATIO_FLOOR: u64 = 1 << 30;
/// Bytes of paths of directories whose permissions wait.
const MAX_WAITING: usize = 64 << 20;

/// What an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// tar, perhaps compressed with gzip or zstd: its first bytes say.
    Tar,
    /// tar in bzip2.
    TarBzip2,
    /// tar in xz.
    TarXz,
    /// zip
    Zip,
    /// One file in gzip, of this name.
    Gzip(String),
}

impl Format {
    /// By the name, as Mesos has it; `None` if that is not one of an archive.
    pub(super) fn of(place: &Path) -> Option<Self> {
        let name = place.file_name()?.to_str()?;
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        if ends(&[".tar", ".tgz", ".tar.gz"]) {
            return Some(Self::Tar);
        }
        if ends(&[".tbz2", ".tar.bz2"]) {
            return Some(Self::TarBzip2);
        }
        if ends(&[".txz", ".tar.xz"]) {
            return Some(Self::TarXz);
        }
        if ends(&[".zip"]) {
            return Some(Self::Zip);
        }
        let inside = name.strip_suffix(".gz")?;
        (!matches!(inside, "" | "." | "..")).then(|| Self::Gzip(inside.to_owned()))
    }
}

/// What was unpacked.
#[derive(Default)]
pub(super) struct Unpacked {
    /// What was left out.
    pub remarks: Vec<String>,
    /// Directories whose permissions would have been in our way.
    pub modes: Vec<(PathBuf, u32)>,
}

/// Unpacks into an empty directory.
pub(super) fn unpack(
    archive: &File,
    format: &Format,
    to: &Root,
    options: &Options,
) -> Result<Unpacked> {
    let length = archive.metadata()?.len();
    let most = options
        .max_unpacked
        .min(RATIO_FLOOR.max(length.saturating_mul(RATIO)));
    let deadline = options.deadline;
    let timed = Timed {
        inner: archive,
        deadline,
    };
    let timed = BufReader::with_capacity(64 << 10, timed);
    if let Format::Gzip(name) = format {
        gunzip_to(timed, name, to, most, options)?;
        return Ok(Unpacked::default());
    }
    let (uid, gid) = options.owner.unwrap_or_else(own);
    let tree = Root::from_fd(to.as_fd().try_clone_to_owned()?);
    let mut sink = Bounded {
        tree: Tree::new(tree, Owners::One(uid, gid), true),
        to,
        options,
        most,
        bytes: 0,
        entries: 0,
        modes: Vec::new(),
        waiting: 0,
    };
    let read = match format {
        Format::TarBzip2 => read_archive(Bzip2::new(timed), &mut sink),
        Format::TarXz => read_archive(XzReader::new_mem_limit(timed, true, XZ_MEMORY), &mut sink),
        Format::Zip => read_zip(archive, &mut sink),
        Format::Tar | Format::Gzip(_) => read_archive(timed, &mut sink),
    };
    // A read that was ended by the clock comes back as damage.
    let Summary { remarks, .. } =
        read.or_else(|error| options.in_time().map_err(Into::into).and(Err(error)))?;
    Ok(Unpacked {
        remarks,
        modes: sink.modes,
    })
}

/// Gives directories, which are in the sandbox by now, the permissions that they should have.
pub(super) fn set_modes(modes: &[(PathBuf, u32)], sandbox: &Root) -> Result<()> {
    for (path, mode) in modes.iter().rev() {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        let directory = sandbox.resolve(path, flags, Mode::empty())?;
        os(fchmod(&directory, Mode::from_raw_mode(*mode)))?;
    }
    Ok(())
}

fn own() -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    (uid.as_raw(), gid.as_raw())
}

fn gunzip_to(
    archive: impl io::BufRead,
    name: &str,
    to: &Root,
    most: u64,
    options: &Options,
) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(os(openat(to, name, flags, Mode::RUSR | Mode::WUSR))?);
    copy(&mut gunzip(archive)?, &mut file, most, options).context("unpack it")?;
    options.own(&file)?;
    Ok(os(fchmod(&file, Mode::from_raw_mode(PLAIN)))?)
}

/// Takes what is within bounds, into real directories only.
struct Bounded<'a> {
    tree: Tree,
    to: &'a Root,
    options: &'a Options,
    most: u64,
    bytes: u64,
    entries: u64,
    modes: Vec<(PathBuf, u32)>,
    waiting: usize,
}

impl Bounded<'_> {
    fn count(&mut self, object: &Object) -> Result<(), Fault> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(object.size);
        let what = if self.entries > self.options.max_entries {
            format!("it holds more than {} objects", self.options.max_entries)
        } else if self.bytes > self.most {
            format!("it holds more than {} bytes", self.most)
        } else {
            return Ok(());
        };
        Err(Fault::new(Kind::Limit, what))
    }

    /// A directory that its owner may not write to could not be filled, nor moved.
    fn opened_up(&mut self, object: &Object) -> Object {
        let mode = object.mode & 0o1777;
        self.waiting += object.path.as_os_str().len() + size_of::<(PathBuf, u32)>();
        if mode & 0o700 != 0o700 && self.waiting < MAX_WAITING {
            self.modes.push((object.path.clone(), mode));
        }
        let mut opened = object.clone();
        opened.mode = mode | 0o700;
        opened
    }
}

impl Sink for Bounded<'_> {
    fn add(&mut self, object: &Object, content: &mut dyn Read) -> Result<()> {
        self.options.in_time()?;
        self.count(object)?;
        let content = &mut Timed {
            inner: content,
            deadline: self.options.deadline,
        };
        let parent = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        make_directories(self.to.as_fd(), &parent(&object.path), self.options)?;
        match &object.form {
            Form::Directory if object.path.as_os_str().is_empty() => Ok(()),
            Form::Directory => {
                let opened = self.opened_up(object);
                self.tree.add(&opened, content)
            }
            Form::HardLink(first) => {
                make_directories(self.to.as_fd(), &parent(first), self.options)?;
                self.tree.add(object, content)
            }
            Form::File | Form::Symlink(_) | Form::Fifo => self.tree.add(object, content),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.tree.finish()
    }
}

/// Ends with an error when time is up: little input can be much work.
struct Timed<R> {
    inner: R,
    deadline: Option<Instant>,
}

impl<R: Read> Read for Timed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(io::ErrorKind::TimedOut.into()),
            _ => self.inner.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let gzip = |name: &str| Some(Format::Gzip(name.to_owned()));
        for (name, format) in [
            ("x.tar", Some(Format::Tar)),
            ("x.tgz", Some(Format::Tar)),
            ("raw/x.tar.gz", Some(Format::Tar)),
            ("x.tbz2", Some(Format::TarBzip2)),
            ("x.tar.bz2", Some(Format::TarBzip2)),
            ("x.txz", Some(Format::TarXz)),
            ("x.tar.xz", Some(Format::TarXz)),
            ("x.zip", Some(Format::Zip)),
            ("x.gz", gzip("x")),
            ("a/x.sql.gz", gzip("x.sql")),
            (".gz", None),
            ("..gz", None),
            ("...gz", None),
            ("x.tgz?sig=1", None),
            ("x.bz2", None),
            ("x.xz", None),
            ("x.TGZ", None),
            ("x.jar", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }
}
