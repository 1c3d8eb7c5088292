//! Where a URL leads: the server to connect to, and the path to ask it for.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use rustls::pki_types::ServerName;

/// URLs remembered; a destination has one per route. Beyond that they are parsed anew.
const REMEMBERED_MAX: usize = 256;

/// A server, as one connection serves it.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    /// The name the certificate must show; none for plain http.
    pub server_name: Option<ServerName<'static>>,
    /// The `host` header.
    pub authority: HeaderValue,
    /// The same as a URI holds it.
    uri_authority: Authority,
}

/// A URL, taken apart.
#[derive(Debug)]
pub struct Target {
    pub origin: Rc<Origin>,
    /// Path and query, as they go into the request line.
    pub path: Uri,
}

/// Why a URL cannot be sent to. The URL itself is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("url is not an absolute url")]
    NotAbsolute,
    #[error("url must begin with http:// or https://")]
    Scheme,
    #[error("url must not hold a user or password")]
    UserInfo,
    #[error("url has no valid host")]
    Host,
}

/// Says whether this edge can send to a URL.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    Target::parse(url).map(drop)
}

impl Target {
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let uri: Uri = url.parse().map_err(|_| UrlError::NotAbsolute)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(UrlError::NotAbsolute);
        };
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(UrlError::Scheme),
        };
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host();
        let is_port_named = authority.as_str().len() > host.len();
        if host.is_empty() || (is_port_named && authority.port_u16().is_none()) {
            return Err(UrlError::Host);
        }
        let port = authority.port_u16().unwrap_or(default_port);
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let server_name = match scheme {
            "https" => Some(ServerName::try_from(name.to_owned()).map_err(|_| UrlError::Host)?),
            _ => None,
        };
        let shown = if port == default_port {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
        let path = uri.path_and_query().cloned();
        Ok(Self {
            origin: Rc::new(Origin {
                host: name.to_owned(),
                port,
                server_name,
                authority: HeaderValue::try_from(&shown).map_err(|_| UrlError::Host)?,
                uri_authority: shown.parse().map_err(|_| UrlError::Host)?,
            }),
            path: path
                .unwrap_or_else(|| PathAndQuery::from_static("/"))
                .into(),
        })
    }
}

impl Target {
    /// The path with its server, of https.
    pub fn absolute(&self) -> Uri {
        let mut parts = self.path.clone().into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.origin.uri_authority.clone());
        Uri::from_parts(parts).unwrap_or_else(|_| self.path.clone())
    }
}

/// URLs already taken apart, so that a request does not parse its own again.
#[derive(Debug, Default)]
pub struct Targets {
    remembered: HashMap<Arc<str>, Rc<Target>>,
}

impl Targets {
    pub fn find(&mut self, url: &Arc<str>) -> Result<Rc<Target>, UrlError> {
        if let Some(target) = self.remembered.get(url) {
            return Ok(target.clone());
        }
        let target = Rc::new(Target::parse(url)?);
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        self.remembered.insert(url.clone(), target.clone());
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_a_server_and_a_path() {
        for (url, host, port, authority, path) in [
            ("http://a.example", "a.example", 80, "a.example", "/"),
            ("http://a.example:80/x", "a.example", 80, "a.example", "/x"),
            (
                "https://a.example/x?y=1#z",
                "a.example",
                443,
                "a.example",
                "/x?y=1",
            ),
            (
                "https://a.example:8443",
                "a.example",
                8443,
                "a.example:8443",
                "/",
            ),
            ("http://[::1]:9/x", "::1", 9, "[::1]:9", "/x"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.origin.host, host, "{url}");
            assert_eq!(target.origin.port, port, "{url}");
            assert_eq!(target.origin.authority, authority, "{url}");
            assert_eq!(target.path.to_string(), path, "{url}");
            assert_eq!(
                target.origin.server_name.is_some(),
                url.starts_with("https")
            );
        }
    }

    #[test]
    fn a_url_that_cannot_be_sent_to_is_refused() {
        for (url, error) in [
            ("", UrlError::NotAbsolute),
            ("/path", UrlError::NotAbsolute),
            ("a.example:80", UrlError::NotAbsolute),
            ("http://", UrlError::NotAbsolute),
            ("ftp://a.example/", UrlError::Scheme),
            ("http://ann:secret@a.example/", UrlError::UserInfo),
            ("http://ann@a.example/", UrlError::UserInfo),
            ("http://a.example:99999/", UrlError::Host),
            ("http://a.example:/", UrlError::Host),
            ("https://-/", UrlError::Host),
        ] {
            assert_eq!(check_url(url), Err(error), "{url}");
        }
    }

    #[test]
    fn a_remembered_url_keeps_its_server() {
        let mut targets = Targets::default();
        let url: Arc<str> = "http://a.example/x".into();
        let (first, second) = (targets.find(&url).unwrap(), targets.find(&url).unwrap());
        assert!(Rc::ptr_eq(&first, &second));
    }
}
