//! What the stub server says.

use std::time::Duration;

/// An answer, or the refusal to give one.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How long the consumer takes.
    pub delay: Duration,
    pub(super) manner: Manner,
}

/// How an answer is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    /// The connection is closed without a word.
    Cut,
    /// The connection is closed in the middle of the body.
    BrokenOff,
    /// Nothing is said until the other side has closed.
    Silent,
    /// A byte a second, until the other side has closed.
    Dripping,
    /// Something that is not HTTP.
    Rubbish,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            manner: Manner::Whole,
        }
    }

    /// What the receiver says of a record it has applied.
    pub fn ok() -> Self {
        Self::status(200).json(r#"{"status":"applied"}"#)
    }

    /// Closes the connection without a word.
    pub fn cut() -> Self {
        Self::in_the_manner(Manner::Cut)
    }

    /// Closes the connection in the middle of the body.
    pub fn broken_off() -> Self {
        Self::in_the_manner(Manner::BrokenOff)
    }

    /// Takes the request and never answers.
    pub fn silent() -> Self {
        Self::in_the_manner(Manner::Silent)
    }

    /// Says one byte a second.
    pub fn dripping() -> Self {
        Self::in_the_manner(Manner::Dripping)
    }

    /// Says something that is not HTTP.
    pub fn rubbish() -> Self {
        Self::in_the_manner(Manner::Rubbish)
    }

    fn in_the_manner(manner: Manner) -> Self {
        Self {
            manner,
            ..Self::ok()
        }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    #[must_use]
    pub fn json(self, json: &str) -> Self {
        self.header("content-type", "application/json").body(json)
    }

    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The status that the other side gets to hear; none where it hears no whole answer.
    pub(super) fn said_status(&self) -> Option<u16> {
        (self.manner == Manner::Whole).then_some(self.status)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        if self.manner == Manner::Rubbish {
            return b"\x16\x03\x01 no such thing\r\n\r\n".to_vec();
        }
        let line = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
        let headers: String = self.headers.iter().map(line).collect();
        let (status, length) = (self.status, self.body.len());
        let head = format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\n\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}
