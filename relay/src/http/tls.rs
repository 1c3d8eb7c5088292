//! The TLS configuration that all destinations share.

use std::io;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Verifies servers against the certificate authorities of the operating system.
///
/// # Errors
///
/// When the operating system's certificates cannot be read. A system without any is not an error: plain http needs
/// none, and an https destination then fails by name.
pub fn with_system_roots() -> io::Result<Arc<ClientConfig>> {
    let found = rustls_native_certs::load_native_certs();
    if let (true, Some(error)) = (found.certs.is_empty(), found.errors.into_iter().next()) {
        return Err(io::Error::other(error));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Ok(with_roots(roots))
}

/// Verifies servers against these certificate authorities.
pub fn with_roots(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
