//! What may be another replica's by now does not leave, however far it has come.

use replicates_relay::http::Limits;

use crate::edge::{Edge, LIMITS, answered, job, post};
use crate::served_anew::Slow;

#[tokio::test]
async fn what_waits_for_a_connection_is_not_sent_when_its_term_is_over() {
    let slow = Slow::start();
    let one_at_a_time = Limits {
        concurrency: 1,
        ..LIMITS
    };
    let mut edge = Edge::with(&[one_at_a_time]);
    let request = || post(&slow.server.url(), b"{}");
    edge.submit(vec![job(0, 1, request()), job(0, 2, request())])
        .await;
    assert_eq!(slow.seen.recv(), Ok("request"));
    edge.lease.begin_term();
    slow.go.send(()).unwrap();
    let first = edge.next().await;
    assert_eq!((first.request_id, answered(&first).status), (1, 200));
    let second = edge.next().await;
    assert_eq!((second.request_id, second.exchange), (2, None));
    assert_eq!(slow.seen.recv(), Ok("closed"));

    let mut third = job(0, 3, request());
    third.term = edge.lease.term();
    edge.submit(vec![third]).await;
    assert_eq!(slow.seen.recv(), Ok("request"));
    slow.go.send(()).unwrap();
    let third = edge.next().await;
    assert_eq!((third.request_id, answered(&third).status), (3, 200));
}
