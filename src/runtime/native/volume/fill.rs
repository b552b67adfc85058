//! What the image has in the place of a volume is copied into it, when it is empty.
//!
//! By a child with mounts of its own, where the image is mounted and nothing else: a link in it can
//! lead nowhere but into it. Runs as the host's root; the parent waits for it.

use std::fs::DirBuilder;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};

use super::{Opening, private};
use crate::provision::{copy_tree, inherit_root, mount_layers};
use crate::runtime::native::rootfs::writable;
use crate::runtime::native::status::{self, Message};
use crate::spec::Mount;
use crate::spec::mount::{Source, Volume};
use crate::sys::mount;
use crate::sys::process::{Namespaces, die_with_parent, spawn};
use crate::sys::root::Root;

impl Opening<'_> {
    /// Makes volumes without a name, fills those that want it, and lets others use the named ones.
    pub(super) fn fill(&self, mounts: &[Mount]) -> Result<()> {
        for (number, mount) in mounts.iter().enumerate() {
            if let Source::Volume(Volume { name: None, .. }) = mount.source {
                private(self.directory, "volume", number)?;
            }
        }
        let volumes: Vec<(usize, &Mount, &Volume)> = mounts
            .iter()
            .enumerate()
            .filter_map(|(number, mount)| match &mount.source {
                Source::Volume(volume) if self.wants_copy(volume) => Some((number, mount, volume)),
                _ => None,
            })
            .collect();
        if !volumes.is_empty() {
            self.by_child(&volumes)?;
        }
        self.kept.volumes.values().try_for_each(|it| it.share())
    }

    fn wants_copy(&self, volume: &Volume) -> bool {
        let may_be_filled = match &volume.name {
            Some(name) => self
                .kept
                .volumes
                .get(name)
                .is_some_and(|it| it.is_fillable()),
            None => true,
        };
        self.is_of_image && may_be_filled && !volume.no_copy && volume.subpath.is_none()
    }

    fn by_child(&self, volumes: &[(usize, &Mount, &Volume)]) -> Result<()> {
        let own = Namespaces {
            mount: true,
            ..Namespaces::default()
        };
        let (ours, theirs) = status::channel()?;
        let child = spawn(own, move || match self.copy_all(volumes) {
            Ok(()) => 0,
            Err(error) => {
                theirs.failed(&error);
                1
            }
        });
        let child = child.context("make a mount namespace")?;
        let said = ours.next()?;
        let ended = child.wait()?;
        match said {
            Message::Failed(error) => Err(error),
            _ if ended.code() == 0 => Ok(()),
            _ => anyhow::bail!("internal: what fills volumes ended with {}", ended.code()),
        }
    }

    fn copy_all(&self, volumes: &[(usize, &Mount, &Volume)]) -> Result<()> {
        die_with_parent()?;
        mount::make_all_private().context("cut the mount namespace off")?;
        let directory = self.directory.join("copied");
        for name in ["", "upper", "work", "rootfs"] {
            DirBuilder::new().mode(0o755).create(directory.join(name))?;
        }
        inherit_root(self.store, self.layers, &directory.join("upper"))?;
        let merged = directory.join("rootfs");
        let target = Root::open(&merged)?;
        mount_layers(
            self.store,
            self.layers,
            &writable(&directory),
            target.as_fd(),
        )?;
        let root = Root::open(&merged)?;
        for (number, mount, volume) in volumes {
            self.copy(&root, *number, mount, volume)
                .with_context(|| format!("fill {mount}"))?;
        }
        Ok(())
    }

    fn copy(&self, root: &Root, number: usize, mount: &Mount, volume: &Volume) -> Result<()> {
        let copy = |directory: &Path| copy_up(root, &mount.target, directory);
        match &volume.name {
            Some(name) => self.kept.volume(name)?.fill(copy),
            None => copy(&self.data(volume, number)?).map(drop),
        }
    }
}

/// Copies what the image has at the target, if that is a directory; returns whether it is.
fn copy_up(root: &Root, target: &Path, directory: &Path) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let from = match root.resolve(target, flags, Mode::empty()) {
        Ok(from) => Root::from_fd(from),
        Err(error) if is_nothing(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    copy_tree(from, &Root::open(directory)?)?;
    Ok(true)
}

fn is_nothing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}
