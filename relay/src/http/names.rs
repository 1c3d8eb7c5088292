//! The addresses of a host's name: asked for anew whenever a connection is opened, because a name moves.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::net::lookup_host;

/// Who knows the addresses of names.
#[async_trait]
pub trait Names: fmt::Debug + Send + Sync {
    /// Where a host is now; an address stands for itself.
    ///
    /// # Errors
    ///
    /// When nobody can tell.
    async fn find(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The operating system does.
#[derive(Debug)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn find(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }
}
