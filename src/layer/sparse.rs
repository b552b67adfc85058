//! The maps of sparse files: GNU's old header fields and the three PAX formats. Pure.
//!
//! A map says which regions of the file the stored bytes belong to. It must be in order, inside
//! the file, and account for every stored byte; anything else is refused.

use tar::{GnuExtSparseHeader, GnuHeader, GnuSparseHeader};

use super::header;
use super::limits::{self, Limits};
use super::pax::{self, SparseKeys};
use crate::error::{Fault, Kind};

/// A run of stored bytes in a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where it begins in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// A file with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparse {
    /// In order, without overlap.
    pub regions: Vec<Region>,
    /// The size of the file, holes included.
    pub real_size: u64,
}

fn bad(why: &str) -> Fault {
    Fault::new(Kind::Layer, format!("sparse map: {why}"))
}

impl Sparse {
    /// Checks a map against the number of bytes that are stored.
    pub(super) fn new(
        regions: Vec<Region>,
        real_size: u64,
        stored: u64,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        limits.check(limits::Name::SparseRegions, regions.len() as u64)?;
        let (mut end, mut sum) = (0u64, 0u64);
        for region in &regions {
            let next = region.offset.checked_add(region.length);
            let next = next.ok_or_else(|| bad("a region beyond every file"))?;
            if region.offset < end || next > real_size {
                return Err(bad("regions overlap or leave the file"));
            }
            end = next;
            sum += region.length;
        }
        if sum != stored || i64::try_from(real_size).is_err() {
            return Err(bad("the sizes contradict each other"));
        }
        Ok(Self { regions, real_size })
    }
}

/// Pairs of offset and length.
pub(super) fn pairs(numbers: &[u64]) -> Result<Vec<Region>, Fault> {
    if !numbers.len().is_multiple_of(2) {
        return Err(bad("an offset without a length"));
    }
    let region = |pair: &[u64]| Region {
        offset: pair[0],
        length: pair[1],
    };
    Ok(numbers.chunks_exact(2).map(region).collect())
}

/// The regions in the header itself, and whether more headers follow.
pub(super) fn old_gnu(gnu: &GnuHeader) -> Result<(Vec<Region>, u64, bool), Fault> {
    let real_size = header::unsigned(&gnu.realsize, "real size")?;
    Ok((descriptors(&gnu.sparse)?, real_size, gnu.isextended[0] != 0))
}

/// The regions of a continuation header, and whether yet another follows.
pub(super) fn old_gnu_more(block: &[u8; 512]) -> Result<(Vec<Region>, bool), Fault> {
    let mut more = GnuExtSparseHeader::new();
    more.as_mut_bytes().copy_from_slice(block);
    Ok((descriptors(more.sparse())?, more.is_extended()))
}

fn descriptors(slots: &[GnuSparseHeader]) -> Result<Vec<Region>, Fault> {
    let used = slots.iter().take_while(|slot| slot.offset[0] != 0);
    used.map(|slot| {
        Ok(Region {
            offset: header::unsigned(&slot.offset, "sparse offset")?,
            length: header::unsigned(&slot.numbytes, "sparse length")?,
        })
    })
    .collect()
}

/// Which of the PAX formats an entry uses.
pub(super) enum Format {
    /// The map was in the header.
    Listed(Vec<Region>),
    /// Format 1.0: the map stands before the content.
    InContent,
}

/// Reads what the PAX header says; the real size is required in every format.
pub(super) fn of_pax(keys: &SparseKeys) -> Result<(Format, u64), Fault> {
    let real_size = keys.real_size.ok_or_else(|| bad("no real size"))?;
    match keys.version {
        (None | Some(0), _) => Ok((Format::Listed(pairs(&keys.numbers)?), real_size)),
        (Some(1), None | Some(0)) => Ok((Format::InContent, real_size)),
        _ => Err(bad("an unknown version")),
    }
}

/// A map of format 1.0 as it is read, block by block: decimal numbers, one a line, the first of
/// them the count of regions.
#[derive(Debug, Default)]
pub(super) struct MapReader {
    line: Vec<u8>,
    numbers: Vec<u64>,
}

impl MapReader {
    /// Takes a block; the regions when it was the last one of the map.
    pub(super) fn take(
        &mut self,
        block: &[u8; 512],
        limits: &Limits,
    ) -> Result<Option<Vec<Region>>, Fault> {
        for byte in block {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            self.numbers.push(pax::decimal(&self.line)?);
            self.line.clear();
            let count = self.numbers[0];
            limits.check(limits::Name::SparseRegions, count)?;
            if self.numbers.len() as u64 == count * 2 + 1 {
                return pairs(&self.numbers[1..]).map(Some);
            }
        }
        match self.line.len() {
            0..=20 => Ok(None),
            _ => Err(bad("a number without an end")),
        }
    }
}
