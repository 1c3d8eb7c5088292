//! https: a certificate of a private authority, a stranger's, a server without TLS.

use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;
use replicates_relay::http::tls;

use crate::certificates::{ALL, Authority};
use crate::edge::{Edge, LIMITS, answered, failed, post};

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_accepted_and_its_connection_kept() {
    let authority = Authority::new();
    let server = authority.vouch_for("localhost").serve(ALL, None);
    let mut edge = Edge::with_tls(&[LIMITS], &tls::with_roots(authority.roots()));
    let url = format!("https://localhost:{}/x", server.address().port());
    for _ in 0..3 {
        let finished = edge.call(post(&url, b"{}")).await;
        assert_eq!(answered(&finished).body, b"ok");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_stranger_s_certificate_is_a_tls_failure() {
    let another = Authority::new();
    let server = Authority::new().vouch_for("localhost").serve(ALL, None);
    let mut edge = Edge::with_tls(&[LIMITS], &tls::with_roots(another.roots()));
    let url = format!("https://localhost:{}/", server.address().port());
    let finished = edge.call(post(&url, b"{}")).await;
    let (class, error) = failed(&finished);
    assert_eq!(class, ErrorClass::Tls, "{error}");
    assert!(error.starts_with("invalid peer certificate: "), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_a_tls_failure() {
    let authority = Authority::new();
    let server = authority.vouch_for("elsewhere.example").serve(ALL, None);
    let mut edge = Edge::with_tls(&[LIMITS], &tls::with_roots(authority.roots()));
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
