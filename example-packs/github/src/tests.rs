//! The tools against a stand-in for GitHub.

use rig_sdk::{
    Error,
    json::{Value, json},
    mock::{self, HttpError, Response},
};

use super::*;

fn issue() -> Value {
    json!({
        "id": 1, "number": 7, "html_url": "https://github.com/o/r/issues/7", "title": "T", "state": "open", "body": null,
        "labels": [{ "id": 1, "name": "bug" }, "plain", { "name": null }], "user": { "login": "octocat", "id": 1 },
        "created_at": "2026-01-01T00:00:00Z", "unknown": [1]
    })
}

fn pull(number: u64) -> Value {
    json!({
        "number": number, "html_url": format!("https://github.com/o/r/pull/{number}"), "title": "P", "state": "open",
        "draft": false, "head": { "label": "o:fix", "ref": "fix" }, "base": { "label": null, "ref": "main" },
        "body": null, "user": null, "created_at": "c", "updated_at": "u", "merged_at": null
    })
}

fn create() -> Result<Issue> {
    create_issue("o/r".into(), "T".into(), None, None)
}

/// The error of a call that was answered with this.
fn failing(response: Response) -> Error {
    let _mock = mock::http(move |_| Ok(response.clone()));
    create().unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn an_issue_is_created() {
    let mock = mock::http(|_| Ok(Response::json(201, &issue())));
    let answer = create_issue("o/r".into(), "T".into(), Some("B".into()), Some(vec!["bug".into()])).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "https://api.github.com/repos/o/r/issues"));
    assert_eq!(sent.json::<Value>().unwrap(), json!({ "title": "T", "body": "B", "labels": ["bug"] }));
    assert_eq!(sent.header("accept"), Some("application/vnd.github+json"));
    assert_eq!(sent.header("x-github-api-version"), Some("2022-11-28"));
    assert_eq!(sent.header("user-agent"), Some("rig-pack-github/0.1.0"));
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(
        json!(answer),
        json!({
            "number": 7, "url": "https://github.com/o/r/issues/7", "title": "T", "state": "open", "body": null,
            "labels": ["bug", "plain"], "author": "octocat", "created_at": "2026-01-01T00:00:00Z"
        })
    );
}

#[test]
fn what_was_not_given_is_not_sent() {
    let mock = mock::http(|_| Ok(Response::json(201, &issue())));
    create().unwrap();
    assert_eq!(mock.requests()[0].text(), r#"{"title":"T"}"#);
}

#[test]
fn a_comment_is_added() {
    let comment = json!({ "id": 9, "html_url": "h", "body": "B", "user": { "login": "l" }, "created_at": "c" });
    let mock = mock::http(move |_| Ok(Response::json(201, &comment)));
    let answer = comment_issue("o/r".into(), 7, "B".into()).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path()), ("POST", "/repos/o/r/issues/7/comments"));
    assert_eq!(sent.text(), r#"{"body":"B"}"#);
    assert_eq!((answer.id, answer.author.as_deref()), (9, Some("l")));
}

#[test]
fn a_pull_request_is_opened() {
    let mock = mock::http(|_| Ok(Response::json(201, &pull(3))));
    let answer = create_pull("o/r".into(), "P".into(), "fix".into(), "main".into(), None).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path()), ("POST", "/repos/o/r/pulls"));
    assert_eq!(sent.text(), r#"{"title":"P","head":"fix","base":"main"}"#);
    assert_eq!((answer.head.as_deref(), answer.base.as_deref(), answer.author), (Some("o:fix"), Some("main"), None));
}

#[test]
fn pull_requests_are_listed_over_pages() {
    // Limit, what the repository has; the pages asked for and what is answered.
    let cases = [
        (30, 5, vec!["state=all&per_page=30&page=1"], 5, false),
        (30, 31, vec!["state=all&per_page=30&page=1"], 30, true),
        (100, 100, vec!["state=all&per_page=100&page=1"], 100, false),
        (150, 400, vec!["state=all&per_page=75&page=1", "state=all&per_page=75&page=2"], 150, true),
        (500, 120, vec!["state=all&per_page=100&page=1", "state=all&per_page=100&page=2"], 120, false),
        (101, 101, vec!["state=all&per_page=51&page=1", "state=all&per_page=51&page=2"], 101, false),
        (101, 102, vec!["state=all&per_page=51&page=1", "state=all&per_page=51&page=2"], 101, true),
    ];
    for (limit, total, queries, listed, more) in cases {
        let mock = mock::http(move |request| {
            let field = |name: &str| -> u64 {
                let found = request.query().split('&').find_map(|field| field.strip_prefix(name));
                found.unwrap_or_default().parse().unwrap()
            };
            let (size, page) = (field("per_page="), field("page="));
            let numbers = (page - 1) * size..(page * size).min(total);
            let response = Response::json(200, &numbers.map(pull).collect::<Vec<_>>());
            Ok(if page * size < total {
                response.header(
                    "link",
                    r#"<https://api.github.com/x?page=2>; rel="next", <https://api.github.com/x>; rel="last""#,
                )
            } else {
                response.header("link", r#"<https://api.github.com/x?page=1>; rel="prev""#)
            })
        });
        let answer = list_pulls("o/r".into(), State::All, limit).unwrap();
        let asked: Vec<String> = mock.requests().iter().map(|request| request.query().to_owned()).collect();
        assert_eq!(asked, queries, "{limit} of {total}");
        assert_eq!((answer.pull_requests.len(), answer.has_more), (listed, more), "{limit} of {total}");
    }
}

#[test]
fn a_status_becomes_a_kind() {
    let cases = [
        (301, "not_found", false),
        (400, "validation_error", false),
        (401, "auth_error", false),
        (403, "permission_error", false),
        (404, "not_found", false),
        (409, "conflict", false),
        (410, "not_found", false),
        (422, "validation_error", false),
        (429, "rate_limited", true),
        (500, "upstream_error", true),
        (502, "transient", true),
        (503, "transient", true),
        (504, "transient", true),
    ];
    for (status, expected, retryable) in cases {
        let error = failing(Response::json(status, &json!({ "message": "Why" })));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), (expected, retryable), "{status}");
        assert_eq!(error.code(), Some(status.to_string().as_str()));
        assert_eq!(error.message(), if status == 301 { "the repository has moved" } else { "GitHub: Why" });
    }
}

#[test]
fn the_errors_of_a_refused_request_are_told() {
    let error = failing(Response::json(
        422,
        &json!({ "message": "Validation Failed", "errors": [
            { "resource": "Issue", "field": "title", "code": "missing_field" },
            { "resource": "PullRequest", "code": "custom", "message": "No commits between main and fix" },
            "plain text",
        ] }),
    ));
    assert_eq!(
        error.message(),
        "GitHub: Validation Failed (Issue.title missing_field; No commits between main and fix; plain text)"
    );
    assert_eq!((kind(&error).as_str(), error.code()), ("validation_error", Some("missing_field")));
    let error = failing(Response::json(422, &json!({ "message": "Validation Failed", "errors": "all of it" })));
    assert_eq!((error.message(), error.code()), ("GitHub: Validation Failed (all of it)", Some("422")));
}

#[test]
fn rate_limits_say_how_long_to_wait() {
    let _clock = mock::clock(1_000_000_000);
    let limited = |status| Response::json(status, &json!({ "message": "Slow down" }));
    let secondary = Response::json(403, &json!({ "message": "You have exceeded a secondary rate limit." }));
    let cases = [
        (limited(403).header("retry-after", "17"), "retry after 17 s"),
        (limited(429).header("Retry-After", "5").header("x-ratelimit-remaining", "0"), "retry after 5 s"),
        (limited(403).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "1000090"), "retry after 90 s"),
        (limited(403).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "5"), "retry after 1 s"),
        (limited(403).header("x-ratelimit-remaining", "0"), "retry after 60 s"),
        (
            limited(429).header("x-ratelimit-remaining", "4000").header("x-ratelimit-reset", "1009999"),
            "retry after 60 s",
        ),
        (secondary, "retry after 60 s"),
    ];
    for (response, hint) in cases {
        let error = failing(response);
        assert_eq!((kind(&error).as_str(), error.is_retryable()), ("rate_limited", true));
        assert_eq!(error.hints(), [hint]);
    }
}

#[test]
fn a_refusal_says_what_the_token_lacks() {
    let refused = || Response::json(403, &json!({ "message": "Resource not accessible by personal access token" }));
    let cases = [
        (refused().header("x-accepted-github-permissions", "issues=write"), "one of these permissions: issues=write"),
        (refused().header("x-github-sso", "required; url=x"), "single sign-on"),
        (refused().header("x-ratelimit-remaining", "4999"), "access to issues and pull requests"),
    ];
    for (response, hint) in cases {
        let error = failing(response);
        assert_eq!(kind(&error), "permission_error");
        assert!(error.hints()[0].contains(hint), "{:?}", error.hints());
    }
}

#[test]
fn bodies_that_explain_nothing_are_survived() {
    for body in ["", "<html>bad gateway</html>", "[]", "null", r#"{"message": 7}"#, "{}"] {
        let error = failing(Response::new(502).body(body));
        assert_eq!(error.to_string(), "transient: GitHub answered with status 502 and no explanation", "{body}");
    }
    for body in ["", "<html>", "{}"] {
        let error = failing(Response::new(201).body(body));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), ("upstream_error", false), "{body}");
    }
    let error = failing(Response::json(400, &json!({ "message": "ä".repeat(5000) })));
    assert_eq!(error.message().chars().count(), 601);
}

#[test]
fn no_response_keeps_its_kind() {
    let _mock = mock::http(|_| Err(HttpError::Denied("api.github.com is not granted".into())));
    assert_eq!(create().unwrap_err().to_string(), "permission_error: api.github.com is not granted");
}

#[test]
fn nothing_is_sent_for_a_bad_repository() {
    let mock = mock::http(|_| Ok(Response::new(200)));
    for repo in ["o", "o/../x", "o/r?x=1"] {
        let error = list_pulls(repo.into(), State::Open, 1).unwrap_err();
        assert_eq!(kind(&error), "validation_error", "{repo}");
    }
    assert!(mock.requests().is_empty());
}

#[test]
fn a_success_without_details_is_a_success() {
    let _http = mock::http(|_| Ok(mock::Response::json(201, &json!({ "number": 7 }))));
    let issue = create_issue("o/r".into(), "t".into(), None, None).unwrap();
    assert_eq!((issue.number, issue.url, issue.title, issue.author), (7, None, None, None));
}
