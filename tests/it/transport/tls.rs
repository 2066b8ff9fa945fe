//! TLS towards the broker: a proxy that speaks TLS stands before it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use karbor_restore_worker::transport::rabbit::{TlsOptions, Verification};
use rstest::rstest;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A file of `tests/fixtures/tls`.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).expect(name)
}

#[derive(Clone, Copy)]
enum Clients {
    Any,
    WithCertificate,
}

/// Takes TLS from clients and forwards to the broker.
async fn start_tls_proxy(clients: Clients) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS");
    let builder = match clients {
        Clients::Any => builder.with_no_client_auth(),
        Clients::WithCertificate => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate("authority.pem")).expect("an authority");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
    let config = builder.with_single_cert(vec![certificate("server.pem")], key).expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let url: TransportUrl = rabbit_url().parse().expect("a URL");
    let broker = url.hosts[0].to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, broker) = (acceptor.clone(), broker.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let Ok(mut server) = TcpStream::connect(broker).await else { return };
                // Its end is the end of a connection, whoever ended it.
                tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
            });
        }
    });
    address
}

/// What a worker with these options meets: `Ok` once it has published.
async fn connect(host: &str, options: &str, verification: Verification) -> Result<(), String> {
    let url = url_to(host, None) + "?ssl=1" + options;
    let tls = TlsOptions { verification };
    let options = RabbitOptions { tls, ..RabbitOptions::default() };
    let transport = RabbitTransport::new(url.parse().expect("a URL"), options);
    let names = names();
    let publisher = transport.publisher("test", topology(&names));
    let tried = |link: &Link| *link != Link::Down("connecting".to_owned());
    match wait_for_link(&mut publisher.link(), tried).await {
        Link::Up => {
            publisher.publish(message(&names, "1")).await.await.expect("a confirm");
            Ok(())
        }
        Link::Down(reason) | Link::Blocked(reason) => Err(reason),
        Link::Silent(time) => Err(format!("{time:?}")),
        Link::Without(queues) => Err(queues.concat()),
    }
}

fn ca_file(name: &str) -> String {
    format!("&ssl_ca_file={}", file(name).display())
}

fn client_certificate() -> String {
    let (cert, key) = (file("client.pem"), file("client.key"));
    format!("&ssl_cert_file={}&ssl_key_file={}", cert.display(), key.display())
}

#[rstest]
#[case::by_name("localhost")]
#[case::by_address("127.0.0.1")]
#[tokio::test]
async fn a_server_whose_authority_is_given_is_trusted(#[case] host: &str) {
    let port = start_tls_proxy(Clients::Any).await.port();
    let host = format!("{host}:{port}");
    assert_eq!(connect(&host, &ca_file("authority.pem"), Verification::Full).await, Ok(()));
}

#[rstest]
#[case::of_the_system("")]
#[case::of_another(&ca_file("stranger.pem"))]
#[tokio::test]
async fn a_server_of_an_unknown_authority_is_refused(#[case] options: &str) {
    let host = start_tls_proxy(Clients::Any).await.to_string();
    let reason = connect(&host, options, Verification::Full).await.unwrap_err();
    assert!(reason.contains("certificate"), "{reason}");
}

#[tokio::test]
async fn verification_is_off_only_where_it_is_set() {
    let host = start_tls_proxy(Clients::Any).await.to_string();
    assert_eq!(connect(&host, "", Verification::Off).await, Ok(()));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let host = start_tls_proxy(Clients::WithCertificate).await.to_string();
    let ca = ca_file("authority.pem");
    let with = ca.clone() + &client_certificate();
    assert_eq!(connect(&host, &with, Verification::Full).await, Ok(()));
    connect(&host, &ca, Verification::Full).await.unwrap_err();
}

#[rstest]
#[case::missing("&ssl_ca_file=/none.pem", "`ssl_ca_file` /none.pem")]
#[case::empty(&ca_file("server.key"), "no certificate in it")]
#[case::alone("&ssl_cert_file=/none.pem", "`ssl_cert_file` and `ssl_key_file` go together")]
#[tokio::test]
async fn a_bad_file_is_named(#[case] options: &str, #[case] expected: &str) {
    let reason = connect("127.0.0.1:1", options, Verification::Full).await.unwrap_err();
    assert!(reason.contains(expected), "{reason}");
}
