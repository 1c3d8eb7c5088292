//! Every way of getting no usable answer, and the class it is given.

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::time::Duration;

use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;
use tokio::net::{TcpSocket, TcpStream};

use crate::edge::{Edge, LIMITS, answered, failed, job, post, timings};
use replicates_relay::http::Limits;

#[tokio::test]
async fn a_closed_port_is_a_connect_failure() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let finished = Edge::start()
        .call(post(&format!("http://{address}/"), b"{}"))
        .await;
    assert_eq!(
        failed(&finished),
        (
            ErrorClass::Connect,
            &*format!("{address}: connection refused")
        )
    );
    assert_eq!(timings(&finished).connect_ms, None);
    assert_eq!(finished.request.body, b"{}");
}

#[tokio::test]
async fn a_server_that_does_not_accept_is_a_connect_failure_after_the_connect_timeout() {
    let (silent, _waiting) = silent_server().await;
    let connect_timeout = Duration::from_millis(300);
    let mut edge = Edge::with(&[Limits {
        connect_timeout,
        ..LIMITS
    }]);
    let finished = edge.call(post(&silent, b"{}")).await;
    assert_eq!(failed(&finished).0, ErrorClass::Connect);
    assert!(
        failed(&finished).1.ends_with("no answer within 300ms"),
        "{}",
        failed(&finished).1
    );
    assert!((300.0..2_000.0).contains(&timings(&finished).total_ms));
}

#[tokio::test]
async fn a_timeout_shorter_than_the_connect_timeout_bounds_the_connecting() {
    let (silent, _waiting) = silent_server().await;
    let mut request = post(&silent, b"{}");
    request.timeout = Duration::from_millis(200);
    let finished = Edge::start().call(request).await;
    assert_eq!(failed(&finished).0, ErrorClass::Connect);
    assert!((200.0..1_500.0).contains(&timings(&finished).total_ms));
}

/// A listener whose queue of unaccepted connections is full, so that the system answers no more.
pub async fn silent_server() -> (String, (tokio::net::TcpListener, Vec<TcpStream>)) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(stream.unwrap());
    }
    (format!("http://{address}/"), (listener, waiting))
}

#[tokio::test]
async fn an_unknown_name_is_a_dns_failure() {
    let finished = Edge::start()
        .call(post("http://nowhere.invalid/", b"{}"))
        .await;
    assert_eq!(failed(&finished).0, ErrorClass::Dns);
    assert!(
        failed(&finished).1.starts_with("nowhere.invalid: "),
        "{}",
        failed(&finished).1
    );
}

#[tokio::test]
async fn a_url_with_a_password_is_not_sent_to_and_not_shown() {
    let server = RawServer::answering("");
    let url = format!("http://ann:secret@{}/", server.address());
    let finished = Edge::start().call(post(&url, b"{}")).await;
    assert_eq!(
        failed(&finished),
        (ErrorClass::Connect, "url must not hold a user or password")
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn silence_is_a_timeout_and_its_connection_is_closed() {
    let (seen, closed) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        conversation.request().unwrap();
        conversation.wait_until_closed();
        seen.send(()).unwrap();
    });
    let mut edge = Edge::start();
    let mut request = post(&server.url(), b"{}");
    request.timeout = Duration::from_millis(200);
    for connections in 1..=3 {
        let finished = edge.call(request.clone()).await;
        assert_eq!(
            failed(&finished),
            (ErrorClass::Timeout, "no answer within 200ms")
        );
        assert!((200.0..2_000.0).contains(&timings(&finished).total_ms));
        closed.recv().unwrap();
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn an_answer_of_one_byte_at_a_time_is_a_timeout() {
    let server = RawServer::start(|mut conversation, _| {
        conversation.request().unwrap();
        conversation.say("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while conversation.say("x") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut request = post(&server.url(), b"{}");
    request.timeout = Duration::from_millis(500);
    let finished = Edge::start().call(request).await;
    assert_eq!(
        failed(&finished),
        (
            ErrorClass::Timeout,
            "the answer was not complete within 500ms"
        )
    );
    assert!((500.0..2_000.0).contains(&timings(&finished).total_ms));
    assert!(timings(&finished).first_byte_ms.unwrap() < 500.0);
}

#[tokio::test]
async fn a_request_that_nobody_reads_is_a_timeout() {
    let (silent, _held) = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        (
            format!("http://{}/", listener.local_addr().unwrap()),
            listener,
        )
    };
    let mut request = post(&silent, &vec![b'x'; 20 << 20]);
    request.timeout = Duration::from_millis(300);
    let finished = Edge::start().call(request).await;
    assert_eq!(
        failed(&finished),
        (ErrorClass::Timeout, "no answer within 300ms")
    );
    assert_eq!(finished.request.body.len(), 20 << 20);
}

#[tokio::test]
async fn a_connection_closed_half_way_is_a_reset() {
    for part in [
        "",
        "HTTP/1.1 20",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let server = RawServer::start(move |mut conversation, _| {
            conversation.request().unwrap();
            conversation.say(part);
        });
        let finished = Edge::start().call(post(&server.url(), b"{}")).await;
        let expected = "connection closed before the answer was complete";
        assert_eq!(failed(&finished), (ErrorClass::Reset, expected), "{part:?}");
        assert_eq!(server.connections(), 1, "{part:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_bad_response() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n",
    ] {
        let server = RawServer::answering(answer);
        let finished = Edge::start().call(post(&server.url(), b"{}")).await;
        let (class, error) = failed(&finished);
        assert_eq!(class, ErrorClass::BadResponse, "{answer:?}: {error}");
        assert!(error.starts_with("not http: "), "{error}");
        assert_eq!(error.to_lowercase(), error);
    }
}

#[tokio::test]
async fn endless_headers_are_a_bad_response() {
    let server = RawServer::start(|mut conversation, _| {
        conversation.request().unwrap();
        conversation.say("HTTP/1.1 200 OK\r\n");
        while conversation.say(format!("x: {}\r\n", "y".repeat(1000))) {}
    });
    let finished = Edge::start().call(post(&server.url(), b"{}")).await;
    assert_eq!(failed(&finished).0, ErrorClass::BadResponse);
}

#[tokio::test]
async fn a_failure_leaves_the_next_request_alone() {
    let server = RawServer::start(|mut conversation, number| {
        conversation.request().unwrap();
        if number > 1 {
            conversation.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let mut edge = Edge::with(&[Limits {
        concurrency: 1,
        ..LIMITS
    }]);
    edge.submit(
        (1..=2)
            .map(|id| job(0, id, post(&server.url(), b"{}")))
            .collect(),
    )
    .await;
    let first = edge.next().await;
    assert_eq!((first.request_id, failed(&first).0), (1, ErrorClass::Reset));
    let second = edge.next().await;
    assert_eq!((second.request_id, answered(&second).status), (2, 200));
}
