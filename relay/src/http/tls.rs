//! TLS as a destination wants it: who may vouch for its servers, as whom the relay shows itself.

use std::io;
use std::sync::Arc;

use relay_core::settings::{Tls, TlsVersion};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, RootCertStore};

/// The certificate authorities of the operating system.
///
/// # Errors
///
/// When they cannot be read. A system without any is not an error: plain http needs none, and an https destination then
/// fails by name.
pub fn system_roots() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    if let (true, Some(error)) = (found.certs.is_empty(), found.errors.into_iter().next()) {
        return Err(io::Error::other(error));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Ok(roots)
}

/// Verifies servers against these certificate authorities.
///
/// # Panics
///
/// Never: there is nothing else to it that could be wrong.
pub fn with_roots(roots: impl Into<Arc<RootCertStore>>) -> Arc<ClientConfig> {
    configure(&Tls::default(), roots).expect("ring speaks TLS 1.2 and 1.3")
}

/// What a destination wants; `roots` hold where it names no authorities of its own.
///
/// # Errors
///
/// When a certificate or the key cannot be used, or the key is not the certificate's.
pub fn configure(
    tls: &Tls,
    roots: impl Into<Arc<RootCertStore>>,
) -> Result<Arc<ClientConfig>, Error> {
    let mut own_roots = RootCertStore::empty();
    for authority in &tls.authorities {
        own_roots.add(CertificateDer::from_slice(authority).into_owned())?;
    }
    let roots = if own_roots.is_empty() {
        roots.into()
    } else {
        Arc::new(own_roots)
    };
    let versions = match tls.min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)?
            .with_root_certificates(roots);
    let config = match &tls.identity {
        Some(identity) => {
            let chain = identity.chain.iter().cloned().map(CertificateDer::from);
            let key = PrivateKeyDer::try_from(identity.key.clone())
                .map_err(|kind| Error::General(kind.to_owned()))?;
            builder.with_client_auth_cert(chain.collect(), key)?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}
