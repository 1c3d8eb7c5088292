//! What one HTTP request sends, and what it brought back. The HTTP edge turns one into the other.

use std::sync::Arc;
use std::time::Duration;

use crate::settings::{Header, Method};
use crate::token::{Grant, Token};

/// A request ready to be written to a socket.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    pub method: Method,
    /// Absolute URL.
    pub url: Arc<str>,
    /// Lower-case names; without host and content-length, which the edge adds.
    pub headers: Vec<(&'static str, String)>,
    /// Headers that the configuration adds.
    pub configured_headers: Arc<[Header]>,
    /// Why a token may be asked for, which the request must carry.
    pub grant: Option<Arc<Grant>>,
    /// The token that it carries. The edge puts it there, and leaves it for the log to hide.
    pub token: Option<Token>,
    pub body: Vec<u8>,
    pub timeout: Duration,
    /// Of a request that has the shape of a batch: `bat_<32 hex digits>`.
    pub batch_id: Option<Arc<str>>,
}

/// One finished attempt of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    pub end: End,
    pub timings: Timings,
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A status line and headers arrived.
    Answered(Answer),
    /// No usable answer.
    Failed { class: ErrorClass, error: String },
}

/// An HTTP answer, its body capped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in the order received; values with invalid UTF-8 replaced.
    pub headers: Vec<(String, String)>,
    /// At most `response_max` bytes.
    pub body: Vec<u8>,
    /// More bytes came than were read.
    pub is_truncated: bool,
}

impl Answer {
    /// The first header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Milliseconds of an attempt; `None` for what did not happen (a reused connection has no connect time).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timings {
    pub connect_ms: Option<f32>,
    pub first_byte_ms: Option<f32>,
    pub total_ms: f32,
}

/// Why an attempt, or a record without one, did not end well. Stored and shown by these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    Connect,
    Dns,
    Tls,
    /// The address may not be reached.
    EgressDenied,
    /// No token could be had for the request.
    Auth,
    Http3xx,
    Http4xx,
    Http5xx,
    Timeout,
    Reset,
    BadResponse,
    /// More came than `response_max`, where all of it had to be read.
    ResponseTooLarge,
    BatchResultMissing,
    Undecodable,
    NullValue,
    Unmappable,
    /// The versions of its source went back.
    VersionsBack,
    /// It had expired before it was read.
    OffsetGap,
}

impl ErrorClass {
    pub const ALL: [Self; 18] = [
        Self::Connect,
        Self::Dns,
        Self::Tls,
        Self::EgressDenied,
        Self::Auth,
        Self::Http3xx,
        Self::Http4xx,
        Self::Http5xx,
        Self::Timeout,
        Self::Reset,
        Self::BadResponse,
        Self::ResponseTooLarge,
        Self::BatchResultMissing,
        Self::Undecodable,
        Self::NullValue,
        Self::Unmappable,
        Self::VersionsBack,
        Self::OffsetGap,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::EgressDenied => "egress_denied",
            Self::Auth => "auth",
            Self::Http3xx => "http_3xx",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::BadResponse => "bad_response",
            Self::ResponseTooLarge => "response_too_large",
            Self::BatchResultMissing => "batch_result_missing",
            Self::Undecodable => "undecodable",
            Self::NullValue => "null_value",
            Self::Unmappable => "unmappable",
            Self::VersionsBack => "versions_back",
            Self::OffsetGap => "offset_gap",
        }
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Whether a request may end with it. The others are what is wrong with a record, before any request.
    pub fn is_of_a_request(self) -> bool {
        !matches!(
            self,
            Self::Undecodable
                | Self::NullValue
                | Self::Unmappable
                | Self::VersionsBack
                | Self::OffsetGap
        )
    }

    /// Whether it is said of an answer that was understood. After the others nobody knows whether the record arrived.
    pub fn is_of_an_answer(self) -> bool {
        match self {
            Self::Http3xx | Self::Http4xx | Self::Http5xx | Self::BatchResultMissing => true,
            Self::Connect
            | Self::Dns
            | Self::Tls
            | Self::EgressDenied
            | Self::Auth
            | Self::Timeout
            | Self::Reset
            | Self::BadResponse
            | Self::ResponseTooLarge
            | Self::Undecodable
            | Self::NullValue
            | Self::Unmappable
            | Self::VersionsBack
            | Self::OffsetGap => false,
        }
    }
}
