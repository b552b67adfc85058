//! The connection that SUBSCRIBE is said on and events come from.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::PollFlags;

use super::exchange::{Exchange, Outcome};
use super::http::{Head, Part};
use super::refusal::Short;
use super::{Heard, Peer};
use crate::executor::api::Event;
use crate::executor::recordio::Decoder;

/// Why there is no connection any more: one line for people.
pub(super) struct Broken(pub String);

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Self(why)
    }
}

/// One attempt, and what becomes of it.
pub(super) struct Stream {
    exchange: Exchange,
    phase: Phase,
}

enum Phase {
    Connecting {
        until: Instant,
    },
    /// The owner is to say SUBSCRIBE.
    Vacant,
    Asked {
        until: Instant,
    },
    Open(Decoder),
    /// With something else than 200.
    Refused {
        until: Instant,
        answer: Short,
    },
}

impl Stream {
    pub(super) fn begin(peer: &mut Peer, now: Instant) -> Result<Self, String> {
        Ok(Self {
            exchange: Exchange::new(peer.connector.begin()?),
            phase: Phase::Connecting {
                until: now + peer.times.connect,
            },
        })
    }

    pub(super) fn wanted(&self) -> (BorrowedFd<'_>, PollFlags) {
        self.exchange.wanted()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Connecting { until } | Phase::Asked { until } | Phase::Refused { until, .. } => {
                Some(until)
            }
            Phase::Vacant | Phase::Open(_) => None,
        }
    }

    /// The agent knows us.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// SUBSCRIBE was said: what happens later is not in it.
    pub(super) fn is_subscribed(&self) -> bool {
        matches!(self.phase, Phase::Asked { .. } | Phase::Open(_))
    }

    pub(super) fn subscribe(&mut self, peer: &Peer, body: Vec<u8>, now: Instant) {
        if matches!(self.phase, Phase::Vacant) {
            self.exchange.ask(peer.head(body.len()), body);
            self.phase = Phase::Asked {
                until: now + peer.times.answer,
            };
        }
    }

    /// Does what can be done. Fails with what is wrong.
    pub(super) fn step(
        &mut self,
        peer: &mut Peer,
        now: Instant,
        heard: &mut Vec<Heard>,
    ) -> Result<(), String> {
        match self.phase {
            Phase::Connecting { until } => {
                if self.exchange.connect(peer, until, now)? {
                    self.phase = Phase::Vacant;
                    heard.push(Heard::Vacant);
                }
                Ok(())
            }
            Phase::Vacant => match self.exchange.is_closed()? {
                true => Err("the agent closed the connection before SUBSCRIBE".to_owned()),
                false => Ok(()),
            },
            Phase::Asked { .. } | Phase::Open(_) | Phase::Refused { .. } => {
                self.exchange.write()?;
                let phase = &mut self.phase;
                let outcome = self.exchange.read(&mut |part| take(phase, part, heard))?;
                self.judge(outcome, peer, now)
            }
        }
    }

    fn judge(&self, outcome: Outcome, peer: &Peer, now: Instant) -> Result<(), String> {
        match &self.phase {
            Phase::Asked { .. } if outcome != Outcome::Unfinished => {
                Err("the agent closed the connection after SUBSCRIBE".to_owned())
            }
            Phase::Asked { until } if now >= *until => Err(peer.too_slow("SUBSCRIBE")),
            Phase::Open(records) => match (outcome, records.is_between_records()) {
                (Outcome::Unfinished, _) => Ok(()),
                // A real agent says so when we have subscribed a second time.
                (Outcome::Whole, true) => Err("the agent ended the stream of events".to_owned()),
                (_, true) => Err("the agent closed the connection".to_owned()),
                (_, false) => Err("the agent closed the connection within an event".to_owned()),
            },
            Phase::Refused { until, answer } => {
                match outcome == Outcome::Unfinished && now < *until {
                    true => Ok(()),
                    false => Err(answer.why("SUBSCRIBE", peer.token.as_ref())),
                }
            }
            _ => Ok(()),
        }
    }
}

fn take(phase: &mut Phase, part: Part<'_>, heard: &mut Vec<Heard>) -> Result<(), String> {
    match (phase, part) {
        (phase @ Phase::Asked { .. }, Part::Head(head)) => {
            *phase = begun(phase, head)?;
            Ok(())
        }
        (Phase::Open(records), Part::Body(mut bytes)) => {
            while let Some(record) = records.next(&mut bytes).map_err(|it| it.to_string())? {
                let event = Event::parse(&record).map_err(|it| it.to_string())?;
                heard.push(Heard::Event(event));
            }
            Ok(())
        }
        (Phase::Refused { answer, .. }, part) => answer.take(part),
        _ => Ok(()),
    }
}

/// What a head begins.
fn begun(asked: &Phase, head: Head) -> Result<Phase, String> {
    match (head.status, asked) {
        (200, _) if !head.is_json => {
            Err("the agent answered SUBSCRIBE with something else than JSON".to_owned())
        }
        (200, _) => Ok(Phase::Open(Decoder::new())),
        (_, Phase::Asked { until }) => Ok(Phase::Refused {
            until: *until,
            answer: Short::of(head),
        }),
        (status, _) => Err(format!("the agent answered {status} to SUBSCRIBE")),
    }
}
