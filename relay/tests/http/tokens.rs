//! Tokens of an authorization server: one for all, renewed in time, and never a record's fault when there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use relay_core::egress::Network;
use relay_core::exchange::{ErrorClass, HttpRequest};
use relay_core::token::Grant;
use relay_test_support::raw_server::RawServer;
use relay_test_support::stub_server::{Answer, StubServer};
use replicates_relay::http::{Finished, Limits, tls};

use crate::certificates::{ALL, Authority};
use crate::edge::{Edge, LIMITS, answered, failed, job, post};
use crate::failures::silent_server;

const PATIENCE: Duration = Duration::from_secs(30);

/// Hands out `t1`, `t2` and so on, with this said of their life.
fn authority(life: &'static str) -> StubServer {
    let count = AtomicUsize::new(0);
    StubServer::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        issued(&format!("t{number}"), life)
    })
}

fn issued(token: &str, life: &str) -> Answer {
    Answer::status(200).json(&format!(
        r#"{{"access_token":"{token}","token_type":"Bearer"{life}}}"#
    ))
}

fn grant(token_url: &str) -> Arc<Grant> {
    Arc::new(Grant {
        token_url: token_url.into(),
        client_id: "relay".into(),
        client_secret: "hunter2".into(),
        scopes: vec!["write".into()],
        audience: None,
    })
}

fn request(consumer: &StubServer, authority: &StubServer) -> HttpRequest {
    HttpRequest {
        grant: Some(grant(&authority.url())),
        ..post(&consumer.url(), b"{}")
    }
}

/// The tokens that came, in order.
fn tokens(consumer: &StubServer) -> Vec<String> {
    let exchanges = consumer.exchanges();
    let token = |request: &relay_test_support::stub_server::Request| {
        let value = request.header("authorization").strip_prefix("Bearer ");
        value.unwrap_or("none").to_owned()
    };
    exchanges
        .iter()
        .map(|exchange| token(&exchange.request))
        .collect()
}

fn status(finished: &Finished) -> u16 {
    answered(finished).status
}

#[tokio::test]
async fn requests_at_once_share_one_token_and_later_ones_use_it() {
    let authority = authority(r#","expires_in":3600"#);
    let consumer = StubServer::accepting();
    let limits = Limits {
        concurrency: 20,
        ..LIMITS
    };
    let mut edge = Edge::with(&[limits]);
    for _ in 0..2 {
        let request = request(&consumer, &authority);
        edge.submit((0..40).map(|id| job(0, id, request.clone())).collect())
            .await;
        for _ in 0..40 {
            let finished = edge.next().await;
            assert_eq!(status(&finished), 200);
            assert_eq!(finished.request.token.unwrap().expose(), "t1");
        }
    }
    assert_eq!(tokens(&consumer), ["t1"; 80]);
    let asked = authority.exchanges();
    assert_eq!(asked.len(), 1);
    let asked = &asked[0].request;
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.header("authorization"), "Basic cmVsYXk6aHVudGVyMg==");
    assert_eq!(
        asked.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(asked.body, b"grant_type=client_credentials&scope=write");
}

#[tokio::test]
async fn each_grant_and_each_destination_has_tokens_of_its_own() {
    let (one, other) = (authority(""), authority(""));
    let consumer = StubServer::accepting();
    let mut edge = Edge::with(&[LIMITS, LIMITS]);
    let mut wider = request(&consumer, &one);
    let scopes = vec!["read".into()];
    wider.grant = Some(Arc::new(Grant {
        scopes,
        ..(*grant(&one.url())).clone()
    }));
    for (destination, request) in [
        (0, request(&consumer, &one)),
        (0, request(&consumer, &one)),
        (0, wider),
        (1, request(&consumer, &one)),
        (0, request(&consumer, &other)),
    ] {
        edge.submit(vec![job(destination, 1, request)]).await;
        assert_eq!(status(&edge.next().await), 200);
    }
    assert_eq!(tokens(&consumer), ["t1", "t1", "t2", "t3", "t1"]);
}

#[tokio::test]
async fn a_token_is_renewed_when_its_life_is_nearly_over() {
    let authority = authority(r#","expires_in":2"#);
    let consumer = StubServer::accepting();
    let mut edge = Edge::start();
    let until_renewed = async {
        while tokens(&consumer).last().is_none_or(|token| token == "t1") {
            let finished = edge.call(request(&consumer, &authority)).await;
            assert_eq!(status(&finished), 200);
        }
    };
    let renewed = tokio::time::timeout(PATIENCE, until_renewed).await;
    renewed.expect("it is renewed");
    let asked = authority.exchanges();
    let between = asked[1].request.received_at - asked[0].request.received_at;
    assert!(between >= Duration::from_millis(1_500), "{between:?}");
}

#[tokio::test]
async fn a_token_whose_end_nobody_told_is_used_until_it_is_refused() {
    let authority = authority("");
    let consumer = StubServer::accepting();
    let mut edge = Edge::start();
    for _ in 0..5 {
        assert_eq!(
            status(&edge.call(request(&consumer, &authority)).await),
            200
        );
    }
    assert_eq!(authority.count(), 1);
    consumer.answer_with(|request| match request.header("authorization") {
        "Bearer t1" => Answer::status(401),
        _ => Answer::ok(),
    });
    let finished = edge.call(request(&consumer, &authority)).await;
    assert_eq!(status(&finished), 200, "once more, with a new one");
    assert_eq!(finished.request.token.unwrap().expose(), "t2");
    assert_eq!(tokens(&consumer)[5..], ["t1", "t2"]);
}

#[tokio::test]
async fn a_token_that_many_find_refused_is_renewed_once() {
    let authority = authority("");
    let consumer = StubServer::accepting();
    let limits = Limits {
        concurrency: 20,
        ..LIMITS
    };
    let mut edge = Edge::with(&[limits]);
    edge.call(request(&consumer, &authority)).await;
    consumer.answer_with(|request| match request.header("authorization") {
        "Bearer t1" => Answer::status(401),
        _ => Answer::ok(),
    });
    let request = request(&consumer, &authority);
    edge.submit((0..20).map(|id| job(0, id, request.clone())).collect())
        .await;
    for _ in 0..20 {
        assert_eq!(status(&edge.next().await), 200);
    }
    assert_eq!(authority.count(), 2);
}

#[tokio::test]
async fn a_new_token_that_is_refused_is_not_renewed_again_and_again() {
    let authority = authority("");
    let consumer = StubServer::start(|_| Answer::status(401));
    let mut edge = Edge::start();
    assert_eq!(
        status(&edge.call(request(&consumer, &authority)).await),
        401
    );
    assert_eq!(tokens(&consumer), ["t1"]);
    assert_eq!(
        status(&edge.call(request(&consumer, &authority)).await),
        401
    );
    assert_eq!(tokens(&consumer), ["t1", "t1", "t2"]);
    consumer.answer_with(|_| Answer::status(403));
    assert_eq!(
        status(&edge.call(request(&consumer, &authority)).await),
        403
    );
    assert_eq!(authority.count(), 2, "403 says nothing of a token");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_it_says_why_without_quoting() {
    let authority = authority("");
    let consumer = StubServer::accepting();
    let mut edge = Edge::start();
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(70_000));
    let described = r#"{"error":"invalid_client","error_description":"hunter2"}"#;
    for (answer, error) in [
        (
            Answer::status(401).json(described),
            "answered 401: invalid_client",
        ),
        (Answer::status(500), "answered 500"),
        (Answer::status(302).header("location", "/"), "answered 302"),
        (
            Answer::status(200),
            "answered without an access_token that a header can carry",
        ),
        (
            Answer::status(200).body("<p>hunter2</p>"),
            "answered without an access_token that a header can carry",
        ),
        (
            Answer::status(200).json(&long),
            "answered more than is read",
        ),
        (
            Answer::status(200).json(r#"{"access_token":"hunter2","token_type":"mac"}"#),
            "answered with a token that is not a bearer token",
        ),
        (
            Answer::cut(),
            "connection closed before the answer was complete",
        ),
    ] {
        authority.answer_with(move |_| answer.clone());
        let finished = edge.call(request(&consumer, &authority)).await;
        let expected = format!("no token: {error}");
        assert_eq!(failed(&finished), (ErrorClass::Auth, &*expected));
    }
    assert_eq!(consumer.count(), 0);
    authority.answer_with(|_| issued("t", ""));
    assert_eq!(
        status(&edge.call(request(&consumer, &authority)).await),
        200
    );
}

#[tokio::test]
async fn an_authority_that_cannot_be_reached_or_does_not_answer_is_no_token() {
    let mut authority = authority("");
    let consumer = StubServer::accepting();
    let mut edge = Edge::start();
    authority.answer_with(|_| Answer::ok().after(Duration::from_secs(20)));
    let mut hasty = request(&consumer, &authority);
    hasty.timeout = Duration::from_millis(300);
    let finished = edge.call(hasty).await;
    let (class, error) = failed(&finished);
    assert_eq!(class, ErrorClass::Auth);
    assert!(error.ends_with("no answer within 300ms"), "{error}");
    authority.go_down();
    let finished = edge.call(request(&consumer, &authority)).await;
    let (class, error) = failed(&finished);
    assert_eq!(class, ErrorClass::Auth);
    assert!(error.ends_with("connection refused"), "{error}");
    assert_eq!(consumer.count(), 0);
}

/// Each step alone would be in time, with a second to spare.
#[tokio::test]
async fn waiting_for_a_token_takes_of_the_time_of_its_request() {
    const STEP: Duration = Duration::from_secs(2);
    let authority = authority("");
    authority.answer_with(|_| issued("t1", "").after(STEP));
    let consumer = StubServer::start(|_| Answer::ok().after(STEP));
    let mut edge = Edge::start();
    let mut hasty = request(&consumer, &authority);
    hasty.timeout = Duration::from_secs(3);
    let finished = edge.call(hasty).await;
    assert_eq!(failed(&finished).0, ErrorClass::Timeout);
}

#[tokio::test]
async fn renewing_a_token_and_sending_again_take_of_the_same_time() {
    const STEP: Duration = Duration::from_millis(1_800);
    for (renewal_takes, class, requests) in [
        (STEP, ErrorClass::Auth, 2),
        (Duration::ZERO, ErrorClass::Timeout, 3),
    ] {
        let authority = authority("");
        let consumer = StubServer::accepting();
        let mut edge = Edge::start();
        edge.call(request(&consumer, &authority)).await;
        consumer.answer_with(|request| match request.header("authorization") {
            "Bearer t1" => Answer::status(401).after(STEP),
            _ => Answer::ok().after(STEP),
        });
        authority.answer_with(move |_| issued("t2", "").after(renewal_takes));
        let mut hasty = request(&consumer, &authority);
        hasty.timeout = Duration::from_secs(3);
        let finished = edge.call(hasty).await;
        let (failed_as, error) = failed(&finished);
        assert_eq!(failed_as, class, "{error}");
        assert_eq!(consumer.count(), requests, "{error}");
    }
}

/// An endpoint that cannot be reached is one all the same where there was time to find out.
#[tokio::test]
async fn a_token_that_leaves_too_little_time_to_connect_is_to_blame_and_no_other() {
    let (silent, _waiting) = silent_server().await;
    for (takes, class) in [
        (Duration::from_secs(2), ErrorClass::Auth),
        (Duration::ZERO, ErrorClass::Connect),
    ] {
        let authority = authority("");
        authority.answer_with(move |_| issued("t1", "").after(takes));
        let hasty = HttpRequest {
            timeout: Duration::from_secs(3),
            grant: Some(grant(&authority.url())),
            ..post(&silent, b"{}")
        };
        let limits = Limits {
            connect_timeout: Duration::from_secs(4),
            ..LIMITS
        };
        let finished = Edge::with(&[limits]).call(hasty).await;
        let (failed_as, error) = failed(&finished);
        assert_eq!(failed_as, class, "{error}");
    }
}

#[tokio::test]
async fn a_request_that_may_not_be_sent_again_with_another_token_was_sent_once() {
    let authority = authority("");
    let consumer = StubServer::accepting();
    let mut edge = Edge::start();
    edge.call(request(&consumer, &authority)).await;
    consumer.answer_with(|_| Answer::status(401));
    let lease = edge.lease.clone();
    authority.answer_with(move |_| {
        lease.begin_term();
        issued("t2", "")
    });
    let finished = edge.call(request(&consumer, &authority)).await;
    assert_eq!(status(&finished), 401);
    assert_eq!(tokens(&consumer), ["t1", "t1"]);
}

#[tokio::test]
async fn who_must_not_be_reached_is_not_asked_for_a_token() {
    let authority = authority("");
    let consumer = StubServer::accepting();
    let allow = vec![Network::parse("127.0.0.1/32").unwrap()];
    let mut edge = Edge::with_egress(relay_core::egress::Egress {
        allow,
        ..Default::default()
    });
    let elsewhere = authority.url().replace("127.0.0.1", "127.0.0.2");
    let request = HttpRequest {
        grant: Some(grant(&elsewhere)),
        ..post(&consumer.url(), b"{}")
    };
    let finished = edge.call(request).await;
    let (class, error) = failed(&finished);
    assert_eq!(class, ErrorClass::Auth);
    assert!(error.starts_with("no token: 127.0.0.2: "), "{error}");
    assert_eq!((authority.connections(), consumer.count()), (0, 0));
}

#[tokio::test]
async fn an_authority_is_known_as_the_destination_s_servers_are() {
    let (known, stranger) = (Authority::new(), Authority::new());
    let mut edge = Edge::with_tls(&[LIMITS], &tls::with_roots(known.roots()));
    let consumer = StubServer::accepting();
    let error = async |edge: &mut Edge, server: &RawServer| {
        let token_url = format!("https://localhost:{}/", server.address().port());
        let request = HttpRequest {
            grant: Some(grant(&token_url)),
            ..post(&consumer.url(), b"{}")
        };
        let finished = edge.call(request).await;
        failed(&finished).1.to_owned()
    };
    let ours = known.vouch_for("localhost").serve(ALL, None);
    let theirs = stranger.vouch_for("localhost").serve(ALL, None);
    // These servers hand out no tokens: it is enough that ours is understood.
    let reached = error(&mut edge, &ours).await;
    assert!(
        reached.starts_with("no token: answered without"),
        "{reached}"
    );
    let refused = error(&mut edge, &theirs).await;
    assert!(
        refused.starts_with("no token: invalid peer certificate"),
        "{refused}"
    );
}
