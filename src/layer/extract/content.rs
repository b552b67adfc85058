//! File content from the stream's own buffers onto the disk, holes left out.

use std::io::BufRead;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::io::Errno;

use crate::layer::entry::Reader;
use crate::layer::os;
use crate::layer::sparse::Sparse;

/// Writes content bytes from the stream's own buffers.
pub(super) fn write_run<R: BufRead>(
    file: &OwnedFd,
    mut at: Option<u64>,
    mut bytes: u64,
    reader: &mut Reader<R>,
) -> Result<()> {
    while bytes > 0 {
        let piece = reader.content()?;
        let most = usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .min(piece.len());
        let written = match at {
            None => rustix::io::write(file, &piece[..most]),
            Some(at) => rustix::io::pwrite(file, &piece[..most], at),
        };
        let written = match written {
            Err(Errno::INTR) => 0,
            other => os(other).context("write")?,
        };
        reader.consume(written);
        bytes -= written as u64;
        at = at.map(|at| at + written as u64);
    }
    Ok(())
}

pub(super) fn write_sparse<R: BufRead>(
    file: &OwnedFd,
    sparse: &Sparse,
    reader: &mut Reader<R>,
) -> Result<()> {
    for region in &sparse.regions {
        write_run(file, Some(region.offset), region.length, reader)?;
    }
    os(rustix::fs::ftruncate(file, sparse.real_size)).context("set the size")
}
