//! HTTP/2: many requests on one connection, each of which ends without the others.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::Reason;
use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;
use relay_test_support::wait::wait_until;
use replicates_relay::http::{Limits, tls};
use rustls::ServerConnection;
use rustls::StreamOwned;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::certificates::{Authority, answer_all};
use crate::edge::{Edge, LIMITS, answered, failed, job, post, timings};
use crate::http2_server::{Frames, Http2Server, Stream};

const PATIENCE: Duration = Duration::from_secs(20);
const BOTH: &[&str] = &["h2", "http/1.1"];
const MANY: u32 = 100;

/// An edge, and a server that it trusts.
fn scene<F>(
    limits: Limits,
    streams_max: u32,
    serve: impl Fn(Stream) -> F + Clone + Send + 'static,
) -> (Edge, Http2Server)
where
    F: Future<Output = ()> + 'static,
{
    let authority = Authority::new();
    let tls = authority.vouch_for("localhost").offering(BOTH);
    let server = Http2Server::start(tls, streams_max, serve);
    (edge(&authority, limits), server)
}

fn edge(authority: &Authority, limits: Limits) -> Edge {
    Edge::with_tls(&[limits], &tls::with_roots(authority.roots()))
}

fn with_concurrency(concurrency: usize) -> Limits {
    Limits {
        concurrency,
        ..LIMITS
    }
}

async fn submit(edge: &Edge, url: &str, numbers: std::ops::Range<u64>) {
    let jobs = numbers.map(|number| job(0, number, post(url, number.to_string().as_bytes())));
    edge.submit(jobs.collect()).await;
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let (mut edge, server) = scene(with_concurrency(20), MANY, |stream| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let body = stream.body.clone();
        stream.answer(200, body);
    });
    for round in 0..3 {
        submit(&edge, &server.url(), 0..20).await;
        let mut opened = 0;
        for _ in 0..20 {
            let finished = edge.next().await;
            let number = finished.request_id.to_string();
            assert_eq!(answered(&finished).body, number.as_bytes());
            assert_eq!(finished.request.body, number.as_bytes(), "for the log");
            opened += usize::from(timings(&finished).connect_ms.is_some());
        }
        assert_eq!(opened > 0, round == 0);
    }
    assert_eq!(server.connections.all(), 1);
    assert_eq!(server.streams.most(), 20);
}

#[tokio::test]
async fn a_request_arrives_as_it_is() {
    let (told, requests) = channel();
    let (mut edge, server) = scene(LIMITS, MANY, move |stream| {
        let told = told.clone();
        async move {
            told.send((stream.head.clone(), stream.body.clone()))
                .unwrap();
            stream.answer(201, "");
        }
    });
    let mut request = post(&server.url(), b"{}");
    request.headers.push(("webhook-id", "dlv_1".into()));
    assert_eq!(answered(&edge.call(request).await).status, 201);
    let (head, body) = requests.recv().unwrap();
    assert_eq!(
        (head.method.as_str(), body.as_slice()),
        ("POST", &b"{}"[..])
    );
    assert_eq!(head.uri.to_string(), server.url());
    assert_eq!(head.headers["webhook-id"], "dlv_1");
    assert_eq!(head.headers["content-length"], "2");
    assert!(!head.headers.contains_key("host"));
    let mut empty = post(&server.url(), b"");
    empty.method = relay_core::settings::Method::Delete;
    answered(&edge.call(empty).await);
    let (head, body) = requests.recv().unwrap();
    assert_eq!((head.method.as_str(), body.len()), ("DELETE", 0));
}

#[tokio::test]
async fn no_more_streams_are_opened_than_the_server_takes() {
    let go = Arc::new(Semaphore::new(0));
    let (may_go, on) = (go.clone(), Arc::new(Mutex::new(vec![])));
    let came = on.clone();
    let (mut edge, server) = scene(with_concurrency(12), 3, move |stream| {
        came.lock().unwrap().push(stream.connection);
        let may_go = may_go.clone();
        async move {
            may_go.acquire().await.unwrap().forget();
            stream.answer(200, "");
        }
    });
    go.add_permits(1);
    answered(&edge.call(post(&server.url(), b"")).await);
    on.lock().unwrap().clear();
    submit(&edge, &server.url(), 0..60).await;
    wait_until("all it takes are there", PATIENCE, || {
        on.lock().unwrap().len() == 12
    });
    let mut connections = on.lock().unwrap().clone();
    connections.sort_unstable();
    assert_eq!(connections, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
    go.add_permits(60);
    for _ in 0..60 {
        assert_eq!(answered(&edge.next().await).status, 200);
    }
    assert_eq!(server.connections.all(), 4);
}

#[tokio::test]
async fn a_server_without_http2_is_spoken_to_as_before() {
    let authority = Authority::new();
    let tls = authority.vouch_for("localhost").offering(&["http/1.1"]);
    let server = RawServer::start(move |conversation, _| {
        let session = ServerConnection::new(tls.clone()).unwrap();
        answer_all(StreamOwned::new(session, conversation.into_stream()));
    });
    let mut edge = edge(&authority, LIMITS);
    let url = format!("https://localhost:{}/", server.address().port());
    for _ in 0..3 {
        submit(&edge, &url, 0..4).await;
        for _ in 0..4 {
            assert_eq!(answered(&edge.next().await).body, b"ok");
        }
    }
    assert!(server.connections() <= LIMITS.concurrency);
}

#[tokio::test]
async fn a_slow_request_keeps_no_other_waiting_and_its_timeout_ends_it_alone() {
    let (mut edge, server) = scene(LIMITS, MANY, |stream| async move {
        match stream.body.as_slice() {
            b"hang" => std::future::pending().await,
            b"slow" => tokio::time::sleep(Duration::from_millis(1_500)).await,
            _ => {}
        }
        stream.answer(200, "");
    });
    let url = server.url();
    let mut hangs = post(&url, b"hang");
    hangs.timeout = Duration::from_millis(500);
    edge.submit(vec![
        job(0, 1_000, hangs),
        job(0, 1_001, post(&url, b"slow")),
    ])
    .await;
    for number in 0..20 {
        submit(&edge, &url, number..number + 1).await;
        let fast = edge.next().await;
        assert_eq!((fast.request_id, answered(&fast).status), (number, 200));
    }
    assert_eq!(server.connections.all(), 1);
    let hung = edge.next().await;
    assert_eq!(
        failed(&hung),
        (ErrorClass::Timeout, "no answer within 500ms")
    );
    let slow = edge.next().await;
    assert_eq!((slow.request_id, answered(&slow).status), (1_001, 200));
    // A connection on which a request hung may be dead: the next one begins on another.
    answered(&edge.call(post(&url, b"")).await);
    assert_eq!(server.connections.all(), 2);
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_cap_and_harms_no_other() {
    let limits = Limits {
        response_bytes_max: 1_000,
        ..LIMITS
    };
    let (mut edge, server) = scene(limits, MANY, |stream| async move {
        let size = if stream.body == b"large" {
            1 << 20
        } else {
            1_000
        };
        stream.answer(200, vec![b'x'; size]);
    });
    for _ in 0..20 {
        let large = edge.call(post(&server.url(), b"large")).await;
        assert_eq!(
            (answered(&large).body.len(), answered(&large).is_truncated),
            (1_000, true)
        );
        let small = edge.call(post(&server.url(), b"small")).await;
        assert_eq!(
            (answered(&small).body.len(), answered(&small).is_truncated),
            (1_000, false)
        );
    }
    assert_eq!(server.connections.all(), 1);
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_and_one_that_is_reset_is_not() {
    let seen = Arc::new(Mutex::new(vec![]));
    let saw = seen.clone();
    let (mut edge, server) = scene(LIMITS, MANY, move |mut stream| {
        let saw = saw.clone();
        async move {
            let body = stream.body.clone();
            let is_again = saw.lock().unwrap().contains(&body);
            saw.lock().unwrap().push(body.clone());
            match body.as_slice() {
                b"refused once" if !is_again => stream.respond.send_reset(Reason::REFUSED_STREAM),
                b"refused" => stream.respond.send_reset(Reason::REFUSED_STREAM),
                b"reset" => stream.respond.send_reset(Reason::INTERNAL_ERROR),
                _ => stream.answer(200, ""),
            }
        }
    });
    let url = server.url();
    assert_eq!(
        answered(&edge.call(post(&url, b"refused once")).await).status,
        200
    );
    let refused = edge.call(post(&url, b"refused")).await;
    assert_eq!(
        failed(&refused),
        (ErrorClass::Reset, "refused before it was looked at")
    );
    let reset = edge.call(post(&url, b"reset")).await;
    let (class, error) = failed(&reset);
    assert_eq!(class, ErrorClass::Reset);
    assert!(
        error.starts_with("stream closed by the server: "),
        "{error}"
    );
    let count = |body: &[u8]| {
        seen.lock()
            .unwrap()
            .iter()
            .filter(|seen| *seen == body)
            .count()
    };
    assert_eq!(
        (count(b"refused once"), count(b"refused"), count(b"reset")),
        (2, 3, 1)
    );
    assert_eq!(server.connections.all(), 1);
}

#[tokio::test]
async fn what_a_server_that_goes_away_has_not_looked_at_is_sent_to_the_next_connection() {
    let authority = Authority::new();
    let tls = authority.vouch_for("localhost").offering(BOTH);
    let (told, heard) = channel();
    let server = RawServer::start(move |conversation, number| {
        let mut frames = Frames::of(&tls, conversation.into_stream());
        if number > 1 {
            while let Some(stream) = frames.request() {
                told.send(number).unwrap();
                frames.answer(stream);
            }
            return;
        }
        let first = frames.request().unwrap();
        let others: BTreeSet<_> = (0..3).map(|_| frames.request().unwrap()).collect();
        assert!(others.iter().all(|stream| *stream > first));
        frames.go_away(first);
        frames.answer(first);
        assert_eq!(frames.request(), None, "nothing more comes here");
    });
    let mut edge = edge(&authority, LIMITS);
    let url = format!("https://localhost:{}/", server.address().port());
    submit(&edge, &url, 0..4).await;
    for _ in 0..4 {
        assert_eq!(answered(&edge.next().await).status, 200);
    }
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_reset_for_each_request_that_was_on_it() {
    let authority = Authority::new();
    let tls = authority.vouch_for("localhost").offering(BOTH);
    let server = RawServer::start(move |conversation, number| {
        let mut frames = Frames::of(&tls, conversation.into_stream());
        if number == 1 {
            // It closes with four requests on it.
            for _ in 0..4 {
                frames.request().unwrap();
            }
            return;
        }
        while let Some(stream) = frames.request() {
            frames.answer(stream);
        }
    });
    let mut edge = edge(&authority, LIMITS);
    let url = format!("https://localhost:{}/", server.address().port());
    submit(&edge, &url, 0..4).await;
    for _ in 0..4 {
        assert_eq!(failed(&edge.next().await).0, ErrorClass::Reset);
    }
    assert_eq!(answered(&edge.call(post(&url, b"")).await).status, 200);
    assert_eq!(server.connections(), 2, "nothing was sent twice");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_some_seconds() {
    let (mut edge, server) = scene(LIMITS, MANY, |stream| async move {
        stream.answer(200, "");
    });
    answered(&edge.call(post(&server.url(), b"")).await);
    let idle_since = Instant::now();
    wait_until("it is closed", PATIENCE, || server.connections.now() == 0);
    let idle = idle_since.elapsed();
    assert!(
        idle >= Duration::from_secs(3) && idle < Duration::from_secs(10),
        "{idle:?}"
    );
}

#[tokio::test]
async fn those_who_wait_for_a_connection_that_cannot_be_had_hear_why() {
    let authority = Authority::new();
    let tls = Authority::new().vouch_for("localhost").offering(BOTH);
    let server = Http2Server::start(tls, MANY, |stream| async move { stream.answer(200, "") });
    let mut edge = edge(&authority, LIMITS);
    submit(&edge, &server.url(), 0..4).await;
    for _ in 0..4 {
        let finished = edge.next().await;
        let (class, error) = failed(&finished);
        assert_eq!(class, ErrorClass::Tls, "{error}");
    }
    assert!(server.connections.all() < 4, "they waited for one");
}

#[tokio::test]
async fn headers_beyond_all_measure_are_a_bad_answer() {
    let (mut edge, server) = scene(LIMITS, MANY, |mut stream| async move {
        let head = hyper::Response::builder().header("x", "y".repeat(100_000));
        let _sent = stream.respond.send_response(head.body(()).unwrap(), true);
    });
    let finished = edge.call(post(&server.url(), b"")).await;
    let (class, error) = failed(&finished);
    assert!(
        matches!(class, ErrorClass::BadResponse | ErrorClass::Reset),
        "{class:?} {error}"
    );
}

#[tokio::test]
async fn a_destination_that_is_served_anew_ends_what_is_on_its_connection() {
    let go = Arc::new(Notify::new());
    let may_go = go.clone();
    let (mut edge, server) = scene(LIMITS, MANY, move |stream| {
        let may_go = may_go.clone();
        async move {
            may_go.notified().await;
            stream.answer(200, "");
        }
    });
    submit(&edge, &server.url(), 0..1).await;
    wait_until("it is there", PATIENCE, || server.streams.now() == 1);
    edge.tell(replicates_relay::http::Message::Forget { destination: 0 })
        .await;
    go.notify_one();
    assert_eq!(answered(&edge.next().await).status, 200);
    wait_until("it is closed", PATIENCE, || server.connections.now() == 0);
}
