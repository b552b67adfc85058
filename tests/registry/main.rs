//! The registry client against servers on loopback: scripted ones that misbehave, and Debian's
//! docker-registry with htpasswd and with a token server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/scripted_registry.rs"]
mod scripted_registry;

mod basics;
mod faults;
mod mirrors;
mod tokens;
