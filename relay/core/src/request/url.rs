//! The URL of a request: the same for all records, or with placeholders that each record fills in.

use std::fmt;
use std::sync::Arc;

use super::{Outgoing, Unmappable, percent};

/// Where a placeholder of that name stands, a value of the record goes.
pub const PLACEHOLDERS: [(&str, Placeholder); 5] = [
    ("key", Placeholder::Key),
    ("model", Placeholder::Model),
    ("source", Placeholder::Source),
    ("operation", Placeholder::Operation),
    ("version", Placeholder::Version),
];

/// Bytes of a URL: what the `http` crate takes, and far more than servers do.
pub const URL_BYTES_MAX: usize = 65_534;

/// An absolute URL, taken apart once.
#[derive(Debug, Clone)]
pub struct Url {
    text: Arc<str>,
    /// None for a URL without placeholders.
    pieces: Box<[Piece]>,
    /// Where the path begins: behind scheme and host, in which there are no placeholders.
    path_begins: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Value(Placeholder),
}

/// What a URL may say of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    Key,
    Model,
    Source,
    Operation,
    Version,
}

/// Why a text is not the URL of a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlFlaw {
    #[error("has a {{ or }} without the other")]
    Unbalanced,
    #[error("has the unknown placeholder {{{0}}}")]
    Unknown(String),
    #[error("has a placeholder outside of path and query")]
    OutsidePath,
    #[error("has a segment . or .., which servers take away")]
    DotSegment,
}

impl Url {
    /// Takes a URL apart. That it is absolute and valid is for the caller to check, by its [`Url::example`].
    ///
    /// # Errors
    /// What is wrong with its placeholders or its path.
    pub fn parse(text: &str) -> Result<Self, UrlFlaw> {
        let path_begins = path_begins(text);
        if text[..path_begins].contains(['{', '}']) {
            return Err(UrlFlaw::OutsidePath);
        }
        if has_dot_segment(&text[path_begins..]) {
            return Err(UrlFlaw::DotSegment);
        }
        let pieces = pieces(text)?;
        let has_placeholders = pieces.iter().any(|piece| matches!(piece, Piece::Value(_)));
        Ok(Self {
            text: text.into(),
            pieces: if has_placeholders { pieces } else { [].into() },
            path_begins,
        })
    }

    /// Whether each row has a URL of its own, so that a 404 speaks of the row.
    pub fn names_key(&self) -> bool {
        self.pieces.contains(&Piece::Value(Placeholder::Key))
    }

    /// Whether no two records have it in common.
    pub fn is_of_one_record(&self) -> bool {
        self.names_key() || self.pieces.contains(&Piece::Value(Placeholder::Version))
    }

    /// A URL as a request may have it, to be checked and connected to.
    pub fn example(&self) -> String {
        if self.pieces.is_empty() {
            return self.text.to_string();
        }
        let text = |piece: &'_ Piece| match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Value(_) => "x".to_owned(),
        };
        self.pieces.iter().map(text).collect()
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.text[..self.path_begins]
    }

    pub(super) fn render(&self, delivery: &Outgoing<'_>) -> Result<Arc<str>, Unmappable> {
        if self.pieces.is_empty() {
            return Ok(self.text.clone());
        }
        let mut url = String::with_capacity(self.text.len() + delivery.record.key.len() + 32);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Value(Placeholder::Key) => percent::push(&mut url, &delivery.record.key),
                Piece::Value(Placeholder::Model) => percent::push(&mut url, &delivery.stream.model),
                Piece::Value(Placeholder::Source) => {
                    percent::push(&mut url, &delivery.stream.source);
                }
                Piece::Value(Placeholder::Operation) => {
                    url.push_str(delivery.record.operation.as_str());
                }
                Piece::Value(Placeholder::Version) => {
                    url.push_str(itoa::Buffer::new().format(delivery.record.version));
                }
            }
        }
        if url.len() > URL_BYTES_MAX {
            return Err(Unmappable::UrlTooLong);
        }
        if has_dot_segment(&url[self.path_begins..]) {
            return Err(Unmappable::DotSegment);
        }
        Ok(url.into())
    }
}

impl fmt::Display for Url {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn path_begins(url: &str) -> usize {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let length = url[authority..].find(['/', '?', '#']);
    length.map_or(url.len(), |length| authority + length)
}

fn pieces(text: &str) -> Result<Box<[Piece]>, UrlFlaw> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(brace) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(brace);
        let (name, after) = from
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'))
            .ok_or(UrlFlaw::Unbalanced)?;
        let known = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
        let (_, placeholder) = known.ok_or_else(|| UrlFlaw::Unknown(name.to_owned()))?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        pieces.push(Piece::Value(*placeholder));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces.into())
}

/// Whether a segment of the path means "here" or "one up": a server or a proxy would ask for another path.
fn has_dot_segment(path_and_query: &str) -> bool {
    let end = path_and_query.find(['?', '#']);
    let path = &path_and_query[..end.unwrap_or(path_and_query.len())];
    path.split('/').any(is_dots)
}

/// One or two dots, which may be percent-encoded (RFC 3986 takes both for the same).
fn is_dots(segment: &str) -> bool {
    let (mut dots, mut rest) = (0, segment);
    while let Some(after) = [".", "%2e", "%2E"]
        .iter()
        .find_map(|dot| rest.strip_prefix(dot))
    {
        dots += 1;
        rest = after;
    }
    rest.is_empty() && (dots == 1 || dots == 2)
}

#[cfg(test)]
mod tests;
