//! What the tests stand on: the real binary in a private world, real images, real servers.
//!
//! Nothing here skips. What is missing (root, a program, a package) is a panic that says what to
//! install. Servers listen on loopback, on a port that the kernel picks, and are stopped by pid.

#![allow(
    dead_code,
    reason = "each test binary uses its own part of the shared support"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is test code outside of #[test] functions"
)]

pub mod buildah;
pub mod cgroups;
pub mod docker_archive;
pub mod engine;
pub mod fake_agent;
pub mod image;
pub mod layer;
pub mod layout;
pub mod mesos_launcher;
pub mod need;
pub mod netns;
pub mod process;
pub mod raw_tar;
pub mod registry;
pub mod samples;
pub mod scratch;
pub mod scripted_registry;
pub mod token_server;
pub mod tree;
pub mod ucr;
pub mod user;

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// `sha256:<hex>` of some bytes; computed here, not by the product that is under test.
pub fn digest(bytes: &[u8]) -> String {
    name(Sha256::digest(bytes).as_slice())
}

/// `sha256:<hex>` of what a reader gives, and its length.
pub fn digest_reader(reader: &mut impl std::io::Read) -> (String, u64) {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        let count = reader.read(&mut buffer).expect("read what is hashed");
        if count == 0 {
            return (name(hasher.finalize().as_slice()), length);
        }
        hasher.update(&buffer[..count]);
        length += count as u64;
    }
}

fn name(hash: &[u8]) -> String {
    hash.iter().fold(String::from("sha256:"), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}
