//! The tools against a stand-in for Slack.

use rig_sdk::{
    Error, ErrorKind, Tool,
    json::{Value, json},
    mock::{self, HttpError, Response},
};

use super::*;

fn ok(body: &Value) -> Response {
    let mut body = body.clone();
    body["ok"] = true.into();
    Response::json(200, &body)
}

fn post() -> Result<Message> {
    post_message("C1".into(), "Hi".into(), None, None)
}

/// The error of a call that was answered with this.
fn failing(response: Response) -> Error {
    let _mock = mock::http(move |_| Ok(response.clone()));
    post().unwrap_err()
}

#[test]
fn a_message_is_posted() {
    let mock = mock::http(|_| {
        Ok(ok(
            &json!({ "channel": "C1", "ts": "1.2", "message": { "type": "message", "text": "Hi &amp; bye", "bot_id": "B1" } }),
        ))
    });
    let args =
        r#"{"channel": "C1", "text": "Hi & bye", "thread_ts": "1.1", "blocks": [{"type": "divider", "n": 1.0}]}"#;
    let answer = post_message::call(args, &mock::context()).unwrap();
    assert_eq!(answer, r#"{"channel":"C1","ts":"1.2","text":"Hi &amp; bye"}"#);
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "https://slack.com/api/chat.postMessage"));
    assert_eq!(sent.header("content-type"), Some("application/json;charset=utf-8"));
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(
        sent.text(),
        r#"{"channel":"C1","text":"Hi & bye","blocks":[{"type": "divider", "n": 1.0}],"thread_ts":"1.1"}"#
    );
    post().unwrap();
    assert_eq!(mock.requests()[1].text(), r#"{"channel":"C1","text":"Hi"}"#, "what was not given is not sent");
}

#[test]
fn a_message_is_changed() {
    let mock = mock::http(|_| Ok(ok(&json!({ "channel": "C1", "ts": "1.2", "text": "New" }))));
    let answer = update_message("C1".into(), "1.2".into(), "New".into()).unwrap();
    assert_eq!((answer.ts.as_str(), answer.text), ("1.2", None), "a detail that is missing is no failure");
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path()), ("POST", "/api/chat.update"));
    assert_eq!(sent.text(), r#"{"channel":"C1","ts":"1.2","text":"New"}"#);
}

#[test]
fn channels_are_listed_over_pages() {
    // Limit, what the workspace has, what Slack gives on a page at most; the requests, what is listed, whether there is more.
    let cases = [
        (None, 3, 100, vec![""], 3, false),
        (None, 300, 100, vec![""], 100, true),
        (Some(2), 3, 100, vec!["limit=2"], 2, true),
        (Some(3), 3, 100, vec!["limit=3"], 3, false),
        (Some(250), 400, 100, vec!["limit=250", "limit=250&cursor=100", "limit=250&cursor=200"], 250, true),
        (Some(250), 120, 100, vec!["limit=250", "limit=250&cursor=100"], 120, false),
        (Some(1000), 1000, 999, vec!["limit=999", "limit=999&cursor=999"], 1000, false),
    ];
    for (limit, total, page, bodies, listed, more) in cases {
        let mock = mock::http(move |request| {
            let text = request.text();
            let field = |name: &str| text.split('&').find_map(|field| field.strip_prefix(name)?.parse::<usize>().ok());
            let start = field("cursor=").unwrap_or(0);
            let end = total.min(start + page.min(field("limit=").unwrap_or(100)));
            let channels: Vec<_> =
                (start..end).map(|n| json!({ "id": format!("C{n}"), "name": n.to_string() })).collect();
            let next = if end < total { end.to_string() } else { String::new() };
            Ok(ok(&json!({ "channels": channels, "response_metadata": { "next_cursor": next } })))
        });
        let answer = list_channels(None, limit).unwrap();
        let sent: Vec<String> = mock.requests().iter().map(mock::Request::text).collect();
        assert_eq!(sent, bodies, "{limit:?} of {total}");
        assert_eq!((answer.channels.len(), answer.has_more), (listed, more), "{limit:?} of {total}");
    }
}

#[test]
fn a_list_that_never_ends_is_ended() {
    let mock = mock::http(|_| Ok(ok(&json!({ "channels": [], "response_metadata": { "next_cursor": "again=" } }))));
    let answer = list_channels(Some("im,mpim".into()), Some(5)).unwrap();
    assert_eq!((answer.channels.len(), answer.has_more, mock.requests().len()), (0, true, 20));
    assert_eq!(mock.requests()[0].text(), "limit=5&types=im%2Cmpim");
    assert_eq!(mock.requests()[1].text(), "limit=5&types=im%2Cmpim&cursor=again%3D");
    assert_eq!(mock.requests()[0].header("content-type"), Some("application/x-www-form-urlencoded"));
}

#[test]
fn what_slack_leaves_out_of_a_channel_is_null() {
    let channels = json!({ "channels": [
        { "id": "C1", "name": "general", "is_private": false, "is_archived": false, "is_member": true, "is_im": false,
          "is_mpim": false, "topic": { "value": "All" , "creator": "U1" }, "purpose": { "value": "" }, "num_members": 4 },
        { "id": "D1", "is_im": true, "user": "U2", "name": null, "topic": null },
    ] });
    let _mock = mock::http(move |_| Ok(ok(&channels)));
    let answer = list_channels(None, None).unwrap();
    assert_eq!(
        json!(answer),
        json!({ "channels": [
            { "id": "C1", "name": "general", "is_private": false, "is_archived": false, "is_member": true, "is_im": false,
              "is_mpim": false, "user": null, "topic": "All", "purpose": "", "num_members": 4 },
            { "id": "D1", "name": null, "is_private": null, "is_archived": null, "is_member": null, "is_im": true,
              "is_mpim": null, "user": "U2", "topic": null, "purpose": null, "num_members": null },
        ], "has_more": false })
    );
}

#[test]
fn a_person_is_found() {
    let mock = mock::http(|_| {
        Ok(ok(
            &json!({ "user": { "id": "U1", "team_id": "T1", "name": "ann", "deleted": false, "is_bot": false, "tz": null,
            "profile": { "real_name": "Ann B", "display_name": "", "email": "a+b@example.com", "title": "CTO" } } }),
        ))
    });
    let answer = lookup_user("a+b@example.com".into()).unwrap();
    assert_eq!(
        json!(answer),
        json!({ "id": "U1", "name": "ann", "real_name": "Ann B", "display_name": "", "email": "a+b@example.com", "title": "CTO",
            "tz": null, "team_id": "T1", "is_bot": false, "deleted": false })
    );
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path()), ("POST", "/api/users.lookupByEmail"));
    assert_eq!(sent.text(), "email=a%2Bb%40example.com");
}

#[test]
fn a_code_becomes_a_kind() {
    use ErrorKind::{
        AuthError, Conflict, NotFound, PermissionError, RateLimited, Transient, UpstreamError, ValidationError,
    };
    let cases = [
        ("not_authed", AuthError, false),
        ("invalid_auth", AuthError, false),
        ("token_revoked", AuthError, false),
        ("account_inactive", AuthError, false),
        ("missing_scope", PermissionError, false),
        ("not_in_channel", PermissionError, false),
        ("cant_update_message", PermissionError, false),
        ("restricted_action_read_only_channel", PermissionError, false),
        ("channel_not_found", NotFound, false),
        ("users_not_found", NotFound, false),
        ("message_not_found", NotFound, false),
        ("is_archived", Conflict, false),
        ("no_text", ValidationError, false),
        ("msg_too_long", ValidationError, false),
        ("invalid_blocks", ValidationError, false),
        ("invalid_cursor", ValidationError, false),
        ("ratelimited", RateLimited, true),
        ("rate_limited", RateLimited, true),
        ("service_unavailable", Transient, true),
        ("internal_error", UpstreamError, true),
        ("fatal_error", UpstreamError, true),
        ("something_new", UpstreamError, false),
    ];
    for (code, kind, retryable) in cases {
        let error = failing(Response::json(200, &json!({ "ok": false, "error": code })));
        assert_eq!((error.kind(), error.is_retryable(), error.code()), (kind, retryable, Some(code)), "{code}");
        assert_eq!(error.message(), format!("Slack: {code}"));
    }
    for (status, kind) in
        [(401, AuthError), (403, PermissionError), (404, NotFound), (409, Conflict), (500, UpstreamError)]
    {
        let error = failing(Response::json(status, &json!({ "ok": false, "error": "something_new" })));
        assert_eq!((error.kind(), error.code()), (kind, Some("something_new")), "{status}");
    }
}

#[test]
fn a_missing_scope_is_named() {
    let error = failing(Response::json(
        200,
        &json!({ "ok": false, "error": "missing_scope", "needed": "chat:write", "provided": "users:read" }),
    ));
    assert_eq!(
        error.hints(),
        [
            "the token lacks the scope chat:write: add it in the settings of the app at https://api.slack.com/apps, then install the app again"
        ]
    );
}

#[test]
fn what_slack_says_about_arguments_is_told() {
    let error = failing(Response::json(
        200,
        &json!({ "ok": false, "error": "invalid_blocks", "errors": ["missing `type` [json-pointer:/blocks/0]"],
            "response_metadata": { "messages": ["[ERROR] no more than 50 items allowed", 7] } }),
    ));
    assert_eq!(
        error.message(),
        "Slack: invalid_blocks (missing `type` [json-pointer:/blocks/0]; [ERROR] no more than 50 items allowed)"
    );
}

#[test]
fn rate_limits_say_how_long_to_wait() {
    let limited = |status| Response::json(status, &json!({ "ok": false, "error": "ratelimited" }));
    for (response, code, hint) in [
        (limited(429).header("Retry-After", "17"), "ratelimited", "retry after 17 s"),
        (limited(200).header("Retry-After", "5"), "ratelimited", "retry after 5 s"),
        (limited(429), "ratelimited", "retry after 60 s"),
        (Response::new(429).body("slow down").header("Retry-After", "3"), "429", "retry after 3 s"),
    ] {
        let error = failing(response);
        assert_eq!((error.kind(), error.is_retryable(), error.code()), (ErrorKind::RateLimited, true, Some(code)));
        assert_eq!(error.hints(), [hint]);
    }
}

#[test]
fn bodies_that_explain_nothing_are_survived() {
    for body in ["", "<html>bad gateway</html>", "[]", "null", r#"{"error": 7}"#, "{}"] {
        let error = failing(Response::new(502).body(body));
        assert_eq!(error.to_string(), "transient: Slack answered with status 502 and no explanation", "{body}");
    }
    for body in
        ["", "<html>", "[]", "{}", r#"{"ok": "yes"}"#, r#"{"ok": true}"#, r#"{"ok": true, "channel": "C1", "ts": 1.2}"#]
    {
        let error = failing(Response::new(200).body(body));
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::UpstreamError, false), "{body}");
    }
    let error = failing(Response::json(200, &json!({ "ok": false, "error": "ä".repeat(5000) })));
    assert!(error.message().chars().count() <= 601 && error.code().unwrap().chars().count() <= 601);
}

#[test]
fn no_response_keeps_its_kind() {
    let _mock = mock::http(|_| Err(HttpError::Denied("slack.com is not granted".into())));
    assert_eq!(post().unwrap_err().to_string(), "permission_error: slack.com is not granted");
}
