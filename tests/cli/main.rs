//! The real binary, one module per promise: what it prints, leaves on disk and exits with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "this is test code outside of #[test] functions"
)]

#[path = "../support/mod.rs"]
mod support;

mod self_check;
