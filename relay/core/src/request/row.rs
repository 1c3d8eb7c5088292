//! A request and its answer as the log shows them: secrets and sensitive values masked, bodies and headers by policy.

use std::cell::OnceCell;
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

/// An exchange of which the log has a row for each delivery that it carried. What the rows share is made once, and only
/// when one of them shows it.
#[derive(Debug)]
pub struct Sheet<'a> {
    route: &'a Route,
    deliveries: &'a [Outgoing<'a>],
    request: &'a HttpRequest,
    exchange: &'a Exchange,
    mask: OnceCell<Mask>,
    request_headers: OnceCell<String>,
    answer: OnceCell<Option<AnswerShown>>,
}

#[derive(Debug, Clone)]
struct AnswerShown {
    headers: String,
    body: Vec<u8>,
}

impl<'a> Sheet<'a> {
    pub fn new(
        route: &'a Route,
        deliveries: &'a [Outgoing<'a>],
        request: &'a HttpRequest,
        exchange: &'a Exchange,
    ) -> Self {
        Self {
            route,
            deliveries,
            request,
            exchange,
            mask: OnceCell::new(),
            request_headers: OnceCell::new(),
            answer: OnceCell::new(),
        }
    }

    /// What the log keeps of the exchange for one of its deliveries, for which it ended like this. Of a batch's body it
    /// keeps the one record.
    ///
    /// # Panics
    /// When there are not so many deliveries.
    pub fn row(&self, position: usize, outcome: Outcome) -> ExchangeRow {
        let row = ExchangeRow {
            method: self.request.method.as_str(),
            url: without_credentials(&self.request.url),
            timings: self.exchange.timings,
            ..ExchangeRow::default()
        };
        let is_kept = match self.route.log_body {
            LogBody::None => false,
            LogBody::Failures => !outcome.is_success(),
            LogBody::All => true,
        };
        if !is_kept {
            return row;
        }
        let bytes_max = self.route.log_body_bytes_max;
        let headers = self
            .request_headers
            .get_or_init(|| request_headers(self.request, bytes_max));
        let body = request_body(self.route, &self.deliveries[position], self.request);
        let answer = self.answer.get_or_init(|| self.answer_shown()).clone();
        let (response_headers, response_body) =
            answer.map(|answer| (answer.headers, answer.body)).unzip();
        ExchangeRow {
            request_headers: Some(headers.clone()),
            request_body: body.map(|body| cut(body, bytes_max)),
            response_headers,
            response_body,
            ..row
        }
    }

    /// What the exchange says of a failure, as it may be kept: it may quote the answer.
    pub fn error(&self, error: &str) -> String {
        self.mask().error(error)
    }

    /// What must not be seen of any of its records, wherever the answer repeats it.
    fn mask(&self) -> &Mask {
        self.mask.get_or_init(|| {
            let records = self.deliveries.iter().map(|delivery| delivery.record);
            let mut mask = Mask::new(self.route, records).with_token(self.request.token.as_ref());
            let own = self.request.headers.iter();
            for (_, signatures) in own.filter(|(name, _)| *name == signature::HEADER) {
                signatures.split(' ').for_each(|one| mask.add_text(one));
            }
            mask
        })
    }

    fn answer_shown(&self) -> Option<AnswerShown> {
        let End::Answered(answer) = &self.exchange.end else {
            return None;
        };
        let bytes_max = self.route.log_body_bytes_max;
        let ending = if answer.is_truncated {
            Ending::CutOff
        } else {
            Ending::Whole
        };
        let mask = self.mask();
        Some(AnswerShown {
            headers: response_headers(answer, mask, bytes_max),
            body: cut(mask.body(&answer.body, ending), bytes_max),
        })
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

/// The body as it was sent, but for what must not be seen and the other records of a batch. None when the route does not
/// send such a body any more.
fn request_body(route: &Route, delivery: &Outgoing<'_>, request: &HttpRequest) -> Option<Vec<u8>> {
    let is_batch = request.batch_id.is_some();
    let has_masked =
        route.body.secrets().next().is_some() || delivery.record.has_masked(&route.mask);
    if !is_batch && !has_masked {
        return Some(request.body.clone());
    }
    let (opening, closing) = if is_batch {
        route.body.brackets()
    } else {
        (&b""[..], &b""[..])
    };
    let mut body = opening.to_vec();
    let view = View::Log { mask: &route.mask };
    route.body.write(delivery, view, &mut body).ok()?;
    body.extend_from_slice(closing);
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
