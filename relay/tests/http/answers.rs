//! What arrives at the server, and what comes back.

use std::sync::Arc;
use std::sync::mpsc::channel;

use relay_core::exchange::ErrorClass;
use relay_core::settings::{Header, Method};
use relay_test_support::raw_server::RawServer;

use crate::edge::{Edge, LIMITS, answered, failed, post, timings};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_request_arrives_as_it_was_given() {
    let (seen, requests) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        while let Some(request) = conversation.request() {
            seen.send(request).unwrap();
            conversation.say(OK);
        }
    });
    let mut request = post(&format!("{}orders?x=%20y", server.url()), b"{\"a\":1}");
    request.configured_headers = Arc::new([Header {
        name: "X-Tenant".into(),
        value: "main".into(),
        is_secret: false,
    }]);
    let finished = Edge::start().call(request.clone()).await;

    assert_eq!(answered(&finished).status, 200);
    let arrived = requests.recv().unwrap();
    assert_eq!(
        arrived.head,
        format!(
            "POST /orders?x=%20y HTTP/1.1\nhost: {}\nx-tenant: main\ncontent-type: application/json\ncontent-length: 7\n",
            server.address()
        )
    );
    assert_eq!(arrived.body, b"{\"a\":1}");
    assert_eq!(finished.request.body, request.body);
    assert_eq!(finished.request.headers, request.headers);
}

#[tokio::test]
async fn every_method_arrives_as_it_was_given() {
    let (seen, requests) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        while let Some(request) = conversation.request() {
            seen.send(request).unwrap();
            conversation.say(OK);
        }
    });
    let mut edge = Edge::start();
    for method in [Method::Post, Method::Put, Method::Patch, Method::Delete] {
        let mut request = post(&server.url(), b"{}");
        request.method = method;
        assert_eq!(answered(&edge.call(request).await).status, 200);
        let arrived = requests.recv().unwrap();
        let line = format!("{} / HTTP/1.1", method.as_str());
        assert_eq!(arrived.head.lines().next(), Some(line.as_str()));
        assert_eq!(arrived.body, b"{}");
    }
}

#[tokio::test]
async fn an_answer_comes_back_whole() {
    let server = RawServer::answering(
        b"HTTP/1.1 409 Conflict\r\nRetry-After: 7\r\nX-Odd: a\xffb\r\ntransfer-encoding: chunked\r\n\r\n\
          3\r\nsta\r\n2\r\nle\r\n0\r\n\r\n"
            .to_vec(),
    );
    let finished = Edge::start().call(post(&server.url(), b"{}")).await;

    let answer = answered(&finished);
    assert_eq!(answer.status, 409);
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.header("x-odd"), Some("a\u{fffd}b"));
    assert_eq!(answer.body, b"stale");
    assert!(!answer.is_truncated);
    let timings = timings(&finished);
    let (connect, first_byte) = (timings.connect_ms.unwrap(), timings.first_byte_ms.unwrap());
    assert!(connect > 0.0 && first_byte >= connect && timings.total_ms >= first_byte);
}

#[tokio::test]
async fn an_empty_body_is_sent_with_its_length() {
    let (seen, requests) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        seen.send(conversation.request().unwrap()).unwrap();
        conversation.say("HTTP/1.1 204 No Content\r\n\r\n");
    });
    let finished = Edge::start().call(post(&server.url(), b"")).await;
    assert_eq!(answered(&finished).status, 204);
    assert!(
        requests
            .recv()
            .unwrap()
            .head
            .contains("content-length: 0\n")
    );
}

#[tokio::test]
async fn ten_megabytes_are_sent() {
    let (seen, requests) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        seen.send(conversation.request().unwrap()).unwrap();
        conversation.say(OK);
    });
    let body: Vec<u8> = (0..10 << 20).map(|n: u32| n.to_le_bytes()[0]).collect();
    let finished = Edge::start().call(post(&server.url(), &body)).await;
    assert_eq!(answered(&finished).status, 200);
    assert!(requests.recv().unwrap().body == body);
    assert!(finished.request.body == body);
}

#[tokio::test]
async fn a_large_answer_is_cut_at_the_cap_and_its_connection_dropped() {
    let cap = LIMITS.response_bytes_max;
    for (length, is_truncated) in [
        (cap - 1, false),
        (cap, false),
        (cap + 1, true),
        (10 << 20, true),
    ] {
        let (seen, closed) = channel();
        let server = RawServer::start(move |mut conversation, _| {
            conversation.request().unwrap();
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"
            ));
            conversation.say(vec![b'x'; length]);
            conversation.wait_until_closed();
            seen.send(()).unwrap();
        });
        let mut edge = Edge::start();
        let finished = edge.call(post(&server.url(), b"{}")).await;
        let answer = answered(&finished);
        assert_eq!(answer.body.len(), length.min(cap), "{length}");
        assert_eq!(answer.is_truncated, is_truncated, "{length}");
        if is_truncated {
            closed.recv().unwrap();
        } else {
            assert!(closed.try_recv().is_err(), "the connection is kept");
        }
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_cap() {
    let server = RawServer::start(|mut conversation, _| {
        conversation.request().unwrap();
        conversation.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while conversation.say("5\r\nhello\r\n") {}
    });
    let finished = Edge::start().call(post(&server.url(), b"{}")).await;
    assert_eq!(answered(&finished).body.len(), LIMITS.response_bytes_max);
    assert!(answered(&finished).is_truncated);
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let server = RawServer::start(|mut conversation, _| {
        conversation.request().unwrap();
        conversation.say("HTTP/1.0 200 OK\r\n\r\nold");
    });
    let mut edge = Edge::start();
    for connections in 1..=2 {
        let finished = edge.call(post(&server.url(), b"{}")).await;
        assert_eq!(answered(&finished).body, b"old");
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn redirects_are_answers() {
    let server = RawServer::answering(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n",
    );
    let finished = Edge::start().call(post(&server.url(), b"{}")).await;
    assert_eq!(answered(&finished).status, 307);
    assert_eq!(answered(&finished).header("location"), Some("/else"));
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let server = RawServer::answering(format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{OK}"
    ));
    let mut edge = Edge::start();
    for _ in 0..2 {
        let finished = edge.call(post(&server.url(), b"{}")).await;
        assert_eq!(answered(&finished).status, 200);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_upgrade_nobody_asked_for_is_a_bad_response() {
    let server = RawServer::answering(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    );
    let finished = Edge::start().call(post(&server.url(), b"{}")).await;
    assert_eq!(
        failed(&finished),
        (
            ErrorClass::BadResponse,
            "answered 101 without being asked to"
        )
    );
}

#[tokio::test]
async fn an_answer_before_the_body_was_read_is_an_answer() {
    let server = RawServer::start(|mut conversation, _| {
        while let Some(head) = conversation.head() {
            conversation.say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n");
            conversation.body(&head);
        }
    });
    let mut edge = Edge::start();
    for _ in 0..10 {
        let finished = edge.call(post(&server.url(), &vec![b'x'; 10 << 20])).await;
        assert_eq!(answered(&finished).status, 413);
        assert_eq!(finished.request.body.len(), 10 << 20);
    }
}
