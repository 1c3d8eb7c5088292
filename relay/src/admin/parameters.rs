//! Queries: every parameter is known, right and given once, or the answer says all that is wrong.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::request::Parts;
use relay_core::exchange::ErrorClass;
use relay_core::time::Timestamp;

use super::answer::ApiError;
use crate::nearest;

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 200;

/// The parameters of a request, taken one by one.
pub struct Parameters {
    given: BTreeMap<String, String>,
    known: Vec<&'static str>,
    problems: Vec<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<Query<Vec<(String, String)>>, QueryRejection> =
            Query::from_request_parts(parts, state).await;
        let Query(pairs) = query
            .map_err(|error| ApiError::invalid(vec![format!("the query is not valid: {error}")]))?;
        let mut parameters = Self {
            given: BTreeMap::new(),
            known: Vec::new(),
            problems: Vec::new(),
        };
        for (name, value) in pairs {
            if parameters.given.insert(name.clone(), value).is_some() {
                parameters.problems.push(format!("{name} is given twice"));
            }
        }
        Ok(parameters)
    }
}

impl Parameters {
    /// A text, if it is given.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.given.get(name).cloned()
    }

    /// A value, if it is given and `parse` understands it.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.problems
                .push(format!("{name} must be {allowed}, not {text}"));
        }
        value
    }

    /// One of a few words.
    pub fn word<T>(
        &mut self,
        name: &'static str,
        words: &[&'static str],
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(&text);
        if value.is_none() {
            let hint = nearest::hint(&text, words.iter().copied());
            let words = words.join(", ");
            self.problems
                .push(format!("{name} must be one of {words}, not {text}{hint}"));
        }
        value
    }

    pub fn error_class(&mut self) -> Option<ErrorClass> {
        let words = ErrorClass::ALL.map(ErrorClass::as_str);
        self.word("error_class", &words, ErrorClass::from_name)
    }

    /// The status of an answer.
    pub fn status(&mut self) -> Option<u16> {
        self.parsed("status", "an HTTP status 100-599", |text| {
            text.parse()
                .ok()
                .filter(|status| (100..600).contains(status))
        })
    }

    pub fn timestamp(&mut self, name: &'static str) -> Option<Timestamp> {
        let allowed = "an RFC 3339 time like 2026-11-22T06:46:00Z";
        self.parsed(name, allowed, |text| text.parse().ok())
    }

    /// How many rows a page has.
    pub fn limit(&mut self) -> u32 {
        self.parsed("limit", &format!("1-{LIMIT_MAX}"), |text| {
            text.parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        })
        .unwrap_or(LIMIT_DEFAULT)
    }

    /// Where the page begins: what `next_cursor` said.
    pub fn cursor<C: FromStr>(&mut self) -> Option<C> {
        self.parsed("cursor", "a next_cursor of this list", |text| {
            text.parse().ok()
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// All problems, unknown names included.
    pub fn finish(mut self) -> Result<(), ApiError> {
        for name in self.given.keys() {
            if !self.known.contains(&name.as_str()) {
                let hint = nearest::hint(name, self.known.iter().copied());
                self.problems
                    .push(format!("{name} is not a parameter{hint}"));
            }
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.problems))
        }
    }
}
