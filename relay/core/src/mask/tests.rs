use proptest::prelude::*;

use super::*;
use crate::proto::value::Kind;
use crate::record::samples::{decode, field, sensitive, vehicle_with};
use crate::request::samples::route;
use crate::settings::Header;

fn mask(names: &[&str], texts: &[&str]) -> Mask {
    let mut mask = Mask {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        echoes: Vec::new(),
    };
    for text in texts {
        mask.add_text(text);
    }
    mask
}

fn masked(mask: &Mask, body: &str) -> String {
    mask.text(body)
}

#[test]
fn members_are_masked_by_their_name_whatever_they_hold() {
    let mask = mask(&["phone", "näme"], &[]);
    let table = [
        (r#"{"phone":"+49","id":1}"#, r#"{"phone":"***","id":1}"#),
        (r#"{"a":{"phone" : 12.5e3}}"#, r#"{"a":{"phone" : "***"}}"#),
        (r#"{"phone":null}"#, r#"{"phone":"***"}"#),
        (
            r#"{"phone":["+49",{"a":"}"}],"b":2}"#,
            r#"{"phone":"***","b":2}"#,
        ),
        (r#"{"phone":{"a":[1,2]},"b":2}"#, r#"{"phone":"***","b":2}"#),
        (r#"{"phone":"a\"b\\","b":2}"#, r#"{"phone":"***","b":2}"#),
        (
            r#"{"ph\u006fne":1,"n\u00e4me":2}"#,
            r#"{"ph\u006fne":"***","n\u00e4me":"***"}"#,
        ),
        (r#"{"phones":1,"a":"phone"}"#, r#"{"phones":1,"a":"phone"}"#),
        (r#"["phone",1]"#, r#"["phone",1]"#),
        (
            r#"Error 5": {"phone":"+49 1"#,
            r#"Error 5": {"phone":"***""#,
        ),
        (r#"{"phone":"#, r#"{"phone":"***""#),
        (r#"{"phone""#, r#"{"phone""#),
        (
            r#"[{"phone":1},{"phone":2}]"#,
            r#"[{"phone":"***"},{"phone":"***"}]"#,
        ),
    ];
    for (body, expected) in table {
        assert_eq!(masked(&mask, body), expected);
    }
}

#[test]
fn an_echo_is_masked_in_whatever_escaping() {
    let table = [
        ("+49 170", "no +49 170!", "no ***!"),
        (
            "a\"b\\c",
            r#"{"e":"a\"b\\c is bad"}"#,
            r#"{"e":"*** is bad"}"#,
        ),
        (
            "a\"b\\c",
            r#"{"e":"{\"v\":\"a\\\"b\\\\c\"}"}"#,
            r#"{"e":"{\"v\":\"***\"}"}"#,
        ),
        (
            "é\n<🚗>",
            r#"{"e":"\u00e9\n\u003C\ud83d\uDE97\u003e"}"#,
            r#"{"e":"***"}"#,
        ),
        (
            r"\\server\share",
            r#"{"e":"\\\\server\\share"}"#,
            r#"{"e":"***"}"#,
        ),
        ("C:\\new", r#"{"e":"C:\\new"}"#, r#"{"e":"***"}"#),
        ("tail\\", r#"{"e":"tail\\"}"#, r#"{"e":"***"}"#),
        ("a/b", r#"{"e":"a\/b!"}"#, r#"{"e":"***!"}"#),
        ("\\u0041", r#"{"e":"\\u0041"}"#, r#"{"e":"***"}"#),
        ("a b/é", "?q=a+b%2F%c3%A9&x", "?q=***&x"),
        ("a b/é", "?q=a%20b/%C3%A9", "?q=***"),
        ("50%25x", "value 50%25x", "value ***"),
        (
            "a&b <c> 'd'",
            "<p>a&amp;b &lt;c&gt; &#39;d&#x27;</p>",
            "<p>***</p>",
        ),
        ("a&b;c", "<p>a&b;c</p>", "<p>***</p>"),
        (" padded ", "[padded]", "[***]"),
    ];
    for (text, body, expected) in table {
        assert_eq!(
            masked(&mask(&[], &[text]), body),
            expected,
            "{text:?} in {body}"
        );
    }
}

#[test]
fn the_longest_echo_is_masked_whole() {
    let mask = mask(&[], &["KA-01", "KA-01-XY"]);
    assert_eq!(masked(&mask, "KA-01-XY KA-01"), "*** ***");
}

#[test]
fn a_short_echo_is_masked_as_a_word_only() {
    let mask = mask(&[], &["7", "é"]);
    let table = [
        (
            r#"{"count":7,"id":77,"at":"17:07","x":"7"}"#,
            r#"{"count":***,"id":77,"at":"17:07","x":"***"}"#,
        ),
        ("a7 7a été é", "a7 7a été ***"),
        (
            r#"{"e":"line\n7 \u00e97"}"#,
            r#"{"e":"line\n*** \u00e9***"}"#,
        ),
        ("?a=%207%20", "?a=%20***%20"),
    ];
    for (body, expected) in table {
        assert_eq!(masked(&mask, body), expected);
    }
}

#[test]
fn an_echo_that_the_end_of_the_body_cuts_off_is_masked() {
    let mask = mask(&[], &["+49 170 1234567"]);
    let cut = |body: &str, ending| String::from_utf8(mask.body(body.as_bytes(), ending)).unwrap();
    assert_eq!(cut("no +49 170 12", Ending::CutOff), "no ***");
    assert_eq!(cut("no +49 170 12", Ending::Whole), "no +49 170 12");
    assert_eq!(cut(r"no \u002b49\u00", Ending::CutOff), "no ***");
    assert_eq!(cut("no %2B49%2", Ending::CutOff), "no ***");
}

#[test]
fn what_holds_nothing_sensitive_stays_as_it_is() {
    let mask = mask(&["phone"], &["+49 170", "y"]);
    for body in [
        &b""[..],
        b"\0\xff\xfe\"",
        b"{\"a\":[1,2]} \\ %zz %2 &amp &x; \\u12",
        b"\"",
        b"\\",
    ] {
        assert_eq!(mask.body(body, Ending::Whole), body);
    }
    assert_eq!(Mask::default().body(b"\xff", Ending::CutOff), b"\xff");
}

#[test]
fn what_is_masked_comes_from_the_record_and_the_route() {
    let record = decode(&vehicle_with(vec![
        sensitive("phone", Kind::StringValue("+49 170".into())),
        field("plate", Kind::StringValue("KA-01".into())),
        field("price", Kind::DecimalValue("1234.50".into())),
    ]))
    .unwrap();
    let mut route = route();
    route.mask = vec!["price".into()];
    let header = |name: &str, value: &str, is_secret| Header {
        name: name.into(),
        value: value.into(),
        is_secret,
    };
    route.headers = vec![
        header("x-key", "k-secret", true),
        header("x-tenant", "main", false),
    ];
    route.credentials = vec!["open sesame".into()];
    let mask = Mask::new(&route, [&record]);
    assert_eq!(
        masked(
            &mask,
            r#"{"phone":1,"price":2,"plate":3} +49 170 KA-01 1234.5 k-secret main open%20sesame"#
        ),
        r#"{"phone":"***","price":"***","plate":3} *** KA-01 *** *** main ***"#
    );
}

#[test]
fn an_error_is_masked_before_it_is_cut() {
    let mask = mask(&[], &["secret"]);
    let error = format!("{}secret", "é".repeat(498));
    assert_eq!(mask.error(&error), format!("{}**…", "é".repeat(498)));
    assert_eq!(mask.error("a secret"), "a ***");
}

proptest! {
    #[test]
    fn no_echo_comes_through_whatever_escapes_it(
        text in "\\PC{4,12}|[a\\\\\"<>&%+ é🚗\n]{4,12}",
        before in "\\PC{0,8}",
        after in "\\PC{0,8}",
    ) {
        prop_assume!(text.trim().chars().count() >= 4);
        let text = text.trim();
        let mask = mask(&[], &[text]);
        let around = |escaped: &str| format!("{before}\u{1}{escaped}\u{2}{after}");
        let json = serde_json::to_string(text).unwrap();
        let json = &json[1..json.len() - 1];
        let nested = serde_json::to_string(json).unwrap();
        let joined = |escapes: Vec<String>| escapes.concat();
        let ascii = joined(text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect());
        let percent = joined(text.bytes().map(|byte| format!("%{byte:02x}")).collect());
        let html = joined(text.chars().map(|c| format!("&#{};", u32::from(c))).collect());
        for escaped in [text, json, &nested[1..nested.len() - 1], &ascii, &percent, &html] {
            let shown = masked(&mask, &around(escaped));
            let (_, shown) = shown.split_once('\u{1}').unwrap();
            prop_assert!(shown.starts_with("***\u{2}"), "{text:?} as {escaped:?}: {shown:?}");
        }
    }

    #[test]
    fn any_body_is_masked_without_panic(body: Vec<u8>, text in "\\PC{0,4}", name in "\\PC{1,3}") {
        let mask = mask(&[&name], &[&text]);
        mask.body(&body, Ending::CutOff);
        mask.body(&body, Ending::Whole);
    }

    #[test]
    fn a_member_is_masked_in_any_json(names in prop::collection::btree_set("[a-c]{1,2}", 1..6), secret in "[x-z]{5}") {
        let object: serde_json::Map<_, _> = names
            .iter()
            .map(|name| (name.clone(), serde_json::json!({ "deep": [secret, { "}": secret }] })))
            .collect();
        let body = serde_json::to_string_pretty(&object).unwrap();
        let every_name: Vec<_> = names.iter().map(String::as_str).collect();
        let shown = masked(&mask(&every_name, &[]), &body);
        prop_assert!(!shown.contains(&secret), "{shown}");
        prop_assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{shown}");
    }
}
