//! The images that tests/bench/prepare has made.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Their names, what they stand for, and the goals: the most that ucr may take, measured
/// in the time of the best peer, and in the floor's.
const KNOWN: [(&str, &str, f64, Option<f64>); 5] = [
    ("debian", "Debian minbase", 0.5, Some(0.75)),
    ("npm", "Debian + npm packages", 0.4, Some(0.75)),
    ("pypi", "Debian + SciPy stack", 0.45, Some(0.75)),
    ("big", "Debian + SciPy stack + 1 GiB layer", 0.7, None),
    ("layers", "41 layers of 50 files", 0.7, None),
];

/// An image in the registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Image {
    /// Its repository.
    pub name: String,
    /// What it stands for.
    pub title: String,
    /// Largest share of the best peer's time that ucr may take.
    pub peer_target: f64,
    /// Largest share of the floor's time that ucr may take.
    pub floor_target: Option<f64>,
    /// From the bottom up.
    pub layers: Vec<Layer>,
}

/// A layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layer {
    /// Of what is sent.
    pub digest: String,
    /// Bytes that are sent.
    pub size: u64,
    /// Bytes of the archive.
    pub unpacked: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// Those of them that are regular files.
    pub files: u64,
}

#[derive(Deserialize)]
struct Prepared {
    layers: Vec<Layer>,
}

impl Image {
    /// Those with these names; all, if there are none.
    pub fn all(cache: &Path, names: &[String]) -> Vec<Self> {
        for name in names {
            let known = KNOWN.iter().any(|(known, ..)| known == name);
            assert!(known, "no such image: {name}");
        }
        KNOWN
            .into_iter()
            .filter(|(name, ..)| names.is_empty() || names.iter().any(|wanted| wanted == name))
            .map(|(name, title, peer_target, floor_target)| Self {
                name: name.into(),
                title: title.into(),
                peer_target,
                floor_target,
                layers: prepared(&cache.join("images").join(name).with_extension("json")).layers,
            })
            .collect()
    }

    /// Bytes that are sent.
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }

    /// Bytes of all archives.
    pub fn unpacked(&self) -> u64 {
        self.layers.iter().map(|layer| layer.unpacked).sum()
    }

    /// Entries of all archives.
    pub fn entries(&self) -> u64 {
        self.layers.iter().map(|layer| layer.entries).sum()
    }

    /// Regular files.
    pub fn files(&self) -> u64 {
        self.layers.iter().map(|layer| layer.files).sum()
    }
}

fn prepared(path: &Path) -> Prepared {
    let text = fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}; run tests/bench/prepare", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
