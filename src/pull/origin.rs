//! Where an image comes from, seen from the pull: registries and files answer the same questions.

use std::io::Read;

use anyhow::{Context, Result};

use crate::image::{Descriptor, Digest, Raw};
use crate::registry::{Options, Registry};
use crate::source::{ImageName, LocalImage};

/// A place that has one image.
pub trait Origin: Sync {
    /// The place, for people and for `inspect`.
    fn describe(&self) -> String;
    /// The manifest or index that the name stands for.
    fn top(&self) -> Result<Raw>;
    /// What [`Origin::top`] would bring, if that can be had for less.
    fn peek(&self) -> Result<Option<Digest>> {
        Ok(None)
    }
    /// A manifest or index by digest, verified.
    fn document(&self, digest: &Digest) -> Result<Raw>;
    /// A small blob, verified.
    fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>>;
    /// A layer's bytes from an offset on, not verified.
    fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>>;
    /// Whether somebody else may have given us a blob.
    fn has_mirrors(&self) -> bool {
        false
    }
    /// A layer's bytes from the place that the name says.
    fn blob_past_mirrors(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        self.blob(descriptor, 0)
    }
}

/// Opens the place that a name says.
pub(super) fn open(
    name: &ImageName,
    registry: &dyn Fn() -> Result<Options>,
) -> Result<Box<dyn Origin>> {
    let image = match name {
        ImageName::Registry(reference) => {
            return Ok(Box::new(Remote {
                name: reference.registry().to_owned(),
                registry: Registry::connect(reference, registry()?)?,
                locator: reference.locator(),
            }));
        }
        ImageName::Layout { path, tag } => LocalImage::in_layout(path, tag.as_deref()),
        ImageName::Archive { path, tag } => LocalImage::in_archive(path, tag.as_deref()),
        ImageName::DockerArchive { path, tag } => {
            LocalImage::in_docker_archive(path, tag.as_deref())
        }
        ImageName::DockerDaemon(_) => Err(crate::error::Fault::new(
            crate::error::Kind::Unsupported,
            "images of a Docker Engine are not supported yet",
        )
        .into()),
    };
    let name = name.to_string();
    let image = image.with_context(|| name.clone())?;
    Ok(Box::new(Local { name, image }))
}

struct Remote {
    name: String,
    registry: Registry,
    locator: String,
}

impl Origin for Remote {
    fn describe(&self) -> String {
        self.name.clone()
    }

    fn top(&self) -> Result<Raw> {
        self.registry.manifest(&self.locator)
    }

    fn peek(&self) -> Result<Option<Digest>> {
        self.registry.head(&self.locator)
    }

    fn document(&self, digest: &Digest) -> Result<Raw> {
        self.registry.manifest(&digest.to_string())
    }

    fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.registry
            .small_blob(descriptor, crate::image::MAX_MANIFEST_BYTES)
    }

    fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.registry.blob(descriptor, offset)?))
    }

    fn has_mirrors(&self) -> bool {
        self.registry.has_mirrors()
    }

    fn blob_past_mirrors(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.registry.blob_past_mirrors(descriptor)?))
    }
}

/// A file of this machine under the name it was given.
struct Local {
    name: String,
    image: LocalImage,
}

impl Origin for Local {
    fn describe(&self) -> String {
        self.name.clone()
    }

    fn top(&self) -> Result<Raw> {
        self.image.top()
    }

    fn document(&self, digest: &Digest) -> Result<Raw> {
        self.image.document(digest)
    }

    fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.image.small_blob(descriptor)
    }

    fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        self.image.blob(descriptor, offset)
    }
}
