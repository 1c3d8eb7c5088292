//! The least that posting costs: the same bytes over bare hyper connections, and nothing else.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};

use crate::relay::head_length;
use crate::usage::Usage;

/// CPU microseconds per request of this process.
pub fn run(
    address: SocketAddr,
    request: &[u8],
    requests: u64,
    connections: usize,
) -> anyhow::Result<f64> {
    let request = read(request)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let left = Rc::new(Cell::new(requests));
    let before = Usage::of(std::process::id())?;
    LocalSet::new().block_on(&runtime, async {
        let posting: Vec<_> = (0..connections)
            .map(|_| spawn_local(post(address, request.clone(), left.clone())))
            .collect();
        for connection in posting {
            connection.await??;
        }
        anyhow::Ok(())
    })?;
    Ok(Usage::of(std::process::id())?.cpu_us_per_record(&before, requests))
}

/// Posts over one connection until all is posted.
async fn post(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    left: Rc<Cell<u64>>,
) -> anyhow::Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    spawn_local(connection);
    while left.get() > 0 {
        left.set(left.get() - 1);
        let answer = sender.send_request(request.clone()).await?;
        ensure!(answer.status().is_success(), "answered {}", answer.status());
        answer.into_body().collect().await?;
        sender.ready().await?;
    }
    Ok(())
}

/// The request that these bytes were.
fn read(bytes: &[u8]) -> anyhow::Result<Request<Full<Bytes>>> {
    let (head, body) = bytes.split_at(head_length(bytes)?);
    let mut lines = std::str::from_utf8(head)?.trim_end().lines();
    let path = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .context("a request line")?;
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse()?;
    for line in lines {
        let (name, value) = line.split_once(": ").context("a header")?;
        request
            .headers_mut()
            .append(HeaderName::try_from(name)?, HeaderValue::from_str(value)?);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back_from_its_bytes() {
        let request = read(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok").unwrap();
        assert_eq!(request.uri(), "/x");
        assert_eq!(request.headers()["host"], "a");
    }
}
