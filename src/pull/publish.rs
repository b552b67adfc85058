//! The end of a pull: everything onto the disk, then the names, that of the image last. Until then
//! nobody sees any of it, and after a loss of power there is all of it or nothing.

use anyhow::Result;

use crate::image::ChainId;
use crate::store::{Durability, StagedFile, Staging, Store, Writeback};

/// What gets its name.
pub(super) struct Ready<'a> {
    /// Layers on their parents, the bottom one first.
    pub(super) layers: Vec<(&'a ChainId, Staging)>,
    /// What was written of them so far is being written back.
    pub(super) writeback: Writeback,
}

/// Names layers, documents, and the image.
pub(super) fn publish(
    store: &Store,
    ready: Ready,
    documents: Vec<StagedFile>,
    image: StagedFile,
) -> Result<()> {
    let durability = ready.writeback.durability();
    if ready.layers.is_empty() || durability == Durability::ThisBoot {
        // A few small files: no reason to wait for all that others write on that disk. Without a
        // sync, documents may turn out damaged; they are fetched again, but the record is needed.
        for document in documents
            .iter()
            .filter(|_| durability == Durability::Synced)
        {
            document.sync()?;
        }
        image.sync()?;
    } else {
        ready.writeback.finish()?;
    }
    for (chain, staging) in ready.layers {
        store.commit_layer(staging, chain)?;
    }
    for document in documents {
        document.commit()?;
    }
    if durability == Durability::Synced {
        store.sync_content()?;
    }
    image.commit()?;
    match durability {
        Durability::Synced => store.sync_images(),
        Durability::ThisBoot => Ok(()),
    }
}
