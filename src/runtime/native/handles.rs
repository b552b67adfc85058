//! What the parent opens for a container while it still is on the host and may enter every
//! directory of the store.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apart::apart;
use super::cgroup::Cgroups;
use super::command::OwnProgram;
use super::copies::Inside;
use super::device::{self, Shown};
use super::ground;
use super::join::Joined;
use super::plan::Plan;
use super::rootfs::{early_dev, writable};
use super::secrets::Secrets;
use super::streams::{Stdin, lend_pipes};
use super::volume::{Kept, Opening, Tree};
use crate::image::ChainId;
use crate::provision::{Writable, inherit_root, layers_for_users};
use crate::runtime::State;
use crate::spec::GivenValues;
use crate::store::{ContainerDir, Store};
use crate::sys::{mount, users};

/// Open handles, for the stage.
#[derive(Debug)]
pub(super) struct Handles {
    /// ucr's own program.
    pub(super) own: OwnProgram,
    /// What standard input becomes.
    pub(super) stdin: Stdin,
    /// Pipes instead of our terminal.
    pub(super) streams: Inside,
    /// The root filesystem, where it is a directory of the host's, or the container's users are not
    /// the host's.
    pub(super) root: Option<OwnedFd>,
    /// The container's `/dev`, unless its users are not the host's.
    pub(super) dev: Option<OwnedFd>,
    /// What the host contributes to the mounts of the plan, one for one.
    pub(super) trees: Vec<Option<Tree>>,
    /// The device nodes that are shown, in the order of the plan's.
    pub(super) devices: Vec<Shown>,
    /// Views of the container's cgroups, by their paths on the host.
    pub(super) cgroups: Vec<(PathBuf, OwnedFd)>,
    /// The store's empty places.
    pub(super) places: PathBuf,
    /// The values of secrets.
    pub(super) secrets: Secrets,
    /// Namespaces of other containers.
    pub(super) joined: Joined,
}

/// What a container is made from on the host.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    pub(super) store: &'a Store,
    pub(super) state: &'a State,
    pub(super) layers: &'a [ChainId],
    pub(super) directory: &'a ContainerDir,
    pub(super) cgroups: &'a Cgroups,
    pub(super) kept: &'a Kept,
    /// Values of secrets that are in no other place.
    pub(super) given: &'a GivenValues,
    /// The map of the container's users, if it has one.
    pub(super) ids: Option<&'a [users::Range]>,
}

impl Handles {
    /// Opens them.
    pub(super) fn open(plan: &Plan, basis: &Basis, streams: Inside) -> Result<Self> {
        let &Basis {
            store,
            state,
            layers,
            directory,
            cgroups,
            kept,
            given,
            ids,
        } = basis;
        let own_users = ids.map(|ids| -> Result<_> {
            let namespace = users::namespace(ids, ids).context("make a user namespace")?;
            Ok(OwnUsers { ids, namespace })
        });
        let own_users = own_users.transpose()?;
        let places = store.places()?;
        let root = |users: &OwnUsers| -> Result<OwnedFd> {
            let upper = directory.path().join("upper");
            inherit_root(store, layers, &upper)?;
            give_to(&upper, users.ids)?;
            let users = users.namespace.as_fd();
            let place = Writable {
                places: Some(&places),
                ..writable(directory.path())
            };
            apart(|| {
                let tree = layers_for_users(store, layers, &place, users)?;
                mount::clone_handle(tree.as_fd()).context("detach an overlay")
            })
        };
        if let Some(users) = &own_users {
            let owner = outside(users.ids, 0);
            lend_pipes(owner, &streams)
                .context("give the container's root ucr's standard streams")?;
        }
        let opening = Opening {
            store,
            directory: directory.path(),
            layers,
            is_of_image: plan.rootfs.is_none(),
            kept,
        };
        let root = match &plan.rootfs {
            Some(path) => Some(ground::take(path, plan)?),
            None => own_users.as_ref().map(root).transpose()?,
        };
        Ok(Self {
            own: OwnProgram::find(plan)?,
            stdin: Stdin::prepare(plan)?,
            streams,
            root,
            dev: early_dev(plan)?,
            places: places.clone(),
            trees: opening.open(&plan.mounts, own_users.as_ref())?,
            devices: device::open_shown(plan)?,
            cgroups: views(cgroups).context("show cgroups")?,
            secrets: Secrets::read(&plan.secrets, given)?,
            joined: Joined::open(plan, state, store)?,
        })
    }
}

impl Handles {
    /// The view of the cgroup that a kernel filesystem's options name.
    pub(super) fn cgroup(&self, options: &[String]) -> Option<BorrowedFd<'_>> {
        let path = Path::new(options.first()?);
        let found = self.cgroups.iter().find(|(own, _)| own == path);
        found.map(|(_, tree)| tree.as_fd())
    }
}

fn views(cgroups: &Cgroups) -> Result<Vec<(PathBuf, OwnedFd)>> {
    let view = |(path, own)| Ok((path, mount::clone_handle(own)?));
    cgroups
        .paths()
        .into_iter()
        .zip(cgroups.directories())
        .map(view)
        .collect()
}

/// The users of a container that are not the host's.
#[derive(Debug)]
pub(super) struct OwnUsers<'a> {
    pub(super) ids: &'a [users::Range],
    /// A user namespace with the same map.
    pub(super) namespace: OwnedFd,
}

/// Gives a directory to whoever its owner and group are in a map; others it stays with.
pub(super) fn give_to(path: &Path, ids: &[users::Range]) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let found = std::fs::metadata(path)?;
    let (uid, gid) = (outside(ids, found.uid()), outside(ids, found.gid()));
    Ok(chown(path, Some(uid), Some(gid))?)
}

/// What an ID of a map is on the host; one that is not in it stays what it is.
fn outside(ids: &[users::Range], id: u32) -> u32 {
    let range = ids
        .iter()
        .find(|(inside, _, count)| id >= *inside && id - inside < *count);
    range.map_or(id, |(inside, outside, _)| outside + (id - inside))
}
