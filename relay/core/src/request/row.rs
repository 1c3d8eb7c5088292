//! A request and its answer as the log shows them: secrets and sensitive values masked, bodies and headers by policy.

use std::sync::Arc;

use super::{Outgoing, signature};
use crate::exchange::{Answer, End, Exchange, HttpRequest};
use crate::mask::{Ending, Mask};
use crate::record::View;
use crate::record::json::{MASKED, write_string};
use crate::rows::{ExchangeRow, Outcome};
use crate::settings::{LogBody, Route};

/// Headers that carry credentials whoever configured them, in requests and answers.
const CREDENTIAL_HEADERS: [&str; 6] = [
    signature::HEADER,
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
];

/// What the log keeps of an exchange that ended like this.
pub fn row(
    route: &Route,
    deliveries: &[Outgoing<'_>],
    request: &HttpRequest,
    exchange: &Exchange,
    outcome: Outcome,
) -> ExchangeRow {
    let row = ExchangeRow {
        method: request.method.as_str(),
        url: without_credentials(&request.url),
        timings: exchange.timings,
        ..ExchangeRow::default()
    };
    let is_kept = match route.log_body {
        LogBody::None => false,
        LogBody::Failures => !outcome.is_success(),
        LogBody::All => true,
    };
    if !is_kept {
        return row;
    }
    let bytes_max = route.log_body_bytes_max;
    let row = ExchangeRow {
        request_headers: Some(request_headers(request, bytes_max)),
        request_body: request_body(route, deliveries, request).map(|body| cut(body, bytes_max)),
        ..row
    };
    let End::Answered(answer) = &exchange.end else {
        return row;
    };
    let mut mask = Mask::new(route, deliveries.iter().map(|delivery| delivery.record))
        .with_token(request.token.as_ref());
    for (_, signatures) in request
        .headers
        .iter()
        .filter(|(name, _)| *name == signature::HEADER)
    {
        signatures.split(' ').for_each(|one| mask.add_text(one));
    }
    let ending = if answer.is_truncated {
        Ending::CutOff
    } else {
        Ending::Whole
    };
    ExchangeRow {
        response_headers: Some(response_headers(answer, &mask, bytes_max)),
        response_body: Some(cut(mask.body(&answer.body, ending), bytes_max)),
        ..row
    }
}

/// A URL from a reference may name a user and a password.
fn without_credentials(url: &Arc<str>) -> Arc<str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.clone();
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{MASKED}{}", &rest[at..]).into(),
        None => url.clone(),
    }
}

fn request_headers(request: &HttpRequest, bytes_max: usize) -> String {
    let own = request
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str(), is_credential(name)));
    let configured = request.configured_headers.iter().map(|header| {
        let is_masked = header.is_secret || is_credential(&header.name);
        (header.name.as_str(), header.value.as_str(), is_masked)
    });
    let token = request.token.as_ref();
    let token = token.map(|token| ("authorization", token.expose(), true));
    let shown = own
        .chain(configured)
        .chain(token)
        .map(|(name, value, is_masked)| {
            let value = if is_masked { MASKED } else { value };
            (name, value.to_owned())
        });
    object(shown, bytes_max)
}

fn response_headers(answer: &Answer, mask: &Mask, bytes_max: usize) -> String {
    let mut headers: Vec<(&str, String)> = Vec::new();
    for (name, value) in &answer.headers {
        let value = if is_credential(name) {
            MASKED.to_owned()
        } else {
            mask.text(value)
        };
        match headers.iter_mut().find(|(known, _)| known == name) {
            // What HTTP says of a repeated header.
            Some((_, values)) => {
                values.push_str(", ");
                values.push_str(&value);
            }
            None => headers.push((name, value)),
        }
    }
    object(headers.into_iter(), bytes_max)
}

fn is_credential(name: &str) -> bool {
    CREDENTIAL_HEADERS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// A JSON object of as many members as fit.
fn object<'a>(members: impl Iterator<Item = (&'a str, String)>, bytes_max: usize) -> String {
    let mut out = vec![b'{'];
    for (name, value) in members {
        let before = out.len();
        if before > 1 {
            out.push(b',');
        }
        write_string(&mut out, name);
        out.push(b':');
        write_string(&mut out, &value);
        if out.len() >= bytes_max {
            out.truncate(before);
        }
    }
    out.push(b'}');
    String::from_utf8(out).expect("texts were written")
}

/// The body as it was sent, but for what must not be seen. None when the route does not send such a body any more.
fn request_body(
    route: &Route,
    deliveries: &[Outgoing<'_>],
    request: &HttpRequest,
) -> Option<Vec<u8>> {
    let has_masked = |delivery: &Outgoing<'_>| delivery.record.has_masked(&route.mask);
    if route.body.secrets().next().is_none() && !deliveries.iter().any(has_masked) {
        return Some(request.body.clone());
    }
    let view = View::Log { mask: &route.mask };
    let mut body = Vec::new();
    for delivery in deliveries {
        route.body.write(delivery, view, &mut body).ok()?;
    }
    Some(body)
}

/// At most so many bytes, without half a character at the end.
fn cut(mut body: Vec<u8>, bytes_max: usize) -> Vec<u8> {
    if body.len() > bytes_max {
        let is_continuation = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
        let starts = (0..=bytes_max).rev().take(4);
        let end = starts
            .into_iter()
            .find(|&end| !is_continuation(body[end]))
            .unwrap_or(bytes_max);
        body.truncate(end);
    }
    body
}

#[cfg(test)]
mod tests;
