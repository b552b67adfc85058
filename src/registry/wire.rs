//! One request with its redirects, under the clocks: idle time and the pull's deadline.
//!
//! Follows redirects as `policy` allows and drops `Authorization` for good at the first change of
//! scheme, host or port. Reads bodies up to a cap. Knows nothing of tokens, retries or digests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, LOCATION};
use reqwest::{Method, Url};

use super::policy;
use super::retry::Timing;
use super::transport::{Broken, How, Request, Response, Transport};
use super::{Event, OnEvent};
use crate::error::{Fault, Kind};

/// Longest chain of redirects.
const MAX_REDIRECTS: usize = 10;
/// Largest error or token document, in bytes.
pub(super) const MAX_DOCUMENT: u64 = 1 << 20;

/// Longest time for a whole document, in idle times.
const DOCUMENT_PATIENCE: u32 = 5;

/// What every conversation of one pull shares.
#[derive(Clone)]
pub(super) struct Wire {
    pub transport: Arc<dyn Transport>,
    pub timing: Timing,
    pub deadline: Option<Instant>,
    pub on_event: OnEvent,
}

/// Why a conversation did not get to an answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The network; asking again may help.
    Broken(Broken),
    /// Something that we refuse, or that time ran out for; asking again does not help.
    Fault(Fault),
}

impl Trouble {
    pub(super) fn fault(self, who: &str) -> Fault {
        match self {
            Trouble::Broken(broken) => broken.fault(who),
            Trouble::Fault(fault) => fault,
        }
    }
}

impl Wire {
    pub(super) fn tell(&self, event: Event) {
        (self.on_event)(event);
    }

    /// Waits for `future`, but no longer than the idle time and the deadline allow; after the
    /// deadline it is not even begun.
    async fn bounded<T>(
        &self,
        future: impl Future<Output = Result<T, Broken>>,
    ) -> Result<T, Trouble> {
        self.in_time().map_err(Trouble::Fault)?;
        let idle = Instant::now() + self.timing.idle;
        let until = self.deadline.map_or(idle, |deadline| deadline.min(idle));
        match tokio::time::timeout_at(until.into(), future).await {
            Ok(outcome) => outcome.map_err(Trouble::Broken),
            Err(_) if until == idle => Err(Trouble::Broken(Broken {
                how: How::Cut,
                why: format!("no data for {} s", self.timing.idle.as_secs_f32()),
            })),
            Err(_) => Err(Trouble::Fault(too_late())),
        }
    }

    /// Fails once the deadline has passed: then nobody else is asked either.
    pub(super) fn in_time(&self) -> Result<(), Fault> {
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(too_late()),
            _ => Ok(()),
        }
    }

    /// Sleeps and says why, unless the deadline comes first.
    pub(super) async fn wait(&self, wait: Duration, why: &str) -> Result<(), Fault> {
        let until = Instant::now() + wait;
        if self.deadline.is_some_and(|deadline| deadline < until) {
            return Err(too_late());
        }
        let seconds = wait.as_secs_f32();
        self.tell(Event::Waiting(format!("waiting {seconds:.1} s: {why}")));
        tokio::time::sleep_until(until.into()).await;
        Ok(())
    }

    pub(super) async fn send(&self, request: Request) -> Result<Response, Trouble> {
        self.bounded(self.transport.send(request)).await
    }

    /// Sends, and follows what the server sends us to. `registry` is the place that we trust as
    /// far as the user does; redirects are judged from there.
    pub(super) async fn follow(
        &self,
        registry: &Url,
        mut request: Request,
    ) -> Result<Response, Trouble> {
        let mut moved_to = None;
        if request.url.host_str() != registry.host_str() {
            request.within = policy::moved(request.within);
        }
        for _ in 0..=MAX_REDIRECTS {
            let mut response = self.send(request.clone()).await?;
            response.moved_to.clone_from(&moved_to);
            if !matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let to = location(&request.url, &response)
                .and_then(|to| {
                    if request.method == Method::POST {
                        return Err("a secret in a form does not follow redirects".into());
                    }
                    policy::check_redirect(registry, &request.url, &to).map(|()| to)
                })
                .map_err(|why| {
                    let host = request.url.host_str().unwrap_or_default();
                    let message = format!("the redirect by {host} is refused: {why}");
                    Trouble::Fault(Fault::new(Kind::Registry, message))
                })?;
            if !policy::same_origin(&request.url, &to) {
                request.headers.remove(AUTHORIZATION);
                request.within = policy::moved(request.within);
                moved_to = to.host_str().map(str::to_owned);
            }
            request.url = to;
        }
        let message = format!("more than {MAX_REDIRECTS} redirects");
        Err(Trouble::Fault(Fault::new(Kind::Registry, message)))
    }

    /// The next piece of a body.
    pub(super) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Trouble> {
        self.bounded(response.body.chunk()).await
    }

    /// The whole body of a document, or at most `max + 1` bytes of it: the caller judges the
    /// length. A document is short, so unlike a blob it may not drip in for ever.
    pub(super) async fn body(&self, response: &mut Response, max: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        let begin = Instant::now();
        while let Some(chunk) = self.chunk(response).await? {
            let room = (max + 1).saturating_sub(bytes.len() as u64);
            let take = chunk.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            bytes.extend_from_slice(&chunk[..take]);
            if bytes.len() as u64 > max {
                break;
            }
            if begin.elapsed() > self.timing.idle * DOCUMENT_PATIENCE {
                return Err(Trouble::Broken(Broken {
                    how: How::Cut,
                    why: "the answer comes too slowly".to_owned(),
                }));
            }
        }
        Ok(bytes)
    }

    /// What a refusal says, as far as it can be read: never an error of its own.
    pub(super) async fn document(&self, response: &mut Response) -> Vec<u8> {
        let body = self.body(response, MAX_DOCUMENT).await;
        body.unwrap_or_default()
    }
}

/// The fault of a pull that ran into `--pull-timeout`.
fn too_late() -> Fault {
    Fault::new(Kind::Network, "the pull took longer than allowed")
        .hint("allow more time with --pull-timeout")
}

fn location(from: &Url, response: &Response) -> Result<Url, String> {
    let header = response.headers.get(LOCATION);
    let text = header
        .and_then(|value| value.to_str().ok())
        .ok_or("it does not say where to")?;
    from.join(text)
        .map_err(|_| "it leads to no valid URL".to_owned())
}
