//! The bytes of one layer on their way: what an earlier try kept, then the rest from the origin;
//! counted, and stopped when another layer has failed.
//!
//! A layer that takes long is kept beside unpacking it, for a pull that is cut to go on from there.
//! One that does not is not worth writing twice: the disk is mostly slower than the processors.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Origin, Progress};
use crate::error::{Fault, Kind};
use crate::image::Descriptor;
use crate::store::{Ingest, KEPT_ALIGNMENT, Writeback};

/// What came before a layer had taken this long is not kept: it comes again as quickly.
const LONG: Duration = Duration::from_secs(5);

/// Whom to ask for a blob.
#[derive(Clone, Copy)]
pub(super) enum Trust {
    /// Mirrors first, if there are any.
    Mirrors,
    /// Only the place that the image's name says.
    RegistryOnly,
}

/// Which bytes are kept for a next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// All, from the first on.
    All,
    /// Those that come when the layer has taken long.
    Late,
}

/// What all streams of a pull share.
#[derive(Clone, Copy)]
pub(super) struct Pipes<'a> {
    pub(super) origin: &'a dyn Origin,
    pub(super) progress: &'a dyn Progress,
    pub(super) writeback: &'a Writeback,
    /// Set when the pull has failed.
    pub(super) stop: &'a AtomicBool,
}

/// A layer as one stream; `kept` says which of its bytes `ingest` has and may be used.
pub(super) fn open<'a>(
    pipes: Pipes<'a>,
    layer: &'a Descriptor,
    ingest: &Ingest,
    (kept, keep): (Range<u64>, Keep),
    trust: Trust,
) -> Result<Box<dyn Read + 'a>> {
    pipes.progress.resumed(layer, kept.end - kept.start);
    let part = |from, position| -> Result<Incoming<'a>> {
        Ok(Incoming {
            from,
            keeper: Keeper::new(ingest.file()?, keep),
            position,
            pipes,
            layer,
        })
    };
    if kept.is_empty() {
        ingest.truncate(0)?;
        let from = match trust {
            Trust::Mirrors => pipes.origin.blob(layer, 0)?,
            Trust::RegistryOnly => pipes.origin.blob_past_mirrors(layer)?,
        };
        return Ok(Box::new(part(from, 0)?));
    }
    let head: Box<dyn Read> = match kept.start {
        0 => Box::new(io::empty()),
        start => Box::new(pipes.origin.blob(layer, 0)?.take(start)),
    };
    let tail: Box<dyn Read> = match kept.end {
        end if end == layer.size => Box::new(io::empty()),
        end => pipes.origin.blob(layer, end)?,
    };
    let head = part(head, 0)?;
    let tail = part(tail, kept.end)?;
    Ok(Box::new(head.chain(ingest.read(kept)?).chain(tail)))
}

/// Bytes that come from the origin.
struct Incoming<'a> {
    from: Box<dyn Read + 'a>,
    keeper: Keeper,
    position: u64,
    pipes: Pipes<'a>,
    layer: &'a Descriptor,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pipes.stop.load(Ordering::Relaxed) {
            let why = "stopped, because another layer failed";
            return Err(io::Error::other(Fault::new(Kind::Interrupted, why)));
        }
        let read = self.from.read(buffer)?;
        self.keeper.take(&buffer[..read], self.position)?;
        self.position += read as u64;
        self.pipes.progress.advanced(self.layer, read as u64);
        self.pipes.writeback.fetched(read as u64);
        Ok(read)
    }
}

/// Writes bytes to the place that their blob has in `ingest/`.
struct Keeper {
    file: File,
    /// Begins to keep at this time, if it has not begun.
    begin: Option<Instant>,
}

impl Keeper {
    fn new(file: File, keep: Keep) -> Self {
        let begin = match keep {
            Keep::All => None,
            Keep::Late => Some(Instant::now() + LONG),
        };
        Self { file, begin }
    }

    fn take(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut skipped = 0;
        if let Some(begin) = self.begin {
            skipped = position.next_multiple_of(KEPT_ALIGNMENT) - position;
            if Instant::now() < begin || skipped >= bytes.len() as u64 {
                return Ok(());
            }
            self.begin = None;
        }
        // Less than the length, so the cast cannot lose anything. By position: the kept part is
        // read through the same open file.
        let bytes = &bytes[skipped as usize..];
        self.file.write_all_at(bytes, position + skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_bytes_begin_at_a_block() {
        let file = tempfile::tempfile().unwrap();
        let mut keeper = Keeper {
            file: file.try_clone().unwrap(),
            begin: Some(Instant::now() + Duration::from_secs(600)),
        };
        keeper.take(&[1; 1000], 0).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        keeper.begin = Some(Instant::now());
        keeper.take(&[2; 1000], 1000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        keeper.take(&[3; 100_000], 2000).unwrap();
        keeper.take(&[4; 10], 102_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 102_010);
        let mut found = [0; 2];
        file.read_exact_at(&mut found, KEPT_ALIGNMENT - 1).unwrap();
        assert_eq!(found, [0, 3]);
        file.read_exact_at(&mut found, 101_999).unwrap();
        assert_eq!(found, [3, 4]);
    }
}
