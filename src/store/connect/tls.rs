//! Settings → rustls for PostgreSQL: who is verified, against what, and as whom we come. The
//! provider is named (ring), since a process with two of them must choose.

use std::path::Path;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore};

use crate::store::fault::{Fault, FaultClass};
use crate::store::{SslMode, TlsOptions};

/// The client's side of TLS as `options` want it.
pub(super) fn client_config(options: &TlsOptions) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let checks_name = options.mode == SslMode::VerifyFull;
    let chain = if checks_name || options.ca_file.is_some() {
        let roots = Arc::new(roots(options.ca_file.as_deref())?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(unusable)?;
        Some(verifier)
    } else {
        None
    };
    let verifier = Arc::new(Verifier { chain, checks_name, provider });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match (&options.certificate_file, &options.key_file) {
        (Some(certificate), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(unusable)
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities(ca_file)?);
    if roots.is_empty() { Err(unusable("no CA certificate was found")) } else { Ok(roots) }
}

/// The certificates that a server's is verified against: those of a file, or the system's.
pub(super) fn authorities(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Fault> {
    match ca_file {
        Some(file) => certificates(file),
        None => Ok(rustls_native_certs::load_native_certs().certs),
    }
}

pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(unreadable(file))
}

/// An error of opening a connection as it is told: one that refuses the server's certificate with
/// the settings that decide it. The words are rustls's (`rustls/src/error.rs`).
pub(super) fn explain(error: String) -> String {
    if !error.contains("invalid peer certificate") {
        return error;
    }
    error
        + "; `database.ssl_ca_file` (`sslrootcert` in the URL) names the authorities that are \
           trusted, `database.ssl_mode` (`sslmode`) says what is verified"
}

pub(super) fn unreadable(file: &Path) -> impl Fn(pem::Error) -> Fault {
    move |error| unusable(format!("`{}` cannot be read: {error}", file.display()))
}

pub(super) fn unusable(reason: impl std::fmt::Display) -> Fault {
    Fault::new(FaultClass::Fatal, format!("TLS to the database: {reason}"))
}

/// Verifies as much as the mode asks for.
#[derive(Debug)]
struct Verifier {
    /// The chain's verifier; none where any certificate will do.
    chain: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain was verified before the name.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            Ok(verified) => {
                if self.checks_name {
                    let parsed = rustls::server::ParsedCertificate::try_from(end_entity)?;
                    verify_server_name(&parsed, server_name)?;
                }
                Ok(verified)
            }
            refused => refused,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
