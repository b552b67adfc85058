//! A bounded pipe of buffers between two threads of the pipeline, read as [`BufRead`].
//!
//! The end of the data is a message of its own: a sender that merely vanishes has failed, and its
//! reader must not take that for the end of the archive. Whoever is left alone notices at its next
//! buffer, so that nobody waits for ever (CVE-2021-20291 class).

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of one buffer.
pub(super) const BUFFER: usize = 256 << 10;

/// Buffers on the way at once.
const DEPTH: usize = 4;

enum Message {
    Data(Vec<u8>),
    End,
}

/// The other side of the pipe is gone; what it failed of is what matters.
#[derive(Debug)]
pub(super) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("another stage of unpacking has stopped")
    }
}

impl std::error::Error for Gone {}

/// Whether an error is only the echo of another stage's.
pub(super) fn is_echo(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        let inner = io.and_then(io::Error::get_ref);
        cause.is::<Gone>() || inner.is_some_and(|inner| inner.is::<Gone>())
    })
}

/// Buffers that are not in use, shared by all layers of a pull: a new one costs 64 page faults.
#[derive(Debug, Default)]
pub struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// A buffer to fill.
    pub(super) fn take(&self) -> Vec<u8> {
        let used = self.lock().pop();
        match used {
            Some(mut buffer) => {
                buffer.resize(BUFFER, 0);
                buffer
            }
            // Zeroed by the kernel, and only as far as it is used.
            None => vec![0; BUFFER],
        }
    }

    pub(super) fn give(&self, buffer: Vec<u8>) {
        self.lock().push(buffer);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end.
pub(super) struct Writer<'a> {
    data: SyncSender<Message>,
    buffers: &'a Buffers,
}

/// The reading end.
pub(super) struct Reader<'a> {
    data: Receiver<Message>,
    buffers: &'a Buffers,
    current: Vec<u8>,
    used: usize,
    ended: bool,
}

/// A new pipe.
pub(super) fn pipe(buffers: &Buffers) -> (Writer<'_>, Reader<'_>) {
    let (data, receive) = sync_channel(DEPTH);
    let reader = Reader {
        data: receive,
        buffers,
        current: Vec::new(),
        used: 0,
        ended: false,
    };
    (Writer { data, buffers }, reader)
}

impl Writer<'_> {
    /// A buffer to fill.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.buffers.take()
    }

    /// Passes bytes on.
    pub(super) fn send(&self, buffer: Vec<u8>) -> Result<(), Gone> {
        self.data.send(Message::Data(buffer)).map_err(|_| Gone)
    }

    /// Says that all bytes were sent, and that they are right.
    pub(super) fn end(self) -> Result<(), Gone> {
        self.data.send(Message::End).map_err(|_| Gone)
    }
}

impl Reader<'_> {
    /// The next whole buffer; `None` at the end.
    pub(super) fn receive(&mut self) -> Result<Option<Vec<u8>>, Gone> {
        if self.ended {
            return Ok(None);
        }
        match self.data.recv() {
            Ok(Message::Data(buffer)) => Ok(Some(buffer)),
            Ok(Message::End) => {
                self.ended = true;
                Ok(None)
            }
            Err(_) => Err(Gone),
        }
    }
}

impl BufRead for Reader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.current.len() {
            let Some(next) = self.receive().map_err(io::Error::other)? else {
                return Ok(&[]);
            };
            self.used = 0;
            let old = std::mem::replace(&mut self.current, next);
            // The very first is none.
            if old.capacity() > 0 {
                self.buffers.give(old);
            }
        }
        Ok(&self.current[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let length = there.len().min(into.len());
        into[..length].copy_from_slice(&there[..length]);
        self.consume(length);
        Ok(length)
    }
}
