//! Who is measured.

use serde::{Deserialize, Serialize};

/// A way to run a program with less than the whole machine around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// What this is about.
    Ucr,
    /// Another build of it, where one is given.
    Beside,
    /// With a directory of the host's.
    UcrVolume,
    /// With its own init.
    UcrInit,
    /// On the built-in bridge.
    UcrBridge,
    /// The same with a published port.
    UcrPort,
    /// Namespaces and an overlay, a few mounts.
    Bwrap,
    /// The same with all that ucr mounts and hides.
    BwrapFull,
    /// crun with docker's configuration.
    Crun,
    /// The same without its system call filter.
    CrunUnconfined,
    /// runc with docker's configuration.
    Runc,
    /// The same without its system call filter.
    RuncUnconfined,
    /// `podman run`.
    Podman,
    /// `docker run`.
    Docker,
    /// Namespaces and nothing else.
    Unshare,
    /// The program itself.
    Floor,
}

/// What of the machine's cgroups is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All.
    Hybrid,
    /// Version 2 alone: who refuses hybrid machines runs all the same.
    V2,
}

impl Tool {
    /// All, in the order of the table.
    pub const ALL: [Self; 16] = [
        Self::Ucr,
        Self::Beside,
        Self::UcrVolume,
        Self::UcrInit,
        Self::UcrBridge,
        Self::UcrPort,
        Self::Bwrap,
        Self::BwrapFull,
        Self::Crun,
        Self::CrunUnconfined,
        Self::Runc,
        Self::RuncUnconfined,
        Self::Podman,
        Self::Docker,
        Self::Unshare,
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

    /// As the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ucr => "ucr",
            Self::Beside => "beside",
            Self::UcrVolume => "ucr-volume",
            Self::UcrInit => "ucr-init",
            Self::UcrBridge => "ucr-bridge",
            Self::UcrPort => "ucr-port",
            Self::Bwrap => "bwrap",
            Self::BwrapFull => "bwrap-full",
            Self::Crun => "crun",
            Self::CrunUnconfined => "crun-unconfined",
            Self::Runc => "runc",
            Self::RuncUnconfined => "runc-unconfined",
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Unshare => "unshare",
            Self::Floor => "floor",
        }
    }

    /// As people see it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ucr => "ucr run",
            Self::Beside => "the other ucr run",
            Self::UcrVolume => "ucr run -v",
            Self::UcrInit => "ucr run --init",
            Self::UcrBridge => "ucr run --network bridge",
            Self::UcrPort => "  with a published port",
            Self::Bwrap => "bwrap --overlay",
            Self::BwrapFull => "  with masks and read-only paths",
            Self::Crun => "crun run",
            Self::CrunUnconfined => "  without seccomp",
            Self::Runc => "runc run",
            Self::RuncUnconfined => "  without seccomp",
            Self::Podman => "podman run",
            Self::Docker => "docker run",
            Self::Unshare => "unshare -mpuinC --fork",
            Self::Floor => "busybox true",
        }
    }

    /// The Debian packages whose versions matter.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Ucr | Self::Beside | Self::UcrVolume | Self::UcrInit => &[],
            Self::UcrBridge | Self::UcrPort => &[],
            Self::Bwrap | Self::BwrapFull => &["bubblewrap"],
            Self::Crun | Self::CrunUnconfined => &["crun"],
            Self::Runc | Self::RuncUnconfined => &["runc"],
            Self::Podman => &["podman", "conmon", "crun"],
            Self::Docker => &["docker.io", "docker-cli", "containerd", "runc"],
            Self::Unshare => &["util-linux"],
            Self::Floor => &["busybox-static"],
        }
    }

    /// Where it runs.
    pub fn view(self) -> View {
        match self {
            Self::Crun | Self::CrunUnconfined | Self::Podman => View::V2,
            _ => View::Hybrid,
        }
    }

    /// What ucr's time may at most be, divided by this one's.
    pub fn target(self) -> Option<f64> {
        match self {
            Self::Bwrap => Some(1.0),
            Self::Crun => Some(0.9),
            Self::Runc => Some(0.25),
            Self::Podman => Some(0.04),
            _ => None,
        }
    }

    /// Whether its caller mounts the overlay.
    pub fn is_low_level(self) -> bool {
        matches!(
            self,
            Self::Crun | Self::CrunUnconfined | Self::Runc | Self::RuncUnconfined
        )
    }
}
