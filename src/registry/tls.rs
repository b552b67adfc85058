//! Which certificates are trusted, and which one is shown.
//!
//! Trust is the system's store, plus `--tls-ca`, plus `certs.d/HOST/*.crt`; a client certificate is
//! `certs.d/HOST/NAME.cert` with `NAME.key`. An empty store is no error until a certificate has to
//! be checked: a chroot with only the binary can still talk to a registry on loopback.

use std::path::{Path, PathBuf};

use rustls::ClientConfig;

use crate::error::{Fault, Kind};
use crate::tls::{self, read_certificates, unreadable};

/// Where trust comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// Files of `--tls-ca`.
    pub ca: Vec<PathBuf>,
    /// `--tls-skip-verify`.
    pub skip_verify: bool,
    /// Directories that hold one directory per registry.
    pub certs_d: Vec<PathBuf>,
}

impl Trust {
    /// Whether a registry, `HOST[:PORT]`, has certificates of its own.
    pub(super) fn has_own_certificates(&self, authority: &str) -> bool {
        self.own_directories(authority).next().is_some()
    }

    fn own_directories(&self, authority: &str) -> impl Iterator<Item = PathBuf> {
        // Docker writes IPv6 addresses with their brackets, podman too.
        self.certs_d
            .iter()
            .map(move |dir| dir.join(authority))
            .filter(|dir| dir.is_dir())
    }

    /// The TLS settings for hosts in general, or for the registry with a `certs.d` directory.
    pub(super) fn config(&self, authority: Option<&str>) -> Result<ClientConfig, Fault> {
        let mut extra = Vec::new();
        for file in &self.ca {
            let before = extra.len();
            read_certificates(file, &mut extra)?;
            if extra.len() == before {
                let message = format!("CA file {}: no PEM certificate in it", file.display());
                return Err(Fault::new(Kind::Usage, message));
            }
        }
        let mut identity = None;
        for dir in authority.into_iter().flat_map(|a| self.own_directories(a)) {
            let files = list(&dir)?;
            for file in files.iter().filter(|f| has_extension(f, "crt")) {
                read_certificates(file, &mut extra)?;
            }
            if let Some(cert) = files.iter().find(|f| has_extension(f, "cert")) {
                identity =
                    identity.or(Some(tls::read_identity(cert, &cert.with_extension("key"))?));
            }
        }
        let verified = match self.skip_verify {
            true => tls::trusting_anyone()?,
            false => tls::trusting(extra)?,
        };
        let mut config = tls::with_identity(verified, identity)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// For clients that never speak TLS.
pub(super) fn trusting_nobody() -> Result<ClientConfig, Fault> {
    tls::with_identity(tls::trusting_nobody()?, None)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
