//! The kernel: the only `unsafe` and the only raw system calls.

pub mod root;
pub mod xattr;
