//! What the middle stages do with one buffer, on whatever thread.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use anyhow::Result;

use crate::error::{Fault, Kind};
use crate::image::{Digest, Hasher};
use crate::layer::channel;
use crate::layer::decompress::Decoder;
use crate::layer::limits::{Limits, Name};

/// The tar stream out of the blob, within the limits of a bomb.
pub(super) struct Inflater<'a, R: BufRead> {
    decoder: Decoder<Metered<R>>,
    /// Bytes of the blob that the decoder has used.
    used: Rc<Cell<u64>>,
    total: u64,
    limits: &'a Limits,
}

impl<'a, R: BufRead> Inflater<'a, R> {
    pub(super) fn new(from: R, limits: &'a Limits) -> Result<Self> {
        let used = Rc::new(Cell::new(0));
        let metered = Metered {
            from,
            used: used.clone(),
        };
        Ok(Self {
            decoder: Decoder::new(metered)?,
            used,
            total: 0,
            limits,
        })
    }

    /// Fills as much of a buffer as there is.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = self
            .decoder
            .fill(buffer)
            .map_err(|error| self.damaged(error))?;
        self.total += length as u64;
        self.limits.check(Name::Bytes, self.total)?;
        if self.total > self.limits.ratio_floor {
            let ratio = self.total / self.used.get().max(1);
            self.limits.check(Name::Ratio, ratio)?;
        }
        Ok(length)
    }

    /// An error of the decoder is the layer's fault, unless it only passes on that the pipe is
    /// gone.
    fn damaged(&self, error: io::Error) -> anyhow::Error {
        let error = anyhow::Error::from(error);
        if channel::is_echo(&error) {
            return error;
        }
        let name = self.decoder.name();
        Fault::new(Kind::Layer, format!("bad {name} data: {error}")).into()
    }
}

/// Counts what the decoder has used of the blob.
struct Metered<R> {
    from: R,
    used: Rc<Cell<u64>>,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(into)?;
        self.used.set(self.used.get() + length as u64);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.from.consume(amount);
        self.used.set(self.used.get() + amount as u64);
    }
}

/// The digest of the tar stream.
pub(super) struct DiffHasher<'a> {
    hasher: Hasher,
    diff_id: &'a Digest,
}

impl<'a> DiffHasher<'a> {
    pub(super) fn new(diff_id: &'a Digest) -> Self {
        Self {
            hasher: Hasher::new(diff_id.algorithm()),
            diff_id,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    pub(super) fn verify(self) -> Result<(), Fault> {
        let digest = self.hasher.finish();
        if digest == *self.diff_id {
            return Ok(());
        }
        let message = format!(
            "the unpacked layer has the diff ID {digest}, not {}",
            self.diff_id
        );
        Err(Fault::new(Kind::Integrity, message))
    }
}
