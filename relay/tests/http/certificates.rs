//! Certificates made for one test, and servers that show them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use relay_test_support::raw_server::RawServer;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};

/// Every version there is.
pub const ALL: &[&SupportedProtocolVersion] = rustls::ALL_VERSIONS;

/// Someone who vouches for others.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Certificate {
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.der())
    }

    /// A certificate for that name.
    pub fn vouch_for(&self, name: &str) -> Certificate {
        self.vouch_until(name, 2100)
    }

    /// One that ends with the first second of a year.
    pub fn vouch_until(&self, name: &str, year: i32) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let der = params.signed_by(&key, &self.0).unwrap();
        Certificate {
            der: der.into(),
            key,
        }
    }
}

impl Certificate {
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key.serialize_der())
    }

    /// A server that shows this certificate, answers `ok`, and asks for a certificate where somebody is given who may
    /// vouch for clients.
    pub fn serve(
        self,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> RawServer {
        let config = Arc::new(self.config(versions, clients));
        RawServer::start(move |conversation, _| {
            let session = ServerConnection::new(config.clone()).unwrap();
            answer_all(StreamOwned::new(session, conversation.into_stream()));
        })
    }

    /// Of a server that shows it, and lets clients choose from these protocols.
    pub fn offering(self, protocols: &[&str]) -> Arc<ServerConfig> {
        let mut config = self.config(ALL, None);
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }

    fn config(
        self,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        builder.with_single_cert(vec![self.der], key).unwrap()
    }
}

/// Answers every request until the client goes or refuses the certificate.
pub fn answer_all(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    let mut request = [0; 4096];
    while matches!(stream.read(&mut request), Ok(count) if count > 0) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if stream
            .write_all(answer)
            .and_then(|()| stream.flush())
            .is_err()
        {
            return;
        }
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
}
