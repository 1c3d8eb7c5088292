//! A route knows its endpoint better: what its table says of an answer counts, and nothing else changes.

use super::*;

const STALE: Class = Class::Stale { version: None };

fn table(entries: &[(&str, Class)]) -> Classify {
    let mark = |name| Mark::from_name(name).unwrap();
    Classify::new(
        entries
            .iter()
            .map(|(name, class)| (mark(name), *class))
            .collect(),
    )
}

fn verdict(exchange: &Exchange, entries: &[(&str, Class)]) -> Verdict {
    judge(exchange, &[posted(ours())], Shape::Single, &table(entries)).remove(0)
}

fn taken_for(exchange: &Exchange, entries: &[(&str, Class)]) -> Class {
    verdict(exchange, entries).class
}

fn failed(class: ErrorClass) -> Exchange {
    let error = "it failed".into();
    exchange(End::Failed { class, error })
}

#[test]
fn a_status_beats_an_error_class_which_beats_a_range() {
    let conflict = answer(409, "");
    let range = ("4xx", Class::Reject);
    let class = ("http_4xx", Class::Endpoint);
    let status = ("409", Class::Suspect);
    assert_eq!(taken_for(&conflict, &[]), Class::Retry);
    assert_eq!(taken_for(&conflict, &[range]), Class::Reject);
    assert_eq!(taken_for(&conflict, &[range, class]), Class::Endpoint);
    assert_eq!(
        taken_for(&conflict, &[range, class, status]),
        Class::Suspect
    );
    assert_eq!(
        taken_for(&answer(500, ""), &[range, class, status]),
        Class::Suspect
    );
    assert_eq!(
        taken_for(&answer(200, ""), &[range, class, status]),
        Class::Delivered
    );
}

#[test]
fn failures_without_an_answer_are_taken_for_what_their_error_class_says() {
    for error in ErrorClass::ALL
        .into_iter()
        .filter(|class| class.is_of_a_request())
    {
        let entries = [(error.as_str(), Class::Retry), ("5xx", Class::Reject)];
        let verdict = verdict(&failed(error), &entries);
        assert_eq!(verdict.class, Class::Retry, "{error:?}");
        assert_eq!(verdict.error_class, Some(error));
        assert_eq!(verdict.error.as_deref(), Some("it failed"));
    }
}

#[test]
fn what_is_taken_for_delivered_or_stale_keeps_its_status_and_is_no_failure() {
    for class in [Class::Delivered, STALE] {
        let expected = Verdict {
            class,
            status: Some(409),
            error_class: None,
            error: None,
        };
        assert_eq!(verdict(&answer(409, "taken"), &[("409", class)]), expected);
        assert_eq!(verdict(&answer(409, "taken"), &[("4xx", class)]), expected);
    }
}

#[test]
fn an_answer_that_is_a_success_elsewhere_may_be_a_failure_here() {
    let verdict = verdict(
        &answer(202, r#"{"error":"queue is full"}"#),
        &[("202", Class::Retry)],
    );
    let expected = Verdict {
        class: Class::Retry,
        status: Some(202),
        error_class: Some(ErrorClass::BadResponse),
        error: Some("answered 202: queue is full".into()),
    };
    assert_eq!(verdict, expected);
}

#[test]
fn what_the_consumer_says_of_a_record_counts_before_the_table() {
    let table = ["200", "409", "http_4xx", "4xx"].map(|name| (name, Class::Endpoint));
    for (status, body, class) in [
        (200, r#"{"status":"stale"}"#, STALE),
        (409, r#"{"status":"stale"}"#, STALE),
        (200, r#"{"status":"rejected"}"#, Class::Reject),
        (200, r#"{"status":"retry"}"#, Class::Retry),
        (200, r#"{"status":"applied"}"#, Class::Endpoint),
        (200, "", Class::Endpoint),
    ] {
        assert_eq!(
            taken_for(&answer(status, body), &table),
            class,
            "{status} {body}"
        );
    }
    let results = |status: &str| {
        let id = ours();
        answer(
            200,
            &format!(r#"{{"results":[{{"id":"{id}","status":"{status}"}}]}}"#),
        )
    };
    for (word, class) in [
        ("applied", Class::Delivered),
        ("stale", STALE),
        ("retry", Class::Retry),
        ("rejected", Class::Reject),
    ] {
        assert_eq!(taken_for(&results(word), &table), class, "{word}");
    }
}

#[test]
fn records_that_a_partial_answer_does_not_name_are_taken_for_what_the_table_says_of_silence() {
    let other = DeliveryId {
        version: 6,
        ..ours()
    };
    let body = format!(r#"{{"results":[{{"id":"{other}","status":"rejected"}}]}}"#);
    let questions = [posted(ours()), posted(other)];
    let table = table(&[
        ("batch_result_missing", Class::Delivered),
        ("200", Class::Suspect),
    ]);
    let verdicts = judge(&answer(200, &body), &questions, Shape::Batch, &table);
    let classes: Vec<_> = verdicts.iter().map(|verdict| verdict.class).collect();
    assert_eq!(classes, [Class::Delivered, Class::Reject]);
    let broken = answer(200, r#"{"results":3}"#);
    let entries = [("bad_response", Class::Reject), ("200", Class::Delivered)];
    assert_eq!(taken_for(&broken, &entries), Class::Reject);
}

#[test]
fn a_delete_that_finds_nothing_is_delivered_unless_it_is_the_endpoint_that_is_missing() {
    let delete = Question {
        operation: Operation::Delete,
        method: Method::Delete,
        ..posted(ours())
    };
    let class_of = |entries: &[(&str, Class)]| {
        let gone = answer(404, "");
        judge(&gone, &[delete], Shape::Single, &table(entries))[0].class
    };
    for mark in ["404", "http_4xx", "4xx"] {
        for class in [Class::Retry, Class::Reject, Class::Delivered] {
            assert_eq!(class_of(&[(mark, class)]), Class::Delivered, "{mark}");
            let update = taken_for(&answer(404, ""), &[(mark, class)]);
            assert_eq!(update, class, "{mark}");
        }
        for class in [Class::Endpoint, Class::Suspect] {
            assert_eq!(class_of(&[(mark, class)]), class, "{mark}");
        }
    }
    assert_eq!(
        class_of(&[("4xx", Class::Endpoint), ("404", Class::Retry)]),
        Class::Delivered
    );
}

#[test]
fn only_an_endpoint_that_cannot_be_reached_opens_a_breaker_at_once() {
    let opens =
        |error, entries: &[(&str, Class)]| verdict(&failed(error), entries).opens_breaker_at_once();
    assert!(opens(ErrorClass::Connect, &[]));
    for class in [Class::Retry, Class::Reject, Class::Suspect] {
        assert!(
            !opens(ErrorClass::Connect, &[("connect", class)]),
            "{class:?}"
        );
    }
    assert!(!opens(ErrorClass::Timeout, &[("timeout", Class::Endpoint)]));
}

#[test]
fn marks_are_statuses_hundreds_and_the_error_classes_of_requests() {
    for (name, mark) in [
        ("200", Some(Mark::Status(200))),
        ("599", Some(Mark::Status(599))),
        ("5xx", Some(Mark::Hundred(5))),
        ("dns", Some(Mark::Error(ErrorClass::Dns))),
        ("199", None),
        ("600", None),
        ("0409", None),
        ("+40", None),
        ("3xx", None),
        ("unmappable", None),
        ("undecodable", None),
    ] {
        assert_eq!(Mark::from_name(name), mark, "{name}");
    }
    for name in Mark::words() {
        assert!(Mark::from_name(name).is_some(), "{name}");
    }
    assert!(Mark::words().all(|name| name != "null_value"));
}

fn any_class() -> impl Strategy<Value = Class> {
    prop::sample::select(vec![
        Class::Delivered,
        STALE,
        Class::Retry,
        Class::Reject,
        Class::Endpoint,
        Class::Suspect,
    ])
}

proptest! {
    #[test]
    fn whatever_a_table_says_an_answer_has_a_class_and_only_failures_an_error(
        status in 200_u16..600,
        body in ".{0,80}|\\{\"(results|status)\":.{0,40}\\}",
        named in any_class(),
        hundreds in any_class(),
    ) {
        let other = (status + 1).min(599).to_string();
        let entries = [(&*other, named), ("4xx", hundreds), ("5xx", hundreds)];
        let verdict = verdict(&answer(status, &body), &entries);
        let is_acknowledged = matches!(verdict.class, Class::Delivered | Class::Stale { .. });
        prop_assert_eq!(is_acknowledged, verdict.error_class.is_none());
        prop_assert_eq!(is_acknowledged, verdict.error.is_none());
        prop_assert_eq!(verdict.status, Some(status));
    }
}
