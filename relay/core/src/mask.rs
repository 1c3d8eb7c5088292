//! What a log may show of an answer: secrets and sensitive values replaced by `***`, wherever a consumer echoes them.
//!
//! - `member`: JSON members by name
//! - `echo`: texts, wherever they are repeated
//! - `escaping`: the ways in which a text may be written

mod echo;
mod escaping;
mod member;

use crate::record::Record;
use crate::record::json::MASKED;
use crate::settings::Route;
use crate::token::Token;
use echo::Echo;
use escaping::Escaping;

/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 500;

/// Whether a text came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Whole,
    /// The beginning of a secret at the end is masked too.
    CutOff,
}

/// What is to be masked in the answers to one request.
#[derive(Debug, Default)]
pub struct Mask {
    names: Vec<String>,
    echoes: Vec<Echo>,
}

impl Mask {
    /// Masks the sensitive attributes of the records and those that the route names, under their own names and under
    /// those that the route's body gives them, and the secrets in the route's headers, credentials and body.
    pub fn new<'a>(route: &Route, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut mask = Self {
            names: route.mask.clone(),
            echoes: Vec::new(),
        };
        for header in route.headers.iter().filter(|header| header.is_secret) {
            mask.add_text(&header.value);
        }
        for credential in &route.credentials {
            mask.add_text(credential);
        }
        for secret in route.body.secrets() {
            mask.add_text(secret);
        }
        for record in records {
            mask.names
                .extend(record.sensitive_names().map(str::to_owned));
            for text in record.sensitive_texts(&route.mask) {
                mask.add_text(&text);
            }
        }
        let aliases = route.body.aliases().iter();
        let masked =
            aliases.filter(|(_, attribute)| mask.names.iter().any(|name| **name == **attribute));
        let members: Vec<_> = masked.map(|(member, _)| member.to_string()).collect();
        mask.names.extend(members);
        mask
    }

    /// Masks the token that a request carried as well.
    #[must_use]
    pub fn with_token(mut self, token: Option<&Token>) -> Self {
        if let Some(token) = token {
            self.add_text(token.expose());
        }
        self
    }

    /// Masks one more text.
    pub fn add_text(&mut self, text: &str) {
        self.echoes.extend(Echo::of(text));
    }

    /// A body without what it must not show.
    pub fn body(&self, body: &[u8], ending: Ending) -> Vec<u8> {
        if self.names.is_empty() && self.echoes.is_empty() {
            return body.to_vec();
        }
        let escapings = Escaping::within(body);
        let starts = self.first_bytes();
        let mut masked = Vec::with_capacity(body.len());
        let (mut shown, mut at) = (0, 0);
        while at < body.len() {
            if !starts[usize::from(body[at])] {
                at += 1;
            } else if let Some(value) = member::value(body, at, &self.names) {
                masked.extend_from_slice(&body[shown..value.start]);
                masked.push(b'"');
                masked.extend_from_slice(MASKED.as_bytes());
                masked.push(b'"');
                (shown, at) = (value.end, value.end);
            } else if let Some(end) = self.echo_end(body, at, &escapings, ending) {
                masked.extend_from_slice(&body[shown..at]);
                masked.extend_from_slice(MASKED.as_bytes());
                (shown, at) = (end, end);
            } else {
                at += 1;
            }
        }
        masked.extend_from_slice(&body[shown..]);
        masked
    }

    /// The same for a text that is whole.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.body(text.as_bytes(), Ending::Whole)).into_owned()
    }

    /// An error as it may be kept: masked, then cut to a length that a person reads.
    pub fn error(&self, error: &str) -> String {
        let masked = self.text(error);
        match masked.char_indices().nth(ERROR_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &masked[..end]),
            None => masked,
        }
    }

    /// The bytes with which a member or an echo, escaped or not, can begin.
    fn first_bytes(&self) -> [bool; 256] {
        let mut starts = [false; 256];
        let echoes = self.echoes.iter().map(Echo::first_byte);
        for byte in echoes.chain([b'"', b'\\', b'%', b'&']) {
            starts[usize::from(byte)] = true;
        }
        starts
    }

    /// The furthest end of an echo that begins here.
    fn echo_end(
        &self,
        body: &[u8],
        at: usize,
        escapings: &[Escaping],
        ending: Ending,
    ) -> Option<usize> {
        self.echoes
            .iter()
            .filter_map(|echo| echo.end(body, at, escapings, ending))
            .max()
    }
}

#[cfg(test)]
mod tests;
