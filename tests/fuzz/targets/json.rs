//! Manifests, indexes and image configurations. All parsers see every document.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use ucr::error::{self, Kind};
use ucr::image::{
    Descriptor, Digest, Document, ImageConfig, OCI_INDEX, OCI_MANIFEST, Platform, Raw,
    choose_platform,
};

const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

fuzz_target!(|bytes: &[u8]| {
    verified(bytes);
    platform(bytes);
    let plain = document(bytes, None);
    for media_type in [
        OCI_MANIFEST,
        OCI_INDEX,
        SCHEMA1,
        "text/plain; charset=utf-8",
    ] {
        if let Some(document) = document(bytes, Some(media_type)) {
            let plain = format!("{plain:?}");
            assert_eq!(
                format!("{:?}", Some(document)),
                plain,
                "a content type only narrows"
            );
        }
    }
    match ImageConfig::parse(bytes) {
        Ok(config) => {
            assert!(plain.is_none(), "a configuration and a manifest");
            assert_eq!(ImageConfig::parse(bytes).ok().as_ref(), Some(&config));
            normal(&config.platform);
            assert!(config.volumes.is_sorted() && config.exposed_ports.is_sorted());
            for text in [&config.user, &config.working_dir, &config.stop_signal] {
                assert_ne!(text.as_deref(), Some(""));
            }
        }
        Err(error) => assert_eq!(error::kind(&error), Kind::Registry),
    }
});

/// Only what has the digest is taken.
fn verified(bytes: &[u8]) {
    let digest = Digest::of(bytes);
    let raw = Raw::verified(bytes.to_vec(), None, &digest).expect("the digest is right");
    assert_eq!(raw.bytes(), bytes);
    let longer = [bytes, b" "].concat();
    let error = Raw::verified(longer, None, &digest).expect_err("the digest is wrong");
    assert_eq!(error::kind(&error), Kind::Integrity);
}

/// The document as a platform, which users write and configurations hold.
fn platform(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<Platform>() {
        Ok(platform) => {
            normal(&platform);
            assert_eq!(platform.to_string().parse().ok(), Some(platform));
        }
        Err(fault) => assert_eq!(fault.kind(), Kind::Usage),
    }
}

fn document(bytes: &[u8], media_type: Option<&str>) -> Option<Document> {
    let raw = || Raw::new(bytes.to_vec(), media_type.map(str::to_owned));
    assert_eq!(*raw().digest(), Digest::of(bytes));
    let document = match raw().parse() {
        Ok(document) => document,
        Err(error) => {
            let kind = error::kind(&error);
            assert!(
                matches!(kind, Kind::Registry | Kind::Unsupported),
                "{kind:?}"
            );
            assert!(!error::render(&error).is_empty());
            return None;
        }
    };
    assert_eq!(
        format!("{:?}", raw().parse().ok()),
        format!("{:?}", Some(&document))
    );
    assert!(std::str::from_utf8(bytes).is_ok());
    // A key that is null is as good as none.
    let json: BTreeMap<String, Option<IgnoredAny>> =
        serde_json::from_slice(bytes).expect("a document is a JSON object");
    let has = |key: &str| json.get(key).is_some_and(Option::is_some);
    match &document {
        Document::Index(index) => {
            assert!(!has("config") && !has("layers") && !has("fsLayers"), "both");
            index.manifests.iter().for_each(descriptor);
            for wanted in ["linux/amd64", "linux/arm/v7", "unknown/unknown"] {
                let wanted = wanted.parse().expect("a platform");
                match choose_platform(index, &wanted) {
                    Ok(chosen) => suits(chosen, &wanted, index.manifests.len()),
                    Err(error) => assert_eq!(error::kind(&error), Kind::Platform),
                }
            }
        }
        Document::Image(manifest) => {
            assert!(!has("manifests") && !has("fsLayers"), "both");
            manifest
                .layers
                .iter()
                .chain([&manifest.config])
                .for_each(descriptor);
        }
    }
    Some(document)
}

fn suits(chosen: &Descriptor, wanted: &Platform, entries: usize) {
    assert!(!chosen.is_attestation);
    match &chosen.platform {
        Some(platform) => {
            // A sole image may be chosen without a look at what it says.
            let same =
                (platform.os(), platform.architecture()) == (wanted.os(), wanted.architecture());
            assert!(same, "{platform} for {wanted}");
        }
        None => assert!(entries > 0),
    }
}

fn descriptor(descriptor: &Descriptor) {
    let digest = descriptor.digest.to_string();
    assert_eq!(digest.parse().ok().as_ref(), Some(&descriptor.digest));
    if let Some(platform) = &descriptor.platform {
        normal(platform);
    }
}

fn normal(platform: &Platform) {
    let again = Platform::new(platform.os(), platform.architecture(), platform.variant());
    assert_eq!(*platform, again, "not in normal form");
    assert_eq!(platform.rank(platform), Some(0));
}
