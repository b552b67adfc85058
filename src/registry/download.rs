//! A file by http from wherever somebody says: with the names, trust, proxies, clocks and redirect
//! rules that registries are asked with.
//!
//! Runs on the calling thread and starts no other. Nothing is asked twice: whoever wants an artifact
//! starts a task with it, and is told at once.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Method, Url};

use super::policy::Reach;
use super::retry::Timing;
use super::tls::Trust;
use super::transport::{Http, Request, Response};
use super::wire::Wire;
use crate::error::{Fault, Kind};

/// Longest validator that is kept, in bytes.
const MAX_VALIDATOR: usize = 1024;

/// How to get a file.
#[derive(Clone, Debug)]
pub struct Download {
    /// Certificates to trust beside the system's.
    pub tls_ca: Vec<PathBuf>,
    /// When everything ends.
    pub deadline: Option<Instant>,
    /// Bounds for waits: for a connection, and for silence.
    pub timing: Timing,
    /// Largest file, in bytes.
    pub max_bytes: u64,
}

/// What a server gave with a file, by which it tells later whether that is another one now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`
    pub last_modified: Option<String>,
}

impl Validators {
    /// Whether there is nothing to ask with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            (value.len() <= MAX_VALIDATOR).then(|| value.to_owned())
        };
        Self {
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
        }
    }

    fn ask(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            (IF_NONE_MATCH, &self.etag),
            (IF_MODIFIED_SINCE, &self.last_modified),
        ] {
            let value = value.as_ref().and_then(|it| HeaderValue::from_str(it).ok());
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downloaded {
    /// It is written, and this came with it.
    All(Validators),
    /// It is what it was when the validators were given.
    Unchanged,
}

impl Download {
    /// Writes the file at an http or https URI, which may hold user and password: they go to its
    /// host only. `shown` is the URI for messages.
    ///
    /// Fails with [`Kind::NotFound`], [`Kind::Denied`], [`Kind::Limit`] or [`Kind::Network`]; what
    /// was written then is not the file.
    pub fn get(
        &self,
        uri: &str,
        shown: &str,
        known: Option<&Validators>,
        to: &mut dyn Write,
    ) -> Result<Downloaded> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("start the network")?;
        let outcome = runtime.block_on(self.run(uri, shown, known, to));
        match self.deadline {
            Some(deadline) if outcome.is_err() && deadline <= Instant::now() => {
                let message = format!("{shown}: it took longer than allowed");
                Err(Fault::new(Kind::Network, message).into())
            }
            _ => outcome,
        }
    }

    async fn run(
        &self,
        uri: &str,
        shown: &str,
        known: Option<&Validators>,
        to: &mut dyn Write,
    ) -> Result<Downloaded> {
        let trust = Trust {
            ca: self.tls_ca.clone(),
            ..Trust::default()
        };
        let wire = Wire {
            transport: Arc::new(Http::new(trust, self.timing.connect)),
            timing: self.timing,
            deadline: self.deadline,
            on_event: Arc::new(|_| {}),
        };
        let request = request(uri, shown, known)?;
        let origin = request.url.clone();
        let response = wire.follow(&origin, request).await;
        let mut response = response.map_err(|trouble| named(trouble.fault(shown), shown))?;
        match response.status.as_u16() {
            200 => (),
            304 if known.is_some() => return Ok(Downloaded::Unchanged),
            status => return Err(refusal(status, shown).into()),
        }
        let validators = Validators::of(&response.headers);
        self.body(&wire, &mut response, shown, to).await?;
        Ok(Downloaded::All(validators))
    }

    async fn body(
        &self,
        wire: &Wire,
        response: &mut Response,
        shown: &str,
        to: &mut dyn Write,
    ) -> Result<()> {
        let length = response.headers.get(CONTENT_LENGTH);
        let length: Option<u64> = length.and_then(|it| it.to_str().ok()?.parse().ok());
        let mut written = 0;
        self.in_size(length.unwrap_or(0), shown)?;
        while let Some(chunk) = wire
            .chunk(response)
            .await
            .map_err(|trouble| named(trouble.fault(shown), shown))?
        {
            written += chunk.len() as u64;
            self.in_size(written, shown)?;
            to.write_all(&chunk)
                .with_context(|| format!("write {shown}"))?;
        }
        match length {
            Some(length) if length != written => {
                let message = format!("{shown}: {written} bytes came of {length}");
                Err(Fault::new(Kind::Network, message).into())
            }
            _ => Ok(()),
        }
    }

    fn in_size(&self, bytes: u64, shown: &str) -> Result<(), Fault> {
        if bytes <= self.max_bytes {
            return Ok(());
        }
        let message = format!("{shown}: it has more than {} bytes", self.max_bytes);
        Err(Fault::new(Kind::Limit, message))
    }
}

fn request(uri: &str, shown: &str, known: Option<&Validators>) -> Result<Request, Fault> {
    let bad = || {
        Fault::new(
            Kind::Spec,
            format!("{shown}: it is not a valid URI [E:uri]"),
        )
    };
    let mut url = Url::parse(uri).map_err(|_| bad())?;
    let mut headers = HeaderMap::new();
    if !url.username().is_empty() || url.password().is_some() {
        headers.insert(AUTHORIZATION, basic(&url).ok_or_else(bad)?);
        url.set_username("").map_err(|()| bad())?;
        url.set_password(None).map_err(|()| bad())?;
    }
    if let Some(known) = known {
        known.ask(&mut headers);
    }
    Ok(Request {
        method: Method::GET,
        url,
        headers,
        body: None,
        within: Reach::LinkLocal,
    })
}

fn basic(url: &Url) -> Option<HeaderValue> {
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn refusal(status: u16, shown: &str) -> Fault {
    let kind = match status {
        401 | 403 => Kind::Denied,
        404 | 410 => Kind::NotFound,
        _ => Kind::Network,
    };
    Fault::new(
        kind,
        format!("{shown}: the server answers with status {status}"),
    )
}

/// What a redirect rule says does not name the file.
fn named(fault: Fault, shown: &str) -> Fault {
    if fault.to_string().starts_with(shown) {
        return fault;
    }
    Fault::new(fault.kind(), format!("{shown}: {fault}"))
}
