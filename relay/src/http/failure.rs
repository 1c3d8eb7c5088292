//! What went wrong: the class by which the relay decides, and one line for a person.

use std::error::Error;
use std::io;

use relay_core::exchange::{End, ErrorClass};

/// Why there is no usable answer. The text is short and lower-case, and holds neither headers nor bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: ErrorClass,
    pub error: String,
}

impl Failure {
    pub fn new(class: ErrorClass, error: impl Into<String>) -> Self {
        Self {
            class,
            error: error.into(),
        }
    }

    /// A connection that ended while a request or its answer was under way.
    pub fn closed() -> Self {
        Self::new(
            ErrorClass::Reset,
            "connection closed before the answer was complete",
        )
    }

    /// Servers said again and again that they did nothing about a request.
    pub fn not_taken() -> Self {
        Self::new(ErrorClass::Reset, "refused before it was looked at")
    }

    /// What hyper says of a request whose bytes may have been sent.
    pub fn of_request(error: &hyper::Error) -> Self {
        if error.is_parse() {
            return Self::bad_response(error);
        }
        if let Some(http2) = http2_source(error) {
            return Self::of_http2(http2);
        }
        match io_source(error) {
            Some(source) => Self::of_io(source),
            None => Self::closed(),
        }
    }

    /// What hyper says of an answer's body.
    pub fn of_body(error: &hyper::Error) -> Self {
        if let Some(http2) = http2_source(error) {
            return Self::of_http2(http2);
        }
        match io_source(error) {
            Some(source)
                if matches!(
                    source.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
                ) && tls_source(source).is_none() =>
            {
                Self::bad_response(source)
            }
            Some(source) => Self::of_io(source),
            None => Self::closed(),
        }
    }

    fn of_http2(error: &h2::Error) -> Self {
        if let Some(source) = error.get_io() {
            return Self::of_io(source);
        }
        let reason = error.reason().unwrap_or(h2::Reason::NO_ERROR);
        let reason = reason.description();
        if error.is_library() {
            return Self::new(ErrorClass::BadResponse, format!("not http: {reason}"));
        }
        let what = if error.is_go_away() {
            "connection"
        } else {
            "stream"
        };
        Self::new(
            ErrorClass::Reset,
            format!("{what} closed by the server: {reason}"),
        )
    }

    fn of_io(error: &io::Error) -> Self {
        if let Some(tls) = tls_source(error) {
            return Self::new(ErrorClass::Tls, tls.to_string().to_lowercase());
        }
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::closed();
        }
        Self::new(ErrorClass::Reset, reason(error))
    }

    fn bad_response(error: &dyn Error) -> Self {
        let text = error.to_string().to_lowercase();
        Self::new(ErrorClass::BadResponse, format!("not http: {text}"))
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            class: failure.class,
            error: failure.error,
        }
    }
}

/// An error of the operating system without its number: "connection refused".
pub fn reason(error: &io::Error) -> String {
    error.kind().to_string()
}

/// The TLS error inside an I/O error.
pub fn tls_source(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether the server closed the connection to this request and all that come after it: it has done nothing about them
/// (RFC 9113, 8.7).
pub fn is_gone_away(error: &hyper::Error) -> bool {
    http2_source(error).is_some_and(|error| error.is_remote() && error.is_go_away())
}

/// Whether the server refused the request, and did nothing about it. Others may go on beside it.
pub fn is_refused(error: &hyper::Error) -> bool {
    let is_refused = |error: &h2::Error| error.reason() == Some(h2::Reason::REFUSED_STREAM);
    http2_source(error).is_some_and(|error| error.is_remote() && is_refused(error))
}

fn http2_source(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref()
}

fn io_source(error: &hyper::Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}
