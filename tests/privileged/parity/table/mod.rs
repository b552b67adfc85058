//! The table: what is run under both runtimes.
#![expect(clippy::too_many_lines, reason = "they are tables")]

use super::row::Row;

mod command;
mod endings;
mod filesystem;
mod limits;
mod network;
mod security;

/// All rows, each with a name of its own.
pub fn rows() -> Vec<Row> {
    [
        command::rows(),
        command::streams(),
        filesystem::rows(),
        limits::rows(),
        security::rows(),
        network::rows(),
        endings::rows(),
    ]
    .concat()
}
