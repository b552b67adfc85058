//! What `docker save` writes, and podman, skopeo, buildah, kaniko and crane: a tar file with
//! `manifest.json`, which lists images, each with a configuration and the tar files of its layers.
//!
//! There is no manifest with digests, so one is made: OCI's, with the layers as they are in the
//! archive, the same for the same archive. A layer's digest is what the configuration says its tar
//! has, so nothing is hashed to find it; only of a layer that is compressed it must be. Docker from
//! version 25 on writes an OCI layout beside `manifest.json`, whose blobs are named by digest. All
//! layers, and a configuration whose name is its digest, are verified as any others are.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::tarball::{Extent, Tarball, packer};
use super::{Blobs, missing, read_document};
use crate::error::{Fault, Kind};
use crate::image::{
    Algorithm, Digest, Hasher, ImageConfig, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Raw, Reference,
};

/// Bytes read at once to find the digest of a compressed layer.
const BUFFER: usize = 256 << 10;
/// Most tags that a message lists.
const MAX_LISTED: usize = 50;

/// An image in `manifest.json`. Paths are names in the archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// One image of an opened archive.
#[derive(Debug)]
pub(super) struct DockerArchive {
    tarball: Tarball,
    contents: HashMap<Digest, Content>,
}

#[derive(Debug)]
enum Content {
    Document(Vec<u8>),
    Layer(Extent),
}

impl DockerArchive {
    /// Selects an image: by a tag, by `@N` its place in the list, or the only one. Gives the digest
    /// of its manifest, too.
    pub(super) fn select(tarball: Tarball, tag: Option<&str>) -> Result<(Self, Digest)> {
        let items = items(&tarball)?;
        let item = choose(&items, tag)?;
        let mut image = Self {
            tarball,
            contents: HashMap::new(),
        };
        let top = image.describe(item)?;
        Ok((image, top))
    }

    /// Makes the manifest.
    fn describe(&mut self, item: &Item) -> Result<Digest> {
        let config = self.configuration(&item.config)?;
        let diff_ids = ImageConfig::parse(config.bytes())?.diff_ids;
        let names = item.layers.as_deref().unwrap_or_default();
        if names.len() != diff_ids.len() {
            let message = format!(
                "manifest.json lists {} layers of the image, its configuration {}",
                names.len(),
                diff_ids.len()
            );
            return Err(Fault::new(Kind::Integrity, message).into());
        }
        let mut hashed = HashMap::new();
        let mut layers = Vec::new();
        for (name, diff_id) in names.iter().zip(diff_ids) {
            let layer = self.layer(name, diff_id, &mut hashed)?;
            layers.push(layer);
        }
        let manifest = manifest(&config, &layers)?;
        let top = manifest.digest().clone();
        for document in [config, manifest] {
            let content = Content::Document(document.bytes().to_vec());
            self.contents.insert(document.digest().clone(), content);
        }
        Ok(top)
    }

    fn configuration(&self, name: &str) -> Result<Raw> {
        let what = format!("image configuration {name}");
        let extent = self.find(name)?;
        let bytes = read_document(self.tarball.read(extent, 0)?, &what)?;
        match digest_in(name) {
            Some(digest) => Raw::verified(bytes, None, &digest).context(what),
            None => Ok(Raw::new(bytes, None)),
        }
    }

    fn layer(
        &mut self,
        name: &str,
        diff_id: Digest,
        hashed: &mut HashMap<Extent, Digest>,
    ) -> Result<Pointer> {
        let extent = self.find(name)?;
        let mut start = Vec::new();
        self.tarball
            .read(extent, 0)?
            .take(6)
            .read_to_end(&mut start)?;
        let (media_type, digest) = match packer(&start) {
            None => (OCI_LAYER.to_owned(), diff_id),
            Some(packer @ ("gzip" | "zstd")) => {
                let digest = match (blob_name(name), hashed.get(&extent)) {
                    (Some(digest), _) => digest,
                    (None, Some(digest)) => digest.clone(),
                    (None, None) => self.digest(extent).with_context(|| name.to_owned())?,
                };
                hashed.insert(extent, digest.clone());
                (format!("{OCI_LAYER}+{packer}"), digest)
            }
            Some(packer) => {
                let message = format!("layer {name} is compressed with {packer}");
                return Err(Fault::new(Kind::Unsupported, message).into());
            }
        };
        let size = extent.size();
        self.contents.insert(digest.clone(), Content::Layer(extent));
        Ok(Pointer {
            media_type,
            digest,
            size,
        })
    }

    fn digest(&self, extent: Extent) -> Result<Digest> {
        let mut reader = self.tarball.read(extent, 0)?;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                length => hasher.update(&buffer[..length]),
            }
        }
    }

    fn find(&self, name: &str) -> Result<Extent> {
        self.tarball.find(name)?.ok_or_else(|| {
            let message = format!("manifest.json lists '{name}', which is not in it");
            Fault::new(Kind::Registry, message).into()
        })
    }
}

impl Blobs for DockerArchive {
    fn blob(&self, digest: &Digest, offset: u64) -> Result<Box<dyn Read + Send>> {
        match self.contents.get(digest) {
            None => Err(missing(digest).into()),
            Some(Content::Layer(extent)) => Ok(Box::new(self.tarball.read(*extent, offset)?)),
            Some(Content::Document(bytes)) => {
                let mut cursor = Cursor::new(bytes.clone());
                cursor.set_position(offset);
                Ok(Box::new(cursor))
            }
        }
    }
}

/// A descriptor, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pointer {
    media_type: String,
    digest: Digest,
    size: u64,
}

/// The manifest, which is the same for the same configuration and layers: its digest names them.
fn manifest(config: &Raw, layers: &[Pointer]) -> Result<Raw> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest<'a> {
        schema_version: u32,
        media_type: &'a str,
        config: Pointer,
        layers: &'a [Pointer],
    }
    let bytes = serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: OCI_MANIFEST,
        config: Pointer {
            media_type: OCI_CONFIG.to_owned(),
            digest: config.digest().clone(),
            size: config.bytes().len() as u64,
        },
        layers,
    })?;
    Ok(Raw::new(bytes, None))
}

fn items(tarball: &Tarball) -> Result<Vec<Item>> {
    let Some(extent) = tarball.find("manifest.json")? else {
        let fault = Fault::new(Kind::NotFound, "there is no manifest.json in it");
        let is_there = |name: &str| Ok::<_, anyhow::Error>(tarball.find(name)?.is_some());
        return Err(if is_there("index.json")? {
            fault.hint("it is an OCI archive: say oci-archive:FILE")
        } else if is_there("repositories")? {
            fault.hint("a Docker before 1.10 wrote it; load it into a newer one and save it there")
        } else {
            fault
        }
        .into());
    };
    let bytes = read_document(tarball.read(extent, 0)?, "manifest.json")?;
    let wrong = |why: String| Fault::new(Kind::Registry, format!("manifest.json: {why}"));
    // In keys that nobody asks for, serde_json lets anything pass.
    let text = std::str::from_utf8(&bytes).map_err(|error| wrong(error.to_string()))?;
    Ok(serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?)
}

/// The item that a tag selects; without one, the only item.
fn choose<'a>(items: &'a [Item], tag: Option<&str>) -> Result<&'a Item> {
    let Some(tag) = tag else {
        return match items {
            [only] => Ok(only),
            [] => Err(Fault::new(Kind::NotFound, "it holds no image").into()),
            many => {
                let message = format!("it holds {} images; name one of: {}", many.len(), all(many));
                Err(Fault::new(Kind::Reference, message)
                    .hint("add ':NAME:TAG' to the name, or ':@0' for the first")
                    .into())
            }
        };
    };
    let found = match tag.strip_prefix('@') {
        Some(number) => number
            .parse::<usize>()
            .ok()
            .and_then(|number| items.get(number)),
        None => items.iter().find(|item| {
            let mut tags = item.repo_tags.iter().flatten();
            tags.any(|there| is_same(there, tag))
        }),
    };
    found.ok_or_else(|| {
        let message = format!("no image '{tag}' in it; there is {}", all(items));
        Fault::new(Kind::NotFound, message).into()
    })
}

/// Whether two names are one image's: docker writes short ones, podman full ones.
fn is_same(one: &str, other: &str) -> bool {
    let full = |text: &str| text.parse::<Reference>().ok();
    one == other || full(one).is_some_and(|one| full(other) == Some(one))
}

/// The tags of all images, or their places where they have none; the first of very many.
fn all(items: &[Item]) -> String {
    let names = items.iter().enumerate().flat_map(|(place, item)| {
        let tags = item.repo_tags.clone().unwrap_or_default();
        match tags.is_empty() {
            true => vec![format!("@{place}")],
            false => tags,
        }
    });
    let mut names: Vec<String> = names.take(MAX_LISTED + 1).collect();
    if names.len() > MAX_LISTED {
        names[MAX_LISTED] = "…".to_owned();
    }
    match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    }
}

/// The digest that a member's name promises, as docker (`HEX.json`, `blobs/sha256/HEX`) and crane
/// (`sha256:HEX`) name configurations.
fn digest_in(name: &str) -> Option<Digest> {
    let hex = name.strip_suffix(".json").unwrap_or(name);
    blob_name(name)
        .or_else(|| hex.parse().ok())
        .or_else(|| format!("sha256:{hex}").parse().ok())
}

/// The digest in the name of an OCI layout's blob.
fn blob_name(name: &str) -> Option<Digest> {
    name.strip_prefix("blobs/")?
        .replacen('/', ":", 1)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(tags: &[&str]) -> Item {
        Item {
            config: String::new(),
            repo_tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            layers: None,
        }
    }

    #[test]
    fn tags_select() {
        let items = [
            item(&["alpine:3", "alpine:3.20"]),
            item(&["docker.io/library/busybox:latest"]),
            item(&[]),
            item(&["Odd Name"]),
        ];
        let place = |tag: &str| {
            let found = choose(&items, Some(tag)).ok()?;
            items.iter().position(|item| std::ptr::eq(item, found))
        };
        for (tag, expected) in [
            ("alpine:3.20", Some(0)),
            ("docker.io/library/alpine:3", Some(0)),
            ("busybox", Some(1)),
            ("busybox:latest", Some(1)),
            ("@2", Some(2)),
            ("Odd Name", Some(3)),
            ("alpine", None),
            ("3.20", None),
            ("@4", None),
            ("@-1", None),
            ("@", None),
        ] {
            assert_eq!(place(tag), expected, "{tag}");
        }
        let ambiguous = choose(&items, None).unwrap_err().to_string();
        let listed = "alpine:3, alpine:3.20, docker.io/library/busybox:latest, @2, Odd Name";
        assert!(ambiguous.contains(listed), "{ambiguous}");
        assert!(choose(&items[..1], None).is_ok());
        assert!(choose(&[], None).is_err());
    }

    #[test]
    fn names_that_are_digests() {
        let hex = "a".repeat(64);
        for (name, promises) in [
            (format!("{hex}.json"), true),
            (format!("sha256:{hex}"), true),
            (format!("blobs/sha256/{hex}"), true),
            (hex.clone(), true),
            ("config.json".to_owned(), false),
            (format!("{hex}/json"), false),
            (format!("blobs/sha256/../{hex}"), false),
        ] {
            assert_eq!(digest_in(&name).is_some(), promises, "{name}");
        }
    }
}
