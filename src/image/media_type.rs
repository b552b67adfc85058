//! Media types: Docker's and OCI's spellings of the same things (image-spec, media-types.md).

use oci_distribution::manifest::{
    IMAGE_DOCKER_CONFIG_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = OCI_IMAGE_MEDIA_TYPE;
/// An OCI image index.
pub const OCI_INDEX: &str = OCI_IMAGE_INDEX_MEDIA_TYPE;
/// An OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An OCI layer that is not compressed; others have `+gzip` or `+zstd` behind it.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Everything ucr can resolve, for the `Accept` header: registries answer 404 without it.
pub const MANIFEST_TYPES: [&str; 4] = [
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
];

/// How a layer says that it is compressed. Only a claim: the bytes decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip, perhaps of several members.
    Gzip,
    /// zstd, perhaps of several frames.
    Zstd,
}

/// An index or a Docker manifest list.
pub(super) fn is_index(media_type: &str) -> bool {
    matches!(
        media_type,
        OCI_IMAGE_INDEX_MEDIA_TYPE | IMAGE_MANIFEST_LIST_MEDIA_TYPE
    )
}

/// An image manifest of either kind.
pub(super) fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_IMAGE_MEDIA_TYPE | IMAGE_MANIFEST_MEDIA_TYPE)
}

/// Docker's manifest of before 2017, signed or not.
pub(super) fn is_schema1(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
}

/// The configuration of a container image, as opposed to that of any other artifact.
pub(super) fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | IMAGE_DOCKER_CONFIG_MEDIA_TYPE)
}

/// A filesystem layer of any spelling, the deprecated non-distributable ones included.
pub fn is_layer(media_type: &str) -> bool {
    const STEMS: [&str; 4] = [
        OCI_LAYER,
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    ];
    STEMS.iter().any(|stem| {
        media_type
            .strip_prefix(stem)
            .is_some_and(|tail| matches!(tail, "" | "+gzip" | ".gzip" | "+zstd" | ".zstd"))
    })
}

/// The compression that a layer's media type claims.
pub fn compression_of(media_type: &str) -> Compression {
    if media_type.ends_with("gzip") {
        Compression::Gzip
    } else if media_type.ends_with("zstd") {
        Compression::Zstd
    } else {
        Compression::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_every_spelling() {
        let rows = [
            (
                "application/vnd.oci.image.layer.v1.tar",
                Some(Compression::None),
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+gzip",
                Some(Compression::Gzip),
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                Some(Compression::Zstd),
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                Some(Compression::Gzip),
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                Some(Compression::Gzip),
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar",
                Some(Compression::None),
            ),
            ("application/vnd.wasm.content.layer.v1+wasm", None),
            ("application/vnd.in-toto+json", None),
            ("application/vnd.oci.image.layer.v1.tarball", None),
        ];
        for (media_type, expected) in rows {
            let found = is_layer(media_type).then(|| compression_of(media_type));
            assert_eq!(found, expected, "{media_type}");
        }
    }
}
