//! What the agent's threads do: one accepts, one for each connection answers, and the one whose
//! connection is the stream writes events.

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Acknowledge;
use super::ledger::{self, Call, Ledger, Verdict};
use super::wire::{self, Listener, Request, Wire};

/// How often a stream looks whether its peer is still there.
const GLANCE: Duration = Duration::from_millis(20);

/// Bytes for the stream, not before their time.
pub struct Piece {
    due: Instant,
    bytes: Vec<u8>,
    /// Past the chunks: for what no chunk would hold.
    is_raw: bool,
    /// The update that it acknowledges.
    acknowledges: Option<String>,
}

/// Everything that threads share.
#[derive(Default)]
pub struct Inner {
    pub ledger: Ledger,
    pub token: Option<String>,
    pub capabilities: Vec<String>,
    /// Status codes for the next SUBSCRIBEs and UPDATEs.
    pub subscribe_answers: VecDeque<u16>,
    pub update_answers: VecDeque<u16>,
    /// Bytes instead of the next answers; the connection then stays open.
    pub raw_answers: VecDeque<Vec<u8>>,
    /// How many requests get no answer, how many connections are closed at once.
    pub hangs: usize,
    pub closes: usize,
    pub slow: Duration,
    pub split: Option<usize>,
    pub acknowledge: Acknowledge,
    pub outgoing: VecDeque<Piece>,
    /// The connection that is the stream.
    pub stream: Option<usize>,
    /// Streams are ended by a last chunk, though the connection stays.
    pub ends_politely: bool,
    /// Events for when there is a stream.
    pub waiting: Vec<Vec<u8>>,
    /// Sockets of connections that are open.
    pub sockets: Vec<(usize, OwnedFd)>,
    pub connections: usize,
    pub threads: Vec<JoinHandle<()>>,
    /// Between stop and start nothing is answered.
    pub is_stopped: bool,
}

#[derive(Default)]
pub struct Shared {
    pub inner: Mutex<Inner>,
    pub changed: Condvar,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        // A thread that panicked has said so; the others go on to the end.
        self.inner.lock().unwrap_or_else(|error| error.into_inner())
    }

    /// Everything that is due was written, and had time to arrive.
    fn wait_for_stream(&self, mut inner: MutexGuard<'_, Inner>) {
        let until = Instant::now() + Duration::from_secs(1);
        while !inner.outgoing.is_empty() && Instant::now() < until {
            inner = self.changed.wait_timeout(inner, GLANCE).unwrap().0;
        }
        drop(inner);
        std::thread::sleep(GLANCE);
    }
}

impl Inner {
    /// For the stream, or for the next one.
    pub fn send(&mut self, event: &Value) {
        let record = wire::record(&event.to_string());
        match self.stream {
            Some(_) => self.push(record, Duration::ZERO, false, None),
            None => self.waiting.push(record),
        }
    }

    pub fn push(&mut self, bytes: Vec<u8>, after: Duration, is_raw: bool, uuid: Option<String>) {
        self.outgoing.push_back(Piece {
            due: Instant::now() + after,
            bytes,
            is_raw,
            acknowledges: uuid,
        });
    }

    fn acknowledge(&mut self, task: &str, uuid: &str) {
        let event = |uuid: &str| {
            let event = json!({"type": "ACKNOWLEDGED", "acknowledged":
                {"task_id": {"value": task}, "uuid": uuid}});
            wire::record(&event.to_string())
        };
        // Without a stream there is nobody to tell; the next SUBSCRIBE brings it again.
        if self.stream.is_none() {
            return;
        }
        let own = Some(uuid.to_owned());
        match self.acknowledge {
            Acknowledge::Never => (),
            Acknowledge::AtOnce | Acknowledge::BeforeAnswer => {
                self.push(event(uuid), Duration::ZERO, false, own);
            }
            Acknowledge::After(time) => self.push(event(uuid), time, false, own),
            Acknowledge::Twice => {
                self.push(event(uuid), Duration::ZERO, false, own);
                self.push(event(uuid), Duration::ZERO, false, None);
            }
            Acknowledge::WrongFirst => {
                self.push(
                    event("AAAAAAAAQACAAAAAAAAAAQ=="),
                    Duration::ZERO,
                    false,
                    None,
                );
                self.push(event(uuid), Duration::ZERO, false, own);
            }
        }
    }

    fn is_open(&self, connection: usize) -> bool {
        self.sockets.iter().any(|(number, _)| *number == connection)
    }
}

/// Accepts until the listener is ended.
pub fn accept(listener: &Listener, shared: &Arc<Shared>) {
    let over_socket = matches!(listener, Listener::Unix(_));
    while let Ok((wire, below)) = listener.accept() {
        let mut inner = shared.lock();
        if inner.is_stopped {
            return;
        }
        if inner.closes > 0 {
            inner.closes -= 1;
            wire::end(&below);
            continue;
        }
        let number = inner.connections;
        inner.connections += 1;
        let peer = below.try_clone().unwrap();
        inner.sockets.push((number, below));
        let shared = shared.clone();
        let connection = Connection {
            wire,
            peer,
            number,
            over_socket,
        };
        inner
            .threads
            .push(std::thread::spawn(move || connection.serve(&shared)));
    }
}

struct Connection {
    wire: Box<dyn Wire>,
    peer: OwnedFd,
    number: usize,
    over_socket: bool,
}

enum After {
    Next,
    Hang,
    Stream,
}

impl Connection {
    fn serve(mut self, shared: &Shared) {
        while let Ok(Some(request)) = wire::request(&mut *self.wire) {
            match self.answer(shared, request) {
                After::Next => (),
                After::Hang => self.hang(shared),
                After::Stream => self.stream(shared),
            }
        }
        let mut inner = shared.lock();
        inner.sockets.retain(|(number, _)| *number != self.number);
        if inner.stream == Some(self.number) {
            inner.stream = None;
            inner.outgoing.clear();
        }
        wire::end(&self.peer);
        shared.changed.notify_all();
    }

    fn answer(&mut self, shared: &Shared, request: Request) -> After {
        let slow = shared.lock().slow;
        std::thread::sleep(slow);
        let mut inner = shared.lock();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let kind = body["type"].as_str().unwrap_or_default().to_owned();
        let raw = inner.raw_answers.pop_front();
        if raw.is_some() || inner.hangs > 0 {
            inner.hangs -= usize::from(raw.is_none());
            inner.ledger.calls.push(self.call(body, request, 0));
            drop(inner);
            self.say(&raw.unwrap_or_default());
            return After::Hang;
        }
        let scripted = match kind.as_str() {
            "SUBSCRIBE" => inner.subscribe_answers.pop_front(),
            "UPDATE" => inner.update_answers.pop_front(),
            _ => None,
        };
        let verdict = match scripted {
            Some(status) => Verdict::Refuse(status, format!("scripted {status}")),
            None => {
                let token = inner.token.clone();
                let ledger = &mut inner.ledger;
                ledger.judge(&request, &body, self.over_socket, token.as_deref())
            }
        };
        match verdict {
            Verdict::Subscribe => {
                inner
                    .ledger
                    .calls
                    .push(self.call(body.clone(), request, 200));
                self.subscribe(&mut inner, &body);
                shared.changed.notify_all();
                After::Stream
            }
            Verdict::Refuse(status, why) => {
                inner.ledger.calls.push(self.call(body, request, status));
                drop(inner);
                self.say(&wire::answer(status, &why))
            }
            Verdict::Accept(updates) => {
                inner.ledger.calls.push(self.call(body, request, 202));
                for (task, uuid) in &updates {
                    inner.acknowledge(task, uuid);
                }
                shared.changed.notify_all();
                if inner.acknowledge == Acknowledge::BeforeAnswer {
                    shared.wait_for_stream(inner);
                } else {
                    drop(inner);
                }
                self.say(&wire::answer(202, ""))
            }
        }
    }

    /// For the record.
    fn call(&self, body: Value, request: Request, status: u16) -> Call {
        Call {
            at: Instant::now(),
            kind: body["type"].as_str().unwrap_or_default().to_owned(),
            body,
            request,
            over_socket: self.over_socket,
            connection: self.number,
            status,
        }
    }

    fn say(&mut self, bytes: &[u8]) -> After {
        // A peer that is gone is noticed when it is read from.
        let _ = self.wire.write_all(bytes).and_then(|()| self.wire.flush());
        After::Next
    }

    fn subscribe(&self, inner: &mut Inner, body: &Value) {
        let updates = inner.ledger.subscribed(body);
        inner.outgoing.clear();
        inner.stream = Some(self.number);
        let event = ledger::subscribed(&inner.capabilities).to_string();
        inner.push(wire::record(&event), Duration::ZERO, false, None);
        for (task, uuid) in &updates {
            inner.acknowledge(task, uuid);
        }
        for record in std::mem::take(&mut inner.waiting) {
            inner.push(record, Duration::ZERO, false, None);
        }
    }

    /// Silent until the peer goes away or everything ends.
    fn hang(&self, shared: &Shared) {
        let mut inner = shared.lock();
        while inner.is_open(self.number) && !wire::is_gone(&self.peer) {
            inner = shared.changed.wait_timeout(inner, GLANCE).unwrap().0;
        }
    }

    /// Writes what is due while this connection is the stream.
    fn stream(&mut self, shared: &Shared) {
        if self.write(wire::STREAM).is_err() {
            return;
        }
        let mut inner = shared.lock();
        while inner.stream == Some(self.number) && !inner.ends_politely {
            let (due, later) = std::mem::take(&mut inner.outgoing)
                .into_iter()
                .partition::<VecDeque<_>, _>(|piece| piece.due <= Instant::now());
            inner.outgoing = later;
            if due.is_empty() {
                if wire::is_gone(&self.peer) {
                    return;
                }
                inner = shared.changed.wait_timeout(inner, GLANCE).unwrap().0;
                continue;
            }
            for uuid in due.iter().filter_map(|piece| piece.acknowledges.as_ref()) {
                let updates = inner.ledger.updates.iter_mut();
                updates
                    .filter(|it| it.uuid == *uuid)
                    .for_each(|it| it.is_acknowledged = true);
            }
            let bytes = frame(&due, inner.split);
            drop(inner);
            if self.write(&bytes).is_err() {
                return;
            }
            inner = shared.lock();
            shared.changed.notify_all();
        }
        if inner.ends_politely {
            inner.ends_politely = false;
            inner.stream = None;
        }
        drop(inner);
        // The stream is over, and the connection stays, as a real agent has it.
        let _ = self.write(b"0\r\n\r\n");
        self.hang(shared);
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.wire.write_all(bytes)?;
        self.wire.flush()
    }
}

/// One record a chunk, as a real agent does, or everything in chunks of so many bytes.
fn frame(pieces: &VecDeque<Piece>, split: Option<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut joined = Vec::new();
    for piece in pieces {
        match (piece.is_raw, split) {
            (true, _) => bytes.extend_from_slice(&piece.bytes),
            (false, None) => bytes.extend(wire::chunk(&piece.bytes)),
            (false, Some(_)) => joined.extend_from_slice(&piece.bytes),
        }
    }
    let cuts = joined.chunks(split.unwrap_or(1));
    cuts.for_each(|part| bytes.extend(wire::chunk(part)));
    bytes
}
