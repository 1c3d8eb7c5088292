//! Answers to requests that carried several records.

use super::*;

const BATCH: [u64; 2] = [7, 8];

fn ids() -> [DeliveryId; 2] {
    BATCH.map(|version| DeliveryId { version, ..ours() })
}

fn classes(exchange: &Exchange) -> [Class; 2] {
    let verdicts = judge(
        exchange,
        &ids().map(posted),
        Shape::Batch,
        &Classify::default(),
    );
    [verdicts[0].class, verdicts[1].class]
}

fn both(class: Class) -> [Class; 2] {
    [class; 2]
}

#[test]
fn a_success_that_names_nobody_is_everybodys() {
    for body in ["", "OK", "{}", "[]", "null", r#"{"status":"applied"}"#] {
        assert_eq!(
            classes(&answer(200, body)),
            both(Class::Delivered),
            "{body}"
        );
    }
}

#[test]
fn a_batch_that_is_stale_as_a_whole_says_no_version() {
    let body = r#"{"status":"stale","version":99}"#;
    let stale = Class::Stale { version: None };
    assert_eq!(classes(&answer(200, body)), both(stale));
}

#[test]
fn what_may_be_true_of_one_record_alone_divides_the_batch() {
    for status in [400, 422, 409, 423, 424, 425] {
        let divided = both(Class::Divide(Portion::One));
        assert_eq!(classes(&answer(status, "")), divided, "{status}");
    }
    assert_eq!(
        classes(&answer(413, "")),
        both(Class::Divide(Portion::Half))
    );
    for body in [
        r#"{"status":"rejected"}"#,
        r#"{"status":"retry","error":"later"}"#,
    ] {
        assert_eq!(
            classes(&answer(200, body)),
            both(Class::Divide(Portion::One))
        );
    }
    assert_eq!(
        classes(&answer(409, r#"{"status":"stale"}"#)),
        both(Class::Divide(Portion::One))
    );
}

#[test]
fn a_row_that_is_not_there_is_no_answer_for_several_deletions() {
    let deletion = |id| Question {
        operation: Operation::Delete,
        method: Method::Delete,
        ..posted(id)
    };
    let verdicts = judge(
        &answer(404, ""),
        &ids().map(deletion),
        Shape::Batch,
        &Classify::default(),
    );
    assert_eq!(verdicts[0].class, Class::Divide(Portion::One));
    let alone = judge(
        &answer(404, ""),
        &[deletion(ids()[0])],
        Shape::Batch,
        &Classify::default(),
    );
    assert_eq!(alone[0].class, Class::Delivered);
}

#[test]
fn the_endpoints_trouble_is_everybodys() {
    for status in [301, 401, 403, 404, 405, 429, 502, 503, 504] {
        assert_eq!(
            classes(&answer(status, "")),
            both(Class::Endpoint),
            "{status}"
        );
    }
    assert_eq!(classes(&answer(500, "")), both(Class::Suspect));
}

#[test]
fn an_answer_that_cannot_be_read_acknowledges_nobody() {
    for body in ["{", "[1,", r#"  {"results":[{"id":"dlv_"#, "{not json}"] {
        let verdicts = judge(
            &answer(200, body),
            &ids().map(posted),
            Shape::Batch,
            &Classify::default(),
        );
        assert_eq!(verdicts[1].class, Class::Suspect, "{body}");
        assert_eq!(verdicts[1].error_class, Some(ErrorClass::BadResponse));
        // Alone, a record needs no more than the status.
        assert_eq!(class(&answer(200, body)), DELIVERED);
    }
    let cut = exchange(End::Answered(Answer {
        status: 200,
        headers: vec![],
        body: b"<html>".to_vec(),
        is_truncated: true,
    }));
    let verdicts = judge(&cut, &ids().map(posted), Shape::Batch, &Classify::default());
    assert_eq!(verdicts[0].class, Class::Suspect);
    assert_eq!(verdicts[0].error_class, Some(ErrorClass::ResponseTooLarge));
}

#[test]
fn each_record_has_the_worst_that_was_said_of_it_and_silence_is_no_acknowledgement() {
    let [first, second] = ids();
    let body = format!(
        r#"{{"results":[{{"id":"{first}","status":"applied"}},{{"id":"{first}","status":"rejected","error":"no"}},{{"id":"dlv_00000000000000000000000000000000_1","status":"applied"}},{{"id":"{second}","status":"done"}}]}}"#
    );
    let verdicts = judge(
        &answer(200, &body),
        &ids().map(posted),
        Shape::Batch,
        &Classify::default(),
    );
    assert_eq!(verdicts[0].class, Class::Reject);
    assert_eq!(verdicts[1].class, Class::Retry);
    assert_eq!(
        verdicts[1].error_class,
        Some(ErrorClass::BatchResultMissing)
    );
}

#[test]
fn a_half_is_never_the_whole_and_never_nothing() {
    for records in 2..50 {
        let half = Portion::Half.of(records);
        assert!(half < records && 2 * half >= records);
    }
}
