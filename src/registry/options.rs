//! What a caller decides about a conversation with a registry, and what it is told meanwhile.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::mirror::Mirror;
use super::retry::Timing;
use crate::credentials::Sources;

/// Something to tell the user while a pull runs. The text is not escaped yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// For `-v`.
    Note(String),
    /// For everybody.
    Warning(String),
    /// Why nothing seems to happen for a while.
    Waiting(String),
}

/// Called from the network thread and from those that ask; must return soon.
pub type OnEvent = Arc<dyn Fn(Event) + Send + Sync>;

/// How to reach a registry.
#[derive(Clone)]
pub struct Options {
    /// `--plain-http`: speak http to this registry, wherever it is.
    pub plain_http: bool,
    /// `--tls-ca`: certificates to trust beside the system's.
    pub tls_ca: Vec<PathBuf>,
    /// `--tls-skip-verify`.
    pub tls_skip_verify: bool,
    /// `--mirror`: those for other registries are ignored.
    pub mirrors: Vec<Mirror>,
    /// `--pull-timeout`: when everything ends.
    pub deadline: Option<Instant>,
    /// Where credentials may come from.
    pub credentials: Sources,
    /// Directories with one directory of certificates per registry, such as
    /// `/etc/docker/certs.d`.
    pub certs_d: Vec<PathBuf>,
    /// Bounds for waits and tries.
    pub timing: Timing,
    /// Receives what there is to tell.
    pub on_event: OnEvent,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plain_http: false,
            tls_ca: Vec::new(),
            tls_skip_verify: false,
            mirrors: Vec::new(),
            deadline: None,
            credentials: Sources::default(),
            certs_d: Vec::new(),
            timing: Timing::default(),
            on_event: Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("plain_http", &self.plain_http)
            .field("tls_ca", &self.tls_ca)
            .field("tls_skip_verify", &self.tls_skip_verify)
            .field("mirrors", &self.mirrors)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
