//! A TCP server that speaks HTTP only as far as a test wants it to.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Listens on a free loopback port; each connection is served by the test's own function on a thread.
pub struct RawServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl RawServer {
    /// Serves each connection by `serve`, which is given its number, counted from 1.
    pub fn start(serve: impl Fn(Conversation, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let serve = Arc::new(serve);
        let (counted, over) = (connections.clone(), is_over.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                let (conversation, serve) = (Conversation::new(stream.unwrap()), serve.clone());
                thread::spawn(move || serve(conversation, number));
            }
        });
        Self {
            address,
            connections,
            is_over,
        }
    }

    /// Answers every request of every connection with the same bytes.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut conversation, _| {
            while conversation.request().is_some() {
                conversation.say(&answer);
            }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread. When that fails it has ended already.
        let _ = TcpStream::connect(self.address);
    }
}

/// A request as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// Request line and headers, lines ended by LF.
    pub head: String,
    pub body: Vec<u8>,
}

/// One accepted connection.
pub struct Conversation {
    reader: BufReader<TcpStream>,
}

impl Conversation {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// The next request; none when the client has closed.
    pub fn request(&mut self) -> Option<RawRequest> {
        let head = self.head()?;
        let body = self.body(&head)?;
        Some(RawRequest { head, body })
    }

    /// Request line and headers of the next request, its body unread.
    pub fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                return Some(head);
            }
            head.push_str(&line.replace("\r\n", "\n"));
        }
    }

    /// The body that belongs to a head.
    pub fn body(&mut self, head: &str) -> Option<Vec<u8>> {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).ok()?;
        Some(body)
    }

    /// Writes; true while the client takes it.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.reader.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Waits until the client has closed.
    pub fn wait_until_closed(mut self) {
        let mut rest = [0; 4096];
        while matches!(self.reader.read(&mut rest), Ok(count) if count > 0) {}
    }

    /// Whether the client closes, or says anything, before that long.
    pub fn is_closed_within(&mut self, limit: Duration) -> bool {
        let stream = self.reader.get_mut();
        stream.set_read_timeout(Some(limit)).unwrap();
        let is_waiting =
            |error: &Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        !matches!(stream.read(&mut [0]), Err(error) if is_waiting(&error))
    }

    /// Says no more, but goes on listening.
    pub fn close_halfway(&mut self) {
        // When the client is gone already there is nothing to close.
        let _ = self.reader.get_mut().shutdown(Shutdown::Write);
    }

    /// The stream itself, for a test that speaks something else.
    pub fn into_stream(self) -> TcpStream {
        self.reader.into_inner()
    }
}
