//! The first stage: the blob as it is read, never more than its size and one byte.

use std::io::{self, Read};

use anyhow::Result;

use super::Expect;
use crate::error::{Fault, Kind};
use crate::image::Hasher;
use crate::layer::channel::{BUFFER, Writer};

pub(super) struct Blob<'a, R> {
    from: R,
    expect: &'a Expect<'a>,
    /// `None` once the digest was looked at.
    hasher: Option<Hasher>,
    read: u64,
}

impl<'a, R: Read> Blob<'a, R> {
    pub(super) fn new(from: R, expect: &'a Expect<'a>) -> Self {
        Self {
            from,
            expect,
            hasher: Some(Hasher::new(expect.blob.algorithm())),
            read: 0,
        }
    }

    /// Passes all bytes on, and their end if they are right.
    pub(super) fn feed(&mut self, to: Writer) -> Result<()> {
        loop {
            let mut buffer = to.buffer();
            let length = self.fill(&mut buffer)?;
            if length == 0 {
                break;
            }
            buffer.truncate(length);
            to.send(buffer)?;
        }
        self.verify()?;
        Ok(to.end()?)
    }

    /// All bytes at once, if they are right.
    pub(super) fn whole(mut self) -> Result<Vec<u8>> {
        // The byte too much, by which a blob that goes on is known, has room here.
        let mut bytes = vec![0; usize::try_from(self.expect.size)? + 1];
        let length = self.fill(&mut bytes)?;
        bytes.truncate(length);
        self.verify()?;
        Ok(bytes)
    }

    /// Reads what is left, for the digest.
    pub(super) fn drain(mut self) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        while self.hasher.is_some() && self.fill(&mut buffer)? > 0 {}
        self.verify()
    }

    /// Reads a whole buffer, so that later stages see few and large ones.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut length = 0;
        while length < buffer.len() {
            // One byte more than there should be tells that there is more.
            let rest = (self.expect.size - self.read).saturating_add(1) - length as u64;
            let most = usize::try_from(rest)
                .unwrap_or(usize::MAX)
                .min(buffer.len() - length);
            match self.from.read(&mut buffer[length..length + most]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(taken_out(error)),
            }
            if self.read + length as u64 > self.expect.size {
                return Err(wrong(format!("is longer than {} bytes", self.expect.size)));
            }
        }
        self.read += length as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..length]);
        }
        Ok(length)
    }

    fn verify(&mut self) -> Result<()> {
        let (size, read) = (self.expect.size, self.read);
        if read != size {
            return Err(wrong(format!("ends after {read} of {size} bytes")));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(digest) if digest != *self.expect.blob => {
                Err(wrong(format!("has the digest {digest}")))
            }
            _ => Ok(()),
        }
    }
}

fn wrong(what: String) -> anyhow::Error {
    Fault::new(Kind::Integrity, format!("the blob {what}")).into()
}

/// A fault that travelled inside the reader's error, for `error::kind` to see.
fn taken_out(error: io::Error) -> anyhow::Error {
    match error.downcast::<Fault>() {
        Ok(fault) => fault.into(),
        Err(error) => error.into(),
    }
}
