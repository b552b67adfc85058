//! What a layer may ask for before it is taken for a bomb (CVE-2017-14992, CVE-2022-2879,
//! CVE-2025-58183 class). The defaults are far above any real image.

use crate::error::{Fault, Kind};

/// The bounds of one layer.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of the tar stream, and bytes of file content with holes counted.
    pub unpacked_bytes: u64,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Components of one path.
    pub depth: usize,
    /// Extended attributes of one entry.
    pub xattrs: usize,
    /// Bytes of the extended headers (PAX, GNU long names) of one entry.
    pub header_bytes: u64,
    /// Extended headers before one entry.
    pub pending_headers: u32,
    /// Regions of one sparse file.
    pub sparse_regions: usize,
    /// Bytes of memory for what is remembered of directories, whiteouts and links.
    pub index_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 8_000_000,
            unpacked_bytes: 1 << 40,
            path_bytes: 4095,
            depth: 1024,
            xattrs: 256,
            header_bytes: 1 << 20,
            pending_headers: 16,
            sparse_regions: 10_000,
            index_bytes: 256 << 20,
        }
    }
}

/// The fault of a limit that was exceeded.
pub(super) fn exceeded(what: &str, limit: impl std::fmt::Display) -> Fault {
    Fault::new(Kind::Limit, format!("more than {limit} {what}"))
}
