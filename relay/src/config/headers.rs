//! `headers`: what a destination wants to see besides what the relay sends.

use hyper::header::{HeaderName, HeaderValue};
use relay_core::settings::Header;

use super::section::{MASK, Section};
use super::tree::Node;

/// Sent, or decided, by the relay itself.
const OWN: [&str; 11] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "traceparent",
    "transfer-encoding",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];
const OWN_PREFIX: &str = "replicates-to-";

/// RFC 9110, section 5.6.2.
const NAMES: &str =
    "must be named like a header: with A-Z a-z 0-9 and ! # $ % & ' * + - . ^ _ ` | ~";

pub(super) fn read(section: &Section<'_>, key: &'static str) -> Option<Vec<Header>> {
    let mut shown = serde_json::Map::new();
    let mut headers: Vec<Header> = Vec::new();
    let mut is_right = true;
    for (name, node) in section.entries(key) {
        let Some(header) = read_header(section, name, node) else {
            is_right = false;
            continue;
        };
        if headers.iter().any(|other| other.name == header.name) {
            section.problem::<()>(node, "is there twice: names of headers ignore case");
        }
        let text = if header.is_secret {
            MASK
        } else {
            &header.value
        };
        shown.insert(header.name.clone(), text.into());
        headers.push(header);
    }
    section.show(key, shown);
    is_right.then_some(headers)
}

/// Whether the relay sends a header of that lower-case name itself.
pub(super) fn is_own(name: &str) -> bool {
    OWN.contains(&name) || name.starts_with(OWN_PREFIX)
}

/// Whether a header can carry a text as it is.
pub(super) fn is_value(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok() && text.is_ascii()
}

fn read_header(section: &Section<'_>, name: &str, node: &Node) -> Option<Header> {
    let Ok(header_name) = HeaderName::from_bytes(name.as_bytes()) else {
        return section.problem(node, NAMES);
    };
    let name = header_name.as_str();
    if is_own(name) {
        return section.problem(node, "is refused: the relay sends that header itself");
    }
    let resolved = section.resolve(node, "a string")?;
    if !is_value(&resolved.text) {
        return section.refuse(node, "printable ASCII");
    }
    Some(Header {
        name: name.to_owned(),
        value: resolved.text,
        is_secret: resolved.is_reference,
    })
}
