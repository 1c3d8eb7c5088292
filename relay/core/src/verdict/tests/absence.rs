//! What 404, 405 and 410 mean depends on what was asked, and how.

use super::*;

fn class_of(status: u16, operation: Operation, method: Method) -> Class {
    let question = Question {
        operation,
        method,
        ..posted(ours())
    };
    judge(&answer(status, ""), &[question])[0].class
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
