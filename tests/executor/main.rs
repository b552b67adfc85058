//! `ucr::executor::agent` against an agent on loopback that misbehaves as it is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod fake;
mod faults;
mod owner;
mod roads;
mod stream;
