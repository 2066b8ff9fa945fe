//! Settings → TLS for MySQL. The client's own reading of files knows Mozilla's authorities instead
//! of the system's, and of keys only RSA's in PKCS#1 (`mysql_async/src/opts/rustls_opts.rs`); so
//! files are read here, and what it gets is DER.

use mysql_async::{ClientIdentity, SslOpts};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::tls::{authorities, certificates, unreadable, unusable};
use crate::store::fault::Fault;
use crate::store::{SslMode, TlsOptions};

/// DER's tags of what is met on the way to a key.
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// 1.2.840.113549.1.1.1, `rsaEncryption` (RFC 8017).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The client's side of TLS as `options` want it; none for a connection in the clear.
pub(super) fn ssl_opts(options: &TlsOptions) -> Result<Option<SslOpts>, Fault> {
    if options.mode == SslMode::Disable {
        return Ok(None);
    }
    let verifies = options.mode == SslMode::VerifyFull || options.ca_file.is_some();
    let mut opts = SslOpts::default()
        .with_danger_accept_invalid_certs(!verifies)
        .with_danger_skip_domain_validation(options.mode != SslMode::VerifyFull);
    if verifies {
        // One that cannot be read must not spoil the others, as among the system's there may be.
        let is_sound = |der: &CertificateDer<'_>| RootCertStore::empty().add(der.clone()).is_ok();
        let found = authorities(options.ca_file.as_deref())?.into_iter().filter(is_sound);
        let roots: Vec<_> = found.map(|der| der.to_vec().into()).collect();
        if roots.is_empty() {
            return Err(unusable("no CA certificate was found"));
        }
        opts = opts.with_root_certs(roots).with_disable_built_in_roots(true);
    }
    if let (Some(certificate), Some(key)) = (&options.certificate_file, &options.key_file) {
        // Read for an error that names the file.
        certificates(certificate)?;
        let pem = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
        let rsa_key = rsa_key(&pem).ok_or_else(|| {
            let file = key.display();
            unusable(format!("`{file}` is no RSA key, and to MySQL none but RSA's can be shown"))
        })?;
        let identity = ClientIdentity::new(certificate.clone().into(), rsa_key.to_vec().into());
        opts = opts.with_client_identity(Some(identity));
    }
    Ok(Some(opts))
}

/// An RSA key as PKCS#1, which a PKCS#8 one holds behind its version and algorithm (RFC 5208).
fn rsa_key<'k>(key: &'k PrivateKeyDer<'_>) -> Option<&'k [u8]> {
    let info = match key {
        PrivateKeyDer::Pkcs1(key) => return Some(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der(),
        _ => return None,
    };
    let (info, _) = element(info, SEQUENCE)?;
    let (_version, rest) = element(info, INTEGER)?;
    let (algorithm, rest) = element(rest, SEQUENCE)?;
    let (object_id, _parameters) = element(algorithm, OBJECT_ID)?;
    let (key, _) = element(rest, OCTET_STRING)?;
    (object_id == RSA).then_some(key)
}

/// What the DER element at the beginning of `bytes` holds, and what follows it; none where another
/// begins there.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = bytes else { return None };
    let (length, rest) = match *length {
        short @ ..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let add = |sum: usize, byte: &u8| sum.checked_mul(256)?.checked_add((*byte).into());
            (digits.iter().try_fold(0, add)?, rest)
        }
    };
    (*first == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> PrivateKeyDer<'static> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/");
        PrivateKeyDer::from_pem_file(folder.to_owned() + name).unwrap()
    }

    #[test]
    fn an_rsa_key_is_taken_out_of_its_wrapping_and_another_is_not() {
        let wrapped = read("client-rsa.key");
        let inner = rsa_key(&wrapped).unwrap();
        // PKCS#1 begins with its version, 0, and the modulus.
        let (numbers, rest) = element(inner, SEQUENCE).unwrap();
        assert!(rest.is_empty());
        assert_eq!(element(numbers, INTEGER).unwrap().0, [0]);
        let bare = PrivateKeyDer::Pkcs1(inner.to_vec().into());
        assert_eq!(rsa_key(&bare), Some(inner));
        assert_eq!(rsa_key(&read("client.key")), None);
    }

    #[test]
    fn broken_der_is_none() {
        for bytes in [&[][..], &[0x30], &[0x30, 5, 1], &[0x30, 0x81], &[0x30, 0xff, 1, 2]] {
            assert_eq!(element(bytes, SEQUENCE), None, "{bytes:?}");
        }
        assert_eq!(element(&[0x30, 0x81, 1, 7, 8], SEQUENCE), Some((&[7][..], &[8][..])));
    }
}
