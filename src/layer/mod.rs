//! A layer: a tar stream onto a directory handle, in the form that overlay mounts.
//!
//! [`unpack`] reads a compressed layer once and writes it into an empty directory without knowing
//! its parents, so that all layers of an image are unpacked at the same time. [`settle`] then does
//! what only the parents can decide, so that the mount shows what applying the layers one on top
//! of the other would have given. [`flatten`] makes that same tree without a mount.
//!
//! Where image-spec leaves a choice:
//!
//! * *The root.* Attributes of an entry for `/` are applied, as the specification says and umoci
//!   does, but its mode never below 0555: images packed from a private directory run elsewhere, as
//!   other tools ignore the entry, and would lock out every user but root here. Without an entry
//!   the root looks as in the layer below.
//! * *A path through a link of a lower layer* makes a directory that hides the link, as Docker and
//!   podman do, with a warning. A layer's meaning does not depend on following other layers' links.
//! * *Device nodes* are made when we are root, and left out with a warning when the kernel refuses;
//!   that they cannot be used is the business of the mount (`nodev`).
//! * *Owners* that a user without subordinate IDs cannot have become that user, as in podman with
//!   `ignore_chown_errors`.

mod attributes;
mod channel;
mod copy;
mod decompress;
mod dirs;
mod entry;
mod extract;
#[cfg(test)]
mod fixture;
mod flatten;
mod header;
mod limits;
mod lower;
mod owners;
mod pax;
mod pipeline;
mod settle;
mod sparse;
#[cfg(test)]
mod tests;
pub mod transfer;
mod whiteout;

use std::io::Read;

use anyhow::Result;

pub use channel::Buffers;
pub use decompress::gunzip;
#[cfg(feature = "fuzzing")]
pub use entry::{Entry, Reader, Type};
pub use flatten::flatten;
pub use limits::{Limits, Setting};
#[cfg(feature = "fuzzing")]
pub use pax::{Pax, parse as parse_pax};
pub use pipeline::Expect;

use crate::sys::root::Root;

/// A layer on disk, but not yet fitted to its parents; [`settle`] takes it.
#[derive(Debug)]
pub struct Unpacked {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of file content that were written.
    pub bytes: u64,
    /// What was left out or looked odd; at most a few dozen lines.
    pub warnings: Vec<String>,
    pending: extract::Pending,
}

/// Reads one compressed layer and unpacks it into the empty directory `staging`, without its
/// parents. The blob is read on the calling thread, to one byte beyond its size at most; its error
/// is returned as it is and wins over what later stages make of the missing bytes. Digest, size and
/// diff ID are right when this returns `Ok`; on an error, `staging` is to be thrown away. Layers
/// that share `buffers` may be unpacked at the same time.
pub fn unpack(
    blob: impl Read,
    expect: &Expect,
    staging: &Root,
    limits: &Limits,
    buffers: &Buffers,
) -> Result<Unpacked> {
    let target = pipeline::Target {
        staging,
        limits,
        buffers,
    };
    pipeline::run(blob, expect, target).map(unpacked)
}

/// As [`unpack`], with a thread for each stage whatever the size: what is fuzzed is always small.
#[cfg(feature = "fuzzing")]
pub fn unpack_with_threads(
    blob: impl Read,
    expect: &Expect,
    staging: &Root,
    limits: &Limits,
    buffers: &Buffers,
) -> Result<Unpacked> {
    let target = pipeline::Target {
        staging,
        limits,
        buffers,
    };
    pipeline::run_with_threads(blob, expect, target).map(unpacked)
}

fn unpacked(done: extract::Extracted) -> Unpacked {
    Unpacked {
        entries: done.entries,
        bytes: done.bytes,
        warnings: done.warnings,
        pending: done.pending,
    }
}

/// Fits an unpacked layer to its parents, topmost first, all of them settled: whiteouts of nothing
/// go, directories that the archive does not list look like those below, hard links into lower
/// layers are made. Returns warnings. Must also be called for the bottom layer.
pub fn settle(unpacked: Unpacked, staging: &Root, parents: &[Root]) -> Result<Vec<String>> {
    settle::settle(unpacked.pending, staging, parents)
}

/// The error of a system call as the standard library's, by which `error::kind` knows it.
fn os<T>(result: rustix::io::Result<T>) -> std::io::Result<T> {
    result.map_err(std::io::Error::from)
}
