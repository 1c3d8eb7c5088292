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
    is_cut: bool,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            is_cut: false,
        }
    }

    /// What the receiver says of a record it has applied.
    pub fn ok() -> Self {
        Self::status(200).json(r#"{"status":"applied"}"#)
    }

    /// Closes the connection without a word.
    pub fn cut() -> Self {
        Self {
            is_cut: true,
            ..Self::status(0)
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

    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        if self.is_cut {
            return None;
        }
        let line = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
        let headers: String = self.headers.iter().map(line).collect();
        let (status, length) = (self.status, self.body.len());
        let head = format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\n\r\n");
        Some([head.as_bytes(), &self.body].concat())
    }
}
