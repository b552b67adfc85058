//! What is mounted at the user's wish, in steps, so that nothing of the image can decide what is
//! shown or where:
//!
//! ```text
//! parent   Kept     volumes are taken into use, images leased
//! parent   Opening  the host's files and volumes become detached trees; what fills a volume is
//!                   copied by a child that sees the image and nothing else
//! stage    images   other images, as overlays of their own
//! stage    attach   all of them, parents first, each on a handle found inside the root
//! ```
//!
//! A name in the image is resolved inside the root by handle and never used again; a place in a
//! kernel filesystem is refused unless it was asked for literally.

mod attach;
mod bind;
mod fill;
mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, fstat};

use super::handles::OwnUsers;
use crate::error::{Fault, Kind};
use crate::image::ChainId;
use crate::spec::Mount;
use crate::spec::mount::{Access, ImageSource, Source, Volume};
use crate::store::{Store, VolumeUse};
use crate::sys;
use crate::sys::mount::{self, Restrict, Sharing};
use crate::sys::root::Root;

pub(super) use attach::attach;
pub(super) use image::images;

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
        let names = mounts.iter().filter_map(|mount| match &mount.source {
            Source::Volume(volume) => volume.name.as_ref(),
            _ => None,
        });
        for name in names.collect::<BTreeSet<_>>() {
            self.volumes.insert(name.clone(), store.use_volume(name)?);
        }
        Ok(())
    }

    /// What holds the volumes for this process.
    pub(super) fn locks(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.volumes.values().map(VolumeUse::lock)
    }

    fn volume(&self, name: &str) -> Result<&VolumeUse> {
        let used = self.volumes.get(name);
        used.context("internal: the volume was not taken into use")
    }

    fn image(&self, name: &str) -> Result<&[ChainId]> {
        let layers = self.images.get(name);
        Ok(layers.context("internal: the image was not leased")?)
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

/// What the parent opens mounts with.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) store: &'a Store,
    /// The container's private directory.
    pub(super) directory: &'a Path,
    /// The layers of its own image.
    pub(super) layers: &'a [ChainId],
    /// It has one; else there is nothing to fill volumes with.
    pub(super) is_of_image: bool,
    pub(super) kept: &'a Kept,
}

impl Opening<'_> {
    /// Opens what can be opened in the parent, in the order of the mounts.
    pub(super) fn open(
        &self,
        mounts: &[Mount],
        users: Option<&OwnUsers>,
    ) -> Result<Vec<Option<Tree>>> {
        self.fill(mounts)?;
        let open = |(number, mount): (usize, &Mount)| {
            let opened = match &mount.source {
                Source::Bind(bind) => bind::take(mount, bind, users)
                    .with_context(|| format!("volume source {}", bind.path.display())),
                Source::Volume(volume) => self
                    .volume(users, mount, volume, number)
                    .with_context(|| format!("mount {mount}")),
                Source::Image(image) => match users {
                    None => return Ok(None),
                    Some(users) => self
                        .image_for(users, mount, image, number)
                        .with_context(|| format!("mount {mount}")),
                },
                Source::Tmpfs(_) => return Ok(None),
            };
            opened.map(Some)
        };
        mounts.iter().enumerate().map(open).collect()
    }

    fn volume(
        &self,
        users: Option<&OwnUsers>,
        mount: &Mount,
        volume: &Volume,
        number: usize,
    ) -> Result<Tree> {
        let data = Root::open(&self.data(volume, number)?)?;
        let tree = part(mount, &data, volume.subpath.as_deref())?;
        // The store has the owners that the container sees, so that any other container can use it.
        if let Some(users) = users {
            mount::map_owners(tree.tree.as_fd(), users.namespace.as_fd(), false)?;
        }
        Ok(tree)
    }

    /// The directory of a volume; one without a name is in the container's private directory.
    fn data(&self, volume: &Volume, number: usize) -> Result<PathBuf> {
        match &volume.name {
            Some(name) => Ok(self.kept.volume(name)?.data()),
            None => Ok(self.directory.join(format!("volume-{number}"))),
        }
    }
}

/// A directory of the store or a part of it, as a tree; links inside lead nowhere else.
fn part(mount: &Mount, root: &Root, subpath: Option<&Path>) -> Result<Tree> {
    let subpath = subpath.unwrap_or(Path::new(""));
    let found = root.resolve(subpath, OFlags::PATH, Mode::empty());
    let found = found.map_err(|error| {
        let message = format!("the subpath '{}': {error}", subpath.display());
        Fault::new(Kind::Spec, message)
    })?;
    let kind = FileType::from_raw_mode(fstat(&found)?.st_mode);
    let tree = mount::clone_handle(found.as_fd())?;
    mount::share(tree.as_fd(), Sharing::Private, false)?;
    let default = Access {
        read_only: Some(mount.is_read_only()),
        no_dev: Some(true),
        ..Access::default()
    };
    mount::restrict(tree.as_fd(), restrict(mount.access, default), false)?;
    Ok(Tree {
        tree,
        is_directory: kind == FileType::Directory,
    })
}

/// A directory of its own for one mount, in the container's private one.
fn private(directory: &Path, what: &str, number: usize) -> Result<PathBuf> {
    let path = directory.join(format!("{what}-{number}"));
    sys::make_open(&path).with_context(|| format!("make {}", path.display()))?;
    Ok(path)
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
