//! Connections that are used again, and those that only look as if they could be.

use std::sync::mpsc::channel;
use std::time::Duration;

use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;

use crate::edge::{Edge, LIMITS, answered, failed, job, post, timings};
use replicates_relay::http::Limits;
use tokio::time::Instant;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let server = RawServer::answering(OK);
    let mut edge = Edge::start();
    for round in 0..50 {
        let finished = edge.call(post(&server.url(), b"{}")).await;
        assert_eq!(answered(&finished).body, b"ok");
        assert_eq!(timings(&finished).connect_ms.is_some(), round == 0);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn connections_are_used_again_whatever_the_shape_of_the_answer() {
    for answer in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
    ] {
        let server = RawServer::answering(answer);
        let mut edge = Edge::start();
        for _ in 0..5 {
            answered(&edge.call(post(&server.url(), b"{}")).await);
        }
        assert_eq!(server.connections(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_in_pieces_keeps_its_connection() {
    let server = RawServer::start(|mut conversation, _| {
        while conversation.request().is_some() {
            for byte in OK.as_bytes() {
                conversation.say([*byte]);
                std::thread::yield_now();
            }
        }
    });
    let mut edge = Edge::start();
    for _ in 0..20 {
        assert_eq!(
            answered(&edge.call(post(&server.url(), b"{}")).await).body,
            b"ok"
        );
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_says_close_gets_a_new_connection() {
    let server = RawServer::start(|mut conversation, _| {
        while conversation.request().is_some() {
            conversation.say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let mut edge = Edge::start();
    for connections in 1..=3 {
        answered(&edge.call(post(&server.url(), b"{}")).await);
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_nothing() {
    let (closed, is_closed) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        conversation.request().unwrap();
        conversation.say(OK);
        drop(conversation);
        closed.send(()).unwrap();
    });
    let mut edge = Edge::start();
    for connections in 1..=20 {
        answered(&edge.call(post(&server.url(), b"{}")).await);
        is_closed.recv().unwrap();
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn a_kept_connection_that_breaks_after_writing_is_a_reset_and_is_not_sent_twice() {
    let (seen, requests) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        seen.send(conversation.request().unwrap().body).unwrap();
        conversation.say(OK);
        seen.send(conversation.request().unwrap().body).unwrap();
    });
    let mut edge = Edge::start();
    answered(&edge.call(post(&server.url(), b"first")).await);
    let finished = edge.call(post(&server.url(), b"second")).await;
    assert_eq!(failed(&finished).0, ErrorClass::Reset);
    assert_eq!(
        requests.try_iter().collect::<Vec<_>>(),
        [b"first".to_vec(), b"second".to_vec()]
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_says_something_unasked_is_not_used_again() {
    let (said, has_said) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        conversation.request().unwrap();
        conversation.say(format!(
            "{OK}HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong"
        ));
        said.send(()).unwrap();
        conversation.wait_until_closed();
    });
    let mut edge = Edge::start();
    for _ in 0..3 {
        assert_eq!(
            answered(&edge.call(post(&server.url(), b"{}")).await).body,
            b"ok"
        );
        has_said.recv().unwrap();
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_some_seconds() {
    let (seen, closed) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        conversation.request().unwrap();
        conversation.say(OK);
        let idle_since = Instant::now();
        conversation.wait_until_closed();
        seen.send(idle_since.elapsed()).unwrap();
    });
    let mut edge = Edge::start();
    answered(&edge.call(post(&server.url(), b"{}")).await);
    let idle = closed.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(
        idle >= Duration::from_secs(3) && idle < Duration::from_secs(10),
        "{idle:?}"
    );
}

#[tokio::test]
async fn an_idle_connection_gives_way_to_another_server_of_the_destination() {
    let servers = [RawServer::answering(OK), RawServer::answering(OK)];
    let mut edge = Edge::with(&[Limits {
        concurrency: 1,
        ..LIMITS
    }]);
    for round in 1..=3 {
        for server in &servers {
            assert_eq!(
                answered(&edge.call(post(&server.url(), b"{}")).await).status,
                200
            );
            assert_eq!(server.connections(), round);
        }
    }
    let jobs = (0..10).map(|id| job(0, id, post(&servers[usize::from(id % 2 == 0)].url(), b"{}")));
    edge.submit(jobs.collect()).await;
    for _ in 0..10 {
        assert_eq!(answered(&edge.next().await).status, 200);
    }
}
