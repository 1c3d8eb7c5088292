//! In what one configuration differs from another, of what is shown.

use serde_json::{Map, Value};

use super::restart;

/// A key that is set otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// `destinations.billing.retry.max_retries`
    pub path: String,
    /// Null where it is not set.
    pub before: Value,
    pub after: Value,
}

impl Difference {
    /// Whether a running relay cannot take it in.
    pub fn needs_restart(&self) -> bool {
        restart::is_fixed(&self.path)
    }
}

/// All keys in which two configurations differ, in the order of their names.
pub fn of(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = vec![];
    compare(String::new(), before, after, &mut found);
    found
}

fn compare(path: String, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            for key in keys(one, other) {
                let of = |table: &Map<String, Value>| table.get(key).cloned().unwrap_or_default();
                let below = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                compare(below, &of(one), &of(other), found);
            }
        }
        _ if before == after => {}
        _ => found.push(Difference {
            path,
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

fn keys<'a>(one: &'a Map<String, Value>, other: &'a Map<String, Value>) -> Vec<&'a String> {
    let added = other.keys().filter(|key| !one.contains_key(*key));
    let mut keys: Vec<_> = one.keys().chain(added).collect();
    keys.sort();
    keys
}
