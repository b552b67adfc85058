//! Calls other than SUBSCRIBE: on a connection of their own, in order. A call is sent when the one
//! before is answered, so that the framework hears of states in the order in which they were
//! (reference/mesos-ucr.md, section 5.6).

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::PollFlags;

use super::exchange::{Exchange, Outcome};
use super::refusal::Short;
use super::{Heard, Peer};

/// What waits, and the connection.
#[derive(Default)]
pub(super) struct Calls {
    /// The first is on its way if the line is asked.
    queue: VecDeque<(Vec<u8>, &'static str)>,
    line: Option<Line>,
}

struct Line {
    exchange: Exchange,
    state: State,
}

enum State {
    Connecting { until: Instant },
    Idle,
    Asked { until: Instant, answer: Short },
}

impl Calls {
    pub(super) fn push(&mut self, body: Vec<u8>, kind: &'static str) {
        self.queue.push_back((body, kind));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// A call that waits can be written as soon as the line can be.
    pub(super) fn wanted(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let line = self.line.as_ref()?;
        let (fd, mut flags) = line.exchange.wanted();
        if matches!(line.state, State::Idle) && !self.queue.is_empty() {
            flags |= PollFlags::OUT;
        }
        Some((fd, flags))
    }

    /// Now, if there is something that can be begun.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        match self.line.as_ref().map(|line| &line.state) {
            Some(State::Connecting { until } | State::Asked { until, .. }) => Some(*until),
            Some(State::Idle) | None => (!self.queue.is_empty()).then_some(now),
        }
    }

    /// Does what can be done. Fails with what is wrong: both connections are of no use then.
    pub(super) fn step(
        &mut self,
        peer: &mut Peer,
        now: Instant,
        heard: &mut Vec<Heard>,
    ) -> Result<(), String> {
        while self.turn(peer, now, heard)? {}
        Ok(())
    }

    /// One thing; whether there may be another one to do.
    fn turn(
        &mut self,
        peer: &mut Peer,
        now: Instant,
        heard: &mut Vec<Heard>,
    ) -> Result<bool, String> {
        let Some(line) = &mut self.line else {
            if self.queue.is_empty() {
                return Ok(false);
            }
            self.line = Some(Line {
                exchange: Exchange::new(peer.connector.begin()?),
                state: State::Connecting {
                    until: now + peer.times.connect,
                },
            });
            return Ok(true);
        };
        match line.state {
            State::Connecting { until } => {
                let is_done = line.exchange.connect(peer, until, now)?;
                if is_done {
                    line.state = State::Idle;
                }
                Ok(is_done)
            }
            // Nothing is lost with it: nothing was asked on it.
            State::Idle if line.exchange.is_closed()? => {
                self.line = None;
                Ok(true)
            }
            State::Idle => {
                let Some((body, _)) = self.queue.front_mut() else {
                    return Ok(false);
                };
                let head = peer.head(body.len());
                line.exchange.ask(head, std::mem::take(body));
                line.state = State::Asked {
                    until: now + peer.times.answer,
                    answer: Short::default(),
                };
                Ok(true)
            }
            State::Asked { .. } => self.hear(peer, now, heard),
        }
    }

    /// The answer to the first call; whether it is whole.
    fn hear(&mut self, peer: &Peer, now: Instant, heard: &mut Vec<Heard>) -> Result<bool, String> {
        let (Some(line), Some((_, kind))) = (&mut self.line, self.queue.front()) else {
            return Ok(false);
        };
        let State::Asked { until, answer } = &mut line.state else {
            return Ok(false);
        };
        line.exchange.write()?;
        let outcome = line.exchange.read(&mut |part| answer.take(part))?;
        let Some(head) = answer.head().cloned() else {
            return match outcome {
                Outcome::Unfinished if now < *until => Ok(false),
                Outcome::Unfinished => Err(peer.too_slow(kind)),
                _ => Err(format!("the agent closed the connection after {kind}")),
            };
        };
        let is_late = now >= *until;
        let is_whole = outcome != Outcome::Unfinished;
        match head.status {
            // What else it says means nothing.
            202 if is_whole || head.until_close => (),
            202 if is_late => return Err(peer.too_slow(kind)),
            // What it says is for people, as far as it comes in time.
            _ if !is_whole && !is_late => return Ok(false),
            400 => heard.push(Heard::Refused {
                status: 400,
                why: answer.why(kind, peer.token.as_ref()),
                kind,
            }),
            _ => return Err(answer.why(kind, peer.token.as_ref())),
        }
        self.queue.pop_front();
        match head.stays && outcome == Outcome::Whole && !line.exchange.has_more() {
            true => line.state = State::Idle,
            false => self.line = None,
        }
        Ok(true)
    }
}
