//! The way between the worker and a server: relays bytes, and breaks all connections when told.

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay on a loopback port of its own.
pub struct Link {
    port: u16,
    cuts: watch::Sender<u64>,
}

impl Link {
    /// Listens, and relays to `server`, HOST:PORT.
    pub async fn open(server: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (cuts, cut) = watch::channel(0);
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (server, mut cut) = (server.clone(), cut.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = cut.changed() => {}
                        _ = relay(near, &server) => {}
                    }
                });
            }
        });
        Ok(Self { port, cuts })
    }

    /// Breaks every connection; new ones go through.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// `url` with this relay in place of its only server.
    pub fn through(&self, url: &str) -> anyhow::Result<String> {
        let server = find_server(url)?;
        Ok(url.replacen(server, &format!("127.0.0.1:{}", self.port), 1))
    }
}

/// HOST:PORT of a URL of one server.
pub fn find_server(url: &str) -> anyhow::Result<&str> {
    let (_, rest) = url.split_once("://").context("a URL has a scheme")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let server = authority.rsplit('@').next().unwrap_or_default();
    server.contains(':').then_some(server).context("the server's URL names its port")
}

async fn relay(mut near: TcpStream, server: &str) -> std::io::Result<()> {
    let mut far = TcpStream::connect(server).await?;
    tokio::io::copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
