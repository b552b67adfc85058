//! Who is measured.

use serde::{Deserialize, Serialize};

/// A way to get an image unpacked; how, is in tests/bench/cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// What this is about.
    Ucr,
    /// `podman pull`.
    Podman,
    /// `skopeo copy`, then `umoci raw unpack`.
    Umoci,
    /// `docker pull`.
    Docker,
    /// `ctr image pull`.
    Containerd,
    /// `crane export | tar -x`.
    Crane,
    /// `curl | pigz | tar -x`, layer by layer: not a peer, it checks and keeps nothing.
    Floor,
}

impl Tool {
    /// All, in the order of tables and charts.
    pub const ALL: [Self; 7] = [
        Self::Ucr,
        Self::Crane,
        Self::Containerd,
        Self::Umoci,
        Self::Podman,
        Self::Docker,
        Self::Floor,
    ];

    /// Those with these names; all, if there are none.
    pub fn some(names: &[String]) -> Vec<Self> {
        for name in names {
            let known = Self::ALL.iter().any(|tool| tool.name() == name);
            assert!(known, "no such tool: {name}");
        }
        let wanted = |tool: &Self| names.is_empty() || names.iter().any(|name| name == tool.name());
        Self::ALL.into_iter().filter(wanted).collect()
    }

    /// As tests/bench/cell and the command line call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ucr => "ucr",
            Self::Podman => "podman",
            Self::Umoci => "umoci",
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Crane => "crane",
            Self::Floor => "floor",
        }
    }

    /// As people see it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Umoci => "skopeo + umoci",
            Self::Crane => "crane | tar",
            Self::Floor => "curl | pigz | tar",
            _ => self.name(),
        }
    }

    /// The Debian packages whose versions matter.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Ucr => &[],
            Self::Podman => &["podman"],
            Self::Umoci => &["skopeo", "umoci"],
            Self::Docker => &["docker.io", "docker-cli"],
            Self::Containerd => &["containerd"],
            Self::Crane => &["crane", "tar"],
            Self::Floor => &["curl", "pigz", "tar"],
        }
    }

    /// Whether ucr is to be faster than it.
    pub fn is_peer(self) -> bool {
        !matches!(self, Self::Ucr | Self::Floor)
    }
}
