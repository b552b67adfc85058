//! Image names: one small file each, so that no list is ever contended for.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{StagedFile, Store, file};
use crate::image::{ChainId, Digest, ImageConfig, Platform, chain_ids};
use crate::sys;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The normalised name, as it was pulled.
    pub name: String,
    /// The index the manifest was chosen from, if there was one.
    pub index_digest: Option<Digest>,
    /// The image manifest.
    pub manifest_digest: Digest,
    /// The image configuration.
    pub config_digest: Digest,
    /// The platform that its configuration says.
    pub platform: Platform,
    /// Where it came from: a registry, a directory, an archive.
    pub source: String,
    /// Compressed size of all layers, in bytes.
    pub size: u64,
    /// When it was pulled, seconds since 1970.
    pub pulled_at: u64,
}

/// An image that is completely in the store.
#[derive(Clone, Debug)]
pub struct Image {
    /// What its name stands for.
    pub record: ImageRecord,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers, bottom first.
    pub layers: Vec<ChainId>,
}

impl Store {
    /// Completes a record to an image; `None` if something of it is missing or damaged.
    pub fn open_image(&self, record: ImageRecord) -> Result<Option<Image>> {
        for digest in record.index_digest.iter().chain([&record.manifest_digest]) {
            if self.sound_blob(digest)?.is_none() {
                return Ok(None);
            }
        }
        let Some(config) = self.sound_blob(&record.config_digest)? else {
            return Ok(None);
        };
        let config = ImageConfig::parse(config.bytes())?;
        let layers = chain_ids(&config.diff_ids);
        let complete = layers.iter().all(|chain| self.has_layer(chain));
        Ok(complete.then_some(Image {
            record,
            config,
            layers,
        }))
    }

    fn ref_path(&self, name: &str) -> PathBuf {
        self.path("refs")
            .join(format!("{}.json", Digest::of(name.as_bytes()).hex()))
    }

    /// What a name stands for, if it was pulled.
    pub fn image(&self, name: &str) -> Result<Option<ImageRecord>> {
        file::read_json(&self.ref_path(name))
    }

    /// Writes the record of an image, to be committed when its blobs and layers are in place.
    pub fn stage_image(&self, record: &ImageRecord) -> Result<StagedFile> {
        let path = self.ref_path(&record.name);
        self.stage_file(&path, &file::json(record)?, 0o644)
    }

    /// Every named image, by name.
    pub fn images(&self) -> Result<Vec<ImageRecord>> {
        let mut records = Vec::new();
        for path in file::list(&self.path("refs"))? {
            // A name removed between listing and reading is simply gone.
            records.extend(file::read_json::<ImageRecord>(&path)?);
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    /// Forgets a name; what only it referred to goes with the next prune.
    pub fn remove_image(&self, name: &str) -> Result<()> {
        let path = self.ref_path(name);
        file::remove_file(&path)?;
        Ok(sys::sync_directory(&self.path("refs"))?)
    }
}
