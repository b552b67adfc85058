//! Which certificates are trusted, and which one is shown.
//!
//! Trust is the system's store, plus `--tls-ca`, plus `certs.d/HOST/*.crt`; a client certificate is
//! `certs.d/HOST/NAME.cert` with `NAME.key`. An empty store is no error until a certificate has to
//! be checked: a chroot with only the binary can still talk to a registry on loopback.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Fault, Kind};

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
                identity = identity.or(Some(read_identity(cert)?));
            }
        }
        let builder = self.verification(extra)?;
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certs, key)) => builder
                .with_client_auth_cert(certs, key)
                .map_err(|error| Fault::new(Kind::Usage, format!("client certificate: {error}")))?,
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verification(&self, extra: Vec<CertificateDer<'static>>) -> Result<Verified, Fault> {
        let builder = builder()?;
        let custom = |trusted: Trusted| {
            let algorithms = provider().signature_verification_algorithms;
            let verifier = Verifier {
                trusted,
                algorithms,
            };
            Ok(builder
                .clone()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier)))
        };
        if self.skip_verify {
            return custom(Trusted::Anyone);
        }
        let mut roots = RootCertStore::empty();
        // What cannot be read is as good as absent: the handshake fails then, with a hint.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(extra.iter().cloned());
        if extra.is_empty() || roots.is_empty() {
            return Ok(builder.with_root_certificates(roots));
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| Fault::new(Kind::Usage, format!("CA certificates: {error}")))?;
        let pinned = extra;
        custom(Trusted::Chains { chains, pinned })
    }
}

type Verified = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Fault> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(Kind::Unsupported, format!("TLS: {error}")))
}

/// For clients that never speak TLS.
pub(super) fn trusting_nobody() -> Result<ClientConfig, Fault> {
    Ok(builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    let message = format!("certificate file {}: {error}", path.display());
    Fault::new(Kind::NotFound, message)
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

fn read_certificates(file: &Path, into: &mut Vec<CertificateDer<'static>>) -> Result<(), Fault> {
    let text = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        into.push(certificate.map_err(|error| unreadable(file, &error))?);
    }
    Ok(())
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_identity(cert: &Path) -> Result<Identity, Fault> {
    let mut certs = Vec::new();
    read_certificates(cert, &mut certs)?;
    let path = cert.with_extension("key");
    let text = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| unreadable(&path, &error))?;
    Ok((certs, key))
}

/// Whose certificates are accepted; that their owner has the key is checked for all alike.
#[derive(Debug)]
struct Verifier {
    trusted: Trusted,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trusted {
    /// `--tls-skip-verify`: encrypted, to whomever it may be.
    Anyone,
    /// Chains as usual, and beside them the very certificates that the user named, for their own
    /// names but whatever their dates say: `openssl req -x509` marks a self-signed server
    /// certificate as a CA, which webpki refuses as a server's (`CaUsedAsEndEntity`), yet it is
    /// what Docker's documentation tells people to make.
    Chains {
        chains: Arc<WebPkiServerVerifier>,
        pinned: Vec<CertificateDer<'static>>,
    },
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.trusted {
            Trusted::Anyone => Ok(ServerCertVerified::assertion()),
            Trusted::Chains { pinned, .. } if pinned.iter().any(|it| it == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            Trusted::Chains { chains, .. } => {
                chains.verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
