//! What 404, 405 and 410 mean depends on what was asked, and how.

use super::*;

fn class_of(status: u16, operation: Operation, method: Method) -> Class {
    let question = Question {
        operation,
        method,
        ..posted(ours())
    };
    judge(
        &answer(status, ""),
        &[question],
        Shape::Single,
        &Classify::default(),
    )[0]
    .class
}

fn class_of_row(status: u16, operation: Operation, method: Method) -> Class {
    let question = Question {
        operation,
        method,
        names_key: true,
        ..posted(ours())
    };
    judge(
        &answer(status, ""),
        &[question],
        Shape::Single,
        &Classify::default(),
    )[0]
    .class
}

#[test]
fn where_rows_have_urls_of_their_own_a_missing_one_is_tried_again_or_is_what_a_delete_wants() {
    for status in [404, 410] {
        let update = class_of_row(status, Operation::Update, Method::Put);
        assert_eq!(update, Class::Retry, "{status}");
        for method in [Method::Delete, Method::Post] {
            let delete = class_of_row(status, Operation::Delete, method);
            assert_eq!(delete, Class::Delivered, "{status} {method:?}");
        }
    }
    for operation in [Operation::Update, Operation::Delete] {
        let refused = class_of_row(405, operation, Method::Delete);
        assert_eq!(refused, Class::Retry, "{operation:?}");
        let unauthorised = class_of_row(401, operation, Method::Delete);
        assert_eq!(unauthorised, Class::Endpoint, "{operation:?}");
    }
}

#[test]
fn a_delete_by_method_is_done_when_there_is_nothing_left_to_delete() {
    for status in [404, 410] {
        let delete = |method| class_of(status, Operation::Delete, method);
        assert_eq!(delete(Method::Delete), Class::Delivered);
        for method in [Method::Post, Method::Put, Method::Patch] {
            assert_eq!(delete(method), Class::Endpoint, "{method:?}");
        }
        // A route may send all its records by DELETE: what is to be there must not count as delivered.
        let update = class_of(status, Operation::Update, Method::Delete);
        assert_eq!(update, Class::Endpoint);
    }
    let refused = class_of(405, Operation::Delete, Method::Delete);
    assert_eq!(refused, Class::Endpoint);
}
