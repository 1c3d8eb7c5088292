//! `retry.classify`: what answers and failures are taken for.

use std::collections::BTreeMap;

use relay_core::verdict::{Class, Classify, Mark};
use serde_json::{Map, Value as Json};

use super::section::Section;
use super::tree::Node;
use crate::nearest;

const FAILURES: [(&str, Class); 4] = [
    ("retry", Class::Retry),
    ("reject", Class::Reject),
    ("endpoint", Class::Endpoint),
    ("suspect", Class::Suspect),
];

const CLASSES: [(&str, Class); 6] = [
    ("delivered", Class::Delivered),
    ("stale", Class::Stale { version: None }),
    FAILURES[0],
    FAILURES[1],
    FAILURES[2],
    FAILURES[3],
];

/// Reads `classify` of the section `retry`.
pub(super) fn read(retry: &Section<'_>) -> Option<Classify> {
    let mut shown = Map::new();
    let mut classes = BTreeMap::new();
    let mut is_right = true;
    for (name, node) in retry.entries("classify") {
        match read_entry(retry, name, node) {
            Some((mark, word, class)) => {
                shown.insert(name.clone(), Json::from(word));
                classes.insert(mark, class);
            }
            None => is_right = false,
        }
    }
    retry.show("classify", shown);
    is_right.then(|| Classify::new(classes))
}

fn read_entry(retry: &Section<'_>, name: &str, node: &Node) -> Option<(Mark, String, Class)> {
    let Some(mark) = Mark::from_name(name) else {
        let is_number = name.parse::<u64>().is_ok();
        let hint = if is_number {
            String::new()
        } else {
            nearest::hint(name, Mark::words())
        };
        let message =
            format!("is unknown: a status from 200 to 599, 4xx, 5xx or an error class{hint}");
        return retry.problem(node, message);
    };
    // What nobody answered must not count as delivered: it would be lost without a trace.
    let words = if mark.is_of_an_answer() {
        &CLASSES[..]
    } else {
        &FAILURES
    };
    let (word, class) = retry.word(node, words)?;
    Some((mark, word, class))
}
