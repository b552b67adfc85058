//! The overlay backend: layers of the store, read-only, under a writable directory.

use std::fs::{self, DirBuilder};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::{Fault, Kind};
use crate::image::ChainId;
use crate::store::{RootfsRecord, Store};
use crate::sys::mount::{self, Overlay};
use crate::sys::xattr;

/// Where changes go.
#[derive(Debug)]
pub struct Writable<'a> {
    /// A directory with `upper` and `work` in it.
    pub directory: &'a Path,
    /// Changes need not survive an unclean end.
    pub volatile: bool,
    /// Ignore set-user-ID bits and file capabilities.
    pub no_suid: bool,
    /// A layer below all others, where there is room for one more.
    pub places: Option<&'a Path>,
}

/// Mounts layers, bottom first, on a directory. There are no more than overlay takes: no image with
/// more of them gets into the store.
pub fn mount_layers(
    store: &Store,
    layers: &[ChainId],
    writable: &Writable,
    target: BorrowedFd,
) -> Result<()> {
    let parts = Parts::open(store, layers, writable, directory)?;
    mount::overlay(&parts.overlay(writable), target).context("mount overlay")
}

/// The same, mounted nowhere yet, and with other owners than the store has: those that its IDs are
/// in a user namespace. What is changed is stored as the host sees it: overlay makes its own files
/// as the one who mounts it, who is not of that namespace.
///
/// Before Linux 6.15 overlay takes layers of mounted filesystems only: there it has to be called in
/// a mount namespace of one's own, in which it leaves mounts behind, also the one that is returned:
/// only a copy of that is mounted nowhere.
pub fn layers_for_users(
    store: &Store,
    layers: &[ChainId],
    writable: &Writable,
    users: BorrowedFd,
) -> Result<OwnedFd> {
    let root = directory(store.root())?;
    let mapped = mount::clone_handle(root.as_fd())?;
    mount::map_owners(mapped.as_fd(), users, false)
        .map_err(|error| no_other_owners(store.root(), error))?;
    let open = |path: &Path| {
        let below = path.strip_prefix(store.root())?;
        directory_at(mapped.as_fd(), below)
    };
    let parts = Parts::open(store, layers, writable, open)?;
    let overlay = parts.overlay(writable);
    if mount::clones_detached() {
        return mount::overlay_tree(&overlay).context("make an overlay");
    }
    let place = directory(writable.directory)?;
    make_directory(&writable.directory.join(VIEW), 0o755)?;
    let target = directory_at(place.as_fd(), Path::new(VIEW))?;
    // What was opened above is mounted with it, or stays what it was.
    mount::attach(mapped.as_fd(), root.as_fd()).context("attach the layers")?;
    mount::overlay(&overlay, target.as_fd()).context("mount overlay")?;
    // The handle above is of the directory below the mount.
    directory_at(place.as_fd(), Path::new(VIEW))
}

fn no_other_owners(store: &Path, error: std::io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        // Which filesystems can do it depends on the kernel: tmpfs since Linux 6.3.
        Some(libc::EINVAL) => {
            let store = store.display();
            let message = format!("the filesystem of {store} cannot show files with other owners");
            Fault::new(Kind::Unsupported, message)
                .hint("leave --userns out, or have the store (--root) on ext4, xfs or btrfs")
                .into()
        }
        _ => anyhow::Error::new(error).context(format!("give {} other owners", store.display())),
    }
}

/// Where an overlay is mounted in a namespace that nobody else is in.
const VIEW: &str = "view";

/// The directories that an overlay is made of, opened.
struct Parts {
    lower: Vec<OwnedFd>,
    upper: OwnedFd,
    work: OwnedFd,
}

impl Parts {
    fn open(
        store: &Store,
        layers: &[ChainId],
        writable: &Writable,
        open: impl Fn(&Path) -> Result<OwnedFd>,
    ) -> Result<Self> {
        let upper = directory(&writable.directory.join("upper"))?;
        let work = directory(&writable.directory.join("work"))?;
        let mut lower = Vec::with_capacity(layers.len());
        for chain in layers.iter().rev() {
            lower.push(open(&store.layer_fs(chain)).with_context(|| format!("layer {chain}"))?);
        }
        if let Some(places) = writable.places.filter(|_| lower.len() < mount::MAX_LAYERS) {
            lower.push(open(places)?);
        }
        if lower.is_empty() {
            // An image without layers is an empty directory, but an overlay has at least one below.
            let empty = writable.directory.join("empty");
            make_directory(&empty, 0o755)?;
            lower.push(open(&empty)?);
        }
        Ok(Self { lower, upper, work })
    }

    fn overlay(&self, writable: &Writable) -> Overlay<'_> {
        Overlay {
            lower: &self.lower,
            upper: Some((self.upper.as_fd(), self.work.as_fd())),
            volatile: writable.volatile,
            no_suid: writable.no_suid,
        }
    }
}

fn directory(path: &Path) -> Result<OwnedFd> {
    directory_at(CWD, path)
}

fn directory_at(parent: BorrowedFd, path: &Path) -> Result<OwnedFd> {
    // Not O_PATH: overlay takes descriptors of opened directories only.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, path, flags, Mode::empty())
        .map_err(std::io::Error::from)
        .with_context(|| path.display().to_string())
}

fn make_directory(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("make {}", path.display()))
}

/// Saves the lease, then mounts: a crash in between leaves a record that `rm` ends.
pub(super) fn make(store: &Store, record: &RootfsRecord) -> Result<()> {
    let private = store.rootfs_dir(&record.id);
    make_directory(&private.join("upper"), 0o755)?;
    make_directory(&private.join("work"), 0o700)?;
    inherit_root(store, &record.layers, &private.join("upper"))?;
    make_directory(&record.path, 0o755)?;
    store.save_rootfs(record)?;
    mount_rootfs(store, record)
}

/// Gives a fresh upper directory, which the merged root looks like, the owner, mode, times and
/// extended attributes of the topmost layer's root.
pub fn inherit_root(store: &Store, layers: &[ChainId], upper: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let Some(top) = layers.last() else {
        // As a layer's root looks that nobody describes.
        let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        return Ok(fs::File::open(upper)?.set_times(times)?);
    };
    let root = store.open_layer(top)?;
    let metadata = fs::metadata(store.layer_fs(top))?;
    xattr::disinherit(fs::File::open(upper)?)?;
    chown(upper, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(upper, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    let upper = fs::File::open(upper)?;
    for (name, value) in xattr::list(&root)? {
        if !xattr::is_overlay(&name) {
            xattr::set(&upper, &name, &value)?;
        }
    }
    let times = fs::FileTimes::new().set_modified(metadata.modified()?);
    Ok(upper.set_times(times)?)
}

/// Whether nobody but root may walk into a directory, which its user may have made otherwise.
pub(super) fn is_closed(directory: &Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let metadata =
        fs::metadata(directory).with_context(|| format!("bundle {}", directory.display()))?;
    Ok(metadata.uid() == 0 && metadata.mode() & 0o077 == 0)
}

/// Mounts what a record says where it says.
pub(super) fn mount_rootfs(store: &Store, record: &RootfsRecord) -> Result<()> {
    let private = store.rootfs_dir(&record.id);
    // Where users of the host may walk in, programs of the image must not give them its rights
    // (CVE-2021-41091). A bundle's directory is made closed instead, so that it keeps them.
    let no_suid = match &record.bundle {
        Some(bundle) => !is_closed(bundle)?,
        None => true,
    };
    let writable = Writable {
        directory: &private,
        volatile: false,
        no_suid,
        places: None,
    };
    let target = directory(&record.path)?;
    mount_layers(store, &record.layers, &writable, target.as_fd())
}
