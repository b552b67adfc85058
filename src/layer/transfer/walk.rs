//! A tree on disk, from a handle of its top on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, fstatfs, openat, readlinkat};

use super::{Form, Object, Place, Range, Sink, Summary, inside};
use crate::layer::lower::names_in;
use crate::layer::os;
use crate::layer::pax::Timestamp;
use crate::sys::proc::Proc;

/// Filesystems in which the kernel shows itself (include/uapi/linux/magic.h): proc, sysfs, cgroup,
/// cgroup2, devpts, debugfs, tracefs, securityfs, bpf. What is in them is nobody's file.
const KERNELS_OWN: [u64; 9] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x1cd1,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xcafe_4a11,
];

/// Whether a file is in one of these.
pub(super) fn is_kernels_own(file: impl AsFd) -> Result<bool> {
    let found = os(fstatfs(file))?.f_type;
    Ok(KERNELS_OWN
        .iter()
        .any(|magic| i128::from(*magic) == i128::from(found)))
}

/// A walk over a tree.
#[derive(Debug)]
pub struct Walk<'a> {
    top: OwnedFd,
    name: PathBuf,
    users: &'a [Range],
    proc: Proc,
    /// Where files with more names than one were first seen, by device and inode.
    linked: BTreeMap<(u64, u64), PathBuf>,
    summary: Summary,
}

impl<'a> Walk<'a> {
    /// Of what is at a place. A symbolic link there is followed only if `follow` says so, or its
    /// directory is meant. `users` are those of the container that it belongs to, if it has its own.
    pub fn new(from: &Place, follow: bool, users: &'a [Range]) -> Result<Self> {
        let top = from.open(follow);
        Ok(Self {
            top: top.with_context(|| format!("'{}'", from.path.display()))?,
            name: PathBuf::new(),
            users,
            proc: Proc::open()?,
            linked: BTreeMap::new(),
            summary: Summary::default(),
        })
    }

    /// Whether its top is a directory.
    pub fn is_directory(&self) -> Result<bool> {
        let stat = os(fstat(&self.top))?;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// Walks, with `name` as the path of the top.
    pub fn into_sink(mut self, name: &Path, sink: &mut dyn Sink) -> Result<Summary> {
        self.name = name.to_owned();
        let top = self.top.try_clone()?;
        self.visit(&top, name, sink)?;
        sink.finish()?;
        Ok(self.summary)
    }

    fn visit(&mut self, handle: &OwnedFd, path: &Path, sink: &mut dyn Sink) -> Result<()> {
        let stat = os(fstat(handle))?;
        let mut object = self.object(path, &stat);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return self.directory(handle, &object, sink),
            FileType::Symlink => {
                let text = os(readlinkat(handle, "", Vec::new()))?;
                object.form = Form::Symlink(text.into_bytes());
            }
            FileType::RegularFile => return self.file(handle, object, &stat, sink),
            FileType::Fifo => object.form = Form::Fifo,
            other => {
                self.summary.left_out(path, kind(other));
                return Ok(());
            }
        }
        self.add(&object, &mut io::empty(), sink)
    }

    fn object(&self, path: &Path, stat: &Stat) -> Object {
        Object {
            path: path.to_owned(),
            form: Form::Directory,
            mode: stat.st_mode & 0o7777,
            uid: inside(self.users, stat.st_uid),
            gid: inside(self.users, stat.st_gid),
            mtime: Timestamp {
                seconds: stat.st_mtime,
                nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            },
            size: 0,
        }
    }

    fn add(&mut self, object: &Object, content: &mut dyn Read, sink: &mut dyn Sink) -> Result<()> {
        let what = || format!("'{}'", object.path.display());
        sink.add(object, content).with_context(what)?;
        self.summary.count(object);
        Ok(())
    }

    fn directory(&mut self, handle: &OwnedFd, object: &Object, sink: &mut dyn Sink) -> Result<()> {
        self.add(object, &mut io::empty(), sink)?;
        let path = &object.path;
        if *path != self.name && is_kernels_own(handle)? {
            self.summary.left_out(path, "what is in it is the kernel's");
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let what = || format!("'{}'", path.display());
        let opened = os(openat(handle, ".", flags, Mode::empty())).with_context(what)?;
        let mut names = names_in(&opened).with_context(what)?;
        names.sort();
        for name in names {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let path = path.join(&name);
            match openat(&opened, name.as_os_str(), flags, Mode::empty()) {
                // Somebody removed it meanwhile.
                Err(rustix::io::Errno::NOENT) => (),
                found => {
                    let what = || format!("'{}'", path.display());
                    self.visit(&os(found).with_context(what)?, &path, sink)?;
                }
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        handle: &OwnedFd,
        mut object: Object,
        stat: &Stat,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        object.form = Form::File;
        if stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.linked.get(&key) {
                object.form = Form::HardLink(first.clone());
                return self.add(&object, &mut io::empty(), sink);
            }
            self.linked.insert(key, object.path.clone());
        }
        object.size = u64::try_from(stat.st_size).unwrap_or(0);
        // This very file, whatever has its name now.
        let opened = self.proc.reopen(handle.as_fd());
        let opened = opened.with_context(|| format!("'{}'", object.path.display()))?;
        let mut content = Exactly {
            source: File::from(opened),
            left: object.size,
        };
        self.add(&object, &mut content, sink)
    }
}

fn kind(form: FileType) -> &'static str {
    match form {
        FileType::Socket => "it is a socket",
        _ => "it is a device",
    }
}

/// As many bytes of a file as it had when it was looked at, whoever writes it meanwhile: what is
/// missing at its end is zeros.
struct Exactly {
    source: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = match self.source.read(&mut buffer[..most])? {
            0 => {
                buffer[..most].fill(0);
                most
            }
            read => read,
        };
        self.left -= read as u64;
        Ok(read)
    }
}
