//! The endpoint: answers as fast as one thread can, and counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"status\":\"applied\"}";

/// Called with each request as it stood on the wire, just before it is answered.
type OnRequest = dyn Fn(&[u8]) + Send + Sync;

pub struct Sink {
    address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    count: AtomicU64,
    largest: Mutex<Vec<u8>>,
    largest_bytes: AtomicUsize,
    on_request: Box<OnRequest>,
}

impl Sink {
    pub fn start(on_request: impl Fn(&[u8]) + Send + Sync + 'static) -> anyhow::Result<Self> {
        let seen = Arc::new(Seen {
            count: AtomicU64::new(0),
            largest: Mutex::default(),
            largest_bytes: AtomicUsize::new(0),
            on_request: Box::new(on_request),
        });
        let counting = seen.clone();
        let address = listen(move |stream| serve(stream, counting.clone()))?;
        Ok(Self { address, seen })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/replicates_to", self.address)
    }

    /// Records answered so far.
    pub fn count(&self) -> u64 {
        self.seen.count.load(Ordering::Relaxed)
    }

    /// The request of the most bytes, as it stood on the wire.
    pub fn largest_request(&self) -> Vec<u8> {
        let largest = self.seen.largest.lock();
        largest.expect("the sink never panics").clone()
    }
}

/// A listener on a thread of its own, which serves each connection like this.
pub fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> anyhow::Result<SocketAddr>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener in an event loop");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
    });
    Ok(address)
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
        self.count.fetch_add(records_in(request), Ordering::Relaxed);
        if request.len() > self.largest_bytes.load(Ordering::Relaxed) {
            self.largest_bytes.store(request.len(), Ordering::Relaxed);
            *self.largest.lock().expect("the sink never panics") = request.to_vec();
        }
    }
}

/// Records that a request carries: each begins with its id. One that has no batch's id has one.
pub fn records_in(request: &[u8]) -> u64 {
    const ID: &[u8] = b"{\"id\":\"dlv_";
    if header(request, "webhook-id").is_none_or(|id| !id.starts_with("bat_")) {
        return 1;
    }
    // From brace to brace, which is faster than from byte to byte.
    let braces = request.split(|byte| *byte == b'{').skip(1);
    braces.filter(|rest| rest.starts_with(&ID[1..])).count() as u64
}

/// Bytes of the request at the front, head and body; none while its head is incomplete.
pub fn request_length(bytes: &[u8]) -> Option<usize> {
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

    #[test]
    fn a_batch_has_as_many_records_as_ids() {
        let head = "POST / HTTP/1.1\r\nwebhook-id: ";
        let record = r#"{"id":"dlv_1","attributes":{"id":"dlv"}}"#;
        let batch = format!("{head}bat_1\r\n\r\n{{\"records\":[{record},{record}]}}");
        assert_eq!(records_in(batch.as_bytes()), 2);
        let single = format!("{head}dlv_1\r\n\r\n{record}");
        assert_eq!(records_in(single.as_bytes()), 1);
    }
}
