//! Chain IDs: the identity of a layer on top of everything below it (image-spec, config.md,
//! "Layer ChainID"). Known from the configuration alone, before any layer is fetched.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// The identity of a layer together with its parents; keys unpacked layers in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChainId(Digest);

impl ChainId {
    /// The underlying digest.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl From<Digest> for ChainId {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One chain ID for each diff ID, bottom layer first.
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<ChainId> {
    let mut chain: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let id = match chain.last() {
            None => diff_id.clone(),
            Some(parent) => Digest::of(format!("{parent} {diff_id}").as_bytes()),
        };
        chain.push(ChainId(id));
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_is_the_diff_id_and_order_matters() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let ab = chain_ids(&[a.clone(), b.clone()]);
        let ba = chain_ids(&[b.clone(), a.clone()]);
        assert_eq!(ab[0].digest(), &a);
        assert_eq!(ab[1].digest(), &Digest::of(format!("{a} {b}").as_bytes()));
        assert_ne!(ab[1], ba[1]);
        assert!(chain_ids(&[]).is_empty());
    }
}
