//! Every wrong value is told by its key, itself, what is allowed, and the nearest name.

use std::collections::BTreeSet;

use relay_test_support::reference::keys_of;
use replicates_relay::config::{DEFAULTS, Environment};

use crate::problems;

const TABLES: [&str; 2] = [
    include_str!("wrong_values/process.txt"),
    include_str!("wrong_values/destinations.txt"),
];

/// What a file cannot do without, by section.
const REQUIRED: [(&str, &str); 4] = [
    ("kafka", "brokers = [\"127.0.0.1:9092\"]"),
    ("store", "url = \"sqlite://relay.db\""),
    ("destinations.billing", "url = \"http://billing\""),
    ("destinations.search", "url = \"http://search\""),
];

/// An entry of the tables.
struct Wrong {
    section: &'static str,
    lines: String,
    message: &'static str,
}

fn wrong_values() -> Vec<Wrong> {
    let mut found = vec![];
    let (mut section, mut lines) = ("", String::new());
    for line in TABLES.into_iter().flat_map(str::lines) {
        let header = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(message) = line.strip_prefix("    ") {
            let lines = std::mem::take(&mut lines);
            found.push(Wrong {
                section,
                lines,
                message,
            });
        } else if let Some(name) = header {
            section = name;
        } else if !line.is_empty() && !line.starts_with('#') {
            lines += line;
            lines += "\n";
        }
    }
    found
}

/// A file that begins with these lines of a section, and has what is required.
fn file_with(section: &str, lines: &str) -> String {
    let says = |required: &str| {
        let (key, _) = required.split_once('=').unwrap();
        lines.lines().any(|line| line.starts_with(key))
    };
    let mut text = vec![format!("[{section}]\n{lines}")];
    for (of, required) in REQUIRED {
        if of == section && !says(required) {
            text.push(required.to_owned());
        }
    }
    for (of, required) in REQUIRED {
        if of != section {
            text.push(format!("[{of}]\n{required}"));
        }
    }
    text.join("\n")
}

impl Wrong {
    fn expected(&self) -> String {
        let Self {
            section, message, ..
        } = self;
        if message.starts_with("defaults.") {
            format!("relay.default.toml: {message}")
        } else if message.ends_with(" is required") {
            format!("{section}.{message}")
        } else {
            format!("relay.toml:2: {section}.{message}")
        }
    }

    /// The key that is wrong, as the reference has it; none where a name is.
    fn key(&self) -> Option<String> {
        let (named, rest) = self.message.split_once(' ')?;
        let (key, _) = named.split_once('[').unwrap_or((named, ""));
        let key = match (self.section, key) {
            _ if rest.starts_with("is unknown") => return None,
            _ if key.starts_with("defaults.") => key.to_owned(),
            ("destinations.search", "url" | "enabled" | "sources") => {
                format!("destinations.billing.{key}")
            }
            ("destinations.search", _) if key.starts_with("routes.") => {
                format!("destinations.billing.{key}")
            }
            ("destinations.search", _) => format!("defaults.{key}"),
            (section, _) => format!("{section}.{key}"),
        };
        Some(key)
    }
}

#[test]
fn wrong_values_are_told_by_key_value_and_what_is_allowed() {
    let environment = Environment::of([
        ("WORD", "word"),
        ("LINES", "one\ntwo"),
        ("EMPTY", ""),
        ("BRACE", "http://billing/{hunter2}"),
        (
            "SIGNING",
            "whsec_cmVwbGljYXRlcy10by10ZXN0LXZlY3Rvci1zZWNyZXQ=",
        ),
        (
            "CERTIFICATE",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
    ]);
    let mut mistold = vec![];
    for wrong in wrong_values() {
        let found = problems(&file_with(wrong.section, &wrong.lines), &environment);
        if found != [wrong.expected()] || found[0].contains("hunter2") {
            mistold.push((wrong.lines, found));
        }
    }
    assert!(mistold.is_empty(), "{mistold:#?}");
}

#[test]
fn every_key_of_the_reference_is_told_where_it_is_wrong() {
    let told: BTreeSet<_> = wrong_values().iter().filter_map(Wrong::key).collect();
    let is_told = |key: &String| {
        let below = format!("{key}.");
        told.iter()
            .any(|told| told == key || told.starts_with(&below))
    };
    let mut untold = keys_of(DEFAULTS);
    untold.retain(|key| !is_told(key));
    assert_eq!(untold, BTreeSet::new());
}

#[test]
fn every_key_of_the_reference_is_asked_about_where_it_is_misspelled() {
    for key in keys_of(DEFAULTS) {
        let (section, name) = key.rsplit_once('.').unwrap();
        let found = problems(
            &file_with(section, &format!("{name}s = 1")),
            &Environment::default(),
        );
        let told = format!("relay.toml:2: {key}s is unknown (did you mean {name}?)");
        assert_eq!(found, [told]);
    }
}

#[test]
fn a_name_may_have_63_characters() {
    let named = |length| {
        let name = "x".repeat(length);
        file_with(&format!("destinations.{name}"), "url = \"http://x\"")
    };
    crate::parse(&named(63));
    let told = format!(
        "relay.toml:1: destinations.{} must be named [a-z][a-z0-9_]{{0,62}}",
        "x".repeat(64)
    );
    assert_eq!(problems(&named(64), &Environment::default()), [told]);
}
