//! Names that lead elsewhere after a while: to another server, or where nobody may go.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use relay_core::egress::{Egress, Network};
use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;
use replicates_relay::http::{Limits, tls};
use rustls::RootCertStore;

use crate::certificates::Authority;
use crate::edge::{Edge, LIMITS, THIS_MACHINE, ToldNames, answered, failed, post};
use crate::http2_server::{Http2Server, Stream};

const PATIENCE: Duration = Duration::from_secs(20);

/// Requests are made on a connection for so long.
const YOUNG: Limits = Limits {
    age_max: Duration::from_millis(200),
    ..LIMITS
};

fn here_only() -> Egress {
    Egress {
        allow: Network::parse("127.0.0.1/32").into_iter().collect(),
        ..Egress::default()
    }
}

/// Says close, so that each request dials.
fn closing_server() -> RawServer {
    RawServer::start(|mut conversation, _| {
        if conversation.request().is_some() {
            conversation.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
    })
}

fn saying(name: &str) -> RawServer {
    let length = name.len();
    RawServer::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}"
    ))
}

/// Makes requests until this is answered. Those that come are answered, whoever answers them.
async fn call_until_answered(edge: &mut Edge, url: &str, body: &[u8]) {
    let calling = async { while answered(&edge.call(post(url, b"{}")).await).body != body {} };
    let answered = tokio::time::timeout(PATIENCE, calling).await;
    answered.expect("the server to which the name leads now");
}

/// DNS rebinding: an answer that is allowed at first, and then, before it can be used, one that is not.
#[tokio::test]
async fn a_name_is_judged_by_the_very_address_that_is_dialled() {
    let server = closing_server();
    let forbidden = TcpListener::bind("127.0.0.2:0").unwrap();
    forbidden.set_nonblocking(true).unwrap();
    let elsewhere = forbidden.local_addr().unwrap();
    let mapped: SocketAddr = format!("[::ffff:127.0.0.2]:{}", elsewhere.port())
        .parse()
        .unwrap();
    let names = ToldNames::leading_to(&[server.address(), elsewhere, mapped]);
    let tls = tls::with_roots(RootCertStore::empty());
    let mut edge = Edge::with_names(LIMITS, here_only(), tls, &names);
    let finished = edge.call(post("http://a.example/", b"{}")).await;
    assert_eq!(answered(&finished).status, 200);
    assert_eq!(names.asked(), 1, "what was judged was dialled");
    for _ in 0..2 {
        let finished = edge.call(post("http://a.example/", b"{}")).await;
        let (class, error) = failed(&finished);
        assert_eq!(class, ErrorClass::EgressDenied, "{error}");
        assert!(error.starts_with("a.example is "), "{error}");
    }
    assert_eq!(
        names.asked(),
        3,
        "a name is asked for whenever it is dialled"
    );
    forbidden.accept().unwrap_err();
    names.lead_to(server.address());
    let finished = edge.call(post("http://a.example/", b"{}")).await;
    assert_eq!(answered(&finished).status, 200);
}

#[tokio::test]
async fn requests_follow_a_name_that_moves_though_its_former_server_goes_on() {
    let (former, latter) = (saying("former"), saying("latter"));
    let names = ToldNames::leading_to(&[former.address()]);
    let tls = tls::with_roots(RootCertStore::empty());
    let mut edge = Edge::with_names(YOUNG, THIS_MACHINE, tls, &names);
    call_until_answered(&mut edge, "http://a.example/", b"former").await;
    names.lead_to(latter.address());
    call_until_answered(&mut edge, "http://a.example/", b"latter").await;
    let finished = edge.call(post("http://a.example/", b"{}")).await;
    assert_eq!(answered(&finished).body, b"latter");
}

/// The age counts when a request begins, not when the last one did.
#[tokio::test]
async fn a_connection_that_grew_old_with_one_slow_answer_takes_no_other_request() {
    let (told, may_answer) = std::sync::mpsc::channel::<()>();
    let may_answer = std::sync::Mutex::new(may_answer);
    let server = RawServer::start(move |mut conversation, _| {
        while conversation.request().is_some() {
            may_answer.lock().unwrap().recv().unwrap();
            conversation.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let mut edge = Edge::with(&[YOUNG]);
    edge.submit(vec![crate::edge::job(0, 1, post(&server.url(), b"{}"))])
        .await;
    // Longer than a connection may be used.
    tokio::time::sleep(YOUNG.age_max * 2).await;
    told.send(()).unwrap();
    answered(&edge.next().await);
    told.send(()).unwrap();
    answered(&edge.call(post(&server.url(), b"{}")).await);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn requests_of_http2_follow_a_name_that_moves_though_its_former_server_goes_on() {
    let authority = Authority::new();
    let start = |name: &'static str| {
        let tls = authority.vouch_for("localhost").offering(&["h2"]);
        Http2Server::start(tls, 100, move |stream: Stream| async move {
            stream.answer(200, name);
        })
    };
    let (former, latter) = (start("former"), start("latter"));
    let names = ToldNames::leading_to(&[former.address()]);
    let tls = tls::with_roots(authority.roots());
    let mut edge = Edge::with_names(YOUNG, THIS_MACHINE, tls, &names);
    let url = former.url();
    call_until_answered(&mut edge, &url, b"former").await;
    names.lead_to(latter.address());
    call_until_answered(&mut edge, &url, b"latter").await;
    let finished = edge.call(post(&url, b"{}")).await;
    assert_eq!(answered(&finished).body, b"latter");
}
