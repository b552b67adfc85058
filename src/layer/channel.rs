//! A bounded pipe of buffers between two threads of the pipeline, read as [`BufRead`].
//!
//! The end of the data is a message of its own: a sender that merely vanishes has failed, and its
//! reader must not take that for the end of the archive. Whoever is left alone notices at its next
//! buffer, so that nobody waits for ever (CVE-2021-20291 class).

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

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

/// The writing end.
pub(super) struct Writer {
    data: SyncSender<Message>,
    empty: Receiver<Vec<u8>>,
}

/// The reading end.
pub(super) struct Reader {
    data: Receiver<Message>,
    empty: Sender<Vec<u8>>,
    current: Vec<u8>,
    used: usize,
    ended: bool,
}

/// A new pipe.
pub(super) fn pipe() -> (Writer, Reader) {
    let (data, receive) = sync_channel(DEPTH);
    let (recycle, empty) = channel();
    let reader = Reader {
        data: receive,
        empty: recycle,
        current: Vec::new(),
        used: 0,
        ended: false,
    };
    (Writer { data, empty }, reader)
}

impl Writer {
    /// A buffer to fill: one that was read, or a new one.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.take_empty().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        buffer
    }

    /// A buffer that was read, if there is one.
    pub(super) fn take_empty(&self) -> Option<Vec<u8>> {
        self.empty.try_recv().ok()
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

impl Reader {
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

    /// Gives a buffer back for the next data.
    pub(super) fn recycle(&self, buffer: Vec<u8>) {
        // The writer may be done already; then nobody needs it.
        let _unwanted = self.empty.send(buffer);
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.current.len() {
            let Some(next) = self.receive().map_err(io::Error::other)? else {
                return Ok(&[]);
            };
            self.used = 0;
            let old = std::mem::replace(&mut self.current, next);
            self.recycle(old);
        }
        Ok(&self.current[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let length = there.len().min(into.len());
        into[..length].copy_from_slice(&there[..length]);
        self.consume(length);
        Ok(length)
    }
}
