//! Manifests and indexes, Docker's and OCI's, as raw bytes with their digest beside what they say.
//!
//! Strict where leniency has been an attack: a document that is both a manifest and an index, or
//! whose content type contradicts its own media type, is refused (CVE-2021-41190), as are
//! duplicate keys, because readers differ on which one counts.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::digest::Digest;
use super::media_type::{is_image_config, is_index, is_manifest, is_schema1};
use super::platform::Platform;
use crate::error::{Fault, Kind};

/// Largest manifest, index or configuration that is read, in bytes (distribution-spec, "Pushing
/// Manifests": registries must accept 4 MiB; nobody writes more).
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// Exact bytes with the digest that names them and the media type they came with.
#[derive(Clone, Debug)]
pub struct Raw {
    bytes: Vec<u8>,
    digest: Digest,
    media_type: Option<String>,
}

impl Raw {
    /// Takes bytes whose digest is not known beforehand, such as those behind a tag.
    pub fn new(bytes: Vec<u8>, media_type: Option<String>) -> Self {
        let digest = Digest::of(&bytes);
        Self {
            bytes,
            digest,
            media_type,
        }
    }

    /// Takes bytes that must have this digest. Fails with [`Kind::Integrity`].
    pub fn verified(bytes: Vec<u8>, media_type: Option<String>, expected: &Digest) -> Result<Self> {
        let mut hasher = super::digest::Hasher::new(expected.algorithm());
        hasher.update(&bytes);
        let found = hasher.finish();
        if &found != expected {
            let message = format!("digest is {found}, expected {expected}");
            return Err(Fault::new(Kind::Integrity, message).into());
        }
        Ok(Self {
            bytes,
            digest: found,
            media_type,
        })
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Understands the bytes as a manifest or an index. Fails with [`Kind::Registry`].
    pub fn parse(&self) -> Result<Document> {
        parse(&self.bytes, self.media_type.as_deref())
            .with_context(|| format!("manifest {}", self.digest))
    }
}

/// What a registry holds under a tag.
#[derive(Clone, Debug)]
pub enum Document {
    /// One image for one platform.
    Image(Manifest),
    /// A choice of images.
    Index(Index),
}

/// Points at content: digest, size and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What the content is said to be.
    pub media_type: String,
    /// What the content must hash to.
    pub digest: Digest,
    /// How many bytes the content has.
    pub size: u64,
    /// The platform, in an index.
    pub platform: Option<Platform>,
    /// Other places to fetch it from (foreign layers).
    pub urls: Vec<String>,
    /// The content itself, base64, when it is small enough to be embedded.
    pub data: Option<String>,
    /// Whether this entry describes another one (an attestation), so it is no image to run.
    pub is_attestation: bool,
}

/// An image manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The image configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
}

/// An index or manifest list.
#[derive(Clone, Debug)]
pub struct Index {
    /// The entries, in the order written.
    pub manifests: Vec<Descriptor>,
}

/// Every key that decides what a document is. Derived maps refuse a key that stands twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<oci_spec::image::Descriptor>,
    layers: Option<Vec<oci_spec::image::Descriptor>>,
    manifests: Option<Vec<oci_spec::image::Descriptor>>,
    fs_layers: Option<IgnoredAny>,
}

fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Document> {
    let content_type = content_type.map(bare_type).filter(|t| is_known(t));
    if content_type.is_some_and(is_schema1) {
        return Err(schema1().into());
    }
    let wrong = |why: String| Fault::new(Kind::Registry, format!("not a manifest: {why}"));
    // In keys that nobody asks for, serde_json lets anything pass; JSON is UTF-8 (RFC 8259, 8.1).
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    let shape: Shape = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if shape.schema_version == Some(1) || shape.fs_layers.is_some() {
        return Err(schema1().into());
    }
    if let (Some(outer), Some(inner)) = (content_type, shape.media_type.as_deref())
        && outer != inner
    {
        let message = format!("the registry calls it {outer}, but it calls itself {inner}");
        return Err(Fault::new(Kind::Registry, message).into());
    }
    let media_type = shape.media_type.as_deref().or(content_type);
    let said_index = media_type.map(is_index);
    match (shape.manifests, shape.config, shape.layers) {
        (Some(manifests), None, None) if said_index != Some(false) => {
            let manifests = manifests.iter().map(descriptor).collect::<Result<_>>()?;
            Ok(Document::Index(Index { manifests }))
        }
        (None, Some(config), layers) if said_index != Some(true) => image(
            &config,
            &layers.unwrap_or_default(),
            shape.artifact_type.as_deref(),
        ),
        (Some(_), _, _) => {
            Err(Fault::new(Kind::Registry, "it is both a manifest and an index").into())
        }
        _ => Err(Fault::new(
            Kind::Registry,
            "it is neither an image manifest nor an index",
        )
        .into()),
    }
}

/// The type without parameters such as `; charset=utf-8`.
fn bare_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Some servers say `application/json` or `text/plain` for everything; only real types count.
fn is_known(media_type: &str) -> bool {
    is_manifest(media_type) || is_index(media_type) || is_schema1(media_type)
}

fn schema1() -> Fault {
    Fault::new(
        Kind::Unsupported,
        "it is a Docker schema 1 manifest, which is not supported",
    )
    .hint("pull and push the image again with a current docker, podman or skopeo")
}

fn image(
    config: &oci_spec::image::Descriptor,
    layers: &[oci_spec::image::Descriptor],
    artifact_type: Option<&str>,
) -> Result<Document> {
    let config = descriptor(config)?;
    if !is_image_config(&config.media_type) {
        let what = artifact_type.unwrap_or(&config.media_type);
        let message = format!("it is an artifact of type {what}, not a container image");
        return Err(Fault::new(Kind::Registry, message).into());
    }
    let layers = layers.iter().map(descriptor).collect::<Result<_>>()?;
    Ok(Document::Image(Manifest { config, layers }))
}

fn descriptor(found: &oci_spec::image::Descriptor) -> Result<Descriptor> {
    let digest: Digest = found
        .digest()
        .as_ref()
        .parse()
        .map_err(|fault: Fault| Fault::new(Kind::Registry, format!("descriptor: {fault}")))?;
    let platform = found.platform().as_ref().map(|platform| {
        Platform::new(
            &platform.os().to_string(),
            &platform.architecture().to_string(),
            platform.variant().as_deref(),
        )
    });
    let annotated = found
        .annotations()
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key("vnd.docker.reference.type"));
    let unknown = platform
        .as_ref()
        .is_some_and(|p| p.os() == "unknown" || p.architecture() == "unknown");
    Ok(Descriptor {
        media_type: found.media_type().to_string(),
        digest,
        size: found.size(),
        platform,
        urls: found.urls().clone().unwrap_or_default(),
        data: found.data().clone(),
        is_attestation: annotated || unknown,
    })
}

/// The entry of an index that serves `wanted` best; the first of equals, as the specification
/// says. Fails with [`Kind::Platform`] and a list of what there is.
pub fn choose_platform<'a>(index: &'a Index, wanted: &Platform) -> Result<&'a Descriptor> {
    let images: Vec<&Descriptor> = index
        .manifests
        .iter()
        .filter(|entry| !entry.is_attestation)
        .collect();
    if let [only] = images.as_slice()
        && only.platform.is_none()
    {
        return Ok(only);
    }
    let ranked = images.iter().filter_map(|entry| {
        let rank = wanted.rank(entry.platform.as_ref()?)?;
        Some((rank, *entry))
    });
    ranked
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
        .ok_or_else(|| {
            let mut there: Vec<String> = images
                .iter()
                .filter_map(|e| Some(e.platform.as_ref()?.to_string()))
                .collect();
            there.dedup();
            let there = if there.is_empty() {
                "nothing".to_owned()
            } else {
                there.join(", ")
            };
            Fault::new(
                Kind::Platform,
                format!("no image for {wanted}; there is {there}"),
            )
            .hint("choose one with --platform OS/ARCH[/VARIANT]")
            .into()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

    fn entry(platform: &str) -> String {
        format!(
            r#"{{"mediaType":"{}","digest":"sha256:{HEX}","size":7{platform}}}"#,
            super::super::OCI_MANIFEST
        )
    }

    fn manifest(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{CONFIG}","digest":"sha256:{HEX}","size":2}}{extra}}}"#
        )
    }

    fn parsed(text: &str, content_type: Option<&str>) -> Result<Document> {
        Raw::new(text.as_bytes().to_vec(), content_type.map(str::to_owned)).parse()
    }

    #[test]
    fn manifests_with_and_without_media_type() {
        let oci = super::super::OCI_MANIFEST;
        for (extra, content_type) in [
            (r#","layers":[]"#, None),
            (r#","layers":null"#, Some("application/json")),
            (r#","layers":[]"#, Some(oci)),
            (
                r#","layers":[]"#,
                Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
            ),
        ] {
            assert!(
                matches!(
                    parsed(&manifest(extra), content_type),
                    Ok(Document::Image(_))
                ),
                "{extra}"
            );
        }
    }

    #[test]
    fn ambiguous_documents_are_refused() {
        let list = super::super::OCI_INDEX;
        let rows = [
            (manifest(r#","layers":[],"manifests":[]"#), None, "both"),
            (manifest(r#","layers":[]"#), Some(list), "neither"),
            (
                manifest(&format!(r#","layers":[],"mediaType":"{list}""#)),
                Some(super::super::OCI_MANIFEST),
                "calls itself",
            ),
            (manifest(r#","layers":[],"layers":[]"#), None, "duplicate"),
            (
                r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(),
                None,
                "schema 1",
            ),
            ("{}".to_owned(), None, "neither"),
            ("[]".to_owned(), None, "not a manifest"),
            (
                manifest("").replace(HEX, "../../etc/passwd"),
                None,
                "manifest",
            ),
            (
                manifest("").replace("\"size\":2", "\"size\":-2"),
                None,
                "not a manifest",
            ),
            (
                manifest("").replace(CONFIG, "application/vnd.cncf.helm.config.v1+json"),
                None,
                "artifact",
            ),
        ];
        for (text, content_type, why) in rows {
            let error = crate::error::render(&parsed(&text, content_type).expect_err(&text));
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_not_json() {
        let text = manifest(r#","ignored":"x""#);
        assert!(Raw::new(text.clone().into_bytes(), None).parse().is_ok());
        let bytes = text.bytes().map(|b| if b == b'x' { 0xf0 } else { b });
        let error = Raw::new(bytes.collect(), None).parse().unwrap_err();
        assert!(error.to_string().contains("manifest"), "{error}");
        assert_eq!(crate::error::kind(&error), Kind::Registry);
    }

    #[test]
    fn the_platform_is_chosen_and_attestations_never() {
        let platform = |os: &str, arch: &str| {
            format!(r#","platform":{{"os":"{os}","architecture":"{arch}"}}"#)
        };
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
            entry(&platform("unknown", "unknown")),
            entry(&platform("linux", "amd64")).replace('7', "8"),
            entry(&platform("linux", "arm64")),
        );
        let Document::Index(index) =
            parsed(&index.replace(&HEX.replace('7', "8"), HEX), None).unwrap()
        else {
            panic!("an index")
        };
        let pick = |text: &str| choose_platform(&index, &text.parse().unwrap());
        assert_eq!(pick("linux/amd64").unwrap().size, 8);
        assert_eq!(pick("linux/arm64").unwrap().size, 7);
        let error = pick("linux/s390x").unwrap_err().to_string();
        assert_eq!(
            error,
            "no image for linux/s390x; there is linux/amd64, linux/arm64"
        );
        assert!(pick("unknown/unknown").is_err());
    }

    #[test]
    fn a_digest_that_does_not_match_is_refused() {
        assert!(Raw::verified(b"x".to_vec(), None, &Digest::of(b"x")).is_ok());
        let error = Raw::verified(b"x".to_vec(), None, &Digest::of(b"y")).unwrap_err();
        assert_eq!(crate::error::kind(&error), Kind::Integrity);
    }
}
