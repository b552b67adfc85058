//! All stages on one thread, for a blob that fits into memory.

use std::io::{self, BufRead, Read};

use anyhow::{Error, Result};

use super::blob::Blob;
use super::stages::{DiffHasher, Inflater};
use super::{Expect, Target};
use crate::layer::channel::{Buffers, Gone};
use crate::layer::extract::{self, Extracted};

pub(super) fn run(blob: Blob<impl Read>, expect: &Expect, target: Target) -> Result<Extracted> {
    let bytes = blob.whole()?;
    let mut failure = None;
    let tar = Tar {
        inflater: Inflater::new(&bytes[..], target.limits)?,
        hasher: Some(DiffHasher::new(expect.diff_id)),
        buffers: target.buffers,
        current: target.buffers.take(),
        filled: 0,
        used: 0,
        failure: &mut failure,
    };
    let extracted = extract::extract(tar, target.staging, target.limits);
    match failure {
        Some(cause) => Err(cause),
        None => extracted,
    }
}

/// The tar stream; it ends only if it has the right digest.
struct Tar<'a> {
    inflater: Inflater<'a, &'a [u8]>,
    /// `None` at the end.
    hasher: Option<DiffHasher<'a>>,
    buffers: &'a Buffers,
    current: Vec<u8>,
    filled: usize,
    used: usize,
    /// Why there is no more; the reader only hears that it is so.
    failure: &'a mut Option<Error>,
}

impl Tar<'_> {
    fn refill(&mut self) -> Result<()> {
        (self.used, self.filled) = (0, 0);
        let Some(hasher) = &mut self.hasher else {
            return Ok(());
        };
        self.filled = self.inflater.fill(&mut self.current)?;
        hasher.update(&self.current[..self.filled]);
        if self.filled == 0
            && let Some(hasher) = self.hasher.take()
        {
            hasher.verify()?;
        }
        Ok(())
    }
}

impl BufRead for Tar<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.filled
            && let Err(cause) = self.refill()
        {
            self.failure.get_or_insert(cause);
            return Err(io::Error::other(Gone));
        }
        Ok(&self.current[self.used..self.filled])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Tar<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl Drop for Tar<'_> {
    fn drop(&mut self) {
        self.buffers.give(std::mem::take(&mut self.current));
    }
}
