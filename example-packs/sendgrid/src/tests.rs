//! The tools against a stand-in for SendGrid.

use rig_sdk::{
    json::json,
    mock::{self, HttpError, Response},
};

use super::*;

fn send(html: Option<&str>, text: Option<&str>) -> Result<Sent> {
    send_email("a@b.c".into(), "Shop <s@b.c>".into(), "S".into(), html.map(Into::into), text.map(Into::into))
}

/// The error of an email that was answered with this.
fn failing(response: Response) -> Error {
    let _mock = mock::http(move |_| Ok(response.clone()));
    send(None, Some("x")).unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn text_stands_before_html() {
    let mock = mock::http(|_| Ok(Response::new(202).header("X-Message-Id", "m1")));
    let text = json!({ "type": "text/plain", "value": "T" });
    let html = json!({ "type": "text/html", "value": "<b>" });
    for (given, content) in [
        ((Some("<b>"), Some("T")), json!([text, html])),
        ((None, Some("T")), json!([text])),
        ((Some("<b>"), None), json!([html])),
    ] {
        assert_eq!(json!(send(given.0, given.1).unwrap()), json!({ "accepted": true, "message_id": "m1" }));
        let sent = mock.requests().pop().unwrap();
        assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "https://api.sendgrid.com/v3/mail/send"));
        assert_eq!((sent.header("accept"), sent.header("authorization")), (Some("application/json"), None));
        assert_eq!(
            sent.json::<Value>().unwrap(),
            json!({
                "from": { "email": "s@b.c", "name": "Shop" }, "subject": "S",
                "personalizations": [{ "to": [{ "email": "a@b.c" }] }], "content": content
            })
        );
    }
}

#[test]
fn an_email_without_content_or_recipient_is_not_sent() {
    let mock = mock::http(|_| Ok(Response::new(202)));
    assert_eq!(
        send(None, None).unwrap_err().to_string(),
        "validation_error: give `text_content` or `html_content`: SendGrid sends no empty email"
    );
    for (to, from, which) in [("nobody", "s@b.c", "to"), ("a@b.c", "a@b.c, d@e.f", "from_email")] {
        let error = send_email(to.into(), from.into(), "S".into(), None, Some("x".into())).unwrap_err();
        assert!(error.to_string().starts_with(&format!("validation_error: `{which}` must be one address")), "{error}");
    }
    assert!(mock.requests().is_empty());
}

#[test]
fn an_email_without_an_id_is_sent_all_the_same() {
    let _mock = mock::http(|_| Ok(Response::new(202)));
    assert_eq!(json!(send(None, Some("x")).unwrap()), json!({ "accepted": true, "message_id": null }));
}

#[test]
fn templates_are_listed() {
    let version = json!({ "id": "v1", "template_id": "d-1", "active": 1, "name": "V", "subject": "S" });
    let templates = json!([
        { "id": "d-1", "name": "T", "generation": "dynamic", "updated_at": "2026-11-01 10:00:00", "versions": [version] },
        { "id": "2", "versions": [{ "id": "v2", "active": 0 }] }
    ]);
    let expected = json!({ "templates": [
        {
            "id": "d-1", "name": "T", "generation": "dynamic", "updated_at": "2026-11-01 10:00:00",
            "versions": [{ "id": "v1", "name": "V", "subject": "S", "active": true }]
        },
        {
            "id": "2", "name": null, "generation": null, "updated_at": null,
            "versions": [{ "id": "v2", "name": null, "subject": null, "active": false }]
        }
    ] });
    for (name, given, query) in [
        ("templates", None, ""),
        ("result", Some(Generations::Dynamic), "generations=dynamic"),
        ("templates", Some(Generations::Both), "generations=legacy%2Cdynamic"),
    ] {
        let body = json!({ name: templates });
        let mock = mock::http(move |_| Ok(Response::json(200, &body)));
        assert_eq!(json!(list_templates(given).unwrap()), expected);
        let sent = &mock.requests()[0];
        assert_eq!((sent.method.as_str(), sent.path(), sent.query()), ("GET", "/v3/templates", query));
    }
}

#[test]
fn sendgrid_s_errors_become_kinds() {
    let cases = [
        (400, "validation_error", false),
        (401, "auth_error", false),
        (403, "permission_error", false),
        (404, "not_found", false),
        (409, "conflict", false),
        (413, "validation_error", false),
        (422, "validation_error", false),
        (429, "rate_limited", true),
        (500, "upstream_error", true),
        (503, "transient", true),
    ];
    for (status, expected, retryable) in cases {
        let body = json!({ "errors": [
            { "message": "Why", "field": "from.email", "help": "h" }, { "message": "More", "field": null }, { "field": "x" }
        ] });
        let error = failing(Response::json(status, &body));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), (expected, retryable), "{status}");
        assert_eq!(error.code(), Some(&*status.to_string()));
        assert_eq!(error.message(), "SendGrid: Why (from.email); More");
    }
}

#[test]
fn what_to_do_is_told() {
    let _clock = mock::clock(1_000_000_000);
    let limited = || Response::json(429, &json!({ "errors": [{ "message": "too many requests" }] }));
    for (response, hint) in [
        (Response::new(401), "set SENDGRID_API_KEY to a key that is valid"),
        (limited().header("X-RateLimit-Reset", "1000090"), "retry after 90 s"),
        (limited().header("X-RateLimit-Reset", "5"), "retry after 1 s"),
        (limited().header("X-RateLimit-Reset", "1000090").header("retry-after", "7"), "retry after 7 s"),
        (Response::new(413), "send less: an email has at most 30 MB"),
    ] {
        assert_eq!(failing(response).hints(), [hint]);
    }
    assert!(failing(limited().header("x-ratelimit-reset", "soon")).hints().is_empty());
    assert!(failing(Response::new(403)).hints()[0].contains("sender that is verified"));
}

#[test]
fn an_email_without_a_clear_answer_may_be_on_its_way() {
    let hint = "look whether it was sent before sending it again";
    for response in [Response::new(502).body("<html>"), Response::new(500), Response::new(302)] {
        let error = failing(response);
        assert!(error.message().ends_with("and no explanation"), "{error}");
        assert!(error.hints().contains(&hint.to_owned()), "{error}");
    }
    for (failure, told) in [(HttpError::Timeout("why".into()), true), (HttpError::Connect("why".into()), false)] {
        let _mock = mock::http(move |_| Err(failure.clone()));
        assert_eq!(send(None, Some("x")).unwrap_err().hints().contains(&hint.to_owned()), told);
    }
}

#[test]
fn nonsense_is_an_error_of_the_service() {
    for body in ["", "<html>", "[]", "null", "{}", r#"{"templates": 1}"#, r#"{"templates": [{}]}"#] {
        let _mock = mock::http(move |_| Ok(Response::new(200).body(body)));
        let error = list_templates(None).unwrap_err();
        assert_eq!((kind(&error).as_str(), error.is_retryable()), ("upstream_error", false), "{body}");
    }
    let long = json!({ "errors": [{ "message": "ä".repeat(5000) }] });
    assert_eq!(failing(Response::json(400, &long)).message().chars().count(), 601);
}
