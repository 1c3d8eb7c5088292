//! https: a certificate of a private authority, a stranger's, a server without TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;
use replicates_relay::http::tls;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::edge::{Edge, LIMITS, answered, failed, post};

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_accepted_and_its_connection_kept() {
    let (authority, config) = certificates("localhost");
    let server = https_server(config);
    let mut edge = Edge::with_tls(&[LIMITS], &tls::with_roots(authority));
    let url = format!("https://localhost:{}/x", server.address().port());
    for _ in 0..3 {
        let finished = edge.call(post(&url, b"{}")).await;
        assert_eq!(answered(&finished).body, b"ok");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_stranger_s_certificate_is_a_tls_failure() {
    let (_, config) = certificates("localhost");
    let (another, _) = certificates("localhost");
    let server = https_server(config);
    let mut edge = Edge::with_tls(&[LIMITS], &tls::with_roots(another));
    let url = format!("https://localhost:{}/", server.address().port());
    let finished = edge.call(post(&url, b"{}")).await;
    let (class, error) = failed(&finished);
    assert_eq!(class, ErrorClass::Tls, "{error}");
    assert!(error.starts_with("invalid peer certificate: "), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_a_tls_failure() {
    let (authority, config) = certificates("elsewhere.example");
    let server = https_server(config);
    let mut edge = Edge::with_tls(&[LIMITS], &tls::with_roots(authority));
    let url = format!("https://localhost:{}/", server.address().port());
    assert_eq!(
        failed(&edge.call(post(&url, b"{}")).await).0,
        ErrorClass::Tls
    );
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_failure() {
    let server = RawServer::start(|mut conversation, _| {
        conversation.say("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let url = format!("https://localhost:{}/", server.address().port());
    assert_eq!(
        failed(&Edge::start().call(post(&url, b"{}")).await).0,
        ErrorClass::Tls
    );
}

#[tokio::test]
async fn a_handshake_that_nobody_answers_is_a_tls_failure_after_the_connect_timeout() {
    let server = RawServer::start(|conversation, _| conversation.wait_until_closed());
    let url = format!("https://localhost:{}/", server.address().port());
    let mut limits = LIMITS;
    limits.connect_timeout = std::time::Duration::from_millis(300);
    let finished = Edge::with(&[limits]).call(post(&url, b"{}")).await;
    assert_eq!(
        failed(&finished),
        (ErrorClass::Tls, "handshake took longer than 300ms")
    );
}

/// An authority, and a server's certificate for that name which it signed.
fn certificates(name: &str) -> (RootCertStore, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();

    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (roots, Arc::new(config))
}

fn https_server(config: Arc<ServerConfig>) -> RawServer {
    RawServer::start(move |conversation, _| {
        let session = ServerConnection::new(config.clone()).unwrap();
        answer_all(StreamOwned::new(session, conversation.into_stream()));
    })
}

/// Answers every request until the client goes or refuses the certificate.
fn answer_all(mut stream: StreamOwned<ServerConnection, TcpStream>) {
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
