//! TLS towards PostgreSQL and MySQL: servers of the test's own, with the certificates of
//! `tests/fixtures/tls`.

use std::path::Path;

use rstest::rstest;

use crate::harness::{DatabaseServer, Kind, Stage, WorkerBuilder};

/// Who may come: to `secured` by TLS only, to `guarded` with a certificate of the authority only.
const HBA: &str = "hostnossl secured,guarded all 127.0.0.0/8 reject
hostssl guarded all 127.0.0.0/8 trust clientcert=verify-ca
host all all 127.0.0.0/8 trust
";

/// A server with two databases, `secured` and `guarded`.
async fn start_server(kind: Kind) -> DatabaseServer {
    let (files, arguments): (&[_], &[_]) = match kind {
        Kind::Postgresql => (
            &[("hba.conf", HBA)],
            &[
                "-clisten_addresses=127.0.0.1,127.0.0.2",
                "-cssl=on",
                "-cssl_ca_file={folder}/authority.pem",
                "-cssl_cert_file={folder}/server.pem",
                "-cssl_key_file={folder}/server.key",
                "-chba_file={folder}/hba.conf",
            ],
        ),
        _ => (
            &[],
            &[
                "--bind-address=127.0.0.1,127.0.0.2",
                "--ssl-ca={folder}/authority.pem",
                "--ssl-cert={folder}/server.pem",
                "--ssl-key={folder}/server.key",
            ],
        ),
    };
    let server = DatabaseServer::start(kind, files, arguments).await;
    for (name, condition) in [("secured", "SSL"), ("guarded", "X509")] {
        server.execute(&format!("CREATE DATABASE {name}")).await;
        if kind == Kind::Mysql {
            server.execute(&format!("CREATE USER {name} REQUIRE {condition}")).await;
            server.execute(&format!("GRANT ALL ON {name}.* TO {name}")).await;
        }
    }
    server
}

/// A file of `tests/fixtures/tls`.
fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    folder.join(name).display().to_string()
}

struct Play {
    kind: Kind,
    stage: Stage,
    server: DatabaseServer,
}

impl Play {
    async fn new(kind: Kind) -> Self {
        let server = start_server(kind).await;
        Self { kind, stage: Stage::new(Kind::Sqlite).await, server }
    }

    /// A worker with the database `name` at `host`, its certificate verified by `mode`.
    fn worker(&self, host: &str, name: &str, mode: &str) -> WorkerBuilder {
        let port = self.server.port();
        let url = match self.kind {
            Kind::Postgresql => format!("postgres://postgres@{host}:{port}/{name}"),
            _ => format!("mysql://{name}@{host}:{port}/{name}"),
        };
        self.stage.worker("w1").set("DATABASE__URL", url).set("DATABASE__SSL_MODE", mode)
    }
}

/// Whom a worker trusts, by a file of `tests/fixtures/tls`.
#[derive(Clone, Copy)]
enum Authority {
    File(&'static str),
    /// In the place of the system's own.
    System(&'static str),
}

impl Authority {
    fn given_to(self, worker: WorkerBuilder) -> WorkerBuilder {
        match self {
            Self::File(name) => worker.set("DATABASE__SSL_CA_FILE", file(name)),
            Self::System(name) => worker.set_variable("SSL_CERT_FILE", file(name)),
        }
    }
}

async fn assert_serves(worker: WorkerBuilder) {
    let worker = worker.start().await;
    assert_eq!(worker.terminate().await.code(), Some(0));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_verified_as_the_settings_ask(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let play = Play::new(kind).await;

    for (host, mode, authority) in [
        ("localhost", "verify-full", Authority::File("authority.pem")),
        ("127.0.0.1", "verify-full", Authority::File("authority.pem")),
        ("127.0.0.1", "verify-full", Authority::System("authority.pem")),
        // The default is encrypted where the server offers it. Without an authority any will do.
        ("127.0.0.1", "prefer", Authority::System("stranger.pem")),
        ("127.0.0.1", "require", Authority::System("stranger.pem")),
    ] {
        assert_serves(authority.given_to(play.worker(host, "secured", mode))).await;
    }
    // With an authority `require` verifies the certificate, and the name in it with MySQL's client.
    let other_name = play.worker("127.0.0.2", "secured", "require");
    let other_name = Authority::File("authority.pem").given_to(other_name).spawn();
    if kind == Kind::Postgresql {
        other_name.ready().await;
    } else {
        other_name.says("not valid for name").await;
    }
    drop(other_name);
    for (host, mode, authority) in [
        ("127.0.0.1", "verify-full", Authority::File("stranger.pem")),
        ("127.0.0.1", "verify-full", Authority::System("stranger.pem")),
        ("127.0.0.1", "require", Authority::File("stranger.pem")),
        ("127.0.0.1", "prefer", Authority::File("stranger.pem")),
        ("127.0.0.2", "verify-full", Authority::File("authority.pem")),
    ] {
        let worker = authority.given_to(play.worker(host, "secured", mode)).spawn();
        let reasons = worker.not_ready().await;
        assert!(reasons.contains("database"), "{reasons}");
        worker.says("invalid peer certificate").await;
        let log = worker.log();
        assert!(log.contains("`database.ssl_ca_file`"), "{host} {mode}: {log}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_is_shown_to_a_database_that_wants_one(
    #[values(Kind::Postgresql, Kind::Mysql)] kind: Kind,
) {
    let play = Play::new(kind).await;
    let worker = || {
        let worker = play.worker("localhost", "guarded", "verify-full");
        worker.set("DATABASE__SSL_CA_FILE", file("authority.pem"))
    };

    let with = |name: &str| {
        let worker = worker().set("DATABASE__SSL_CERT_FILE", file(&format!("{name}.pem")));
        worker.set("DATABASE__SSL_KEY_FILE", file(&format!("{name}.key")))
    };
    assert_serves(with("client-rsa")).await;

    let refusal = match kind {
        Kind::Postgresql => "requires a valid client certificate",
        _ => "Access denied for user",
    };
    worker().spawn().says(refusal).await;
    if kind == Kind::Postgresql {
        assert_serves(with("client")).await;
    } else {
        with("client").spawn().says("client.key` is no RSA key").await;
    }
}
