//! What is on disk: blobs, image names, unpacked layers, partial downloads, provisioned root
//! filesystems and the writable layers of containers.
//!
//! ```text
//! ROOT/VERSION                    {"format":1}; a newer format is refused
//! ROOT/store.lock                 flock: shared by whoever uses layers, exclusive for pruning
//! ROOT/blobs/ALGORITHM/HEX        manifests, indexes and configurations, 0444
//! ROOT/refs/HEX.json              one image name; HEX is the SHA-256 of the name
//! ROOT/layers/CHAIN/{fs,layer.json}   an unpacked layer in overlay form, by chain ID, and in a
//!                                 user's store by the map of users too: CHAIN-MAP; with
//!                                 layer-BOOT.json instead, it was not synced and is valid in that
//!                                 boot only
//! ROOT/ingest/HEX                 a layer being fetched: its lock, and perhaps its bytes;
//!                                 image-HEX is the right to pull the image of a configuration
//! ROOT/tmp/RANDOM                 a layer or a small file that is being written; a flock on it says
//!                                 that its maker lives. Also the locks of paths, by their SHA-256
//! ROOT/trash/RANDOM               renamed here under the exclusive lock, deleted without it
//! ROOT/rootfs/ID/                 a provisioned root filesystem: record.json, of an overlay upper
//!                                 and work, and rootfs if no other place was named for it;
//!                                 temporary.json names what a copy that died leaves elsewhere
//! ROOT/containers/ID/             the writable layer of a container; a flock on it says
//!                                 that its ucr lives; also what else it has for itself, and
//!                                 container.json if it stays after its end; see `container`
//! ROOT/volumes/NAME/              a named volume; see `volume`
//! ROOT/networks/NAME.json         a named network; a flock on it says who uses it: shared by
//!                                 running containers, exclusive while it is removed
//! ```
//!
//! Everything is published by fsync and rename, names last, so `kill -9` at any moment leaves only
//! entries that the next command recognises as dead: their flock is free. There is no daemon, no
//! database and no list that two processes could write at once. The root is 0700, because layers
//! hold set-user-ID programs that users of the host must not reach (CVE-2021-41091).

mod blob;
mod container;
mod file;
mod gc;
mod ingest;
mod layer;
mod lock;
mod network;
mod places;
mod refs;
mod rootfs;
mod sandbox;
mod volume;
mod writeback;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};
use crate::image::Digest;
use crate::sys;
use crate::sys::users;

pub use container::{ContainerDir, KeptContainer, Lease};
pub use file::StagedFile;
pub use gc::Reclaimed;
pub use ingest::{Ingest, KEPT_ALIGNMENT};
pub use layer::{LayerRecord, Staging};
pub use lock::{Lock, Patience};
pub use network::{NetworkUse, NetworksLock};
pub use refs::{Image, ImageRecord};
pub use rootfs::{Backend, PathRight, RootfsMaking, RootfsRecord};
pub use sandbox::{Sandbox, SandboxRoom, make_directory};
pub use volume::{VolumeRecord, VolumeUse};
pub use writeback::{Durability, Writeback};

const FORMAT: u32 = 1;
const DIRECTORIES: [&str; 8] = [
    "blobs/sha256",
    "refs",
    "layers",
    "ingest",
    "tmp",
    "trash",
    "rootfs",
    "containers",
];

/// An opened store.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// Names the map of users, where they are not the machine's.
    mapping: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Version {
    format: u32,
}

impl Store {
    /// Opens the store at `root` and makes it if it is not there. Fails with [`Kind::Store`] when a
    /// newer ucr made it.
    pub fn open(root: &Path) -> Result<Self> {
        let store = Self {
            root: root.to_owned(),
            mapping: mapping().context("read the map of users")?,
        };
        store
            .prepare()
            .with_context(|| format!("store {}", root.display()))?;
        Ok(store)
    }

    fn prepare(&self) -> Result<()> {
        let version = self.root.join("VERSION");
        match file::read_json::<Version>(&version)? {
            Some(found) if found.format == FORMAT => return Ok(()),
            Some(found) => {
                let message = format!("its format is {}, this ucr knows {FORMAT}", found.format);
                return Err(Fault::new(Kind::Store, message)
                    .hint("use a newer ucr")
                    .into());
            }
            None => (),
        }
        sys::make_private(&self.root)?;
        for directory in DIRECTORIES {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(self.root.join(directory))?;
        }
        self.write_json(&version, &Version { format: FORMAT })
    }

    /// Where the store is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a directory may be made with a random name, to be swept when nobody has a flock on it.
    pub fn temporary(&self) -> PathBuf {
        self.path("tmp")
    }

    fn path(&self, directory: &str) -> PathBuf {
        self.root.join(directory)
    }

    /// Keeps every layer in place while the returned lock lives.
    pub fn lock_shared(&self) -> Result<Lock> {
        Lock::shared(&self.path("store.lock"))
    }

    /// Removes what dead processes left: staging directories, containers whose ucr is gone, trash.
    /// Never waits, and ignores what it cannot remove: the next command tries again.
    pub fn heal(&self) {
        self.sweep_staging();
        self.sweep_rights();
        self.sweep_containers();
        self.sweep_rootfs();
        self.empty_trash();
    }

    /// Renames something away under whatever lock the caller holds, then deletes it.
    fn discard(&self, path: &Path) -> Result<()> {
        let trash = self.path("trash").join(sys::random_name()?);
        match fs::rename(path, &trash) {
            Ok(()) => {
                sys::remove_path(&trash).with_context(|| format!("remove {}", trash.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("remove {}", path.display())),
        }
    }

    fn empty_trash(&self) {
        for entry in file::list(&self.path("trash")).unwrap_or_default() {
            // Another process may be deleting it at this moment; that is as good.
            let _ = sys::remove_path(&entry);
        }
    }
}

/// Eight hex digits of a digest of the map of users that this process lives with.
fn mapping() -> std::io::Result<Option<String>> {
    let Some(mapping) = users::own_mapping()? else {
        return Ok(None);
    };
    let text = format!("{:?} {:?}", mapping.uids, mapping.gids);
    Ok(Some(Digest::of(text.as_bytes()).hex()[..8].to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Whoever names a place deep down gets parents that others may pass, as from mkdir(1).
    #[test]
    fn the_store_is_private_and_its_parents_are_not() {
        let scratch = tempfile::tempdir().unwrap();
        let parent = scratch.path().join("srv/images");
        Store::open(&parent.join("store")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let ordinary = scratch.path().join("ordinary");
        fs::create_dir(&ordinary).unwrap();
        assert_eq!(mode(&parent), mode(&ordinary));
        assert_eq!(mode(&scratch.path().join("srv")), mode(&ordinary));
        assert_eq!(mode(&parent.join("store")), 0o700);
        assert_eq!(mode(&parent.join("store/layers")), 0o700);
    }
}
