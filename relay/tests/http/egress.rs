//! Addresses that may not be reached: judged where they are dialled, however they are written.

use relay_core::egress::{Egress, Network};
use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;

use crate::edge::{Edge, answered, failed, post};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn egress(allow: &[&str], deny: &[&str]) -> Egress {
    let networks = |texts: &[&str]| {
        texts
            .iter()
            .filter_map(|text| Network::parse(text))
            .collect()
    };
    Egress {
        allow: networks(allow),
        deny: networks(deny),
        ..Egress::default()
    }
}

#[tokio::test]
async fn this_machine_is_not_connected_to_under_any_of_its_names() {
    let server = RawServer::answering(OK);
    let port = server.address().port();
    let mut edge = Edge::with_egress(Egress::default());
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
    ] {
        let finished = edge
            .call(post(&format!("http://{host}:{port}/"), b"{}"))
            .await;
        let (class, error) = failed(&finished);
        assert_eq!(class, ErrorClass::EgressDenied, "{host}: {error}");
        let name = host.trim_matches(['[', ']']);
        assert!(error.starts_with(name), "{error}");
        assert!(
            error.ends_with("loopback, which egress.allow does not list"),
            "{error}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_listed_address_is_reached_and_deny_beats_the_list() {
    let server = RawServer::answering(OK);
    let mut edge = Edge::with_egress(egress(&["127.0.0.0/8"], &[]));
    assert_eq!(
        answered(&edge.call(post(&server.url(), b"{}")).await).status,
        200
    );

    let mut edge = Edge::with_egress(egress(&["127.0.0.0/8"], &["127.0.0.1/32"]));
    let finished = edge.call(post(&server.url(), b"{}")).await;
    assert_eq!(
        failed(&finished),
        (
            ErrorClass::EgressDenied,
            "127.0.0.1: egress.deny has 127.0.0.1/32"
        )
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn of_a_name_with_several_addresses_those_that_may_are_dialled() {
    let server = RawServer::answering(OK);
    // Where localhost is ::1 as well, that is the address passed over.
    let mut edge = Edge::with_egress(egress(&["127.0.0.0/8"], &["::1/128"]));
    let url = format!("http://localhost:{}/", server.address().port());
    assert_eq!(answered(&edge.call(post(&url, b"{}")).await).status, 200);
}

#[tokio::test]
async fn a_metadata_service_is_refused_without_waiting_for_it() {
    let mut edge = Edge::with_egress(egress(&["0.0.0.0/0", "::/0"], &[]));
    for host in [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fd00:ec2::254]",
    ] {
        let finished = edge
            .call(post(&format!("http://{host}/latest"), b"{}"))
            .await;
        let (class, error) = failed(&finished);
        assert_eq!(class, ErrorClass::EgressDenied, "{host}: {error}");
        assert!(
            error.ends_with("a metadata service, never a destination"),
            "{error}"
        );
    }
}
