use super::*;
use crate::names::Stream;
use crate::record::samples::{decode, vehicle, vehicles};

fn rendered(url: &str, key: &str) -> Result<Arc<str>, Unmappable> {
    let mut record = vehicle();
    record.key = key.into();
    let record = decode(&record).unwrap();
    let stream = Stream {
        model: "Fleet::Car".into(),
        ..vehicles()
    };
    let delivery = Outgoing {
        id: record.delivery_id(&stream),
        record: &record,
        stream: &stream,
        attempt: 1,
    };
    Url::parse(url).unwrap().render(&delivery)
}

#[test]
fn each_placeholder_is_filled_in_percent_encoded() {
    for (url, expected) in [
        ("http://a/{key}", "http://a/a%20b%2F%C3%A9"),
        (
            "http://a/x-{key}.json?k={key}&v={version}",
            "http://a/x-a%20b%2F%C3%A9.json?k=a%20b%2F%C3%A9&v=918273",
        ),
        (
            "http://a/{source}/{model}/{operation}",
            "http://a/monolith/Fleet%3A%3ACar/update",
        ),
        ("http://a?{key}", "http://a?a%20b%2F%C3%A9"),
        ("http://a:8080/fixed?x=%20", "http://a:8080/fixed?x=%20"),
    ] {
        assert_eq!(&*rendered(url, "a b/é").unwrap(), expected, "{url}");
    }
}

#[test]
fn a_key_cannot_lead_out_of_its_place() {
    for (url, key) in [
        ("http://a/v/{key}", "."),
        ("http://a/v/{key}", ".."),
        ("http://a/v/{key}/x", ".."),
        ("http://a/v/{key}?x=1", ".."),
        ("http://a/v/.{key}", "."),
        ("http://a/v/%2e{key}", "."),
        ("http://a/v/%2E{key}", "."),
    ] {
        assert_eq!(
            rendered(url, key),
            Err(Unmappable::DotSegment),
            "{url} {key}"
        );
    }
    for (url, key, expected) in [
        ("http://a/v/{key}", "...", "http://a/v/..."),
        ("http://a/v/{key}", "../x", "http://a/v/..%2Fx"),
        ("http://a/v/{key}", "%2e", "http://a/v/%252e"),
        ("http://a/v/{key}.json", "..", "http://a/v/...json"),
        ("http://a/v?k={key}", "..", "http://a/v?k=.."),
        ("http://a/v?k=/{key}/", "..", "http://a/v?k=/../"),
    ] {
        assert_eq!(&*rendered(url, key).unwrap(), expected);
    }
}

#[test]
fn a_url_that_no_request_can_have_is_told() {
    let url = format!("http://a/{}", "{key}".repeat(50));
    assert!(rendered(&url, &"k".repeat(512)).is_ok());
    assert_eq!(
        rendered(&url, &"é".repeat(256)),
        Err(Unmappable::UrlTooLong)
    );
}

#[test]
fn a_template_that_cannot_be_filled_in_is_refused() {
    for (url, flaw) in [
        ("http://{key}/x", UrlFlaw::OutsidePath),
        ("{source}://a/x", UrlFlaw::OutsidePath),
        ("http://a:{version}", UrlFlaw::OutsidePath),
        ("http://a/{key", UrlFlaw::Unbalanced),
        ("http://a/key}", UrlFlaw::Unbalanced),
        ("http://a/{{key}}", UrlFlaw::Unknown("{key".into())),
        ("http://a/{id}", UrlFlaw::Unknown("id".into())),
        ("http://a/{}", UrlFlaw::Unknown(String::new())),
        ("http://a/x/../y", UrlFlaw::DotSegment),
        ("http://a/x/%2E%2e", UrlFlaw::DotSegment),
        ("http://a/./{key}", UrlFlaw::DotSegment),
    ] {
        assert_eq!(Url::parse(url).unwrap_err(), flaw, "{url}");
    }
}

#[test]
fn a_url_knows_its_server_and_whether_rows_have_their_own() {
    let url = Url::parse("https://a.example:8443/{model}/{key}?v={version}").unwrap();
    assert_eq!(url.origin(), "https://a.example:8443");
    assert_eq!(url.example(), "https://a.example:8443/x/x?v=x");
    assert!(url.names_key());
    assert!(!Url::parse("https://a.example/{model}").unwrap().names_key());
    assert!(!Url::parse("https://a.example/key").unwrap().names_key());
}
