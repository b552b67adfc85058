//! Unpacked layers by chain ID, and the staging directories they grow in.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Durability, Lock, Store, file};
use crate::error::{Fault, Kind};
use crate::image::{ChainId, Digest};
use crate::sys;
use crate::sys::root::Root;

/// The name of the record of a layer that is complete on the disk.
const RECORD: &str = "layer.json";

/// What is known of an unpacked layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// The compressed blob it came from.
    pub blob: Digest,
    /// Bytes of file content on disk.
    pub unpacked_size: u64,
}

/// A private directory for one layer; removed when dropped before it is committed.
#[derive(Debug)]
pub struct Staging {
    directory: PathBuf,
    root: Root,
    committed: bool,
    _lock: Lock,
}

impl Staging {
    /// The handle of the directory to unpack into.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// A second handle of the same directory, which stays valid when it gets its final name.
    pub fn reopen(&self) -> Result<Root> {
        Ok(Root::open(&self.tree())?)
    }

    /// Where it is until it gets its final name.
    pub(super) fn tree(&self) -> PathBuf {
        self.directory.join("fs")
    }

    /// Adds the record; the layer is complete except for its name.
    pub fn describe(&self, record: &LayerRecord, durability: Durability) -> Result<()> {
        let path = match durability {
            Durability::Synced => self.directory.join(RECORD),
            Durability::ThisBoot => self.directory.join(record_of_this_boot()?),
        };
        fs::write(&path, file::json(record)?).with_context(|| format!("write {}", path.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.committed {
            // What cannot be removed now is swept by a later command once our lock is gone.
            let _ = sys::remove_path(&self.directory);
        }
    }
}

impl Store {
    fn layer_path(&self, chain: &ChainId) -> PathBuf {
        self.path("layers").join(self.layer_name(chain))
    }

    /// Its chain ID and, where users are mapped, the id of their map: what is whose is on the disk
    /// by the machine's numbers, which another map would take for other users (design D5).
    pub(super) fn layer_name(&self, chain: &ChainId) -> String {
        let hex = chain.digest().hex();
        match &self.mapping {
            None => hex.to_owned(),
            Some(mapping) => format!("{hex}-{mapping}"),
        }
    }

    /// The directory of a committed layer's files.
    pub fn layer_fs(&self, chain: &ChainId) -> PathBuf {
        self.layer_path(chain).join("fs")
    }

    /// Whether the layer is complete and in place.
    pub fn has_layer(&self, chain: &ChainId) -> bool {
        let path = self.layer_path(chain);
        path.join(RECORD).exists()
            || record_of_this_boot().is_ok_and(|record| path.join(record).exists())
    }

    /// What is known of a layer, if [`Store::has_layer`].
    pub fn layer(&self, chain: &ChainId) -> Result<Option<LayerRecord>> {
        record_in(&self.layer_path(chain))
    }

    /// Keeps layers in place while the returned lock lives. Fails with [`Kind::Store`] if a prune
    /// was quicker.
    pub fn lock_layers(&self, layers: &[ChainId]) -> Result<Lock> {
        let lock = self.lock_shared()?;
        match layers.iter().find(|chain| !self.has_layer(chain)) {
            None => Ok(lock),
            Some(gone) => Err(Fault::new(Kind::Store, format!("layer {gone} was pruned"))
                .hint("pull the image again")
                .into()),
        }
    }

    /// A handle of a committed layer's files.
    pub fn open_layer(&self, chain: &ChainId) -> Result<Root> {
        Root::open(&self.layer_fs(chain)).with_context(|| format!("layer {chain}"))
    }

    /// Makes a staging directory on the store's own filesystem.
    pub fn stage(&self) -> Result<Staging> {
        let directory = self.path("tmp").join(sys::random_name()?);
        let lock = Lock::new_directory(&directory)?;
        let tree = directory.join("fs");
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&tree)
            .context("stage a layer")?;
        let root = Root::open(&tree)?;
        Ok(Staging {
            directory,
            root,
            committed: false,
            _lock: lock,
        })
    }

    /// Gives a described and synced layer its name. If another process was quicker, ours goes.
    pub fn commit_layer(&self, mut staging: Staging, chain: &ChainId) -> Result<()> {
        let target = self.layer_path(chain);
        let mut renamed = rename_to_new(&staging.directory, &target);
        if renamed == Err(Errno::EXIST) && !self.has_layer(chain) {
            // Of an earlier boot, and never synced: nobody can be using it.
            self.discard(&target)?;
            renamed = rename_to_new(&staging.directory, &target);
        }
        match renamed {
            Ok(()) => staging.committed = true,
            Err(Errno::EXIST) => (),
            Err(error) => {
                return Err(std::io::Error::from(error))
                    .with_context(|| format!("commit layer {chain}"));
            }
        }
        Ok(())
    }

    /// Makes the names of committed layers and blobs durable.
    pub fn sync_content(&self) -> Result<()> {
        let mut directories = file::list(&self.path("blobs"))?;
        directories.extend(["blobs", "layers"].map(|name| self.path(name)));
        for directory in directories {
            sys::sync_directory(&directory).context("sync the store's directories")?;
        }
        Ok(())
    }

    /// Makes the names of committed images durable.
    pub fn sync_images(&self) -> Result<()> {
        sys::sync_directory(&self.path("refs")).context("sync the store's images")
    }

    pub(super) fn sweep_staging(&self) {
        for directory in file::list(&self.path("tmp")).unwrap_or_default() {
            if let Ok(Some(_dead)) = Lock::existing(&directory) {
                let _ = self.discard(&directory);
            }
        }
    }

    pub(super) fn layer_directories(&self) -> Result<Vec<PathBuf>> {
        Ok(file::list(&self.path("layers"))?)
    }
}

pub(super) fn record_in(layer: &Path) -> Result<Option<LayerRecord>> {
    match file::read_json(&layer.join(RECORD))? {
        None => file::read_json(&layer.join(record_of_this_boot()?)),
        found => Ok(found),
    }
}

/// The name of the record of a layer that was not synced: under another boot it is none.
fn record_of_this_boot() -> std::io::Result<String> {
    Ok(format!("layer-{}.json", sys::boot_id()?))
}

pub(super) fn rename_to_new(from: &Path, to: &Path) -> rustix::io::Result<()> {
    use rustix::fs::CWD;
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}
