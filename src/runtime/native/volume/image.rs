//! Other images as volumes: an overlay each; what is written to one goes with the container.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};

use super::{Opening, Tree, part, private};
use crate::image::ChainId;
use crate::provision::{inherit_root, layers_for_users, mount_layers};
use crate::runtime::native::apart::apart;
use crate::runtime::native::handles::{OwnUsers, give_to};
use crate::runtime::native::rootfs::writable;
use crate::runtime::native::stage::Stage;
use crate::spec::Mount;
use crate::spec::mount::{ImageSource, Source};
use crate::store::Store;
use crate::sys;
use crate::sys::root::Root;

/// Makes those that the parent has left, in the order of the mounts. In the stage, whose mounts
/// nobody else sees: not every kernel can make an overlay that is mounted nowhere.
pub(in crate::runtime::native) fn images(stage: &Stage) -> Result<Vec<Option<Tree>>> {
    let mounts = stage.plan.mounts.iter().enumerate();
    let made = mounts.map(|(number, mount)| match &mount.source {
        Source::Image(image) if stage.handles.trees[number].is_none() => {
            let made = make(stage, mount, image, number);
            made.map(Some).with_context(|| format!("mount {mount}"))
        }
        _ => Ok(None),
    });
    made.collect()
}

fn make(stage: &Stage, mount: &Mount, image: &ImageSource, number: usize) -> Result<Tree> {
    let layers = stage.basis.kept.image(&image.name)?;
    let directory = prepare(
        stage.basis.store,
        layers,
        stage.basis.directory.path(),
        number,
    )?;
    let merged = directory.join("rootfs");
    sys::make_open(&merged)?;
    let target = Root::open(&merged)?;
    mount_layers(
        stage.basis.store,
        layers,
        &writable(&directory),
        target.as_fd(),
    )?;
    // The handle above is of the directory below the mount.
    part(mount, &Root::open(&merged)?, image.subpath.as_deref())
}

impl Opening<'_> {
    /// The same for a container whose users are not the host's; mounted nowhere.
    pub(super) fn image_for(
        &self,
        users: &OwnUsers,
        mount: &Mount,
        image: &ImageSource,
        number: usize,
    ) -> Result<Tree> {
        let layers = self.kept.image(&image.name)?;
        let directory = prepare(self.store, layers, self.directory, number)?;
        give_to(&directory.join("upper"), users.ids)?;
        let namespace = users.namespace.as_fd();
        let make = || {
            let tree = layers_for_users(self.store, layers, &writable(&directory), namespace)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = openat(&tree, ".", flags, Mode::empty())?;
            Ok(part(mount, &Root::from_fd(root), image.subpath.as_deref())?.tree)
        };
        let tree = apart(make)?;
        let kind = FileType::from_raw_mode(fstat(&tree)?.st_mode);
        Ok(Tree {
            tree,
            is_directory: kind == FileType::Directory,
        })
    }
}

fn prepare(store: &Store, layers: &[ChainId], directory: &Path, number: usize) -> Result<PathBuf> {
    let directory = private(directory, "image", number)?;
    for name in ["upper", "work"] {
        sys::make_open(&directory.join(name))?;
    }
    inherit_root(store, layers, &directory.join("upper"))?;
    Ok(directory)
}
