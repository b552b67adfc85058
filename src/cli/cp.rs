//! `ucr cp`.

use std::ffi::OsString;
use std::io::{stdin, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::context::Context;
use super::rootless::Users;
use super::{Format, output};
use crate::error::{Fault, Kind};
use crate::exit::{self, Outcome};
use crate::layer::transfer::{
    Archive, Owners, Place, Sink, Summary, Tree, Walk, find_target, read_archive,
};
use crate::runtime::Container;
use crate::runtime::native::{Stopped, root, users};
use crate::spec::Userns;
use crate::sys::process::{Namespaces, allow_many_descriptors, spawn};
use crate::sys::root::Root;
use crate::sys::tty::is_terminal;
use crate::sys::users::Range;

/// Copy files out of a container or into it
///
/// One of the two is a path in a container, running or not: CONTAINER:PATH, from its root directory
/// on. The other is a path here, or - for a tar archive on stdin or stdout. A directory that is
/// there takes the source under its name, or with a source that ends in /. only what is in it.
#[derive(Debug, Args)]
pub(super) struct Cp {
    /// Keep owners, by number; else what goes into a container is its root's, and what comes out
    /// belongs to whoever runs ucr
    #[arg(long, short)]
    archive: bool,
    /// Copy what a symbolic link at SOURCE leads to, not the link
    #[arg(long, short = 'L')]
    follow_link: bool,
    /// What is copied
    #[arg(value_name = "SOURCE")]
    from: OsString,
    /// Where it goes
    #[arg(value_name = "TARGET")]
    to: OsString,
}

/// One side.
#[derive(Debug, PartialEq, Eq)]
enum Side {
    Stream,
    Here(PathBuf),
    Container(String, PathBuf),
}

/// What goes on between a container's root and here.
struct Copying<'a> {
    command: &'a Cp,
    context: &'a Context,
    container: &'a Container,
    /// In it.
    path: &'a Path,
    other: Other<'a>,
}

enum Other<'a> {
    ToHere(&'a Path),
    ToStream,
    FromHere(&'a Path),
    FromStream,
}

impl Side {
    /// As docker reads it: what begins with `/` or `.` is a path here.
    fn parse(word: &OsString) -> Result<Self, Fault> {
        use std::os::unix::ffi::OsStrExt;
        let bytes = word.as_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':');
        let Some(colon) = colon.filter(|_| !bytes.starts_with(b"/") && !bytes.starts_with(b"."))
        else {
            return Ok(match bytes {
                b"-" => Self::Stream,
                b"" => return Err(Fault::new(Kind::Usage, "an empty path")),
                _ => Self::Here(word.into()),
            });
        };
        let (name, path) = (&bytes[..colon], &bytes[colon + 1..]);
        if name.is_empty() || path.is_empty() {
            let message = format!("'{}' is not CONTAINER:PATH", word.to_string_lossy());
            return Err(Fault::new(Kind::Usage, message)
                .hint("write ./… for a path here with a colon in it"));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        let path = Path::new("/").join(std::ffi::OsStr::from_bytes(path));
        Ok(Self::Container(name, path))
    }
}

impl Cp {
    /// Where an ordinary user's works.
    pub(super) fn users(&self, context: &Context) -> Result<Users> {
        match (Side::parse(&self.from)?, Side::parse(&self.to)?) {
            (Side::Container(name, _), _) | (_, Side::Container(name, _)) => {
                Users::of_container(context, &name)
            }
            _ => Ok(Users::Machine),
        }
    }

    pub(super) fn run(self, context: &Context) -> Result<Outcome> {
        let (from, to) = (Side::parse(&self.from)?, Side::parse(&self.to)?);
        let (name, path, other) = match (&from, &to) {
            (Side::Container(name, path), Side::Here(here)) => (name, path, Other::ToHere(here)),
            (Side::Container(name, path), Side::Stream) => (name, path, Other::ToStream),
            (Side::Here(here), Side::Container(name, path)) => (name, path, Other::FromHere(here)),
            (Side::Stream, Side::Container(name, path)) => (name, path, Other::FromStream),
            (Side::Container(..), Side::Container(..)) => {
                return Err(Fault::new(Kind::Usage, "both are in containers")
                    .hint("pipe it: ucr cp CONTAINER:PATH - | ucr cp - CONTAINER:PATH")
                    .into());
            }
            _ => {
                return Err(Fault::new(Kind::Usage, "neither is in a container")
                    .hint("write CONTAINER:PATH for one of them")
                    .into());
            }
        };
        if matches!(other, Other::ToStream) && is_terminal(stdout()) {
            let message = "an archive is not written to a terminal";
            return Err(Fault::new(Kind::Usage, message)
                .hint("redirect it, or pipe it to tar")
                .into());
        }
        let container = context.state()?.find(&context.store()?, name)?;
        let copying = Copying {
            command: &self,
            context,
            container: &container,
            path,
            other,
        };
        allow_many_descriptors();
        match container.process() {
            Some(_) => {
                let ids = users(&container)?;
                copying.copy(&root(&container)?, Some(&ids))?;
                Ok(Outcome::Done)
            }
            None => copying.of_stopped(),
        }
    }
}

impl Copying<'_> {
    /// In a process with mounts of its own, which vanish with it.
    fn of_stopped(&self) -> Result<Outcome> {
        let has_own_users = !matches!(
            self.container.record.spec.security.userns,
            None | Some(Userns::Host)
        );
        let needs_users =
            self.command.archive || matches!(self.other, Other::FromHere(_) | Other::FromStream);
        if has_own_users && needs_users {
            let name = self.container.record.name();
            let message =
                format!("container {name} has users of its own, which only exist while it runs");
            return Err(Fault::new(Kind::Unsupported, message)
                .hint("copy while it runs, or out of it without --archive")
                .into());
        }
        self.refuse_mounts()?;
        let own = Namespaces {
            mount: true,
            ..Namespaces::default()
        };
        let body = || match self.mount_and_copy() {
            Ok(()) => 0,
            Err(error) => {
                output::error(&error, self.context.wants_json(Format::Text));
                exit::code(&Err(error))
            }
        };
        let child = spawn(own, body).context("make a mount namespace")?;
        Ok(Outcome::Exited(child.wait()?))
    }

    fn mount_and_copy(&self) -> Result<()> {
        let stopped = Stopped::mount(&self.context.store()?, self.container)?;
        self.copy(&stopped.root, None)
    }

    /// What was mounted at such a place is not there any more.
    fn refuse_mounts(&self) -> Result<()> {
        let record = &self.container.record;
        let mut mounts = record.spec.mounts.iter();
        match mounts.find(|mount| self.path.starts_with(&mount.target)) {
            Some(mount) => {
                let (name, target) = (record.name(), mount.target.display());
                let message =
                    format!("{target} was a mount, which container {name} has only while it runs");
                Err(Fault::new(Kind::Unsupported, message)
                    .hint("copy from where it came from, see 'ucr inspect'")
                    .into())
            }
            None => Ok(()),
        }
    }

    /// `users` are those of a container that runs.
    fn copy(&self, root: &Root, users: Option<&[Range]>) -> Result<()> {
        let users = users.unwrap_or_default();
        let inside = Place {
            root,
            path: self.path,
        };
        let follow = self.command.follow_link;
        let summary = match &self.other {
            Other::ToStream => {
                let walk = Walk::new(&inside, follow, users)?;
                let mut sink = Archive::new(stdout().lock());
                let name = inside.name().unwrap_or_default();
                return self.end(&walk.into_sink(Path::new(&name), &mut sink)?, false);
            }
            Other::ToHere(here) => {
                let (host, here) = (Root::open(Path::new("/"))?, self.here(here)?);
                let to = Place {
                    root: &host,
                    path: &here,
                };
                let walk = Walk::new(&inside, follow, users)?;
                self.between(&inside, walk, &to, self.ours())?
            }
            Other::FromHere(here) => {
                let (host, here) = (Root::open(Path::new("/"))?, self.here(here)?);
                let from = Place {
                    root: &host,
                    path: &here,
                };
                let walk = Walk::new(&from, follow, &[])?;
                self.between(&from, walk, &inside, self.theirs(users))?
            }
            Other::FromStream => {
                let (directory, name) = find_target(&inside, None, true)?;
                if !name.as_os_str().is_empty() {
                    let path = self.path.display();
                    let message = format!("'{path}' is no directory that is there");
                    return Err(Fault::new(Kind::Usage, message).into());
                }
                let mut sink = Tree::new(directory, self.theirs(users), false);
                read_archive(stdin().lock(), &mut sink).context("standard input")?
            }
        };
        self.end(&summary, true)
    }

    fn between(&self, from: &Place, walk: Walk, to: &Place, owners: Owners) -> Result<Summary> {
        let (directory, name) = find_target(to, from.name(), walk.is_directory()?)?;
        // A program that runs as its owner must not do so as another, who never made it.
        let mut sink = Tree::new(directory, owners, !self.command.archive);
        walk.into_sink(&name, &mut sink as &mut dyn Sink)
    }

    /// With its trailing slash.
    fn here(&self, path: &Path) -> Result<PathBuf> {
        self.context.absolute(path.to_owned())
    }

    /// Out of a container.
    fn ours(&self) -> Owners {
        match self.command.archive {
            true => Owners::Own(Vec::new()),
            false => Owners::One(
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            ),
        }
    }

    /// Into a container.
    fn theirs(&self, users: &[Range]) -> Owners {
        // As an archive says it, as docker does.
        if self.command.archive || matches!(self.other, Other::FromStream) {
            return Owners::Own(users.to_vec());
        }
        let first = users.iter().find(|(inside, ..)| *inside == 0);
        let root = first.map_or(0, |(_, outside, _)| *outside);
        Owners::One(root, root)
    }

    fn end(&self, summary: &Summary, may_print: bool) -> Result<()> {
        for remark in &summary.remarks {
            output::remark("note", remark);
        }
        if may_print && self.context.wants_json(Format::Text) {
            let (objects, bytes) = (summary.objects, summary.bytes);
            let left_out = &summary.remarks;
            return output::json(
                &json!({ "objects": objects, "bytes": bytes, "remarks": left_out }),
            );
        }
        if !self.context.is_quiet() {
            let objects = output::count(summary.objects, "object");
            let size = output::size(summary.bytes);
            output::remark("copied", &format!("{objects}, {size}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides() {
        let side = |word: &str| Side::parse(&word.into());
        let inside = |name: &str, path: &str| Ok(Side::Container(name.into(), path.into()));
        assert_eq!(side("web:/etc/hosts"), inside("web", "/etc/hosts"));
        assert_eq!(side("web:etc/."), inside("web", "/etc/."));
        assert_eq!(side("web:a:b"), inside("web", "/a:b"));
        for here in ["./a:b", "/a:b", "a", "..", "../a:b"] {
            assert_eq!(side(here), Ok(Side::Here(here.into())), "{here}");
        }
        assert_eq!(side("-"), Ok(Side::Stream));
        for wrong in ["", ":/x", "web:"] {
            assert!(side(wrong).is_err(), "{wrong}");
        }
    }
}
