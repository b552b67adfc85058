//! What the targets share: mutators that get past checksums and lengths, and a place to unpack in.

pub mod mutate;
pub mod sandbox;
pub mod tar;
