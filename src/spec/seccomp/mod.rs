//! Which system calls a container may make: the rules themselves, for every runtime. Pure.
//!
//! The native runtime makes a filter of them, for Docker Engine they are written in its own form.
//! The build script reads these files, too, so they name nothing else of the crate.
//!
//! ```text
//! syscalls + policy ─► rules ─┬─► runtime::native::seccomp, a program
//!                             └─► document, JSON for Docker Engine
//! ```

pub(crate) mod capability;
mod document;
pub(crate) mod policy;
pub(crate) mod rule;
pub(crate) mod syscalls;

pub use document::{Errors, profile};
