//! What a pull tells whoever watches.

use crate::image::Descriptor;

/// Receives news of a pull, from several threads at once.
pub trait Progress: Sync {
    /// A layer is already in the store.
    fn present(&self, layer: &Descriptor);
    /// Fetching of a layer starts.
    fn started(&self, layer: &Descriptor);
    /// So many compressed bytes of a layer are here already; what arrived before does not count.
    fn resumed(&self, layer: &Descriptor, bytes: u64);
    /// Compressed bytes of a layer arrived.
    fn advanced(&self, layer: &Descriptor, bytes: u64);
    /// A layer is fetched, verified and unpacked.
    fn finished(&self, layer: &Descriptor);
    /// Something a person may want to know.
    fn note(&self, text: &str);
}
