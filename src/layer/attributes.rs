//! Owner, extended attributes, mode and times of one object, in the only order that works: `chown`
//! clears setuid and file capabilities, a `chmod` after an ACL rewrites its mask, and everything
//! moves the times (layer.md, "File Attributes"; measured, reference/unpack.md section 0).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid};

use super::entry::Attributes;
use super::os;
use super::pax::Timestamp;
use crate::error::{Fault, Kind};
use crate::sys::{self, xattr};

/// How many warnings of one layer are kept.
const WARNINGS_MAX: usize = 32;

/// Things worth telling that do not stop the work.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    kept: Vec<String>,
    more: u64,
}

impl Warnings {
    pub(super) fn push(&mut self, warning: impl FnOnce() -> String) {
        if self.kept.len() < WARNINGS_MAX {
            self.kept.push(warning());
        } else {
            self.more += 1;
        }
    }

    pub(super) fn into_vec(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("{} more warnings", self.more));
        }
        self.kept
    }
}

/// Gives attributes to objects; knows which owner new ones have anyway.
#[derive(Debug)]
pub(super) struct Applier {
    uid: u32,
    gid: u32,
    umask: u32,
    /// What warnings are about.
    subject: Vec<u8>,
    pub(super) warnings: Warnings,
}

/// When an attribute is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    BeforeMode,
    AfterMode,
}

impl Applier {
    pub(super) fn new() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            umask: sys::umask(),
            subject: Vec::new(),
            warnings: Warnings::default(),
        }
    }

    /// Names the object that is described next.
    pub(super) fn about(&mut self, path: &[u8]) {
        self.subject.clear();
        self.subject.extend_from_slice(path);
    }

    /// The mode to make a regular file with: its permissions, as far as they are plain.
    pub(super) fn mode_of_new(attributes: &Attributes) -> Mode {
        Mode::from_raw_mode(attributes.mode & 0o777)
    }

    /// Everything of a regular file that was just made with [`Applier::mode_of_new`].
    pub(super) fn new_file(&mut self, file: impl AsFd, attributes: &Attributes) -> Result<()> {
        self.own(file.as_fd(), attributes)?;
        // Plain permissions that the kernel did not mask are there since the file was made.
        let is_there = attributes.mode & (0o7000 | self.umask) == 0;
        self.after_owner(file.as_fd(), attributes, is_there)
    }

    /// Everything of a regular file or directory that was just made.
    pub(super) fn fresh(&mut self, file: impl AsFd, attributes: &Attributes) -> Result<()> {
        self.own(file.as_fd(), attributes)?;
        self.after_owner(file.as_fd(), attributes, false)
    }

    /// Everything of a regular file or directory whose owner may be anyone.
    pub(super) fn existing(&mut self, file: impl AsFd, attributes: &Attributes) -> Result<()> {
        chown(file.as_fd(), attributes)?;
        self.after_owner(file.as_fd(), attributes, false)
    }

    fn own(&self, file: BorrowedFd, attributes: &Attributes) -> Result<()> {
        if (attributes.uid, attributes.gid) == (self.uid, self.gid) {
            return Ok(());
        }
        chown(file, attributes)
    }

    fn after_owner(
        &mut self,
        file: BorrowedFd,
        attributes: &Attributes,
        mode_is_there: bool,
    ) -> Result<()> {
        let set = |name: &OsStr, value: &[u8]| xattr::set(file, name, value);
        self.xattrs(attributes, Phase::BeforeMode, set)?;
        if !mode_is_there {
            let mode = Mode::from_raw_mode(attributes.mode);
            os(rustix::fs::fchmod(file, mode)).context("set the mode")?;
        }
        self.xattrs(attributes, Phase::AfterMode, set)?;
        os(rustix::fs::futimens(file, &times(attributes.mtime))).context("set the times")?;
        Ok(())
    }

    /// Everything of a link, device or pipe that was just made in `dir`. Links have no mode.
    pub(super) fn special(
        &mut self,
        dir: BorrowedFd,
        name: &OsStr,
        attributes: &Attributes,
        is_link: bool,
    ) -> Result<()> {
        if (attributes.uid, attributes.gid) != (self.uid, self.gid) {
            let (uid, gid) = owner(attributes);
            os(rustix::fs::chownat(
                dir,
                name,
                uid,
                gid,
                AtFlags::SYMLINK_NOFOLLOW,
            ))
            .context("set the owner")?;
        }
        let set = |key: &OsStr, value: &[u8]| xattr::set_at(dir, name, key, value);
        self.xattrs(attributes, Phase::BeforeMode, set)?;
        if !is_link {
            // There is no handle to change the mode of a device by without opening it, and the
            // object is our own of a moment ago in a private directory: no link to follow.
            os(rustix::fs::chmodat(
                dir,
                name,
                Mode::from_raw_mode(attributes.mode),
                AtFlags::empty(),
            ))
            .context("set the mode")?;
        }
        self.xattrs(attributes, Phase::AfterMode, set)?;
        let times = times(attributes.mtime);
        os(rustix::fs::utimensat(
            dir,
            name,
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        ))
        .context("set the times")
    }

    fn xattrs(
        &mut self,
        attributes: &Attributes,
        phase: Phase,
        set: impl Fn(&OsStr, &[u8]) -> io::Result<()>,
    ) -> Result<()> {
        for (name, value) in &attributes.xattrs {
            let is_acl = name.starts_with(b"system.posix_acl_");
            if is_acl != (phase == Phase::AfterMode) {
                continue;
            }
            if let Some(why) = unwanted(name) {
                self.left_out(name, why);
                continue;
            }
            if let Err(error) = set(OsStr::from_bytes(name), value) {
                self.judge(name, error)?;
            }
        }
        Ok(())
    }

    /// Whether an attribute that could not be set is worth failing for: a program without its file
    /// capabilities is broken, a `user.` attribute on a link cannot be had by anybody.
    fn judge(&mut self, name: &[u8], error: io::Error) -> Result<()> {
        let shown = String::from_utf8_lossy(name).into_owned();
        // The kernel reads capabilities and ACLs: EINVAL is for what is none, EACCES for a default
        // ACL of something else than a directory. The archive is to blame, not this machine.
        if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EACCES)) {
            let message = format!("attribute {shown} is not valid here: {error}");
            return Err(Fault::new(Kind::Layer, message).into());
        }
        let refused = matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP));
        if !refused || name == b"security.capability" {
            return Err(error).with_context(|| format!("set attribute {shown}"));
        }
        self.left_out(name, error);
        Ok(())
    }

    fn left_out(&mut self, name: &[u8], why: impl std::fmt::Display) {
        let [name, subject] = [name, &self.subject].map(String::from_utf8_lossy);
        self.warnings
            .push(|| format!("attribute {name} of '{subject}' left out: {why}"));
    }
}

/// Refuses attributes that no file system takes, before anything is written (GHSA-g3rx-2m58-rr63).
pub(super) fn check_xattrs(attributes: &Attributes) -> Result<(), Fault> {
    for (name, value) in &attributes.xattrs {
        let bad_name = name.is_empty() || name.len() > xattr::NAME_MAX || name.contains(&0);
        if bad_name || value.len() > xattr::VALUE_MAX {
            let shown = String::from_utf8_lossy(&name[..name.len().min(xattr::NAME_MAX)]);
            let message = format!("extended attribute '{shown}' has an impossible name or size");
            return Err(Fault::new(Kind::Layer, message));
        }
    }
    Ok(())
}

fn unwanted(name: &[u8]) -> Option<&'static str> {
    if xattr::is_overlay(OsStr::from_bytes(name)) {
        // The kernel would take it for its own mark: another directory's content, or none.
        return Some("it belongs to the overlay file system");
    }
    (name == b"security.selinux").then_some("labels are the host's")
}

fn owner(attributes: &Attributes) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(attributes.uid)),
        Some(Gid::from_raw(attributes.gid)),
    )
}

fn chown(file: BorrowedFd, attributes: &Attributes) -> Result<()> {
    let (uid, gid) = owner(attributes);
    os(rustix::fs::fchown(file, uid, gid)).context("set the owner")
}

/// Access and modification time alike, so that unpacking twice gives the same tree.
pub(super) fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: mtime.nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// The attributes of an object on disk.
pub(super) fn of_stat(stat: &Stat, xattrs: Vec<xattr::Xattr>) -> Attributes {
    let own = xattrs
        .into_iter()
        .filter(|(name, _)| unwanted(name.as_bytes()).is_none());
    Attributes {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Timestamp {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
        xattrs: own
            .map(|(name, value)| (name.as_bytes().to_vec(), value))
            .collect(),
    }
}

/// Whether owner, mode and time of a regular file are already these.
pub(super) fn are_those_of(attributes: &Attributes, stat: &Stat) -> bool {
    let known = of_stat(stat, Vec::new());
    let same =
        (known.mode, known.uid, known.gid) == (attributes.mode, attributes.uid, attributes.gid);
    same && known.mtime == attributes.mtime
}

/// Whether this is a regular file.
pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
