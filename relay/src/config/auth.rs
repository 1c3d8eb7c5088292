//! `auth`: how the relay proves to an endpoint who it is. All ways end in one request header.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HeaderName};
use relay_core::settings::Header;
use relay_core::token::Grant;

use super::headers;
use super::section::{MASK, Section};
use super::tree::Node;
use super::url;

/// What is sent, and what of it must not be seen where a consumer takes it apart.
#[derive(Default)]
pub(super) struct Auth {
    pub header: Option<Header>,
    pub credentials: Vec<String>,
    /// The header is made of a token, of which each has its life.
    pub grant: Option<Arc<Grant>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Basic,
    Bearer,
    Header,
    OAuth2,
}

/// Reads `auth` of a section; `others` are the headers beside which its own is sent.
pub(super) fn read(section: &Section<'_>, others: Option<&[Header]>) -> Option<Auth> {
    let Some(node) = section.optional("auth") else {
        return Some(Auth::default());
    };
    let auth = section.section("auth");
    let kind = auth.choice(
        "type",
        &[
            ("basic", Kind::Basic),
            ("bearer", Kind::Bearer),
            ("header", Kind::Header),
            ("oauth2", Kind::OAuth2),
        ],
    )?;
    let read = match kind {
        Kind::Basic => read_basic(&auth).map(Auth::of_header),
        Kind::Bearer => read_bearer(&auth).map(Auth::of_header),
        Kind::Header => read_header(&auth).map(Auth::of_header),
        Kind::OAuth2 => read_grant(&auth).map(Auth::of_grant),
    };
    auth.refuse_unknown_keys();
    let read = read?;
    let header = read.header.as_ref();
    let name = header.map_or(AUTHORIZATION.as_str(), |header| &header.name);
    if others.is_some_and(|others| others.iter().any(|other| other.name == name)) {
        let message = format!("sends {name}, which headers has as well");
        return section.problem(node, message);
    }
    Some(read)
}

impl Auth {
    fn of_header((header, credentials): (Header, Vec<String>)) -> Self {
        Self {
            header: Some(header),
            credentials,
            grant: None,
        }
    }

    fn of_grant(grant: Grant) -> Self {
        Self {
            grant: Some(grant.into()),
            ..Self::default()
        }
    }
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

fn read_grant(auth: &Section<'_>) -> Option<Grant> {
    let token_url = url::read_whole(auth, "token_url");
    let client_id = auth.text("client_id", "the name of a client", |text| {
        let is_right = !text.is_empty() && !text.contains(char::is_control);
        is_right.then(|| text.to_owned())
    });
    let client_secret = read_secret(auth, "client_secret", |text| {
        !text.contains(char::is_control)
    });
    let scopes = if auth.optional("scopes").is_some() {
        auth.texts(
            "scopes",
            "a scope: printable ASCII without spaces, \" and \\",
            is_scope,
        )
    } else {
        Some(Vec::new())
    };
    let audience = if auth.optional("audience").is_some() {
        let audience = auth.text("audience", "the name of an audience", |text| {
            (!text.is_empty()).then(|| text.to_owned())
        });
        audience.map(Some)
    } else {
        Some(None)
    };
    Some(Grant {
        token_url: token_url?.into(),
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: scopes?,
        audience: audience?,
    })
}

/// RFC 6749, section 3.3.
fn is_scope(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !text.is_empty() && text.bytes().all(is_allowed)
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
