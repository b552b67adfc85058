//! Whether somebody accepts a connection.

use std::net::TcpStream;

use super::Outcome;
use crate::checks::plan::Target;

/// Blocks as long as the kernel tries.
pub(super) fn connect(target: Target) -> Outcome {
    match TcpStream::connect(target.address) {
        Ok(_) => Outcome::Connected,
        Err(error) => Outcome::Unconnected(format!("connect to {}: {error}", target.address)),
    }
}
