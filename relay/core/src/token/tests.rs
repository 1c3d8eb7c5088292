use proptest::prelude::*;

use super::*;

fn grant() -> Grant {
    Grant {
        token_url: "https://login.internal/token".into(),
        client_id: "relay".into(),
        client_secret: "open sesame:100%".into(),
        scopes: vec!["write".into(), "read:all".into()],
        audience: Some("https://billing/".into()),
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: vec![],
        body: body.into(),
        is_truncated: false,
    }
}

fn read(body: &str) -> Result<(String, Option<u64>), NoToken> {
    let issued = Issued::read(&answer(200, body))?;
    let seconds = issued.life.map(|life| life.as_secs());
    Ok((issued.token.expose().to_owned(), seconds))
}

#[test]
fn client_and_secret_are_the_user_and_password_and_the_rest_is_a_form() {
    let request = grant().request("replicates-relay/1", Duration::from_secs(3));
    let [header] = &request.configured_headers[..] else {
        panic!("{request:?}")
    };
    let pair = header.value.strip_prefix("Basic ").unwrap();
    let pair = BASE64_STANDARD.decode(pair).unwrap();
    assert_eq!(
        String::from_utf8(pair).unwrap(),
        "relay:open%20sesame%3A100%25"
    );
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        "grant_type=client_credentials&scope=write%20read%3Aall&audience=https%3A%2F%2Fbilling%2F"
    );
    let least = Grant {
        scopes: vec![],
        audience: None,
        ..grant()
    };
    let body = least.request("", Duration::ZERO).body;
    assert_eq!(body, b"grant_type=client_credentials");
}

#[test]
fn an_answer_holds_a_token_and_perhaps_its_life() {
    for (body, seconds) in [
        (
            r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#,
            Some(3600),
        ),
        (
            r#"{"access_token":"t","token_type":"bearer","expires_in":"60"}"#,
            Some(60),
        ),
        (r#"{"access_token":"t","expires_in":59.9}"#, Some(59)),
        (r#"{"access_token":"t","expires_in":-5}"#, Some(0)),
        (
            r#"{"access_token":"t","expires_in":1e300}"#,
            Some(30 * 86_400),
        ),
        (r#"{"access_token":"t"}"#, None),
        (r#"{"access_token":"t","expires_in":"soon"}"#, None),
        (r#"{"access_token":"t","expires_in":null}"#, None),
    ] {
        assert_eq!(read(body), Ok(("t".into(), seconds)), "{body}");
    }
}

#[test]
fn an_answer_without_a_token_that_can_be_sent_says_why() {
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"access_token":""}"#,
        r#"{"access_token":5}"#,
        r#"{"access_token":"a b"}"#,
        r#"{"access_token":"a\r\nx: y"}"#,
        r#"{"access_token":"é"}"#,
    ] {
        assert_eq!(read(body), Err(NoToken::Missing), "{body}");
    }
    let mac = r#"{"access_token":"t","token_type":"mac"}"#;
    assert_eq!(read(mac), Err(NoToken::OfAnotherType));
    let cut = Answer {
        is_truncated: true,
        ..answer(200, r#"{"access_token":"t"}"#)
    };
    assert_eq!(Issued::read(&cut), Err(NoToken::TooLong));
}

#[test]
fn a_refusal_is_told_by_its_status_and_code_and_by_nothing_else_that_was_said() {
    let told = |status, body| Issued::read(&answer(status, body)).unwrap_err().to_string();
    let invalid = r#"{"error":"invalid_client","error_description":"hunter2"}"#;
    assert_eq!(told(401, invalid), "answered 401: invalid_client");
    assert_eq!(told(302, ""), "answered 302");
    assert_eq!(
        told(500, r#"{"error":"no secret like hunter2"}"#),
        "answered 500"
    );
    assert_eq!(
        told(403, r#"{"error":["x"],"access_token":"t"}"#),
        "answered 403"
    );
}

#[test]
fn neither_a_token_nor_a_secret_is_shown() {
    let issued = Issued::read(&answer(200, r#"{"access_token":"hunter2"}"#)).unwrap();
    let grant = Grant {
        client_secret: "hunter2".into(),
        ..grant()
    };
    let mut request = grant.request("", Duration::ZERO);
    request.token = Some(issued.token.clone());
    let pair = BASE64_STANDARD.encode("relay:hunter2");
    for shown in [
        format!("{issued:?}"),
        format!("{grant:?}"),
        format!("{request:?}"),
    ] {
        assert!(
            !shown.contains("hunter2") && !shown.contains(&pair),
            "{shown}"
        );
    }
}

proptest! {
    #[test]
    fn any_answer_is_read(status in 100_u16..600, body in ".{0,60}|\\{\"(access_token|error)\":.{0,40}\\}") {
        if let Ok(issued) = Issued::read(&answer(status, &body)) {
            prop_assert!(issued.token.expose().bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
