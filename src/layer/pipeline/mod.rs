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
//!
//! A small layer goes through the same stages on the caller's thread: threads would cost more than
//! they do for it, and other layers keep the other processors busy.

mod alone;
mod blob;
mod stages;

use std::io::{self, Read};
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::channel::{self, Buffers, Reader, Writer, pipe};
use super::extract::{self, Extracted};
use super::limits::Limits;
use crate::error::{self, Kind};
use crate::image::Digest;
use crate::sys::root::Root;
use blob::Blob;
use stages::{DiffHasher, Inflater};

/// Largest blob that gets no threads, in bytes.
const SMALL: u64 = 1 << 20;

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

/// Where a layer goes, and within which bounds.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) staging: &'a Root,
    pub(super) limits: &'a Limits,
    pub(super) buffers: &'a Buffers,
}

/// What each thread came to.
struct Outcome {
    feed: Result<()>,
    inflate: Result<()>,
    hash: Result<()>,
    extract: Result<Extracted>,
}

/// Runs the stages; all threads are joined when this returns.
pub(super) fn run(blob: impl Read, expect: &Expect, target: Target) -> Result<Extracted> {
    let blob = Blob::new(blob, expect);
    if expect.size <= SMALL {
        alone::run(blob, expect, target)
    } else {
        together(blob, expect, target)
    }
}

/// Whatever the size.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn run_with_threads(
    blob: impl Read,
    expect: &Expect,
    target: Target,
) -> Result<Extracted> {
    together(Blob::new(blob, expect), expect, target)
}

fn together(mut blob: Blob<impl Read>, expect: &Expect, target: Target) -> Result<Extracted> {
    let Target {
        staging,
        limits,
        buffers,
    } = target;
    let (to_inflate, compressed) = pipe(buffers);
    let (to_hash, unhashed) = pipe(buffers);
    let (to_extract, tar) = pipe(buffers);
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
            feed: blob.feed(to_inflate),
            inflate: joined(inflate),
            hash: joined(hash),
            extract: joined(extract),
        })
    });
    judge(blob, outcome.context("start a thread")?)
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

fn inflate(from: Reader, to: Writer, limits: &Limits) -> Result<()> {
    let mut inflater = Inflater::new(from, limits)?;
    loop {
        let mut buffer = to.buffer();
        match inflater.fill(&mut buffer)? {
            0 => return Ok(to.end()?),
            length => buffer.truncate(length),
        }
        to.send(buffer)?;
    }
}

fn hash(mut from: Reader, to: Writer, diff_id: &Digest) -> Result<()> {
    let mut hasher = DiffHasher::new(diff_id);
    while let Some(buffer) = from.receive()? {
        hasher.update(&buffer);
        to.send(buffer)?;
    }
    hasher.verify()?;
    Ok(to.end()?)
}

/// Finds the first cause among the errors of the stages.
fn judge(blob: Blob<impl Read>, outcome: Outcome) -> Result<Extracted> {
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
    keep(inflate, &mut causes);
    keep(hash, &mut causes);
    let extracted = keep(extract, &mut causes);
    match (extracted, first_cause(causes)) {
        (Some(extracted), None) => Ok(extracted),
        (_, cause) => {
            let cause = cause.unwrap_or_else(|| anyhow!(channel::Gone));
            Err(integrity_before(blob, cause))
        }
    }
}

/// A bad archive in a blob that is not the right one is the blob's fault, and saying so needs
/// the rest of it. Other faults would not look different.
fn integrity_before(blob: Blob<impl Read>, cause: anyhow::Error) -> anyhow::Error {
    match error::kind(&cause) {
        Kind::Layer => blob.drain().err().unwrap_or(cause),
        _ => cause,
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
