//! Blobs by digest: manifests, indexes and image configurations.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Store;
use crate::error::{Fault, Kind};
use crate::image::{Digest, Raw};

impl Store {
    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path("blobs")
            .join(digest.algorithm().name())
            .join(digest.hex())
    }

    /// Whether the blob is there.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).exists()
    }

    /// Keeps verified bytes. Idempotent.
    pub fn put_blob(&self, raw: &Raw) -> Result<()> {
        let path = self.blob_path(raw.digest());
        if path.exists() {
            return Ok(());
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        self.publish(&path, raw.bytes(), 0o444)
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
        Raw::verified(bytes, None, digest).with_context(|| format!("blob {digest} in the store"))
    }
}
