//! What is mounted at the user's wish, in three steps, so that nothing of the image can decide what
//! is shown or where:
//!
//! ```text
//! parent   open    the host's files, as detached trees, before there is a container
//! stage    make    volumes and other images, while the root filesystem is nothing but the image
//! stage    attach  all of them, parents first, each on a handle found inside the root
//! ```
//!
//! Runs as the host's root. A name in the image is resolved inside the root by handle and never
//! used again; a place in a kernel filesystem is refused unless it was asked for literally.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::rootfs::KernelFilesystems;
use super::stage::Stage;
use crate::error::{Fault, Kind};
use crate::image::ChainId;
use crate::provision::{Writable, copy_tree, inherit_root, mount_layers};
use crate::spec::Mount;
use crate::spec::mount::{
    Access, Bind, IdMap, IdRange, ImageSource, Propagation, Recursive, Source, Tmpfs, Volume,
};
use crate::store::{Store, VolumeUse};
use crate::sys;
use crate::sys::mount::{self, Restrict, Sharing};
use crate::sys::proc::Proc;
use crate::sys::root::Root;

/// A mount that is not attached anywhere yet.
#[derive(Debug)]
pub(super) struct Tree {
    tree: OwnedFd,
    is_directory: bool,
}

/// What the store contributes; held by the parent as long as the container lives.
#[derive(Debug)]
pub(super) struct Kept {
    volumes: BTreeMap<String, VolumeUse>,
    images: BTreeMap<String, Vec<ChainId>>,
}

impl Kept {
    /// Finds the images that are mounted, whose layers are to be leased, and nothing else yet.
    pub(super) fn find(store: &Store, mounts: &[Mount]) -> Result<Self> {
        let mut images = BTreeMap::new();
        for mount in mounts {
            if let Source::Image(ImageSource { name, .. }) = &mount.source {
                images.insert(name.clone(), layers(store, name)?);
            }
        }
        let volumes = BTreeMap::new();
        Ok(Self { volumes, images })
    }

    /// The layers that must stay.
    pub(super) fn layers(&self) -> impl Iterator<Item = &ChainId> {
        self.images.values().flatten()
    }

    /// Takes the named volumes into use: in the order of their names, so that two containers never
    /// wait for each other.
    pub(super) fn use_volumes(&mut self, store: &Store, mounts: &[Mount]) -> Result<()> {
        let names: BTreeSet<&String> = mounts
            .iter()
            .filter_map(|mount| match &mount.source {
                Source::Volume(volume) => volume.name.as_ref(),
                _ => None,
            })
            .collect();
        for name in names {
            self.volumes.insert(name.clone(), store.use_volume(name)?);
        }
        Ok(())
    }
}

fn layers(store: &Store, name: &str) -> Result<Vec<ChainId>> {
    let image = match store.image(name)? {
        Some(record) => store.open_image(record)?,
        None => None,
    };
    let image = image.ok_or_else(|| {
        Fault::new(Kind::NotFound, format!("image {name} is not in the store"))
            .hint(format!("pull it first: ucr pull {name}"))
    })?;
    Ok(image.layers)
}

/// Takes copies of what the host has, in the order of the mounts. In the parent: a new mount
/// namespace is cut off from the host's, and with it what should be shared.
pub(super) fn open(mounts: &[Mount], users: Option<BorrowedFd>) -> Result<Vec<Option<Tree>>> {
    let open = |mount: &Mount| match &mount.source {
        Source::Bind(bind) => take(bind, mount.access, mount.is_read_only(), users)
            .with_context(|| format!("volume source {}", bind.path.display()))
            .map(Some),
        Source::Tmpfs(_) | Source::Volume(_) | Source::Image(_) => Ok(None),
    };
    mounts.iter().map(open).collect()
}

fn take(bind: &Bind, access: Access, read_only: bool, users: Option<BorrowedFd>) -> Result<Tree> {
    let metadata = fs::metadata(&bind.path).map_err(|error| {
        let fault = Fault::new(Kind::Spec, error.to_string());
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                fault.hint("make it first; ucr does not make directories on the host")
            }
            _ => fault,
        }
    })?;
    let sharing = sharing(bind)?;
    let recursive = bind.recursive != Some(Recursive::Disabled);
    let tree = mount::clone_path(&bind.path, recursive)?;
    // At once, in a call of its own: what is cloned from a shared mount is shared.
    mount::share(tree.as_fd(), sharing, recursive)?;
    if let Some(map) = &bind.idmap {
        map_owners(tree.as_fd(), map, recursive, users)?;
    }
    let is_device = metadata.file_type().is_char_device();
    let restrict = Restrict {
        read_only: read_only && bind.recursive != Some(Recursive::Writable),
        ..restrict(
            access,
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
        is_directory: metadata.is_dir(),
    })
}

fn map_owners(
    tree: BorrowedFd,
    map: &IdMap,
    recursive: bool,
    users: Option<BorrowedFd>,
) -> Result<()> {
    let refused = |error: std::io::Error| {
        let message = format!("the owners of its filesystem cannot be mapped: {error}");
        Fault::new(Kind::Unsupported, message)
    };
    let IdMap::Explicit { uids, gids } = map else {
        let Some(users) = users else {
            let fault = Fault::new(Kind::Spec, "the container has no user namespace to map to");
            return Err(fault
                .hint("say --userns too, or idmap=uids=DISK-SHOWN-COUNT;gids=…")
                .into());
        };
        return Ok(mount::map_owners(tree, users, recursive).map_err(refused)?);
    };
    let ranges = |ranges: &[IdRange]| -> Vec<_> {
        ranges
            .iter()
            .map(|it| (it.on_disk, it.shown, it.count))
            .collect()
    };
    let gids = if gids.is_empty() { uids } else { gids };
    let mapping = sys::users::namespace(&ranges(uids), &ranges(gids))
        .with_context(|| format!("make the mapping {map}"))?;
    Ok(mount::map_owners(tree, mapping.as_fd(), recursive).map_err(refused)?)
}

/// What was asked for, or else these defaults.
fn restrict(access: Access, default: Access) -> Restrict {
    let is = |asked: Option<bool>, default: Option<bool>| asked.or(default).unwrap_or(false);
    Restrict {
        read_only: is(access.read_only, default.read_only),
        no_exec: is(access.no_exec, default.no_exec),
        no_suid: is(access.no_suid, default.no_suid),
        no_dev: is(access.no_dev, default.no_dev),
    }
}

fn sharing(bind: &Bind) -> Result<Sharing> {
    match bind.propagation {
        None | Some(Propagation::Rprivate | Propagation::Private) => Ok(Sharing::Private),
        Some(Propagation::Rslave | Propagation::Slave) => Ok(Sharing::Slave),
        Some(Propagation::Rshared | Propagation::Shared) => {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let source = openat(CWD, &bind.path, flags, Mode::empty())?;
            if Proc::open()?.is_on_shared_mount(source.as_fd())? {
                return Ok(Sharing::Shared);
            }
            let fault = Fault::new(Kind::Spec, "it is not on a shared mount");
            Err(fault
                .hint("make it one: mount --make-shared MOUNT_POINT; or ask for rslave")
                .into())
        }
    }
}

/// Makes volumes and images ready, in the order of the mounts; fills volumes with what the image
/// has in their place. In the stage, while the root filesystem is the image's alone: what is copied
/// can be nothing else.
pub(super) fn make(stage: &Stage, root: &Root) -> Result<Vec<Option<Tree>>> {
    let make = |(number, mount): (usize, &Mount)| {
        let maker = Maker {
            stage,
            root,
            mount,
            number,
        };
        let made = match &mount.source {
            Source::Bind(_) | Source::Tmpfs(_) => return Ok(None),
            Source::Volume(volume) => maker.volume(volume),
            Source::Image(image) => maker.image(image),
        };
        made.map(Some).with_context(|| format!("mount {mount}"))
    };
    let made = stage.plan.mounts.iter().enumerate().map(make).collect();
    for volume in stage.kept.volumes.values() {
        volume.share()?;
    }
    made
}

/// Makes one of them.
struct Maker<'a> {
    stage: &'a Stage<'a>,
    root: &'a Root,
    mount: &'a Mount,
    number: usize,
}

impl Maker<'_> {
    fn volume(&self, volume: &Volume) -> Result<Tree> {
        let copy = |directory: &Path| self.copy_up(directory);
        let wants_copy = !volume.no_copy && volume.subpath.is_none();
        let data = match &volume.name {
            Some(name) => {
                let used = self.stage.kept.volumes.get(name);
                let used = used.context("internal: the volume was not taken into use")?;
                if wants_copy {
                    used.fill(copy)?;
                }
                used.data()
            }
            None => {
                let data = self.private("volume")?;
                if wants_copy {
                    copy(&data)?;
                }
                data
            }
        };
        self.part_of(&Root::open(&data)?, volume.subpath.as_deref())
    }

    /// An overlay of its own; what is written to it goes with the container.
    fn image(&self, image: &ImageSource) -> Result<Tree> {
        let layers = self.stage.kept.images.get(&image.name);
        let layers = layers.context("internal: the image was not leased")?;
        let private = self.private("image")?;
        for name in ["upper", "work", "rootfs"] {
            sys::make_open(&private.join(name))?;
        }
        inherit_root(self.stage.store, layers, &private.join("upper"))?;
        let writable = Writable {
            directory: &private,
            volatile: true,
            no_suid: false,
        };
        let merged = private.join("rootfs");
        let target = Root::open(&merged)?;
        mount_layers(self.stage.store, layers, &writable, target.as_fd())?;
        // The handle above is of the directory below the mount.
        self.part_of(&Root::open(&merged)?, image.subpath.as_deref())
    }

    /// A directory in the container's private one.
    fn private(&self, what: &str) -> Result<PathBuf> {
        let name = format!("{what}-{}", self.number);
        let path = self.stage.directory.path().join(name);
        sys::make_open(&path)?;
        Ok(path)
    }

    /// Copies what the image has at the target, if that is a directory; returns whether it is.
    fn copy_up(&self, directory: &Path) -> Result<bool> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let from = match self.root.resolve(&self.mount.target, flags, Mode::empty()) {
            Ok(from) => Root::from_fd(from),
            Err(error) if is_nothing(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        copy_tree(from, &Root::open(directory)?).context("copy what the image has there")?;
        Ok(true)
    }

    /// A tree, or a directory or file in it, whatever links are on the way.
    fn part_of(&self, root: &Root, subpath: Option<&Path>) -> Result<Tree> {
        let part = root.resolve(
            subpath.unwrap_or(Path::new("")),
            OFlags::PATH,
            Mode::empty(),
        );
        let part = part.map_err(|error| {
            let subpath = subpath.unwrap_or(Path::new("")).display();
            Fault::new(Kind::Spec, format!("the subpath '{subpath}': {error}"))
        })?;
        let kind = FileType::from_raw_mode(fstat(&part)?.st_mode);
        let tree = mount::clone_handle(part.as_fd())?;
        let default = Access {
            read_only: Some(self.mount.is_read_only()),
            no_dev: Some(true),
            ..Access::default()
        };
        mount::restrict(tree.as_fd(), restrict(self.mount.access, default), false)?;
        Ok(Tree {
            tree,
            is_directory: kind == FileType::Directory,
        })
    }
}

fn is_nothing(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// Attaches all mounts of the plan; `made` are those that the stage has made.
pub(super) fn attach(
    stage: &Stage,
    made: &[Option<Tree>],
    root: &Root,
    kernel: &KernelFilesystems,
) -> Result<()> {
    let opened = stage.handles.trees.iter().zip(made);
    let opened = opened.map(|(taken, made)| taken.as_ref().or(made.as_ref()));
    for (mount, opened) in stage.plan.mounts.iter().zip(opened) {
        let place = Place {
            root,
            kernel,
            target: &mount.target,
        };
        let attached = match (&mount.source, opened) {
            (Source::Tmpfs(tmpfs), _) => place.memory(tmpfs, mount.access),
            (_, Some(tree)) => place.tree(tree),
            (_, None) => Err(anyhow::anyhow!("internal: nothing was made for it")),
        };
        attached.with_context(|| format!("mount {mount}"))?;
    }
    Ok(())
}

/// Where in the container something goes.
struct Place<'a> {
    root: &'a Root,
    kernel: &'a KernelFilesystems,
    target: &'a Path,
}

impl Place<'_> {
    fn tree(&self, tree: &Tree) -> Result<()> {
        let target = if tree.is_directory {
            self.directory()?
        } else {
            self.file()?
        };
        self.attach(tree.tree.as_fd(), target.as_fd())
    }

    /// Memory looks like the directory that it covers; what is made for it, like /tmp.
    fn memory(&self, tmpfs: &Tmpfs, access: Access) -> Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let (target, covered) = match self.root.resolve(self.target, flags, Mode::empty()) {
            Ok(found) => {
                let stat = fstat(&found)?;
                (found, (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid))
            }
            Err(_) => (self.directory()?, (0o1777, 0, 0)),
        };
        let mode = format!("{:o}", tmpfs.mode.unwrap_or(covered.0));
        let uid = tmpfs.uid.unwrap_or(covered.1).to_string();
        let gid = tmpfs.gid.unwrap_or(covered.2).to_string();
        let size = tmpfs.size_bytes.map(|bytes| bytes.to_string());
        let mut options = vec![
            ("mode", Some(mode.as_str())),
            ("uid", Some(uid.as_str())),
            ("gid", Some(gid.as_str())),
        ];
        options.extend(size.as_deref().map(|bytes| ("size", Some(bytes))));
        let default = Access {
            read_only: None,
            no_exec: Some(true),
            no_suid: Some(true),
            no_dev: Some(true),
        };
        let tree = mount::filesystem("tmpfs", &options, restrict(access, default))?;
        self.attach(tree.as_fd(), target.as_fd())
    }

    fn attach(&self, tree: BorrowedFd, target: BorrowedFd) -> Result<()> {
        let (found, root) = (fstat(target)?, fstat(self.root)?);
        if (found.st_dev, found.st_ino) == (root.st_dev, root.st_ino) {
            let message = format!("the image's {} leads to its root", self.target.display());
            return Err(Fault::new(Kind::Spec, message).into());
        }
        let asked_for = |own| self.target.starts_with(own);
        if !["/dev", "/sys"].iter().any(asked_for) {
            self.kernel.refuse(target, self.target)?;
        }
        Ok(mount::attach(tree, target)?)
    }

    fn directory(&self) -> Result<OwnedFd> {
        let made = self.root.create_dir_all(self.target, 0o755);
        made.map_err(|error| self.refuse(error, "a directory"))
    }

    fn file(&self) -> Result<OwnedFd> {
        let made = self.root.create_file(self.target, 0o644);
        made.map_err(|error| self.refuse(error, "a file"))
    }

    fn refuse(&self, error: std::io::Error, what: &str) -> anyhow::Error {
        let target = self.target.display();
        let message = match error.raw_os_error() {
            Some(libc::EISDIR) => format!("the source is a file, {target} is a directory"),
            Some(libc::ENOTDIR) if what == "a directory" => {
                format!("the source is a directory, {target} is not, or goes through a file")
            }
            Some(libc::ENOTDIR) => format!("{target} goes through a file"),
            Some(libc::EROFS) => {
                format!("{target} is not there, and cannot be made on what is read-only")
            }
            _ => return anyhow::Error::new(error).context(format!("make {target}")),
        };
        Fault::new(Kind::Spec, message).into()
    }
}
