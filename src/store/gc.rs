//! Pruning: whatever no name, no provisioned root filesystem and no container refers to goes.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Lock, Patience, Store, file};
use crate::image::{ChainId, Descriptor, Digest, Document, ImageConfig, chain_ids};
use crate::sys;

/// What a prune removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reclaimed {
    /// Unpacked layers.
    pub layers: u64,
    /// Manifests, indexes and configurations.
    pub blobs: u64,
    /// Partial downloads.
    pub partial: u64,
    /// Bytes of content freed.
    pub bytes: u64,
}

/// What must stay.
#[derive(Default)]
struct Marked {
    blobs: HashSet<Digest>,
    layers: HashSet<ChainId>,
}

impl Store {
    /// Removes everything unreferenced. Waits for pulls in progress; `None` if there are some and
    /// we do not wait.
    pub fn prune(&self, patience: Patience) -> Result<Option<Reclaimed>> {
        let Some(exclusive) = Lock::exclusive(&self.path("store.lock"), patience)? else {
            return Ok(None);
        };
        let marked = self.mark()?;
        let mut reclaimed = Reclaimed::default();
        self.sweep_layers(&marked, &mut reclaimed)?;
        self.sweep_blobs(&marked, &mut reclaimed)?;
        for path in self.abandoned_ingests()? {
            reclaimed.bytes += fs::metadata(&path).map_or(0, |metadata| metadata.len());
            reclaimed.partial += 1;
            file::remove_file(&path)?;
        }
        drop(exclusive);
        self.empty_trash();
        Ok(Some(reclaimed))
    }

    fn mark(&self) -> Result<Marked> {
        let mut marked = Marked::default();
        for record in self.images()? {
            marked.blobs.extend(record.index_digest);
            marked.blobs.insert(record.manifest_digest.clone());
            marked.blobs.insert(record.config_digest.clone());
            // An image without its configuration cannot be used, so it holds no layers.
            let config = self.blob(&record.config_digest);
            if let Ok(config) = config.and_then(|raw| ImageConfig::parse(raw.bytes())) {
                marked.layers.extend(chain_ids(&config.diff_ids));
            }
        }
        for record in self.rootfs_records()? {
            self.mark_manifest(&record.manifest, &mut marked);
            marked.layers.extend(record.layers);
        }
        for lease in self.container_leases()? {
            marked.layers.extend(lease.layers);
        }
        Ok(marked)
    }

    /// A provisioned root filesystem keeps its image's documents too, so that inspect works.
    fn mark_manifest(&self, manifest: &Digest, marked: &mut Marked) {
        marked.blobs.insert(manifest.clone());
        let document = self.blob(manifest).and_then(|raw| raw.parse());
        if let Ok(Document::Image(image)) = document {
            let Descriptor { digest, .. } = image.config;
            marked.blobs.insert(digest);
        }
    }

    fn sweep_layers(&self, marked: &Marked, reclaimed: &mut Reclaimed) -> Result<()> {
        let names = marked.layers.iter().map(|chain| self.layer_name(chain));
        let keep: HashSet<String> = names.collect();
        for path in self.layer_directories()? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if keep.contains(name) {
                continue;
            }
            let record = super::layer::record_in(&path).unwrap_or_default();
            let size = record.map_or(0, |record| record.unpacked_size);
            reclaimed.bytes = reclaimed.bytes.saturating_add(size);
            reclaimed.layers += 1;
            let trash = self.path("trash").join(sys::random_name()?);
            fs::rename(&path, trash).with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }

    fn sweep_blobs(&self, marked: &Marked, reclaimed: &mut Reclaimed) -> Result<()> {
        let keep: HashSet<&str> = marked.blobs.iter().map(Digest::hex).collect();
        for algorithm in file::list(&self.path("blobs"))? {
            for path in file::list(&algorithm)? {
                let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                    continue;
                };
                if !keep.contains(name) {
                    reclaimed.bytes += fs::metadata(&path)?.len();
                    reclaimed.blobs += 1;
                    file::remove_file(&path)?;
                }
            }
        }
        Ok(())
    }
}
