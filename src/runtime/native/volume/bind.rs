//! Files and directories of the host, as detached trees.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::{Tree, restrict};
use crate::error::{Fault, Kind};
use crate::runtime::native::handles::OwnUsers;
use crate::spec::Mount;
use crate::spec::mount::{Access, Bind, IdMap, IdRange, Propagation, Recursive};
use crate::sys::mount::{self, Restrict, Sharing};
use crate::sys::proc::Proc;
use crate::sys::root::Root;
use crate::sys::users;

/// Takes a copy of what the host has. In the parent: a new mount namespace is cut off from the
/// host's, and with it what should be shared.
pub(super) fn take(mount: &Mount, bind: &Bind, users: Option<&OwnUsers>) -> Result<Tree> {
    // Looked up once: who owns a directory above may put something else there at any time.
    let source = open(bind).map_err(|error| {
        let fault = Fault::new(Kind::Spec, error.to_string());
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                fault.hint("make it first; ucr does not make directories on the host")
            }
            _ => fault,
        }
    })?;
    let kind = FileType::from_raw_mode(fstat(&source)?.st_mode);
    let read_only = mount.is_read_only();
    let sharing = sharing(bind, source.as_fd())?;
    let recursive = bind.recursive != Some(Recursive::Disabled);
    let tree = mount::clone_tree_of(source.as_fd(), recursive)
        .map_err(|error| refuse_to_uncover(error, recursive))?;
    // At once, in a call of its own: what is cloned from a shared mount is shared.
    mount::share(tree.as_fd(), sharing, recursive)?;
    if let Some(map) = &bind.idmap {
        map_owners(tree.as_fd(), map, users, recursive)?;
    }
    let is_device = kind == FileType::CharacterDevice;
    let restrict = Restrict {
        read_only: read_only && bind.recursive != Some(Recursive::Writable),
        ..restrict(
            mount.access,
            Access {
                no_dev: Some(!is_device),
                ..Access::default()
            },
        )
    };
    // Only ever adds: what the host's own mount forbids stays forbidden.
    mount::restrict(tree.as_fd(), restrict, recursive)?;
    if read_only && !restrict.read_only {
        let top = Restrict {
            read_only,
            ..Restrict::default()
        };
        mount::restrict(tree.as_fd(), top, false)?;
    }
    Ok(Tree {
        tree,
        is_directory: kind == FileType::Directory,
    })
}

/// What is mounted below may hide something from a user, who may not take it off
/// (mount_namespaces(7), "Restrictions on mount namespaces").
fn refuse_to_uncover(error: io::Error, recursive: bool) -> anyhow::Error {
    match error.raw_os_error() {
        Some(libc::EINVAL) if !recursive && users::are_mapped() => {
            let message = "without root, what is mounted below it cannot be left out";
            Fault::new(Kind::Unsupported, message)
                .hint("leave out bind-recursive=disabled and bind-nonrecursive")
                .into()
        }
        _ => error.into(),
    }
}

fn open(bind: &Bind) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match &bind.subpath {
        // Whoever can write there may have put links into it.
        Some(part) => Root::open(&bind.path)?.resolve(part, flags, Mode::empty()),
        None => Ok(openat(CWD, &bind.path, flags, Mode::empty())?),
    }
}

fn map_owners(
    tree: BorrowedFd,
    map: &IdMap,
    own: Option<&OwnUsers>,
    recursive: bool,
) -> Result<()> {
    let made: OwnedFd;
    let mapping = match (map, own) {
        (IdMap::Container, Some(own)) => own.namespace.as_fd(),
        (IdMap::Container, None) => {
            let fault = Fault::new(Kind::Spec, "the container has no user namespace to map to");
            return Err(fault
                .hint("say --userns, or idmap=uids=DISK-SHOWN-COUNT;gids=…")
                .into());
        }
        (IdMap::Explicit { uids, gids }, _) => {
            let gids = if gids.is_empty() { uids } else { gids };
            made = users::namespace(&ranges(uids), &ranges(gids))
                .with_context(|| format!("make the mapping {map}"))?;
            made.as_fd()
        }
    };
    mount::map_owners(tree, mapping, recursive).map_err(|error| {
        let message = format!("the owners of its filesystem cannot be mapped: {error}");
        Fault::new(Kind::Unsupported, message).into()
    })
}

fn ranges(ranges: &[IdRange]) -> Vec<users::Range> {
    let range = |it: &IdRange| (it.on_disk, it.shown, it.count);
    ranges.iter().map(range).collect()
}

fn sharing(bind: &Bind, source: BorrowedFd) -> Result<Sharing> {
    match bind.propagation {
        None | Some(Propagation::Rprivate | Propagation::Private) => Ok(Sharing::Private),
        Some(Propagation::Rslave | Propagation::Slave) => Ok(Sharing::Slave),
        Some(Propagation::Rshared | Propagation::Shared) => {
            if Proc::open()?.is_on_shared_mount(source)? {
                return Ok(Sharing::Shared);
            }
            let fault = Fault::new(Kind::Spec, "it is not on a shared mount");
            Err(fault
                .hint("make it one: mount --make-shared MOUNT_POINT; or ask for rslave")
                .into())
        }
    }
}
