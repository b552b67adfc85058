//! One place to ask: a registry or one of its mirrors, for one repository.
//!
//! Finds out how to speak (https, or http on loopback), answers challenges, waits when asked to,
//! retries what may pass, and turns final refusals into faults that name the place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, StatusCode, Url};
use tokio::sync::OnceCell;

use super::auth::{Authorizer, Permit};
use super::fault;
use super::policy::Reach;
use super::transport::{Broken, How, Request, Response};
use super::wire::{Trouble, Wire};
use crate::credentials::Found;
use crate::error::{Fault, Kind};
use crate::image::MANIFEST_TYPES;

/// What is asked for, below `/v2/REPOSITORY/`.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub method: Method,
    /// As in `manifests/latest`.
    pub path: String,
    /// The first byte wanted, if not all.
    pub from: Option<u64>,
    /// The object, for messages.
    pub what: String,
}

/// Why an endpoint gave nothing.
#[derive(Debug)]
pub(super) struct Failure {
    pub fault: Fault,
    /// The last status, if there was any answer.
    pub status: Option<StatusCode>,
    /// Whether asking any other endpoint is pointless.
    pub is_final: bool,
}

/// A registry or a mirror.
pub(super) struct Endpoint {
    /// `HOST[:PORT]`, for messages.
    pub name: String,
    repository: String,
    /// Where to speak, most wanted first.
    bases: Vec<Url>,
    base: OnceCell<Url>,
    auth: Authorizer,
    /// Set once it could not be reached, so that not every blob waits for it again.
    down: AtomicBool,
}

impl Endpoint {
    pub(super) fn new(name: String, repository: String, bases: Vec<Url>, found: Found) -> Self {
        let auth = Authorizer::new(name.clone(), &repository, found);
        Self {
            name,
            repository,
            bases,
            base: OnceCell::new(),
            auth,
            down: AtomicBool::new(false),
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Asks, with at most `tries` failures that may pass. Only successes come back as `Ok`.
    pub(super) async fn request(
        &self,
        wire: &Wire,
        ask: &Ask,
        tries: u32,
    ) -> Result<Response, Failure> {
        let base = self.base(wire).await;
        let mut permit = self.permitted(self.auth.permit(wire, base).await)?;
        let mut answered = false;
        let mut failures = 0;
        loop {
            let outcome = wire.follow(base, self.compose(base, ask, &permit)).await;
            if let Ok(response) = &outcome {
                if response.status.is_success() {
                    return outcome.map_err(|trouble| self.failure(ask, trouble));
                }
                let challenged = response.status == StatusCode::UNAUTHORIZED;
                if challenged && !answered && response.moved_to.is_none() {
                    answered = true;
                    let answer = self
                        .auth
                        .answer(wire, base, &permit, &response.headers)
                        .await;
                    if let Some(better) = self.permitted(answer)? {
                        permit = better;
                        continue;
                    }
                }
            }
            failures += 1;
            match self.another_try(wire, &outcome, failures) {
                Some((wait, why)) if failures < tries => {
                    let why = format!("registry {} {why}", self.name);
                    wire.wait(wait, &why).await.map_err(Failure::last)?;
                }
                _ => return Err(self.give_up(wire, ask, outcome).await),
            }
        }
    }

    fn permitted<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Failure> {
        outcome.map_err(|trouble| Failure {
            fault: trouble.fault(&format!("registry {}", self.name)),
            status: None,
            is_final: false,
        })
    }

    fn compose(&self, base: &Url, ask: &Ask, permit: &Permit) -> Request {
        let mut url = base.clone();
        url.set_path(&format!("v2/{}/{}", self.repository, ask.path));
        let mut headers = HeaderMap::new();
        if ask.path.starts_with("manifests/") {
            // Without it registries hide what they think we cannot read, behind a 404.
            let accept = HeaderValue::from_str(&MANIFEST_TYPES.join(", "));
            headers.extend(accept.ok().map(|value| (ACCEPT, value)));
        }
        if let Some(from) = ask.from {
            let range = HeaderValue::from_str(&format!("bytes={from}-"));
            headers.extend(range.ok().map(|value| (RANGE, value)));
        }
        if let Some(header) = &permit.header {
            headers.insert(AUTHORIZATION, header.clone());
        }
        Request {
            method: ask.method.clone(),
            url,
            headers,
            body: None,
            within: Reach::LinkLocal,
        }
    }

    /// How long to wait before another try, and why; `None` if it would bring the same again.
    fn another_try(
        &self,
        wire: &Wire,
        outcome: &Result<Response, Trouble>,
        failures: u32,
    ) -> Option<(Duration, String)> {
        if let Ok(response) = outcome
            && let Some(host) = &response.moved_to
            && is_denial(response.status)
        {
            // A signed download address that ran out; the registry gives a new one.
            let why = format!("sent us to {host}: {}", response.status);
            return Some((wire.timing.backoff_after(failures), why));
        }
        let wait = fault::wait_after(&wire.timing, outcome, failures)?;
        let why = match outcome {
            Ok(response) if response.status == StatusCode::TOO_MANY_REQUESTS => {
                "asks us to slow down".to_owned()
            }
            Ok(response) => format!("answers {}", response.status),
            Err(Trouble::Broken(broken)) => format!("gives no answer: {}", broken.why),
            Err(Trouble::Fault(fault)) => fault.to_string(),
        };
        Some((wait, why))
    }

    async fn give_up(&self, wire: &Wire, ask: &Ask, outcome: Result<Response, Trouble>) -> Failure {
        match outcome {
            Ok(mut response) => {
                let body = wire.document(&mut response).await;
                let reason = fault::reason(response.status, &body);
                let fault = match &response.moved_to {
                    Some(host) => self.refusal_elsewhere(ask, host, &reason),
                    None => self.refusal(ask, response.status, &reason).await,
                };
                Failure {
                    fault,
                    status: Some(response.status),
                    is_final: false,
                }
            }
            Err(trouble) => self.failure(ask, trouble),
        }
    }

    fn refusal_elsewhere(&self, ask: &Ask, host: &str, reason: &str) -> Fault {
        let message = format!(
            "{}: registry {} sent us to {host}, which answers: {reason}",
            ask.what, self.name
        );
        Fault::new(Kind::Network, message)
    }

    async fn refusal(&self, ask: &Ask, status: StatusCode, reason: &str) -> Fault {
        let what = &ask.what;
        let name = &self.name;
        match status.as_u16() {
            401 | 403 => self.auth.denial(what, reason).await,
            404 => {
                let who = self.auth.identity().await;
                let message = format!(
                    "{what}: registry {name}: not found, or not allowed (asked {who}): {reason}"
                );
                Fault::new(Kind::NotFound, message)
                    .hint("check the name; a private image needs --creds USER or --auth-file FILE")
            }
            429 => {
                let who = self.auth.identity().await;
                let message =
                    format!("{what}: registry {name}: too many requests (asked {who}): {reason}");
                Fault::new(Kind::Network, message)
                    .hint("try later, or with a credential: registries allow known users more")
            }
            500.. => Fault::new(Kind::Network, format!("{what}: registry {name}: {reason}")),
            _ => Fault::new(Kind::Registry, format!("{what}: registry {name}: {reason}")),
        }
    }

    fn failure(&self, ask: &Ask, trouble: Trouble) -> Failure {
        let who = format!("{}: registry {}", ask.what, self.name);
        match trouble {
            Trouble::Fault(fault) => Failure {
                fault,
                status: None,
                is_final: false,
            },
            Trouble::Broken(broken) => {
                if matches!(broken.how, How::Connect | How::Refused | How::Name) {
                    self.down.store(true, Ordering::Relaxed);
                }
                let fault = broken.fault(&who);
                Failure {
                    fault: match self.advice(&broken) {
                        Some(advice) => fault.hint(advice),
                        None => fault,
                    },
                    status: None,
                    is_final: false,
                }
            }
        }
    }

    fn advice(&self, broken: &Broken) -> Option<&'static str> {
        match broken.how {
            How::Certificate => Some(
                "name the certificate of its authority with --tls-ca FILE, \
                 or trust anyone with --tls-skip-verify",
            ),
            How::Name => {
                Some("check the name and the network; --mirror HOST=URL names another place")
            }
            How::Refused => Some("check the host and the port: nothing listens there"),
            How::Tls | How::Connect if self.bases.iter().all(|base| base.scheme() == "https") => {
                Some("if this registry speaks plain http, allow that with --plain-http")
            }
            _ => None,
        }
    }

    async fn base(&self, wire: &Wire) -> &Url {
        let found = self.base.get_or_init(|| async {
            match self.bases.as_slice() {
                [https, http, ..] => probe(wire, https, http).await.clone(),
                [only] => only.clone(),
                [] => unreachable!("an endpoint has a base"),
            }
        });
        found.await
    }
}

impl Failure {
    /// Whether this was the answer.
    pub(super) fn has(&self, status: StatusCode) -> bool {
        self.status == Some(status)
    }

    /// Time is up: nobody else need be asked.
    pub(super) fn last(fault: Fault) -> Self {
        Self {
            fault,
            status: None,
            is_final: true,
        }
    }
}

fn is_denial(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Whether a server speaks https or http. https is tried first and alone for a moment; a server that
/// is slower with it than that, and answers plain http meanwhile, is spoken to in the clear. Only
/// for loopback, where nobody listens in.
async fn probe<'a>(wire: &Wire, https: &'a Url, http: &'a Url) -> &'a Url {
    let ping = |base: &Url| {
        let mut url = base.clone();
        url.set_path("v2/");
        wire.send(Request {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: None,
            within: Reach::LinkLocal,
        })
    };
    let speaks_tls = |outcome: &Result<Response, Trouble>| match outcome {
        Ok(_) => true,
        Err(Trouble::Broken(broken)) => {
            // A broken set-up of ours says nothing about the server; https will report it.
            matches!(broken.how, How::Certificate | How::Local(_))
        }
        Err(Trouble::Fault(_)) => false,
    };
    let secure = ping(https);
    tokio::pin!(secure);
    let head_start = tokio::time::timeout(wire.timing.https_head_start, &mut secure);
    if let Ok(outcome) = head_start.await {
        return if speaks_tls(&outcome) { https } else { http };
    }
    let plain = ping(http);
    tokio::select! {
        outcome = &mut secure => if speaks_tls(&outcome) { https } else { http },
        outcome = plain => match outcome {
            // A TLS server answers 400 to plain http: then https is only slow.
            Ok(response) if response.status != StatusCode::BAD_REQUEST => http,
            _ => if speaks_tls(&secure.await) { https } else { http },
        },
    }
}
