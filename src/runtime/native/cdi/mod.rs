//! The Container Device Interface (CDI, specification 0.8 to 1.1): files in which the maker of a
//! device says what a container needs to use it.
//!
//! ```text
//! read ─► File ─► document (yaml) ─► catalog: by name ─► edits: for this container
//!  host            pure               pure                pure, but for a look at device nodes
//! ```
//!
//! The files are root's and trusted to say what is shown; they are not trusted to be well-formed,
//! small or harmless by mistake. What ucr cannot do is refused by name, never left out: a device
//! that works by half is worse than none. Nothing is read unless a CDI device was asked for.

mod catalog;
mod document;
mod edits;
mod read;
mod yaml;

pub use edits::{DeviceEdit, Edits, Hook, Origin, resolve};
pub(super) use read::read;

use std::path::PathBuf;

/// Where the files are; later directories win.
pub const DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// A file, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Of its directory: devices of a higher one win.
    pub rank: usize,
    /// Where it is.
    pub path: PathBuf,
    /// What is in it, or why that cannot be read.
    pub content: Result<Vec<u8>, String>,
}
