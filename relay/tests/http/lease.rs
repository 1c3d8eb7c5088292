//! What may be another replica's by now does not leave, however far it has come.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use relay_test_support::raw_server::RawServer;
use replicates_relay::http::Limits;

use crate::edge::{Edge, LIMITS, answered, job, post};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn what_waits_for_a_connection_is_not_sent_when_its_term_is_over() {
    let (saw, seen) = channel();
    let (go, may_answer) = channel();
    let may_answer = Mutex::new(may_answer);
    let server = RawServer::start(move |mut conversation, _| {
        while conversation.request().is_some() {
            saw.send("request").unwrap();
            may_answer.lock().unwrap().recv().unwrap();
            conversation.say(OK);
        }
    });
    let one_at_a_time = Limits {
        concurrency: 1,
        ..LIMITS
    };
    let mut edge = Edge::with(&[one_at_a_time]);
    let request = || post(&server.url(), b"{}");
    edge.submit(vec![job(0, 1, request()), job(0, 2, request())])
        .await;
    assert_eq!(seen.recv(), Ok("request"));
    edge.lease.begin_term();
    go.send(()).unwrap();
    let first = edge.next().await;
    assert_eq!((first.request_id, answered(&first).status), (1, 200));
    let second = edge.next().await;
    assert_eq!((second.request_id, second.exchange), (2, None));

    let mut third = job(0, 3, request());
    third.term = edge.lease.term();
    edge.submit(vec![third]).await;
    assert_eq!(seen.recv(), Ok("request"));
    go.send(()).unwrap();
    let third = edge.next().await;
    assert_eq!((third.request_id, answered(&third).status), (3, 200));
}
