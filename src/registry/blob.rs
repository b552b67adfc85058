//! Blobs: streamed, resumed, bounded.
//!
//! The task at the network end keeps the stream alive: after a cut, a stall or a passing refusal it
//! asks for the rest and checks that it gets the rest. The reader at the other end sees plain
//! bytes, never more than the descriptor allows. The digest is the caller's to check, because only
//! the caller sees the bytes that it uses.

use std::io::{self, Read};
use std::sync::Arc;

use anyhow::Error;
use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, HeaderMap};
use reqwest::{Method, StatusCode, Url};
use tokio::sync::mpsc;

use super::endpoint::{Ask, Failure};
use super::policy::{self, Reach};
use super::transport::{Request, Response};
use super::wire::Trouble;
use super::{Event, Shared};
use crate::error::{Fault, Kind};
use crate::image::Descriptor;

/// Pieces that wait for a slow reader; each is at most a few hundred KiB.
const DEPTH: usize = 16;
/// New bytes that make up for the failures before them.
const PROGRESS: u64 = 1 << 20;

/// Foreign URLs of one layer that are tried: a manifest must not make us knock on thousands of
/// doors. Those that are found name one or two.
const MAX_FOREIGN: usize = 4;

/// A piece, the end, or why there is no end.
type Piece = Result<Option<Bytes>, Fault>;

/// The bytes of one blob as they arrive. Dropping it ends the transfer.
#[derive(Debug)]
pub struct BlobReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl BlobReader {
    /// The fault inside an I/O error that came out of a reader of this kind, perhaps through a
    /// decoder that passed it on; any other I/O error as it is.
    pub fn recover(error: io::Error) -> Error {
        match error.downcast::<Fault>() {
            Ok(fault) => Error::new(fault),
            Err(error) => Error::new(error),
        }
    }

    fn fail(&mut self, fault: Fault) -> io::Error {
        self.ended = true;
        io::Error::other(fault)
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Ok(Some(piece))) => self.current = piece,
                Some(Ok(None)) => self.ended = true,
                Some(Err(fault)) => return Err(self.fail(fault)),
                None => {
                    let fault = Fault::new(Kind::Interrupted, "the registry client was closed");
                    return Err(self.fail(fault));
                }
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

/// Starts a transfer; the future must be driven for the reader to see anything.
pub(super) fn stream(
    shared: Arc<Shared>,
    descriptor: Descriptor,
    offset: u64,
    first: usize,
) -> (BlobReader, impl Future<Output = ()> + Send + 'static) {
    let (sender, pieces) = mpsc::channel(DEPTH);
    let reader = BlobReader {
        pieces,
        current: Bytes::new(),
        ended: false,
    };
    let pump = async move {
        let mut transfer = Transfer {
            shared: &shared,
            descriptor: &descriptor,
            sender: &sender,
            at: offset,
            first,
            ranged: true,
        };
        tokio::select! {
            // A reader that has gone away must not keep a stalled connection open.
            () = sender.closed() => {}
            outcome = transfer.run() => {
                // Nobody listens any more if this fails.
                let _ = sender.send(outcome.map(|()| None)).await;
            }
        }
    };
    (reader, pump)
}

struct Transfer<'a> {
    shared: &'a Shared,
    descriptor: &'a Descriptor,
    sender: &'a mpsc::Sender<Piece>,
    /// The next byte to deliver.
    at: u64,
    /// The endpoint to begin with.
    first: usize,
    /// Whether the server may be asked for a part.
    ranged: bool,
}

/// How one answer ended.
enum End {
    Complete,
    /// Something that another request may cure.
    Short(Fault),
}

impl Transfer<'_> {
    async fn run(&mut self) -> Result<(), Fault> {
        let wire = &self.shared.wire;
        let mut failures = 0;
        let mut mark = self.at;
        while self.at < self.descriptor.size {
            let (index, end) = match self.open().await {
                Ok((index, response)) => (index, self.drain(response).await?),
                // Nothing there, says the server; all of it once more will show whether that is so.
                Err(failure) if self.ranged && failure.has(StatusCode::RANGE_NOT_SATISFIABLE) => {
                    self.ranged = false;
                    (self.first, End::Short(failure.fault))
                }
                Err(failure) => return Err(failure.fault),
            };
            let fault = match end {
                End::Complete => return Ok(()),
                End::Short(fault) => fault,
            };
            if self.at >= mark.saturating_add(PROGRESS) {
                failures = 0;
                mark = self.at;
            }
            failures += 1;
            if failures >= wire.timing.tries {
                return Err(fault);
            }
            if index + 1 < self.shared.endpoints.len() && failures >= 2 {
                self.first = index + 1;
            }
            let wait = wire.timing.backoff_after(failures);
            let why = format!("{fault}; then on from byte {}", self.at);
            wire.wait(wait, &why).await?;
        }
        Ok(())
    }

    async fn open(&self) -> Result<(usize, Response), Failure> {
        let from = (self.ranged && self.at > 0).then_some(self.at);
        let ask = Ask {
            method: Method::GET,
            path: format!("blobs/{}", self.descriptor.digest),
            from,
            what: format!("blob {}", self.descriptor.digest),
        };
        match self.shared.ask(&ask, self.first).await {
            Ok(found) => Ok(found),
            Err(failure) => self.elsewhere(failure).await,
        }
    }

    /// Foreign layers: what the registry does not have may be had from the places that the
    /// manifest names, without any credential (image-spec, descriptor.md, "urls").
    async fn elsewhere(&self, failure: Failure) -> Result<(usize, Response), Failure> {
        if failure.is_final {
            return Err(failure);
        }
        let registry = self.shared.endpoints.len() - 1;
        for text in self.descriptor.urls.iter().take(MAX_FOREIGN) {
            self.shared.wire.in_time().map_err(Failure::last)?;
            match self.foreign(text).await {
                Ok(response) => return Ok((registry, response)),
                Err(why) => self.shared.wire.tell(Event::Warning(format!(
                    "blob {}: foreign URL refused or failed: {why}",
                    self.descriptor.digest
                ))),
            }
        }
        Err(failure)
    }

    async fn foreign(&self, text: &str) -> Result<Response, String> {
        let url = Url::parse(text).map_err(|_| "it is no URL".to_owned())?;
        if url.scheme() != "https" {
            return Err("it is not https".into());
        }
        // A public registry's manifest must not make us knock on private doors.
        policy::check_foreign(&url)?;
        let request = Request {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: None,
            within: Reach::Public,
        };
        let response = self
            .shared
            .wire
            .follow(&url, request)
            .await
            .map_err(|trouble| {
                trouble
                    .fault(url.host_str().unwrap_or_default())
                    .to_string()
            })?;
        if response.status != StatusCode::OK {
            return Err(format!("it answers {}", response.status));
        }
        Ok(response)
    }

    /// Delivers one answer as far as it goes.
    async fn drain(&mut self, mut response: Response) -> Result<End, Fault> {
        let mut skip = match self.check(&response) {
            Ok(skip) => skip,
            Err(end) => {
                self.ranged = false;
                return end.map(End::Short);
            }
        };
        loop {
            let mut piece = match self.shared.wire.chunk(&mut response).await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(self.ended("the connection ended")),
                Err(Trouble::Broken(broken)) => return Ok(self.ended(&broken.why)),
                Err(Trouble::Fault(fault)) => return Err(fault),
            };
            let skipped = skip.min(piece.len() as u64);
            // No more than the piece's own length, so the cast cannot lose anything.
            let _ = piece.split_to(skipped as usize);
            skip -= skipped;
            if self.at + piece.len() as u64 > self.descriptor.size {
                return Err(self.too_long());
            }
            self.at += piece.len() as u64;
            if !piece.is_empty() && self.sender.send(Ok(Some(piece))).await.is_err() {
                return Ok(End::Complete);
            }
        }
    }

    fn ended(&self, why: &str) -> End {
        if self.at == self.descriptor.size {
            return End::Complete;
        }
        let message = format!(
            "blob {}: cut short after {} of {} bytes: {why}",
            self.descriptor.digest, self.at, self.descriptor.size
        );
        End::Short(Fault::new(Kind::Network, message))
    }

    fn too_long(&self) -> Fault {
        let message = format!(
            "blob {}: longer than the {} bytes that the manifest says",
            self.descriptor.digest, self.descriptor.size
        );
        Fault::new(Kind::Integrity, message)
    }

    /// How many bytes of the answer we already have. `Err(Ok(_))` if the answer cannot be used but
    /// another one might, `Err(Err(_))` if it is hopeless.
    fn check(&self, response: &Response) -> Result<u64, Result<Fault, Fault>> {
        let digest = &self.descriptor.digest;
        let headers = &response.headers;
        let encoding = headers.get(CONTENT_ENCODING).map(|e| e.as_bytes());
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
            // Undoing it would give bytes of unknown length; no registry has a reason to do it.
            let message = format!("blob {digest}: the server encoded it once more for transport");
            return Err(Err(Fault::new(Kind::Registry, message)));
        }
        if response.status != StatusCode::PARTIAL_CONTENT {
            return Ok(self.at);
        }
        let range = headers.get(CONTENT_RANGE).and_then(|r| r.to_str().ok());
        match range.and_then(content_range) {
            Some((from, total))
                if from == self.at && total.is_none_or(|t| t == self.descriptor.size) =>
            {
                Ok(0)
            }
            _ => {
                let message = format!(
                    "blob {digest}: asked for byte {} on, got '{}'",
                    self.at,
                    range.unwrap_or_default()
                );
                Err(Ok(Fault::new(Kind::Registry, message)))
            }
        }
    }
}

/// The first byte and the total of `bytes FIRST-LAST/TOTAL`; the total may be `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    let total = match total {
        "*" => None,
        total => Some(total.parse::<u64>().ok()?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let rows = [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 5-9/*", Some((5, None))),
            ("bytes 5-9/9", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("bytes 5-", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }
}
