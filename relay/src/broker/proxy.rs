//! The fixed port in front of the mock cluster, which listens on a random one.

use std::io;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Leads every connection to the cluster, on a thread of its own. All end when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub fn start(listener: std::net::TcpListener, upstream: SocketAddr) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("broker".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(&listener, upstream) => {}
                        // An error is the stop, too: whoever could have said it is gone.
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the embedded broker's port had failed");
        }
    }
}

async fn accept(listener: &TcpListener, upstream: SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(lead(client, upstream))),
            // Out of file descriptors: the next connection may do better.
            Err(error) => {
                tracing::warn!(%error, "the embedded broker could not accept a connection");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn lead(mut client: TcpStream, upstream: SocketAddr) {
    let led = async {
        let mut server = TcpStream::connect(upstream).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        copy_bidirectional(&mut client, &mut server).await
    };
    // Both ends see the end of the connection and say what they think of it.
    if let Err(error) = led.await {
        tracing::debug!(%error, "a connection to the embedded broker broke");
    }
}
