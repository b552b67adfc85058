//! An OCI image layout in a plain tar file.

use std::io::Read;
use std::path::Path;

use anyhow::Result;

use super::tarball::Tarball;
use super::{Blobs, Files, missing, read_document};
use crate::error::{Fault, Kind};
use crate::image::Digest;

/// An opened archive.
#[derive(Debug)]
pub(super) struct Archive(Tarball);

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Tarball::open(path).map(Self)
    }
}

impl Files for Archive {
    fn index(&self) -> Result<Vec<u8>> {
        if let Some(index) = self.0.find("index.json")? {
            return read_document(self.0.read(index, 0)?, "index.json");
        }
        let fault = Fault::new(Kind::NotFound, "there is no index.json in it");
        Err(match self.0.find("manifest.json")? {
            Some(_) => fault.hint("it is what 'docker save' writes: say docker-archive:FILE"),
            None => fault,
        }
        .into())
    }
}

impl Blobs for Archive {
    fn blob(&self, digest: &Digest, offset: u64) -> Result<Box<dyn Read + Send>> {
        let name = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        let extent = self.0.find(&name)?.ok_or_else(|| missing(digest))?;
        Ok(Box::new(self.0.read(extent, offset)?))
    }
}
