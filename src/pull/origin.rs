//! Where an image comes from, seen from the pull: registries and files answer the same questions.

use std::io::Read;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result};

use super::Request;
use crate::image::{Descriptor, Digest, Raw};
use crate::registry::Registry;
use crate::source::{Daemon, ImageName, LocalImage};
use crate::store::Store;

/// By which an image that is in the store may be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peek {
    /// The digest of the manifest or index that the name stands for.
    Top(Digest),
    /// That of the image's configuration.
    Configuration(Digest),
}

/// A place that has one image.
pub trait Origin: Sync {
    /// The place, for people and for `inspect`.
    fn describe(&self) -> String;
    /// The manifest or index that the name stands for.
    fn top(&self) -> Result<Raw>;
    /// What names that which [`Origin::top`] would bring, if that can be had for less.
    fn peek(&self) -> Result<Option<Peek>> {
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
pub(super) fn open<'a>(store: &'a Store, request: &'a Request) -> Result<Box<dyn Origin + 'a>> {
    let image = match request.name {
        ImageName::Registry(reference) => {
            return Ok(Box::new(Remote {
                name: reference.registry().to_owned(),
                registry: Registry::connect(reference, (request.registry)()?)?,
                locator: reference.locator(),
            }));
        }
        ImageName::Layout { path, tag } => LocalImage::in_layout(path, tag.as_deref()),
        ImageName::Archive { path, tag } => LocalImage::in_archive(path, tag.as_deref()),
        ImageName::DockerArchive { path, tag } => {
            LocalImage::in_docker_archive(path, tag.as_deref())
        }
        ImageName::DockerDaemon(image) => {
            return Ok(Box::new(InEngine {
                name: request.name.to_string(),
                daemon: Daemon {
                    image: image.clone(),
                    environment: (request.engine)(),
                    directory: store.temporary(),
                },
                store,
                deadline: request.deadline,
                saved: OnceLock::new(),
            }));
        }
    };
    let name = request.name.to_string();
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

    fn peek(&self) -> Result<Option<Peek>> {
        Ok(self.registry.head(&self.locator)?.map(Peek::Top))
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

/// An image in a Docker Engine, which writes it whole when its manifest is asked for.
struct InEngine<'a> {
    name: String,
    daemon: Daemon,
    store: &'a Store,
    deadline: Option<Instant>,
    saved: OnceLock<LocalImage>,
}

impl InEngine<'_> {
    fn image(&self) -> Result<&LocalImage> {
        if let Some(image) = self.saved.get() {
            return Ok(image);
        }
        let image = self.daemon.save(self.store.spool()?, self.deadline)?;
        Ok(self.saved.get_or_init(|| image))
    }
}

impl Origin for InEngine<'_> {
    fn describe(&self) -> String {
        self.name.clone()
    }

    fn top(&self) -> Result<Raw> {
        self.image()?.top()
    }

    fn peek(&self) -> Result<Option<Peek>> {
        self.daemon
            .id(self.deadline)
            .map(|id| Some(Peek::Configuration(id)))
    }

    fn document(&self, digest: &Digest) -> Result<Raw> {
        self.image()?.document(digest)
    }

    fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.image()?.small_blob(descriptor)
    }

    fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        self.image()?.blob(descriptor, offset)
    }
}
