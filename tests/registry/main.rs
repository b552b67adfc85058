//! The registry client against servers on loopback: scripted ones that misbehave, and Debian's
//! docker-registry with htpasswd and with a token server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/scripted_registry.rs"]
mod scripted_registry;

#[path = "../support/token_server.rs"]
mod token_server;

mod basics;
mod debian;
mod environment;
mod faults;
mod mirrors;
mod tokens;
