//! One layer through its stages, each on a thread of its own:
//!
//! ```text
//!  caller: read, hash the blob ─► inflate ─► hash the tar ─► parse and write
//! ```
//!
//! Between them are bounded pipes of recycled buffers, so that memory does not grow with the
//! layer. The end of the data is only passed on by a stage that found its bytes right: nobody
//! takes a cut or forged stream for a whole one. A stage that fails drops its ends; its neighbours
//! stop at their next buffer, all threads are joined, and the error of the first cause is returned.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::channel::{self, Reader, Writer, pipe};
use super::decompress::{Compression, Decoder};
use super::extract::{self, Extracted};
use super::limits::{self, Limits};
use crate::error::{self, Fault, Kind};
use crate::image::{Digest, Hasher};
use crate::sys::root::Root;

/// What a blob has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// Digest of the compressed bytes.
    pub blob: &'a Digest,
    /// Their number.
    pub size: u64,
    /// Digest of the tar stream.
    pub diff_id: &'a Digest,
}

/// What each thread came to.
struct Outcome {
    feed: Result<()>,
    inflate: Result<Compression>,
    hash: Result<()>,
    extract: Result<Extracted>,
}

/// Runs the stages; all threads are joined when this returns.
pub(super) fn run(
    blob: impl Read,
    expect: &Expect,
    staging: &Root,
    limits: &Limits,
) -> Result<(Compression, Extracted)> {
    let mut source = Source::new(blob, expect);
    let (to_inflate, compressed) = pipe();
    let (to_hash, unhashed) = pipe();
    let (to_extract, tar) = pipe();
    let outcome = thread::scope(|scope| -> io::Result<Outcome> {
        let inflate = spawn(scope, "inflate", move || {
            inflate(compressed, to_hash, limits)
        })?;
        let hash = spawn(scope, "hash", move || {
            hash(unhashed, to_extract, expect.diff_id)
        })?;
        let extract = spawn(scope, "extract", move || {
            extract::extract(tar, staging, limits)
        })?;
        Ok(Outcome {
            feed: source.feed(to_inflate),
            inflate: joined(inflate),
            hash: joined(hash),
            extract: joined(extract),
        })
    });
    source.judge(outcome.context("start a thread")?)
}

/// A process without room for another thread gets an error; the threads that run already find
/// their pipes closed.
fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    stage: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<thread::ScopedJoinHandle<'scope, T>> {
    thread::Builder::new()
        .name(name.into())
        .spawn_scoped(scope, stage)
}

fn joined<T>(handle: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle
        .join()
        .unwrap_or_else(|_| Err(anyhow!("a thread of the unpacker panicked")))
}

/// The blob as it is read: never more than its size and one byte.
struct Source<'a, R> {
    blob: R,
    expect: &'a Expect<'a>,
    hasher: Option<Hasher>,
    read: u64,
}

impl<'a, R: Read> Source<'a, R> {
    fn new(blob: R, expect: &'a Expect<'a>) -> Self {
        Self {
            blob,
            expect,
            hasher: Some(Hasher::new(expect.blob.algorithm())),
            read: 0,
        }
    }

    fn feed(&mut self, to: Writer) -> Result<()> {
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

    /// Reads a whole buffer, so that later stages see few and large ones.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut length = 0;
        while length < buffer.len() {
            // One byte more than there should be tells that there is more.
            let rest = (self.expect.size - self.read).saturating_add(1) - length as u64;
            let most = usize::try_from(rest)
                .unwrap_or(usize::MAX)
                .min(buffer.len() - length);
            match self.blob.read(&mut buffer[length..length + most]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(of_blob(error)),
            }
            if self.read + length as u64 > self.expect.size {
                return Err(self.wrong(format!("longer than {} bytes", self.expect.size)));
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
            return Err(self.wrong(format!("ends after {read} of {size} bytes")));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(digest) if digest != *self.expect.blob => {
                Err(self.wrong(format!("its content has the digest {digest}")))
            }
            _ => Ok(()),
        }
    }

    fn wrong(&self, why: String) -> anyhow::Error {
        let message = format!("blob {}: {why}", self.expect.blob);
        Fault::new(Kind::Integrity, message).into()
    }

    /// Finds the first cause among the errors of the stages.
    fn judge(mut self, outcome: Outcome) -> Result<(Compression, Extracted)> {
        let Outcome {
            feed,
            inflate,
            hash,
            extract,
        } = outcome;
        match feed {
            Err(error) if !channel::is_echo(&error) => return Err(error),
            _ => {}
        }
        let mut causes = Vec::new();
        let compression = keep(inflate, &mut causes);
        keep(hash, &mut causes);
        let extracted = keep(extract, &mut causes);
        match (compression, extracted, first_cause(causes)) {
            (Some(compression), Some(extracted), None) => Ok((compression, extracted)),
            (_, _, cause) => {
                let cause = cause.unwrap_or_else(|| anyhow!(channel::Gone));
                Err(self.integrity_before(cause))
            }
        }
    }

    /// A bad archive in a blob that is not the right one is the blob's fault, and saying so needs
    /// the rest of it. Other faults would not look different.
    fn integrity_before(&mut self, cause: anyhow::Error) -> anyhow::Error {
        if error::kind(&cause) != Kind::Layer || self.hasher.is_none() {
            return cause.context(format!("blob {}", self.expect.blob));
        }
        let mut buffer = vec![0; channel::BUFFER];
        loop {
            match self.fill(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        match self.verify() {
            Err(error) => error,
            Ok(()) => cause.context(format!("blob {}", self.expect.blob)),
        }
    }
}

/// A fault that travelled inside the reader's error is taken out, for `error::kind` to see.
fn of_blob(error: io::Error) -> anyhow::Error {
    match error.downcast::<Fault>() {
        Ok(fault) => fault.into(),
        Err(error) => error.into(),
    }
}

fn keep<T>(result: Result<T>, causes: &mut Vec<anyhow::Error>) -> Option<T> {
    result.map_err(|error| causes.push(error)).ok()
}

fn first_cause(causes: Vec<anyhow::Error>) -> Option<anyhow::Error> {
    let mut echo = None;
    for cause in causes {
        if !channel::is_echo(&cause) {
            return Some(cause);
        }
        echo = Some(cause);
    }
    echo
}

/// Counts what the decoder has used of the blob.
struct Metered<'a> {
    from: Reader,
    read: &'a Cell<u64>,
}

impl Read for Metered<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(into)?;
        self.read.set(self.read.get() + length as u64);
        Ok(length)
    }
}

impl BufRead for Metered<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.from.consume(amount);
        self.read.set(self.read.get() + amount as u64);
    }
}

fn inflate(from: Reader, to: Writer, limits: &Limits) -> Result<Compression> {
    let read = Cell::new(0);
    let mut decoder = Decoder::new(Metered { from, read: &read })?;
    let mut total = 0u64;
    loop {
        let mut buffer = to.buffer();
        let length = decoder
            .fill(&mut buffer)
            .map_err(|error| damaged(error, &decoder))?;
        if length == 0 {
            break;
        }
        total += length as u64;
        limits.check(limits::Name::Bytes, total)?;
        if total > limits.ratio_floor {
            limits.check(limits::Name::Ratio, total / read.get().max(1))?;
        }
        buffer.truncate(length);
        to.send(buffer)?;
    }
    let compression = decoder.compression();
    to.end()?;
    Ok(compression)
}

/// An error of the decoder is the layer's fault, unless it only passes on that the pipe is gone.
fn damaged<R: io::BufRead>(error: io::Error, decoder: &Decoder<R>) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    if channel::is_echo(&error) {
        return error;
    }
    let name = match decoder.compression() {
        Compression::None => "plain",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    Fault::new(Kind::Layer, format!("bad {name} data: {error}")).into()
}

fn hash(mut from: Reader, to: Writer, diff_id: &Digest) -> Result<()> {
    let mut hasher = Hasher::new(diff_id.algorithm());
    while let Some(buffer) = from.receive()? {
        hasher.update(&buffer);
        to.send(buffer)?;
        // Buffers travel on to the last stage and come back one stage at a time.
        while let Some(empty) = to.take_empty() {
            from.recycle(empty);
        }
    }
    let digest = hasher.finish();
    if digest != *diff_id {
        let message = format!("the unpacked layer has the diff ID {digest}, not {diff_id}");
        return Err(Fault::new(Kind::Integrity, message).into());
    }
    Ok(to.end()?)
}
