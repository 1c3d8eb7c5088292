//! The endpoint: answers as fast as one thread can, and counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"status\":\"applied\"}";

/// Called with each request as it stood on the wire, just before it is answered.
type OnRequest = dyn Fn(&[u8]) + Send + Sync;

pub struct Sink {
    address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    count: AtomicU64,
    first: Mutex<Vec<u8>>,
    on_request: Box<OnRequest>,
}

impl Sink {
    pub fn start(on_request: impl Fn(&[u8]) + Send + Sync + 'static) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen {
            count: AtomicU64::new(0),
            first: Mutex::default(),
            on_request: Box::new(on_request),
        });
        let counting = seen.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                let listener =
                    TcpListener::from_std(listener).expect("a listener in an event loop");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, counting.clone()));
                }
            });
        });
        Ok(Self { address, seen })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/replicates_to", self.address)
    }

    /// Requests answered so far.
    pub fn count(&self) -> u64 {
        self.seen.count.load(Ordering::Relaxed)
    }

    /// The first request, as it stood on the wire.
    pub fn first_request(&self) -> Vec<u8> {
        self.seen
            .first
            .lock()
            .expect("the sink never panics")
            .clone()
    }
}

/// Serves a connection until the client ends it, or breaks it, which is the client's to say.
async fn serve(mut stream: TcpStream, seen: Arc<Seen>) {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let length = loop {
            match request_length(&buffer) {
                Some(length) if length <= buffer.len() => break length,
                _ if matches!(stream.read_buf(&mut buffer).await, Ok(count) if count > 0) => {}
                _ => return,
            }
        };
        seen.note(&buffer[..length]);
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
        buffer.drain(..length);
    }
}

impl Seen {
    fn note(&self, request: &[u8]) {
        (self.on_request)(request);
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            *self.first.lock().expect("the sink never panics") = request.to_vec();
        }
    }
}

/// Bytes of the request at the front, head and body; none while its head is incomplete.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let body = header(&bytes[..head], "content-length").and_then(|text| text.parse().ok());
    Some(head + 4 + body.unwrap_or(0))
}

/// A header's value; names are compared as the relay writes them, in lower case.
pub fn header<'a>(request: &'a [u8], name: &str) -> Option<&'a str> {
    let mut lines = request.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b": "))?;
    std::str::from_utf8(value.trim_ascii_end()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_with_its_body() {
        let request = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcPOST";
        assert_eq!(request_length(request), Some(request.len() - 4));
        assert_eq!(request_length(b"POST / HTTP/1.1\r\ncontent-len"), None);
        assert_eq!(header(request, "content-length"), Some("3"));
    }
}
