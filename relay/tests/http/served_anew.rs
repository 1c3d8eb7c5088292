//! Destinations that are served in another way, or no more, while requests of theirs are in flight.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;
use replicates_relay::http::{Endpoint, Limits, Message, Reach, SystemNames, tls};
use rustls::RootCertStore;

use crate::edge::{Edge, LIMITS, THIS_MACHINE, answered, failed, job, post};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn serve(limits: Limits) -> Message {
    let tls = tls::with_roots(RootCertStore::empty());
    let reach = Reach {
        egress: Some(THIS_MACHINE),
        tls,
        names: Arc::new(SystemNames),
    };
    Message::Serve {
        destination: 0,
        endpoint: Box::new(Endpoint { limits, reach }),
    }
}

/// A server that answers each request only when it is told to, and says when one has come and when a connection is closed.
pub struct Slow {
    pub server: RawServer,
    pub seen: std::sync::mpsc::Receiver<&'static str>,
    pub go: std::sync::mpsc::Sender<()>,
}

impl Slow {
    pub fn start() -> Self {
        let (saw, seen) = channel();
        let (go, may_answer) = channel();
        let may_answer = Mutex::new(may_answer);
        let server = RawServer::start(move |mut conversation, _| {
            while conversation.request().is_some() {
                saw.send("request").unwrap();
                may_answer.lock().unwrap().recv().unwrap();
                conversation.say(OK);
            }
            saw.send("closed").unwrap();
        });
        Self { server, seen, go }
    }
}

#[tokio::test]
async fn what_is_in_flight_ends_as_it_began_and_its_connection_is_used_no_more() {
    let slow = Slow::start();
    let mut edge = Edge::start();
    let request = || post(&slow.server.url(), b"{}");
    edge.submit(vec![job(0, 1, request())]).await;
    assert_eq!(slow.seen.recv(), Ok("request"));
    // A body of one byte is all that is read from now on.
    edge.tell(serve(Limits {
        response_bytes_max: 1,
        ..LIMITS
    }))
    .await;
    edge.submit(vec![job(0, 2, request())]).await;
    assert_eq!(slow.seen.recv(), Ok("request"));
    slow.go.send(()).unwrap();
    slow.go.send(()).unwrap();
    for _ in 0..2 {
        let finished = edge.next().await;
        let bytes = if finished.request_id == 1 { 2 } else { 1 };
        assert_eq!(answered(&finished).body.len(), bytes);
    }
    assert_eq!(slow.seen.recv(), Ok("closed"), "that of the first");
    assert_eq!(slow.server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_idles_is_closed_when_its_destination_is_served_in_another_way() {
    let slow = Slow::start();
    let mut edge = Edge::start();
    slow.go.send(()).unwrap();
    answered(&edge.call(post(&slow.server.url(), b"{}")).await);
    edge.tell(serve(LIMITS)).await;
    assert_eq!(slow.seen.recv(), Ok("request"));
    // Sooner than an idle connection is closed anyway.
    let closed = slow.seen.recv_timeout(Duration::from_secs(3));
    assert_eq!(closed, Ok("closed"));
}

#[tokio::test]
async fn what_waits_for_a_connection_is_sent_though_its_destination_is_forgotten() {
    let slow = Slow::start();
    let one_at_a_time = Limits {
        concurrency: 1,
        ..LIMITS
    };
    let mut edge = Edge::with(&[one_at_a_time, LIMITS]);
    let request = || post(&slow.server.url(), b"{}");
    edge.submit(vec![job(0, 1, request()), job(0, 2, request())])
        .await;
    assert_eq!(slow.seen.recv(), Ok("request"));
    edge.tell(Message::Forget { destination: 0 }).await;
    edge.submit(vec![job(0, 3, request())]).await;
    let late = edge.next().await;
    assert_eq!(late.request_id, 3, "nothing is made of what comes later");
    let (class, error) = failed(&late);
    assert_eq!(
        (class, error),
        (ErrorClass::Connect, "it is served no more")
    );
    slow.go.send(()).unwrap();
    slow.go.send(()).unwrap();
    for id in [1, 2] {
        let finished = edge.next().await;
        assert_eq!((finished.request_id, answered(&finished).status), (id, 200));
    }
    assert_eq!(slow.server.connections(), 1);
}
