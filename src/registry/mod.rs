//! The distribution protocol: manifests and blobs from a registry or its mirrors.
//!
//! Blocking on the outside. Inside, one thread drives all connections; it starts with
//! [`Registry::connect`] and is joined when the [`Registry`] is dropped, so that no namespace need
//! be entered with it alive. Guarantees: a credential goes only to the registry or mirror that it
//! was found for, or to a realm that `policy` allows; every wait for somebody else is bounded, and
//! nobody is asked after the deadline; every document is capped; a manifest asked for by digest has
//! it. The digests of streamed blobs are the caller's to check.
//!
//! [`Download`] gets any other file by the same means, on the thread that asks: here and nowhere
//! else is HTTP spoken.
//!
//! ```text
//! Registry ─► Shared::ask ─► Endpoint::request ─► Wire::follow ─► Transport
//!  (blocking)  (mirrors)      (auth, retries)      (redirects)     (one request)
//! ```

mod auth;
mod blob;
mod challenge;
mod download;
mod endpoint;
mod fault;
mod mirror;
mod options;
mod policy;
mod resolve;
mod retry;
mod tls;
mod transport;
mod wire;
mod worker;

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};

use crate::credentials::{self, Found, Sources};
use crate::error::{Fault, Kind};
use crate::image::{Descriptor, Digest, Hasher, MAX_MANIFEST_BYTES, Raw, Reference};
use endpoint::{Ask, Endpoint, Failure};
use policy::Reach;
use transport::{Response, Transport};
use wire::Wire;
use worker::Worker;

pub use blob::BlobReader;
#[cfg(feature = "fuzzing")]
pub use challenge::{Bearer, Challenge, choose};
pub use download::{Download, Downloaded, Validators};
pub use mirror::Mirror;
pub use options::{Event, OnEvent, Options};
pub use retry::Timing;

/// Docker Hub's API does not live under the name that images have.
const HUB_API: &str = "registry-1.docker.io";

/// One repository on one registry, with its mirrors. Can be shared by threads.
pub struct Registry {
    shared: Arc<Shared>,
    worker: Worker,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.shared.name)
    }
}

/// What the network thread works with.
struct Shared {
    wire: Wire,
    /// `REGISTRY/REPOSITORY`, for messages.
    name: String,
    /// The mirrors in order, then the registry itself.
    endpoints: Vec<Endpoint>,
}

impl Registry {
    /// Gets ready to ask for the images of a repository. Looks for credentials, which may run a
    /// helper, and starts a thread; sends nothing yet.
    pub fn connect(reference: &Reference, options: Options) -> Result<Self> {
        let trust = tls::Trust {
            ca: options.tls_ca.clone(),
            skip_verify: options.tls_skip_verify,
            certs_d: options.certs_d.clone(),
        };
        let http = transport::Http::new(trust, options.timing.connect);
        Self::with_transport(reference, options, Arc::new(http))
    }

    fn with_transport(
        reference: &Reference,
        options: Options,
        transport: Arc<dyn Transport>,
    ) -> Result<Self> {
        let endpoints = endpoints(reference, &options)?;
        let shared = Shared {
            wire: Wire {
                transport,
                timing: options.timing,
                deadline: options.deadline,
                on_event: options.on_event,
            },
            name: format!("{}/{}", reference.registry(), reference.repository()),
            endpoints,
        };
        Ok(Self {
            shared: Arc::new(shared),
            worker: Worker::start()?,
        })
    }

    /// The manifest or index behind a tag or digest. With a digest, the bytes have it.
    pub fn manifest(&self, locator: &str) -> Result<Raw> {
        let (shared, locator) = (self.shared.clone(), locator.to_owned());
        self.worker
            .run(async move { shared.manifest(&locator).await })
    }

    /// The digest behind a tag, as the registry says it, with the least traffic; `None` if there
    /// is no such tag. For comparing only.
    pub fn head(&self, locator: &str) -> Result<Option<Digest>> {
        let (shared, locator) = (self.shared.clone(), locator.to_owned());
        self.worker.run(async move { shared.head(&locator).await })
    }

    /// Streams a blob from byte `offset` on. Cuts are mended behind the scenes; the reader fails
    /// when that brings nothing more, or when the blob is longer than it should be.
    pub fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<BlobReader> {
        Ok(self.stream(descriptor, offset, 0))
    }

    /// As [`Registry::blob`], but from the registry itself: for a layer whose bytes from a mirror
    /// turned out to be wrong when all of them were there.
    pub fn blob_past_mirrors(&self, descriptor: &Descriptor) -> Result<BlobReader> {
        Ok(self.stream(descriptor, 0, self.shared.endpoints.len() - 1))
    }

    /// Whether [`Registry::blob_past_mirrors`] would ask somebody else than [`Registry::blob`].
    pub fn has_mirrors(&self) -> bool {
        self.shared.endpoints.len() > 1
    }

    fn stream(&self, descriptor: &Descriptor, offset: u64, first: usize) -> BlobReader {
        let (reader, pump) = blob::stream(self.shared.clone(), descriptor.clone(), offset, first);
        self.worker.spawn(pump);
        reader
    }

    /// A whole blob of at most `max` bytes, with its size and digest checked. Content embedded in
    /// the descriptor saves the request.
    pub fn small_blob(&self, descriptor: &Descriptor, max: u64) -> Result<Vec<u8>> {
        let digest = &descriptor.digest;
        if descriptor.size > max {
            let message = format!(
                "blob {digest}: {} bytes, more than the {max} allowed",
                descriptor.size
            );
            return Err(Fault::new(Kind::Limit, message).into());
        }
        if let Some(data) = &descriptor.data {
            let bytes = STANDARD.decode(data).map_err(|_| {
                let message = format!("blob {digest}: its embedded data is not base64");
                Fault::new(Kind::Registry, message)
            })?;
            return Ok(check(bytes, descriptor)?);
        }
        let mut refused = None;
        for first in 0..self.shared.endpoints.len() {
            let mut bytes = Vec::new();
            let mut reader = self.stream(descriptor, 0, first);
            reader
                .read_to_end(&mut bytes)
                .map_err(BlobReader::recover)?;
            match check(bytes, descriptor) {
                Ok(bytes) => return Ok(bytes),
                Err(fault) => {
                    let place = &self.shared.endpoints[first].name;
                    let text = format!("{place} gives wrong bytes: {fault}");
                    self.shared.wire.tell(Event::Warning(text));
                    refused = Some(fault);
                }
            }
        }
        Err(refused.unwrap_or_else(|| nowhere(&self.shared.name)).into())
    }
}

/// Bytes that have the size and digest of their descriptor.
fn check(bytes: Vec<u8>, descriptor: &Descriptor) -> Result<Vec<u8>, Fault> {
    let expected = &descriptor.digest;
    if bytes.len() as u64 != descriptor.size {
        let message = format!(
            "blob {expected}: {} bytes, expected {}",
            bytes.len(),
            descriptor.size
        );
        return Err(Fault::new(Kind::Integrity, message));
    }
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(&bytes);
    let found = hasher.finish();
    if &found != expected {
        let message = format!("blob {expected}: digest is {found}");
        return Err(Fault::new(Kind::Integrity, message));
    }
    Ok(bytes)
}

fn nowhere(name: &str) -> Fault {
    Fault::new(
        Kind::Network,
        format!("{name}: there is no registry to ask"),
    )
}

impl Shared {
    /// Asks the endpoints from number `first` on until one gives something; says which.
    async fn ask(&self, ask: &Ask, first: usize) -> Result<(usize, Response), Failure> {
        let last = self.endpoints.len() - 1;
        for (index, endpoint) in self.endpoints.iter().enumerate().skip(first) {
            if index == last {
                let tries = self.wire.timing.tries;
                let response = endpoint.request(&self.wire, ask, tries).await?;
                return Ok((index, response));
            }
            if endpoint.is_down() {
                continue;
            }
            match endpoint.request(&self.wire, ask, 1).await {
                Ok(response) => return Ok((index, response)),
                Err(failure) if failure.is_final => return Err(failure),
                Err(failure) => {
                    self.wire.in_time().map_err(Failure::last)?;
                    let text = format!("mirror passed over: {}", failure.fault);
                    self.wire.tell(Event::Warning(text));
                }
            }
        }
        Err(Failure {
            fault: nowhere(&self.name),
            status: None,
            is_final: true,
        })
    }

    fn manifest_ask(&self, method: Method, locator: &str) -> Ask {
        Ask {
            method,
            path: format!("manifests/{locator}"),
            from: None,
            what: format!("manifest {locator}"),
        }
    }

    async fn manifest(&self, locator: &str) -> Result<Raw> {
        let ask = self.manifest_ask(Method::GET, locator);
        let (mut first, mut failures) = (0, 0);
        loop {
            let (index, response) = self.ask(&ask, first).await.map_err(|f| f.fault)?;
            let place = &self.endpoints[index].name;
            let is_mirror = index + 1 < self.endpoints.len();
            let read = self.read_manifest(&ask, locator, (place, response)).await;
            let error = match read {
                // A mirror may answer 200 with its own page; the registry's word is judged by the
                // caller, who can say more about it.
                Ok(raw) if is_mirror => match raw.parse() {
                    Ok(_) => return Ok(raw),
                    Err(error) => error,
                },
                Ok(raw) => return Ok(raw),
                Err(error) => error,
            };
            failures += 1;
            self.wire.in_time()?;
            if is_mirror {
                let why = crate::error::render(&error);
                let text = format!("mirror {place} passed over: {why}");
                self.wire.tell(Event::Warning(text));
                first = index + 1;
            } else if crate::error::kind(&error) == Kind::Network
                && failures < self.wire.timing.tries
            {
                let wait = self.wire.timing.backoff_after(failures);
                let why = crate::error::render(&error);
                self.wire.wait(wait, &why).await?;
            } else {
                return Err(error);
            }
        }
    }

    async fn read_manifest(
        &self,
        ask: &Ask,
        locator: &str,
        (place, mut response): (&str, Response),
    ) -> Result<Raw> {
        let what = &ask.what;
        let media_type = response.headers.get(CONTENT_TYPE);
        let media_type = media_type.and_then(|t| t.to_str().ok()).map(str::to_owned);
        let body = self.wire.body(&mut response, MAX_MANIFEST_BYTES).await;
        let bytes = body.map_err(|trouble| trouble.fault(&format!("{what}: registry {place}")))?;
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            let mib = MAX_MANIFEST_BYTES >> 20;
            let message = format!("{what} is larger than {mib} MiB");
            return Err(Fault::new(Kind::Limit, message).into());
        }
        match locator.parse::<Digest>() {
            Ok(digest) => Raw::verified(bytes, media_type, &digest)
                .map_err(|error| error.context(what.clone())),
            Err(_) => Ok(Raw::new(bytes, media_type)),
        }
    }

    async fn head(&self, locator: &str) -> Result<Option<Digest>> {
        let ask = self.manifest_ask(Method::HEAD, locator);
        match self.ask(&ask, 0).await {
            Ok((_, response)) => {
                let said = response.headers.get("docker-content-digest");
                let said = said.and_then(|value| value.to_str().ok()?.parse().ok());
                if let Some(digest) = said {
                    return Ok(Some(digest));
                }
            }
            Err(failure) if failure.has(StatusCode::NOT_FOUND) => {}
            Err(failure) if failure.has(StatusCode::METHOD_NOT_ALLOWED) => {}
            Err(failure) => return Err(failure.fault.into()),
        }
        match self.manifest(locator).await {
            Ok(raw) => Ok(Some(raw.digest().clone())),
            Err(error) if crate::error::kind(&error) == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The mirrors that serve this registry, then the registry.
fn endpoints(reference: &Reference, options: &Options) -> Result<Vec<Endpoint>> {
    let registry = reference.registry();
    let mut endpoints = Vec::new();
    for mirror in options.mirrors.iter().filter(|m| m.serves(registry)) {
        let base = mirror.base();
        let host = authority(&base);
        let repository = mirror.repository(reference.repository());
        // What was given for the registry is not given to somebody who stands in for it.
        let sources = Sources {
            creds: None,
            ..options.credentials.clone()
        };
        let found = look_up(&sources, &host, &repository, options)?;
        endpoints.push(Endpoint::new(host, repository, vec![base], found));
    }
    let repository = reference.repository();
    let found = look_up(&options.credentials, registry, repository, options)?;
    let bases = bases(reference, options)?;
    endpoints.push(Endpoint::new(
        registry.to_owned(),
        repository.to_owned(),
        bases,
        found,
    ));
    Ok(endpoints)
}

fn look_up(
    sources: &Sources,
    registry: &str,
    repository: &str,
    options: &Options,
) -> Result<Found> {
    let found = credentials::find(sources, registry, repository)?;
    for note in &found.notes {
        (options.on_event)(Event::Note(note.clone()));
    }
    for warning in &found.warnings {
        (options.on_event)(Event::Warning(warning.clone()));
    }
    Ok(found)
}

/// Host and port as in a reference.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Where a registry may be spoken to: https alone, except on loopback, or http alone when told.
fn bases(reference: &Reference, options: &Options) -> Result<Vec<Url>> {
    let host = if reference.is_hub() {
        HUB_API
    } else {
        reference.registry()
    };
    let base = |scheme: &str| {
        Url::parse(&format!("{scheme}://{host}/")).map_err(|error| {
            let message = format!("registry {host}: not a host name: {error}");
            Fault::new(Kind::Reference, message)
        })
    };
    let https = base("https")?;
    if options.plain_http {
        return Ok(vec![base("http")?]);
    }
    if https.host_str().map(policy::reach) == Some(Reach::Loopback) {
        return Ok(vec![https, base("http")?]);
    }
    Ok(vec![https])
}

#[cfg(test)]
mod tests;
