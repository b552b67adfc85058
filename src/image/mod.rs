//! The vocabulary of images: names, digests, descriptors, manifests, configurations, platforms.
//!
//! Pure: no I/O, no clock, no environment. Bytes that have a digest are kept as bytes beside their
//! parsed form, so nothing is ever serialised again to be hashed.

mod chain;
mod config;
mod digest;
mod manifest;
mod media_type;
mod platform;
mod reference;

pub use chain::{ChainId, chain_ids};
pub use config::ImageConfig;
pub use digest::{Algorithm, Digest, Hasher};
pub use manifest::{
    Descriptor, Document, Index, MAX_MANIFEST_BYTES, Manifest, Raw, choose_platform,
};
pub use media_type::{
    Compression, MANIFEST_TYPES, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, compression_of,
    is_layer,
};
pub use platform::Platform;
pub use reference::{HUB, Reference, is_hub};
