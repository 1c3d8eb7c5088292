//! How much happens at once, who waits for whom, and how it ends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;

use replicates_relay::http::Message;

use crate::edge::{Edge, LIMITS, answered, failed, job, post};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn no_more_connections_than_the_concurrency() {
    let busy = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (busy.clone(), most.clone());
    let server = RawServer::start(move |mut conversation, _| {
        while conversation.request().is_some() {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            conversation.say(OK);
        }
    });
    let mut edge = Edge::start();
    for batch in 0..10 {
        let jobs = (0..50).map(|n| job(0, batch * 50 + n, post(&server.url(), b"{}")));
        edge.submit(jobs.collect()).await;
    }
    let mut ids = BTreeSet::new();
    while ids.len() < 500 {
        let finished = edge.next().await;
        assert_eq!(answered(&finished).status, 200);
        assert!(ids.insert(finished.request_id));
    }
    assert!(server.connections() <= LIMITS.concurrency);
    assert!(most.load(Ordering::SeqCst) <= LIMITS.concurrency);
}

#[tokio::test]
async fn requests_of_one_destination_run_side_by_side() {
    let together = Arc::new((Mutex::new(0), Condvar::new()));
    let server = RawServer::start(move |mut conversation, _| {
        conversation.request().unwrap();
        let (count, changed) = &*together;
        let mut waiting = count.lock().unwrap();
        *waiting += 1;
        changed.notify_all();
        drop(
            changed
                .wait_while(waiting, |waiting| *waiting < LIMITS.concurrency)
                .unwrap(),
        );
        conversation.say(OK);
    });
    let mut edge = Edge::start();
    let jobs = (0..4).map(|id| job(0, id, post(&server.url(), b"{}")));
    edge.submit(jobs.collect()).await;
    for _ in 0..4 {
        assert_eq!(answered(&edge.next().await).status, 200);
    }
}

#[tokio::test]
async fn a_destination_that_hangs_holds_up_no_other() {
    let stuck = RawServer::start(|mut conversation, _| {
        conversation.request().unwrap();
        conversation.wait_until_closed();
    });
    let well = RawServer::answering(OK);
    let mut edge = Edge::with(&[LIMITS, LIMITS]);
    let mut hanging = post(&stuck.url(), b"{}");
    hanging.timeout = Duration::from_secs(3);
    edge.submit((0..4).map(|id| job(0, id, hanging.clone())).collect())
        .await;
    for id in 10..110 {
        edge.submit(vec![job(1, id, post(&well.url(), b"{}"))])
            .await;
        let finished = edge.next().await;
        assert_eq!((finished.destination, finished.request_id), (1, id));
    }
    for _ in 0..4 {
        let finished = edge.next().await;
        assert_eq!(
            (finished.destination, failed(&finished).0),
            (0, ErrorClass::Timeout)
        );
    }
}

#[tokio::test]
async fn answers_that_nobody_fetches_stop_the_taking_of_jobs() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let server = RawServer::start(move |mut conversation, _| {
        while conversation.request().is_some() {
            counted.fetch_add(1, Ordering::SeqCst);
            conversation.say(OK);
        }
    });
    let mut edge = Edge::start();
    let url = server.url();
    let messages = edge.handle.messages().clone();
    let mut submitted = tokio::spawn(async move {
        for id in 0..2_000 {
            let jobs = vec![job(0, id, post(&url, b"{}"))];
            messages.send(Message::Make(jobs)).await.unwrap();
        }
    });
    let stopped = tokio::time::timeout(Duration::from_secs(1), &mut submitted).await;
    assert!(
        stopped.is_err(),
        "2,000 jobs were taken without one answer fetched"
    );
    assert!(count.load(Ordering::SeqCst) < 2_000);
    for _ in 0..2_000 {
        answered(&edge.next().await);
    }
    submitted.await.unwrap();
}

#[tokio::test]
async fn joining_waits_for_the_requests_in_flight() {
    let (arrived, has_arrived) = channel();
    let (may_answer, go) = channel();
    let go = Mutex::new(go);
    let server = RawServer::start(move |mut conversation, _| {
        conversation.request().unwrap();
        arrived.send(()).unwrap();
        go.lock().unwrap().recv().unwrap();
        conversation.say(OK);
    });
    let edge = Edge::start();
    edge.submit(vec![job(0, 1, post(&server.url(), b"{}"))])
        .await;
    has_arrived.recv().unwrap();
    let (handle, mut answers) = (edge.handle, edge.answers);
    let joined = std::thread::spawn(move || handle.join());
    assert!(answers.try_recv().is_err());
    may_answer.send(()).unwrap();
    assert_eq!(answered(&answers.recv().await.unwrap()[0]).status, 200);
    joined.join().unwrap();
    assert!(answers.recv().await.is_none());
}

#[tokio::test]
async fn the_thread_ends_when_nobody_takes_answers() {
    let (seen, steps) = channel();
    let server = RawServer::start(move |mut conversation, _| {
        conversation.request().unwrap();
        seen.send("arrived").unwrap();
        conversation.wait_until_closed();
        seen.send("closed").unwrap();
    });
    let edge = Edge::start();
    edge.submit(vec![job(0, 1, post(&server.url(), b"{}"))])
        .await;
    assert_eq!(steps.recv(), Ok("arrived"));
    drop(edge.answers);
    edge.handle.join();
    assert_eq!(steps.recv(), Ok("closed"));
}
