//! Blobs by digest: manifests, indexes and image configurations.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{StagedFile, Store};
use crate::error::{Fault, Kind, kind};
use crate::image::{Digest, Raw};

impl Store {
    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path("blobs")
            .join(digest.algorithm().name())
            .join(digest.hex())
    }

    /// The blob if it is there and whole; a damaged one is as good as none, for it can be had again.
    pub fn sound_blob(&self, digest: &Digest) -> Result<Option<Raw>> {
        match self.blob(digest) {
            Err(error) if matches!(kind(&error), Kind::NotFound | Kind::Integrity) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Writes verified bytes, to be kept once they are committed; `None` if they are here. Replaces
    /// a damaged blob.
    pub fn stage_blob(&self, raw: &Raw) -> Result<Option<StagedFile>> {
        if self.sound_blob(raw.digest())?.is_some() {
            return Ok(None);
        }
        let path = self.blob_path(raw.digest());
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        self.stage_file(&path, raw.bytes(), 0o444).map(Some)
    }

    /// Reads a blob and checks its digest again, since disks fail too. Fails with
    /// [`Kind::NotFound`] or [`Kind::Integrity`].
    pub fn blob(&self, digest: &Digest) -> Result<Raw> {
        let bytes = match fs::read(self.blob_path(digest)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let message = format!("blob {digest} is not in the store");
                return Err(Fault::new(Kind::NotFound, message)
                    .hint("pull the image again")
                    .into());
            }
            Err(error) => return Err(error).with_context(|| format!("blob {digest}")),
        };
        Raw::verified(bytes, None, digest).map_err(|error| {
            let message = format!("blob {digest} in the store is damaged: {error}");
            Fault::new(Kind::Integrity, message)
                .hint("pull the image again")
                .into()
        })
    }
}
