//! Reads along on a PostgreSQL connection for the SQLSTATE of its last error. diesel keeps an
//! error's words and drops its code, and the words are in the server's language, so a deadlock
//! could not be told from a refused value.
//!
//! A message of the server is a type byte, its length (itself included) and its body; an error is
//! `E`, and its field `C` holds the code (PostgreSQL's page "Message Formats").

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// The code of the last error that a connection reported.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastSqlState(Arc<Mutex<Option<String>>>);

impl LastSqlState {
    /// Takes the code, so that it is not taken for that of a later error.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, code: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
    }
}

/// A stream whose messages are read along.
pub(super) struct Observed<S> {
    stream: S,
    reader: Reader,
}

impl<S> Observed<S> {
    pub fn new(stream: S, last: LastSqlState) -> Self {
        Self { stream, reader: Reader { last, ..Reader::default() } }
    }
}

#[derive(Default)]
struct Reader {
    last: LastSqlState,
    started: bool,
    header: Vec<u8>,
    /// What is still to come of the present message's body.
    missing: usize,
    /// The body so far, of an error only.
    error: Vec<u8>,
}

impl Reader {
    fn read(&mut self, mut bytes: &[u8]) {
        // The answer to the request for TLS is one byte outside of the framing.
        if !self.started && !bytes.is_empty() {
            self.started = true;
            if bytes == b"N" {
                return;
            }
        }
        while !bytes.is_empty() {
            if self.missing == 0 {
                let (head, rest) = bytes.split_at(bytes.len().min(5 - self.header.len()));
                self.header.extend_from_slice(head);
                bytes = rest;
                if let [_, a, b, c, d] = self.header[..] {
                    let length = u32::from_be_bytes([a, b, c, d]);
                    self.missing = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(4);
                    if self.missing == 0 {
                        self.header.clear();
                    }
                }
            } else {
                let (body, rest) = bytes.split_at(bytes.len().min(self.missing));
                if self.header.first() == Some(&b'E') {
                    self.error.extend_from_slice(body);
                }
                self.missing -= body.len();
                bytes = rest;
                if self.missing == 0 {
                    self.end_message();
                }
            }
        }
    }

    fn end_message(&mut self) {
        self.header.clear();
        let error = std::mem::take(&mut self.error);
        let code = error.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"C"));
        if let Some(code) = code {
            self.last.put(String::from_utf8_lossy(code).into_owned());
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if result.is_ready() {
            self.reader.read(&buf.filled()[before..]);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Observed<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// Makes TLS upon the plain stream and reads along inside of it.
pub(super) struct ObservedTls<T> {
    pub connect: T,
    pub last: LastSqlState,
}

impl<S, T> TlsConnect<Observed<S>> for ObservedTls<T>
where
    S: Send + 'static,
    T: TlsConnect<S> + Send + 'static,
    T::Stream: Send,
    T::Future: Send,
{
    type Stream = Observed<T::Stream>;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, T::Error>>;

    fn connect(self, stream: Observed<S>) -> Self::Future {
        let Self { connect, last } = self;
        let handshake = connect.connect(stream.stream);
        Box::pin(async move { Ok(Observed::new(handshake.await?, last)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_however_the_bytes_are_cut() {
        let mut bytes = b"Z\0\0\0\x05I".to_vec();
        let body = b"SFEHLER\0VERROR\0C40P01\0Mirgendwas\0\0";
        bytes.push(b'E');
        bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"Z\0\0\0\x05I");
        for step in 1..bytes.len() {
            let last = LastSqlState::default();
            let mut reader = Reader { last: last.clone(), ..Reader::default() };
            reader.read(b"N");
            bytes.chunks(step).for_each(|chunk| reader.read(chunk));
            assert_eq!(last.take().as_deref(), Some("40P01"));
            assert_eq!(last.take(), None);
        }
    }
}
