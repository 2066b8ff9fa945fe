//! TLS towards the broker.
//!
//! Takes the URL's files and the one setting that relaxes verification, gives what lapin's rustls
//! connects with. Files are read at every connect, so a renewed certificate needs no restart. The
//! server is verified unless [`Verification::Off`] is set; nothing else may turn that off.

use std::path::Path;
use std::sync::Arc;

use lapin::tcp::RustlsConnector;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::transport::url::UrlOptions;

/// How the server is verified where the URL asks for TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// By its certificate and its name, with the URL's `ssl_ca_file` or the system's roots.
    #[default]
    Full,
    /// Not at all: what oslo.messaging does without an `ssl_ca_file`.
    Off,
}

/// TLS settings beyond those of the URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// How the server is verified.
    pub verification: Verification,
}

/// Reads the files that `url` names and builds the connector.
pub(super) fn build_connector(
    url: &UrlOptions,
    options: TlsOptions,
) -> Result<RustlsConnector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match options.verification {
        Verification::Full => {
            builder.with_root_certificates(read_roots(url.ssl_ca_file.as_deref())?)
        }
        Verification::Off => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAnyServer(provider))),
    };
    let config = match (&url.ssl_cert_file, &url.ssl_key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert_file), Some(key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file)
                .map_err(|error| format!("`ssl_key_file` {}: {error}", key_file.display()))?;
            builder
                .with_client_auth_cert(read_certificates("ssl_cert_file", cert_file)?, key)
                .map_err(|error| format!("`ssl_cert_file` and `ssl_key_file`: {error}"))?
        }
        _ => return Err("`ssl_cert_file` and `ssl_key_file` go together".to_owned()),
    };
    Ok(RustlsConnector::from(config))
}

fn read_roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let certificates = match ca_file {
        Some(path) => read_certificates("ssl_ca_file", path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    // The system's store may hold a few that rustls cannot read; the rest is still of use.
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(match ca_file {
            Some(path) => format!("`ssl_ca_file` {}: no certificate in it", path.display()),
            None => "the system has no root certificates; set `ssl_ca_file`".to_owned(),
        });
    }
    Ok(roots)
}

fn read_certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("`{setting}` {}: {error}", path.display()))
}

#[derive(Debug)]
struct AcceptAnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
