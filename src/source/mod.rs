//! Images that do not come from a registry: OCI layouts as directories and as tar archives, and
//! Docker's archives, as docker, skopeo, podman and buildah write them, or a Docker Engine when asked.
//!
//! Nothing found inside decides a path on the host: a directory is only read through a handle that
//! keeps every symbolic link inside it, an archive by offsets of its regular files.

mod archive;
mod daemon;
mod docker;
mod layout;
mod name;
mod tarball;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::error::{Fault, Kind};
use crate::image::{Descriptor, Digest, Document, Index, MAX_MANIFEST_BYTES, OCI_INDEX, Raw};

use archive::Archive;
pub use daemon::Daemon;
use docker::DockerArchive;
use layout::Layout;
pub use name::{DaemonImage, ImageName};
use tarball::Tarball;

/// The annotation that carries a tag (image-spec, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What holds blobs.
trait Blobs: Send + Sync {
    /// A blob's bytes from an offset on, not verified.
    fn blob(&self, digest: &Digest, offset: u64) -> Result<Box<dyn Read + Send>>;
}

/// What both forms of a layout can do.
trait Files: Blobs {
    /// `index.json`.
    fn index(&self) -> Result<Vec<u8>>;
}

/// One image of an opened layout or archive.
pub struct LocalImage {
    blobs: Box<dyn Blobs>,
    top: Digest,
}

impl LocalImage {
    /// Opens an image of a layout. Fails with [`Kind::NotFound`] if it is not there.
    pub fn in_layout(path: &Path, tag: Option<&str>) -> Result<Self> {
        Self::select(Layout::open(path), tag)
    }

    /// Opens an image of a layout's archive. Fails with [`Kind::NotFound`] if it is not there.
    pub fn in_archive(path: &Path, tag: Option<&str>) -> Result<Self> {
        Self::select(Archive::open(path), tag)
    }

    /// Opens an image of Docker's archive. Fails with [`Kind::NotFound`] if it is not there.
    pub fn in_docker_archive(path: &Path, tag: Option<&str>) -> Result<Self> {
        Self::in_tarball(Tarball::open(path).map_err(not_found)?, tag)
    }

    /// Opens the only image of Docker's archive in a file that may have no name.
    pub fn in_docker_file(file: File) -> Result<Self> {
        Self::in_tarball(Tarball::of(file)?, None)
    }

    fn in_tarball(tarball: Tarball, tag: Option<&str>) -> Result<Self> {
        let (archive, top) = DockerArchive::select(tarball, tag)?;
        let blobs = Box::new(archive);
        Ok(Self { blobs, top })
    }

    fn select(files: Result<impl Files + 'static>, tag: Option<&str>) -> Result<Self> {
        let files = files.map_err(not_found)?;
        let top = select(&files.index()?, tag)?;
        let blobs = Box::new(files);
        Ok(Self { blobs, top })
    }

    /// The manifest or index of the image.
    pub fn top(&self) -> Result<Raw> {
        self.document(&self.top)
    }

    /// A manifest or index by digest, verified.
    pub fn document(&self, digest: &Digest) -> Result<Raw> {
        let what = format!("manifest {digest}");
        let bytes = read_document(self.blobs.blob(digest, 0)?, &what)?;
        Raw::verified(bytes, None, digest).context(what)
    }

    /// A small blob, verified.
    pub fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let what = format!("blob {}", descriptor.digest);
        let bytes = read_document(self.blobs.blob(&descriptor.digest, 0)?, &what)?;
        Ok(Raw::verified(bytes, None, &descriptor.digest)
            .context(what)?
            .bytes()
            .to_vec())
    }

    /// A layer's bytes from an offset on, not verified.
    pub fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        self.blobs.blob(&descriptor.digest, offset)
    }
}

impl std::fmt::Debug for LocalImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalImage")
            .field("top", &self.top)
            .finish_non_exhaustive()
    }
}

/// A file that does not exist is an image that does not exist.
fn not_found(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) if io.kind() == std::io::ErrorKind::NotFound => {
            Fault::new(Kind::NotFound, "no such file or directory").into()
        }
        _ => error,
    }
}

/// The one `index.json` entry that a tag selects; without a tag, the only one.
fn select(index: &[u8], tag: Option<&str>) -> Result<Digest> {
    #[derive(Deserialize)]
    struct Entry {
        digest: String,
        #[serde(default)]
        annotations: Option<std::collections::BTreeMap<String, String>>,
    }
    #[derive(Deserialize)]
    struct IndexJson {
        manifests: Vec<Entry>,
    }
    let raw = Raw::new(index.to_vec(), Some(OCI_INDEX.to_owned()));
    let Document::Index(Index { manifests }) = raw.parse().context("index.json")? else {
        return Err(Fault::new(Kind::Registry, "index.json is not an image index").into());
    };
    let named: IndexJson = serde_json::from_slice(index)?;
    let name_of = |entry: &Entry| entry.annotations.as_ref()?.get(REF_NAME).cloned();
    match tag {
        Some(tag) => {
            let found = named
                .manifests
                .iter()
                .find(|entry| name_of(entry).as_deref() == Some(tag));
            match found {
                Some(entry) => Ok(entry.digest.parse()?),
                None => Err(no_such_tag(
                    tag,
                    &named
                        .manifests
                        .iter()
                        .filter_map(name_of)
                        .collect::<Vec<_>>(),
                )),
            }
        }
        None => match manifests.as_slice() {
            [only] => Ok(only.digest.clone()),
            many => {
                let names: Vec<String> = named.manifests.iter().filter_map(name_of).collect();
                let message = format!(
                    "it holds {} images; name one of: {}",
                    many.len(),
                    names.join(", ")
                );
                Err(Fault::new(Kind::Reference, message)
                    .hint("add ':TAG' to the name")
                    .into())
            }
        },
    }
}

fn no_such_tag(tag: &str, there: &[String]) -> anyhow::Error {
    let there = if there.is_empty() {
        "no named image".to_owned()
    } else {
        there.join(", ")
    };
    Fault::new(
        Kind::NotFound,
        format!("no image '{tag}' in it; there is {there}"),
    )
    .into()
}

/// Reads a small document whole. Fails with [`Kind::Limit`] beyond [`MAX_MANIFEST_BYTES`].
fn read_document(reader: impl Read, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_MANIFEST_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| what.to_owned())?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(Fault::new(Kind::Limit, format!("{what} is larger than 4 MiB")).into());
    }
    Ok(bytes)
}

fn missing(digest: &Digest) -> Fault {
    Fault::new(Kind::NotFound, format!("blob {digest} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(tags: &[Option<&str>]) -> Vec<u8> {
        let entry = |(number, tag): (usize, &Option<&str>)| {
            let annotations = tag.map_or(String::new(), |tag| {
                format!(r#","annotations":{{"{REF_NAME}":"{tag}"}}"#)
            });
            let digest = Digest::of(&[u8::try_from(number).unwrap()]);
            format!(
                r#"{{"mediaType":"{}","digest":"{digest}","size":1{annotations}}}"#,
                crate::image::OCI_MANIFEST
            )
        };
        let entries: Vec<String> = tags.iter().enumerate().map(entry).collect();
        format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        )
        .into_bytes()
    }

    #[test]
    fn a_tag_selects_and_one_image_needs_none() {
        let two = index(&[Some("a:1"), Some("b")]);
        assert_eq!(select(&two, Some("b")).unwrap(), Digest::of(&[1]));
        assert_eq!(select(&two, Some("a:1")).unwrap(), Digest::of(&[0]));
        assert_eq!(select(&index(&[None]), None).unwrap(), Digest::of(&[0]));
    }

    #[test]
    fn a_wrong_tag_lists_what_there_is() {
        let two = index(&[Some("a"), Some("b")]);
        assert!(
            select(&two, Some("c"))
                .unwrap_err()
                .to_string()
                .contains("there is a, b")
        );
        assert!(
            select(&two, None)
                .unwrap_err()
                .to_string()
                .contains("2 images")
        );
    }
}
