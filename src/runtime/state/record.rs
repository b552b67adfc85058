//! What is known of a container: how it was made, which never changes, and what happened to it
//! since, in order.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::HealthState;
use crate::image::{ChainId, Digest};
use crate::runtime::native::network::cni::Attached;
use crate::runtime::native::network::{ConnectionRecord, PublishedPort};
use crate::spec::{ContainerSpec, Process};
use crate::sys::process::Exit;

/// A container as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Twelve hex digits.
    pub id: String,
    /// The image's name; empty if there is none.
    pub image: String,
    /// The image's manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// What it executes, and how, but for values of secrets.
    pub process: Process,
    /// Number of the signal that asks it to end.
    pub stop_signal: i32,
    /// Seconds since 1970.
    pub created_at: u64,
    /// The store that holds its layers.
    pub store: PathBuf,
    /// Its layers, bottom first.
    #[serde(default)]
    pub layers: Vec<ChainId>,
    /// Its cgroups.
    pub cgroups: Vec<PathBuf>,
    /// It stays after its end, until it is removed.
    pub is_kept: bool,
    /// Others can attach to it, and what it prints is written down.
    pub has_console: bool,
    /// It is checked whether it is well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_health: bool,
    /// How it is connected, on a bridged network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionRecord>,
    /// What was asked for.
    pub spec: ContainerSpec,
}

impl ContainerRecord {
    /// How people call it.
    pub fn name(&self) -> &str {
        self.spec.name.as_deref().unwrap_or(&self.id)
    }
}

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// It has a first process; the command is not executed yet.
    Started(Started),
    /// Plugins connected it to its network.
    Attached(Attached),
    /// Somebody wants it to end: it is not started again.
    Stopping,
    /// It ended, for the last time.
    Ended(Ended),
}

/// A start of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its first process as the host sees it.
    pub pid: i32,
    /// When that process started, in clock ticks since boot: with it, a number that another process
    /// has meanwhile is recognised.
    pub start_time: Option<u64>,
    /// Seconds since 1970.
    pub at: u64,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How its first process did.
    #[serde(flatten)]
    pub exit: Exit,
    /// How many of its processes the kernel killed because its memory was used up.
    pub oom_kills: u64,
    /// Seconds since 1970.
    pub at: u64,
    /// What ucr has to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Somebody wanted it to end: whoever starts it again when it fails does not.
    #[serde(default)]
    pub is_meant: bool,
}

/// What happened to a container so far; of one that was kept, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its latest start.
    pub started: Option<Started>,
    /// How plugins connected it to its network, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<Attached>,
    /// How often it was started again.
    pub restarts: u32,
    /// Somebody wants it to end.
    pub is_stopping: bool,
    /// Its end.
    pub ended: Option<Ended>,
    /// Whether it is well, or was at its end, if that is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthState>,
}

impl Life {
    /// Takes the next event into account.
    pub fn add(&mut self, event: Event) {
        match event {
            Event::Started(started) => {
                self.restarts += u32::from(self.started.is_some());
                self.started = Some(started);
            }
            Event::Attached(attached) => self.attached = Some(attached),
            Event::Stopping => self.is_stopping = true,
            Event::Ended(ended) => self.ended = Some(ended),
        }
    }
}

/// A container and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// How it was made.
    pub record: ContainerRecord,
    /// What happened since.
    pub life: Life,
    /// Whether a ucr watches it.
    pub is_watched: bool,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is being started.
    Created,
    /// Its command runs.
    Running,
    /// Its command ended.
    Exited,
    /// Nobody saw how it ended: its ucr was killed, or the machine.
    Dead,
}

impl Status {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Exited => "exited",
            Status::Dead => "dead",
        }
    }
}

impl Container {
    /// What it is doing.
    pub fn status(&self) -> Status {
        match (&self.life.ended, self.is_watched, self.life.started) {
            (Some(_), _, _) => Status::Exited,
            (None, false, _) => Status::Dead,
            (None, true, None) => Status::Created,
            (None, true, Some(_)) => Status::Running,
        }
    }

    /// Ports of the host that lead to it.
    pub fn ports(&self) -> impl Iterator<Item = &PublishedPort> {
        let attached = self.life.attached.as_ref();
        let by_plugins = attached.into_iter().flat_map(Attached::all);
        let connection = self.record.connection.as_ref();
        let bridged = connection.filter(|_| attached.is_none()).into_iter();
        let bridged = bridged.flat_map(|it| &it.ports);
        by_plugins.flat_map(|it| &it.ports).chain(bridged)
    }

    /// Its own address on its first network, if it has one.
    pub fn address(&self) -> Option<IpAddr> {
        let attached = self.life.attached.as_ref();
        let by_plugins = attached.and_then(|it| match it.ip {
            Some(ip) => Some(IpAddr::V4(ip)),
            None => it.ip6.map(IpAddr::V6),
        });
        let connection = self.record.connection.as_ref();
        by_plugins.or_else(|| connection.map(|it| IpAddr::V4(it.addresses.ip)))
    }

    /// Its first process, while it runs.
    pub fn process(&self) -> Option<Started> {
        self.life
            .started
            .filter(|_| self.status() == Status::Running)
    }
}
