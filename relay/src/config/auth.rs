//! `auth`: how the relay proves to an endpoint who it is. All ways so far end in one request header.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HeaderName};
use relay_core::settings::Header;

use super::headers;
use super::section::{MASK, Section};
use super::tree::Node;

/// What is sent, and what of it must not be seen where a consumer takes it apart.
pub(super) struct Auth {
    pub header: Option<Header>,
    pub credentials: Vec<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    Basic,
    Bearer,
    Header,
}

/// Reads `auth` of a section; `others` are the headers beside which its own is sent.
pub(super) fn read(section: &Section<'_>, others: Option<&[Header]>) -> Option<Auth> {
    let Some(node) = section.optional("auth") else {
        return Some(Auth {
            header: None,
            credentials: Vec::new(),
        });
    };
    let auth = section.section("auth");
    let kind = auth.choice(
        "type",
        &[
            ("basic", Kind::Basic),
            ("bearer", Kind::Bearer),
            ("header", Kind::Header),
        ],
    )?;
    let read = match kind {
        Kind::Basic => read_basic(&auth),
        Kind::Bearer => read_bearer(&auth),
        Kind::Header => read_header(&auth),
    };
    auth.refuse_unknown_keys();
    let (header, credentials) = read?;
    if others.is_some_and(|others| others.iter().any(|other| other.name == header.name)) {
        let message = format!("sends {}, which headers has as well", header.name);
        return section.problem(node, message);
    }
    Some(Auth {
        header: Some(header),
        credentials,
    })
}

fn read_basic(auth: &Section<'_>) -> Option<(Header, Vec<String>)> {
    let username = auth.text("username", "a name without a colon", |text| {
        let is_right = !text.contains(':') && !text.contains(char::is_control);
        is_right.then(|| text.to_owned())
    });
    let password = read_secret(auth, "password", |text| !text.contains(char::is_control));
    let (username, password) = (username?, password?);
    let pair = BASE64_STANDARD.encode(format!("{username}:{password}"));
    let header = authorization(format!("Basic {pair}"));
    Some((header, vec![pair, password]))
}

fn read_bearer(auth: &Section<'_>) -> Option<(Header, Vec<String>)> {
    let token = read_secret(auth, "token", |text| {
        text.bytes().all(|byte| byte.is_ascii_graphic())
    })?;
    Some((authorization(format!("Bearer {token}")), vec![token]))
}

fn read_header(auth: &Section<'_>) -> Option<(Header, Vec<String>)> {
    let name = auth.text(
        "name",
        "a header that the relay does not send itself",
        |text| {
            let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
            (!headers::is_own(name.as_str())).then(|| name.as_str().to_owned())
        },
    );
    let value = read_secret(auth, "value", headers::is_value);
    let header = Header {
        name: name?,
        value: value?,
        is_secret: true,
    };
    Some((header, Vec::new()))
}

fn authorization(value: String) -> Header {
    Header {
        name: AUTHORIZATION.as_str().to_owned(),
        value,
        is_secret: true,
    }
}

/// A secret that a header can carry. Without quoting it where it cannot.
fn read_secret(
    auth: &Section<'_>,
    key: &'static str,
    is_right: impl Fn(&str) -> bool,
) -> Option<String> {
    let node: &Node = auth.required(key)?;
    let secret = auth.secret(node)?;
    auth.show(key, MASK);
    if !is_right(secret.expose()) {
        return auth.problem(
            node,
            "holds what a request cannot carry, such as a line's end",
        );
    }
    Some(secret.expose().to_owned())
}
