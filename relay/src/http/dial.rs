//! A new connection to a server: name, socket, TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use relay_core::exchange::ErrorClass;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::{Failure, reason, tls_source};
use super::reach::Reach;
use super::target::Origin;

/// What a server may choose from. Without TLS it is always HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    Http1,
    /// HTTP/2, which is preferred, or HTTP/1.1.
    All,
}

impl Protocols {
    /// By the names that they have in TLS.
    fn offered(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1 => &[HTTP1],
            Self::All => &[HTTP2, HTTP1],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Connects to a server within `limit`. The step that was under way when time ran out names the class: nothing has
/// been sent yet, so this is never a `timeout`.
pub async fn dial(
    origin: &Origin,
    limit: Duration,
    reach: &Reach,
    protocols: Protocols,
) -> Result<Socket, Failure> {
    let deadline = Instant::now() + limit;
    let addresses = look_up(origin, limit, reach, deadline).await?;
    // What is judged here is what is dialled: the name is not looked up again.
    let addresses = reach.admit(&origin.host, addresses)?;
    let tcp = connect(&addresses, limit, deadline).await?;
    // Every request is written at once and waits for its answer: nothing to gain from holding bytes back.
    tcp.set_nodelay(true)
        .map_err(|error| Failure::new(ErrorClass::Connect, reason(&error)))?;
    let Some(name) = &origin.server_name else {
        return Ok(Socket::Plain(tcp));
    };
    let tls = TlsConnector::from(reach.tls.clone());
    let tls = tls.with_alpn(protocols.offered());
    match timeout_at(deadline, tls.connect(name.clone(), tcp)).await {
        Ok(Ok(stream)) => Ok(Socket::Tls(Box::new(stream))),
        Ok(Err(error)) => Err(Failure::new(ErrorClass::Tls, handshake_error(&error))),
        Err(_) => Err(Failure::new(
            ErrorClass::Tls,
            format!("handshake took longer than {limit:?}"),
        )),
    }
}

async fn look_up(
    origin: &Origin,
    limit: Duration,
    reach: &Reach,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, Failure> {
    let host = &origin.host;
    let failure = |text: String| Failure::new(ErrorClass::Dns, format!("{host}: {text}"));
    match timeout_at(deadline, reach.names.find(host, origin.port)).await {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(failure("has no address".into())),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(failure(error.to_string().to_lowercase())),
        Err(_) => Err(failure(format!("looking it up took longer than {limit:?}"))),
    }
}

/// The first address that accepts. Each gets its share of the time left, so that a dead first one leaves some for the
/// others.
async fn connect(
    addresses: &[SocketAddr],
    limit: Duration,
    deadline: Instant,
) -> Result<TcpStream, Failure> {
    let mut last = String::new();
    for (left, address) in (1..=addresses.len()).rev().zip(addresses) {
        let share = deadline.saturating_duration_since(Instant::now())
            / u32::try_from(left).unwrap_or(u32::MAX);
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => format!("{address}: {}", reason(&error)),
            Err(_) => format!("{address}: no answer within {limit:?}"),
        };
    }
    Err(Failure::new(ErrorClass::Connect, last))
}

fn handshake_error(error: &io::Error) -> String {
    match tls_source(error) {
        Some(tls) => tls.to_string().to_lowercase(),
        None => format!("handshake failed: {}", reason(error)),
    }
}

/// A connected socket.
pub enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Whether the server chose it.
    pub fn speaks_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(HTTP2),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
