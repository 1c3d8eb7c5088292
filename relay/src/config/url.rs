//! `url`: where a destination's records go; a route may say a path below it, or a URL of its own.

use relay_core::request::{PLACEHOLDERS, Url, UrlFlaw};

use super::section::{Resolved, Section};
use super::store::mask_passwords;
use super::tree::Node;
use crate::http::check_url;
use crate::nearest;

const ABSOLUTE: &str = "an absolute http or https URL without credentials or fragment";

/// A destination's, which must be absolute.
pub(super) fn read(section: &Section<'_>) -> Option<Url> {
    let node = section.required("url")?;
    let resolved = section.resolve(node, ABSOLUTE)?;
    parse(section, node, &resolved, &resolved.text, ABSOLUTE)
}

/// A route's: the destination's when it says none.
pub(super) fn read_of_route(section: &Section<'_>, destination: Option<&Url>) -> Option<Url> {
    let allowed = format!("a path that begins with /, or {ABSOLUTE}");
    let Some(node) = section.optional("url") else {
        section.show("url", destination?.to_string());
        return destination.cloned();
    };
    let resolved = section.resolve(node, &allowed)?;
    if resolved.text.starts_with('/') {
        let whole = appended(&destination?.to_string(), &resolved.text);
        return parse(section, node, &resolved, &whole, &allowed);
    }
    parse(section, node, &resolved, &resolved.text, &allowed)
}

/// Another URL of a destination: the same for all its records.
pub(super) fn read_whole(section: &Section<'_>, key: &'static str) -> Option<String> {
    let node = section.required(key)?;
    let resolved = section.resolve(node, ABSOLUTE)?;
    let text = &resolved.text;
    if check_url(text).is_ok() && !text.contains(['@', '#', '{', '}']) {
        section.show(key, mask_passwords(text));
        return Some(resolved.text);
    }
    if resolved.is_reference {
        return section.refuse(node, ABSOLUTE);
    }
    let shown = mask_passwords(text);
    section.problem(node, format!("must be {ABSOLUTE}, not {shown:?}"))
}

fn parse(
    section: &Section<'_>,
    node: &Node,
    resolved: &Resolved,
    whole: &str,
    allowed: &str,
) -> Option<Url> {
    match Url::parse(whole) {
        Ok(url) if is_sendable(&url) => {
            section.show("url", whole);
            Some(url)
        }
        Ok(_) if resolved.is_reference => section.refuse(node, allowed),
        Ok(_) => {
            let shown = mask_passwords(&resolved.text);
            section.problem(node, format!("must be {allowed}, not {shown:?}"))
        }
        // What the reference holds is not repeated.
        Err(flaw) if resolved.is_reference => {
            let flaw = match flaw {
                UrlFlaw::Unknown(_) => "has an unknown placeholder".to_owned(),
                flaw => flaw.to_string(),
            };
            let reference = node.value.shown();
            section.problem(node, format!("is {reference}, which {flaw}"))
        }
        Err(flaw) => {
            let hint = match &flaw {
                UrlFlaw::Unknown(name) => nearest::hint(name, PLACEHOLDERS.map(|(known, _)| known)),
                _ => String::new(),
            };
            let shown = mask_passwords(&resolved.text);
            section.problem(node, format!("is {shown:?}, which {flaw}{hint}"))
        }
    }
}

/// The path goes behind the destination's path, the queries of both behind that.
fn appended(url: &str, path: &str) -> String {
    let parts = |text| str::split_once(text, '?').unwrap_or((text, ""));
    let ((url, shared), (path, own)) = (parts(url), parts(path));
    let queries: Vec<_> = [shared, own]
        .into_iter()
        .filter(|query| !query.is_empty())
        .collect();
    let query = queries.join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}{path}{mark}{query}", url.trim_end_matches('/'))
}

fn is_sendable(url: &Url) -> bool {
    let example = url.example();
    check_url(&example).is_ok() && !example.contains(['@', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_below_the_destinations_and_queries_go_together() {
        for (url, path, whole) in [
            ("http://a", "/v/{key}", "http://a/v/{key}"),
            ("http://a/", "/v", "http://a/v"),
            ("http://a/api/", "/v/", "http://a/api/v/"),
            ("http://a/api?t=1", "/v", "http://a/api/v?t=1"),
            (
                "http://a/api?t=1",
                "/v?k={key}",
                "http://a/api/v?t=1&k={key}",
            ),
            ("http://a", "/v?k=1", "http://a/v?k=1"),
        ] {
            assert_eq!(appended(url, path), whole);
        }
    }
}
