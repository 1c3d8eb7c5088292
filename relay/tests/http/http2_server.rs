//! Servers of HTTP/2 over TLS: one that a test leads stream by stream, and one whose frames a test writes by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use hyper::Response;
use hyper::http::request::Parts;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

/// A request, and what answers it.
pub struct Stream {
    pub head: Parts,
    pub body: Vec<u8>,
    pub respond: SendResponse<Bytes>,
    /// Counted from 1.
    pub connection: usize,
}

impl Stream {
    pub fn answer(mut self, status: u16, body: impl Into<Bytes>) {
        let head = Response::builder().status(status).body(()).unwrap();
        let mut sending = self.respond.send_response(head, false).unwrap();
        sending.send_data(body.into(), true).unwrap();
    }
}

/// How many there were, and how many at once.
#[derive(Default)]
pub struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

impl Count {
    pub fn all(&self) -> usize {
        self.all.load(Ordering::SeqCst)
    }

    pub fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    fn begin(&self) -> usize {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.all.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn end(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

pub struct Http2Server {
    address: SocketAddr,
    pub connections: Arc<Count>,
    pub streams: Arc<Count>,
}

impl Http2Server {
    /// Each stream is answered by `serve`, as a task of its own; of each connection at most so many at once.
    pub fn start<F>(
        tls: Arc<ServerConfig>,
        streams_max: u32,
        serve: impl Fn(Stream) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, streams) = (Arc::<Count>::default(), Arc::<Count>::default());
        let counts = (connections.clone(), streams.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            LocalSet::new().block_on(&runtime, async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let acceptor = TlsAcceptor::from(tls);
                while let Ok((socket, _)) = listener.accept().await {
                    let (acceptor, counts) = (acceptor.clone(), counts.clone());
                    let serve = serve.clone();
                    tokio::task::spawn_local(async move {
                        let number = counts.0.begin();
                        let mut builder = server::Builder::new();
                        builder.max_concurrent_streams(streams_max);
                        let Ok(socket) = acceptor.accept(socket).await else {
                            return;
                        };
                        let Ok(mut connection) = builder.handshake(socket).await else {
                            return;
                        };
                        while let Some(Ok((request, respond))) = connection.accept().await {
                            let (serve, streams) = (serve.clone(), counts.1.clone());
                            tokio::task::spawn_local(async move {
                                streams.begin();
                                let (head, mut incoming) = request.into_parts();
                                let mut body = vec![];
                                while let Some(Ok(data)) = incoming.data().await {
                                    body.extend_from_slice(&data);
                                }
                                let stream = Stream {
                                    head,
                                    body,
                                    respond,
                                    connection: number,
                                };
                                serve(stream).await;
                                streams.end();
                            });
                        }
                        counts.0.end();
                    });
                }
            });
        });
        Self {
            address,
            connections,
            streams,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}/x?y=1", self.address.port())
    }
}

const PREFACE: usize = 24;
const HEADERS: u8 = 1;

/// A connection whose frames are written one by one (RFC 9113, 4.1).
pub struct Frames(StreamOwned<ServerConnection, TcpStream>);

impl Frames {
    /// After the handshake.
    pub fn of(tls: &Arc<ServerConfig>, socket: TcpStream) -> Self {
        let session = ServerConnection::new(tls.clone()).unwrap();
        let mut frames = Self(StreamOwned::new(session, socket));
        frames.0.read_exact(&mut [0; PREFACE]).unwrap();
        frames.write(4, 0, 0, &[]);
        frames
    }

    /// The stream of the next request; none when the client has closed.
    pub fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).ok()?;
            if head[3] == HEADERS {
                return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
            }
        }
    }

    /// 200, without a body.
    pub fn answer(&mut self, stream: u32) {
        let (end_stream, end_headers, status_200) = (1, 4, 0x88);
        self.write(HEADERS, end_stream | end_headers, stream, &[status_200]);
    }

    /// Nothing is done about streams after this one.
    pub fn go_away(&mut self, last: u32) {
        let no_error = [0; 4];
        self.write(7, 0, 0, &[last.to_be_bytes(), no_error].concat());
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // The client may be gone, which the next read finds out.
        let _ = self.0.write_all(&frame).and_then(|()| self.0.flush());
    }
}
