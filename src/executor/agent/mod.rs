//! The connection to the agent: who speaks when, and what is done when it is lost.
//!
//! Two connections (reference/mesos-ucr.md, section 5.3): the stream of events that SUBSCRIBE
//! opens, and one for all other calls. The loss of either is the loss of both, but for a connection
//! that nothing was asked on. Nothing here waits and there is no thread: the owner polls for
//! [`Agent::wanted`] until [`Agent::deadline`] and calls [`Agent::step`].

mod calls;
mod connect;
mod exchange;
mod http;
mod refusal;
mod stream;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use zeroize::Zeroizing;

use self::calls::Calls;
use self::connect::Connector;
use self::http::Target;
use self::stream::{Broken, Stream};
use super::api::{Call, Event};
use super::environment::Configuration;
use crate::error::{Fault, Kind};
use crate::sys;

/// Longest pause after an attempt that failed: a restarted agent gives up on us after 2 s
/// (reference/mesos-ucr.md, section 5.7).
const RETRY: Duration = Duration::from_secs(1);
/// Shortest pause, whatever the agent says: nobody is served by a storm.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// What [`Agent::step`] reports.
#[derive(Debug)]
pub enum Heard {
    /// A connection for SUBSCRIBE is there: [`Agent::subscribe`] is due.
    Vacant,
    /// The agent says something.
    Event(Event),
    /// The connection is lost, or an attempt to make one failed: why, one line for people. Calls
    /// that were not answered are gone; the next attempt is made after a while.
    Lost(String),
    /// The agent does not take this call and will not acknowledge it, ever.
    Refused {
        /// Status code of the answer.
        status: u16,
        /// One line for people.
        why: String,
        /// Type of the call.
        kind: &'static str,
    },
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Until a connection is there, TLS included.
    pub connect: Duration,
    /// From a request until the head of the answer, or until all of it if that is short. A stream
    /// may be silent for ever.
    pub answer: Duration,
    /// Between two HEARTBEAT calls (reference/mesos-ucr.md, section 5.12).
    pub heartbeat: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            heartbeat: Duration::from_secs(30 * 60),
        }
    }
}

/// What both connections need to know of the other side.
struct Peer {
    connector: Connector,
    target: Target,
    token: Option<Zeroizing<String>>,
    times: Times,
}

impl Peer {
    fn head(&self, length: usize) -> Zeroizing<Vec<u8>> {
        let token = self.token.as_ref().map(|token| token.as_str());
        self.target.head(token, length)
    }

    fn too_slow(&self, kind: &str) -> String {
        format!("the agent did not answer {kind} in {:?}", self.times.answer)
    }
}

/// The agent, whether it is there or not.
pub struct Agent {
    peer: Peer,
    backoff_max: Duration,
    heartbeat: Vec<u8>,
    /// When the next HEARTBEAT is due, while the stream is open.
    beat: Option<Instant>,
    stream: Option<Stream>,
    /// When the next attempt is made, while there is no stream.
    attempt: Option<Instant>,
    calls: Calls,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").finish_non_exhaustive()
    }
}

impl Agent {
    /// Connects to nobody yet, but reads the files that TLS needs. The first attempt is made at
    /// once.
    pub fn new(configuration: &Configuration) -> Result<Self, Fault> {
        Self::with(configuration, Times::default())
    }

    /// The same with other limits.
    pub fn with(configuration: &Configuration, times: Times) -> Result<Self, Fault> {
        let endpoint = &configuration.endpoint;
        let heartbeat = Call::Heartbeat
            .to_json(&configuration.identity)
            .map_err(|error| Fault::new(Kind::Unsupported, format!("HEARTBEAT: {error}")))?;
        Ok(Self {
            peer: Peer {
                connector: Connector::new(endpoint)?,
                target: Target {
                    path: endpoint.path(),
                    host: endpoint.address.clone(),
                },
                token: configuration.token.as_ref().map(|token| token.secret()),
                times,
            },
            backoff_max: configuration.backoff_max,
            heartbeat,
            beat: None,
            stream: None,
            attempt: Some(Instant::now()),
            calls: Calls::default(),
        })
    }

    /// What to poll for.
    pub fn wanted(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let stream = self.stream.iter().map(Stream::wanted);
        stream.chain(self.calls.wanted()).collect()
    }

    /// When [`Self::step`] is due at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let Some(stream) = &self.stream else {
            return self.attempt;
        };
        let calls = match stream.is_open() {
            true => self.calls.deadline(Instant::now()),
            false => None,
        };
        [stream.deadline(), calls, self.beat]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what can be done without waiting. Never fails: what goes wrong is [`Heard::Lost`].
    pub fn step(&mut self) -> Vec<Heard> {
        let now = Instant::now();
        let mut heard = Vec::new();
        if let Err(broken) = self.advance(now, &mut heard) {
            self.lose(now, broken, &mut heard);
        }
        heard
    }

    /// Asks for events, with a SUBSCRIBE call: after [`Heard::Vacant`], once.
    pub fn subscribe(&mut self, body: Vec<u8>) {
        if let Some(stream) = &mut self.stream {
            stream.subscribe(&self.peer, body, Instant::now());
        }
    }

    /// Says something else. Dropped with the connection, and if there is none: what must not be
    /// lost stands in the next SUBSCRIBE.
    pub fn call(&mut self, body: Vec<u8>, kind: &'static str) {
        if self.stream.as_ref().is_some_and(Stream::is_subscribed) {
            self.calls.push(body, kind);
        }
    }

    /// Whether there are calls that are not answered yet.
    pub fn has_unsent(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Makes no more attempts. A stream that is open stays.
    pub fn give_up(&mut self) {
        self.attempt = None;
        self.stream.take_if(|stream| !stream.is_open());
    }

    fn advance(&mut self, now: Instant, heard: &mut Vec<Heard>) -> Result<(), Broken> {
        if self.stream.is_none() {
            if self.attempt.is_none_or(|attempt| now < attempt) {
                return Ok(());
            }
            self.stream = Some(Stream::begin(&mut self.peer, now)?);
        }
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        stream.step(&mut self.peer, now, heard)?;
        if !stream.is_open() {
            return Ok(());
        }
        // Attempts are over, unless the stream is lost.
        if self.beat.is_none_or(|beat| now >= beat) {
            if self.beat.is_some() {
                self.calls.push(self.heartbeat.clone(), "HEARTBEAT");
            }
            self.beat = Some(now + self.peer.times.heartbeat);
        }
        Ok(self.calls.step(&mut self.peer, now, heard)?)
    }

    fn lose(&mut self, now: Instant, broken: Broken, heard: &mut Vec<Heard>) {
        let was_open = self.stream.take().is_some_and(|stream| stream.is_open());
        self.calls = Calls::default();
        self.beat = None;
        if self.attempt.is_some() {
            let limit = match was_open {
                true => self.backoff_max,
                false => self.backoff_max.min(RETRY),
            };
            self.attempt = Some(now + pause(limit));
        }
        heard.push(Heard::Lost(broken.0));
    }
}

/// Something up to `limit`: all executors of a machine come back at the same time.
fn pause(limit: Duration) -> Duration {
    // Whoever has no random numbers comes when he likes, too.
    let part = sys::random_number().unwrap_or(u64::MAX) as f64 / u64::MAX as f64;
    limit.mul_f64(part.clamp(0.0, 1.0)).max(SHORTEST_PAUSE)
}
