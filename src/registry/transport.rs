//! One request, one answer: the narrow seam between the protocol and HTTP.
//!
//! The seam exists because every rule about where a credential goes stands above it: a transport
//! follows no redirect, retries nothing, decodes nothing and adds no credential. [`Http`] is the
//! real one, on reqwest; unit tests put scripted ones in its place.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode, Url};

use super::policy::{Reach, reach};
use super::resolve::Resolver;
use super::tls;
use crate::error::{Fault, Kind};

/// A future that borrows.
pub(super) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is sent. Has no `Debug`, because headers and form hold secrets.
#[derive(Clone)]
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// A form, for `POST`.
    pub body: Option<String>,
    /// The most private place that the host's name may stand for. Behind a proxy it is the proxy
    /// that looks names up.
    pub within: Reach,
}

/// What comes back; the body is still on the wire.
pub(super) struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Box<dyn Body>,
    /// The other host that answered, if a redirect led there. Whatever it asks for, no credential
    /// is its business.
    pub moved_to: Option<String>,
}

/// The bytes of an answer, in pieces of the sender's choice.
pub(super) trait Body: Send {
    /// The next piece, or `None` at the end.
    fn chunk(&mut self) -> Pending<'_, Result<Option<Bytes>, Broken>>;
}

/// Sends one request.
pub(super) trait Transport: Send + Sync {
    /// Resolves when the headers of the answer are there, whatever its status.
    fn send(&self, request: Request) -> Pending<'_, Result<Response, Broken>>;
}

/// Why there is no answer, or no whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub how: How,
    /// For people; never holds a URL.
    pub why: String,
}

/// What a caller may conclude from a [`Broken`] conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// No connection: unreachable, too slow.
    Connect,
    /// Nobody listens there. More likely a wrong name than a registry that is just starting.
    Refused,
    /// No address; the resolver has tried as often as it was told to.
    Name,
    /// The other side does not speak TLS, or not with us.
    Tls,
    /// Its certificate is not trusted. Asking again does not help.
    Certificate,
    /// The connection broke in mid-answer, or fell silent.
    Cut,
    /// The local set-up is at fault, such as a CA file that is missing.
    Local(Kind),
}

impl Broken {
    /// As a fault about some registry.
    pub(super) fn fault(&self, who: &str) -> Fault {
        let kind = match self.how {
            How::Local(kind) => kind,
            _ => Kind::Network,
        };
        Fault::new(kind, format!("{who}: {}", self.why))
    }
}

/// reqwest, with our own names, trust and proxies.
pub(super) struct Http {
    trust: tls::Trust,
    resolver: Resolver,
    connect: Duration,
    clients: Mutex<HashMap<Shape, Client>>,
    /// By [`Shape::own_certificates`]: the system's certificates are read once.
    configs: Mutex<HashMap<Option<String>, rustls::ClientConfig>>,
}

/// What makes one client differ from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shape {
    /// Plain http loads no certificates, so it works on a machine that has none.
    tls: bool,
    /// Loopback is never reached through a proxy, whatever the environment says.
    proxied: bool,
    /// A host with a `certs.d` directory of its own.
    own_certificates: Option<String>,
    /// Where names may lead.
    within: Reach,
}

impl Http {
    pub(super) fn new(trust: tls::Trust, connect: Duration) -> Self {
        Self {
            trust,
            resolver: Resolver::system(),
            connect,
            clients: Mutex::default(),
            configs: Mutex::default(),
        }
    }

    fn client(&self, url: &Url, within: Reach) -> Result<Client, Fault> {
        let host = url.host_str().unwrap_or_default();
        let tls = url.scheme() == "https";
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let shape = Shape {
            tls,
            proxied: reach(host) != Reach::Loopback,
            own_certificates: Some(authority)
                .filter(|authority| tls && self.trust.has_own_certificates(authority)),
            within,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&shape) {
            return Ok(client.clone());
        }
        let client = self.build(&shape)?;
        clients.insert(shape, client.clone());
        Ok(client)
    }

    fn config(&self, own: &Option<String>) -> Result<rustls::ClientConfig, Fault> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(own) {
            return Ok(config.clone());
        }
        let config = self.trust.config(own.as_deref())?;
        configs.insert(own.clone(), config.clone());
        Ok(config)
    }

    fn build(&self, shape: &Shape) -> Result<Client, Fault> {
        let config = if shape.tls {
            self.config(&shape.own_certificates)?
        } else {
            tls::trusting_nobody()?
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(config)
            .dns_resolver(self.resolver.within(shape.within))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // Enough for 10 Gbit/s within a data centre; bounds what waits in memory.
            .http2_initial_stream_window_size(4 << 20)
            .http2_initial_connection_window_size(16 << 20)
            .connect_timeout(self.connect)
            .user_agent(concat!("ucr/", env!("CARGO_PKG_VERSION")));
        if !shape.proxied {
            builder = builder.no_proxy();
        }
        builder.build().map_err(|error| {
            Fault::new(Kind::Unsupported, format!("http client: {}", chain(&error)))
        })
    }
}

impl Transport for Http {
    fn send(&self, request: Request) -> Pending<'_, Result<Response, Broken>> {
        Box::pin(async move {
            let client = self.client(&request.url, request.within);
            let client = client.map_err(|fault| Broken {
                how: How::Local(fault.kind()),
                why: fault.to_string(),
            })?;
            let mut builder = client
                .request(request.method, request.url)
                .headers(request.headers);
            if let Some(body) = request.body {
                builder = builder.body(body);
            }
            let response = builder.send().await.map_err(broken)?;
            Ok(Response {
                status: response.status(),
                headers: response.headers().clone(),
                body: Box::new(HttpBody(response)),
                moved_to: None,
            })
        })
    }
}

struct HttpBody(reqwest::Response);

impl Body for HttpBody {
    fn chunk(&mut self) -> Pending<'_, Result<Option<Bytes>, Broken>> {
        Box::pin(async move { self.0.chunk().await.map_err(broken) })
    }
}

fn broken(error: reqwest::Error) -> Broken {
    // The URL may carry the signature of a download; it must not reach a message.
    let error = error.without_url();
    let how = match rustls_error(&error) {
        Some(rustls::Error::InvalidCertificate(_)) => How::Certificate,
        Some(_) => How::Tls,
        None if error.is_dns() => How::Name,
        None if error.is_connect() && is_refused(&error) => How::Refused,
        None if error.is_connect() => How::Connect,
        None => How::Cut,
    };
    let why = if how == How::Connect && error.is_timeout() {
        "no connection in time".to_owned()
    } else {
        chain(&error)
    };
    Broken { how, why }
}

/// The TLS fault in the chain. `io::Error` hides what it wraps from `source`.
fn rustls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        let inner = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

/// Whether the other side's kernel said that nobody listens.
fn is_refused(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        let io = cause.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// The causes on one line, without the wrappers that say nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        let says_nothing = text.starts_with("error sending request")
            || text.starts_with("client error")
            || text.starts_with("request or response body error")
            || text == "tcp connect error"
            || text == "dns error"
            || text == "error resolving DNS"
            || parts.contains(&text);
        if !says_nothing {
            parts.push(text);
        }
        next = cause.source();
    }
    if parts.is_empty() {
        return error.to_string();
    }
    parts.join(": ")
}
