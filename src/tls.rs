//! What the clients that speak TLS share: how certificates are read and whose are accepted.
//!
//! One provider (ring), TLS 1.2 and 1.3. Where trust comes from is for the callers to know: a
//! registry's `certs.d`, an agent's variables, or nowhere at all for health checks.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme,
    WantsVerifier,
};

use crate::error::{Fault, Kind};

/// Settings that lack only what we show of ourselves.
pub type Verified = ConfigBuilder<ClientConfig, WantsClientCert>;

/// A certificate, those that vouch for it, and its key.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// For clients that never speak TLS.
pub fn trusting_nobody() -> Result<Verified, Fault> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()))
}

/// Encrypted, to whomever it may be.
pub fn trusting_anyone() -> Result<Verified, Fault> {
    Ok(custom(builder()?, Trusted::Anyone))
}

/// Those whom the machine trusts, and these. A machine that trusts nobody is no fault before a
/// certificate has to be checked.
pub fn trusting(extra: Vec<CertificateDer<'static>>) -> Result<Verified, Fault> {
    let mut roots = RootCertStore::empty();
    // What cannot be read is as good as absent: the handshake fails then, with a hint.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(extra.iter().cloned());
    if extra.is_empty() || roots.is_empty() {
        return Ok(builder()?.with_root_certificates(roots));
    }
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| Fault::new(Kind::Usage, format!("CA certificates: {error}")))?;
    let pinned = extra;
    Ok(custom(builder()?, Trusted::Chains { chains, pinned }))
}

/// Shows a certificate to servers that want one, or none.
pub fn with_identity(verified: Verified, own: Option<Identity>) -> Result<ClientConfig, Fault> {
    match own {
        None => Ok(verified.with_no_client_auth()),
        Some((certificates, key)) => verified
            .with_client_auth_cert(certificates, key)
            .map_err(|error| Fault::new(Kind::Usage, format!("client certificate: {error}"))),
    }
}

/// Adds the certificates of a PEM file.
pub fn read_certificates(
    file: &Path,
    into: &mut Vec<CertificateDer<'static>>,
) -> Result<(), Fault> {
    let text = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        into.push(certificate.map_err(|error| unreadable(file, &error))?);
    }
    Ok(())
}

/// A client's certificate and its key, of two PEM files.
pub fn read_identity(certificate: &Path, key: &Path) -> Result<Identity, Fault> {
    let mut certificates = Vec::new();
    read_certificates(certificate, &mut certificates)?;
    let text = std::fs::read(key).map_err(|error| unreadable(key, &error))?;
    let secret = PrivateKeyDer::from_pem_slice(&text).map_err(|error| unreadable(key, &error))?;
    Ok((certificates, secret))
}

/// A file or directory of certificates of which nothing came.
pub fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    let message = format!("certificate file {}: {error}", path.display());
    Fault::new(Kind::NotFound, message)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Fault> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(Kind::Unsupported, format!("TLS: {error}")))
}

fn custom(builder: ConfigBuilder<ClientConfig, WantsVerifier>, trusted: Trusted) -> Verified {
    let algorithms = provider().signature_verification_algorithms;
    let verifier = Verifier {
        trusted,
        algorithms,
    };
    builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
}

/// Whose certificates are accepted; that their owner has the key is checked for all alike.
#[derive(Debug)]
struct Verifier {
    trusted: Trusted,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trusted {
    /// Encrypted, to whomever it may be.
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
