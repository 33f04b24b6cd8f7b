//! The GitHub pack over real TLS: what each tool sends, byte for byte where it matters, and what it answers.

use rig_tests::{Project, Recorded, Reply, Upstream};
use serde_json::{Value, json};

pub(crate) const HOST: &str = "api.github.com";
pub(crate) const TOKEN: &str = "ghp_0123456789abcdefABCDEF0123456789abcd";

/// A project with the pack installed, a token in the environment, and a stand-in for the service.
pub(crate) fn setup() -> (Project, Upstream) {
    let upstream = Upstream::start();
    let mut project = Project::with(&["github"]);
    project.configure(&upstream.yaml());
    project.set_secret("GITHUB_TOKEN", TOKEN);
    (project, upstream)
}

/// An issue or pull request as the service shows it, shortened.
fn item(number: u64, kind: &str) -> Value {
    json!({
        "id": 9_000_000 + number,
        "node_id": "I_kwDO",
        "number": number,
        "title": "Found a bug",
        "body": "It is broken.",
        "state": "open",
        "draft": false,
        "locked": false,
        "user": { "login": "octocat", "id": 1 },
        "labels": [{ "id": 1, "name": "bug", "color": "f29513" }],
        "html_url": format!("https://github.com/octo/hello/{kind}/{number}"),
        "url": format!("https://api.github.com/repos/octo/hello/{kind}/{number}"),
        "head": { "label": "octo:fix", "ref": "fix", "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e" },
        "base": { "label": "octo:main", "ref": "main", "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e" },
        "merged_at": null,
        "closed_at": null,
        "created_at": "2026-11-01T10:00:00Z",
        "updated_at": "2026-11-01T10:00:00Z"
    })
}

/// Headers that every request carries, and none that it must not.
#[track_caller]
fn assert_headers(request: &Recorded) {
    assert_eq!((request.scheme, request.host.as_str()), ("https", HOST));
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    assert_eq!(request.header("accept"), Some("application/vnd.github+json"));
    assert!(request.header("x-github-api-version").is_some(), "{:?}", request.headers);
    assert!(request.header("user-agent").is_some_and(|agent| !agent.is_empty()), "GitHub refuses requests without one");
    for name in ["authorization", "host", "user-agent", "accept"] {
        assert_eq!(request.count(name), 1, "{name}: {:?}", request.headers);
    }
    for name in ["cookie", "referer", "proxy-authorization"] {
        assert_eq!(request.count(name), 0, "{name}: {:?}", request.headers);
    }
    assert_eq!(request.header("host"), Some(HOST));
    if request.method == "GET" {
        assert!(request.body.is_empty());
    } else {
        assert!(request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    }
}

#[test]
fn an_issue_is_created() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| Reply::json(201, item(1347, "issues")));
    let args = json!({ "repo": "octo/hello", "title": "Found a bug", "body": "It is broken.", "labels": ["bug"] });
    let output = project.call("github.issues.create", args).output();
    assert_eq!(output["number"], 1347, "{output}");
    assert!(output.to_string().contains("https://github.com/octo/hello/issues/1347"), "{output}");

    let request = upstream.request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/repos/octo/hello/issues"));
    assert_headers(&request);
    assert_eq!(request.json(), json!({ "title": "Found a bug", "body": "It is broken.", "labels": ["bug"] }));
    assert_eq!(upstream.connects(), ["api.github.com:443"]);
}

#[test]
fn what_is_not_given_is_not_sent() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| Reply::json(201, item(1, "issues")));
    let _ = project.call("github.issues.create", json!({ "repo": "octo/hello", "title": "t" })).output();
    assert_eq!(upstream.request().json(), json!({ "title": "t" }));
}

#[test]
fn an_issue_is_commented_on() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| {
        let mut comment = item(1, "issues");
        comment["html_url"] = json!("https://github.com/octo/hello/issues/7#issuecomment-1");
        Reply::json(201, comment)
    });
    let args = json!({ "repo": "octo/hello", "issue_number": 7, "body": "Me too \u{1F44B}" });
    let output = project.call("github.issues.comment", args).output();
    assert!(output.to_string().contains("issuecomment-1"), "{output}");

    let request = upstream.request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/repos/octo/hello/issues/7/comments"));
    assert_headers(&request);
    assert_eq!(request.json(), json!({ "body": "Me too \u{1F44B}" }));
}

#[test]
fn a_pull_request_is_created() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| Reply::json(201, item(8, "pull")));
    let args = json!({ "repo": "octo/hello", "title": "Fix it", "head": "fix", "body": "Closes #7" });
    let output = project.call("github.pulls.create", args.clone()).output();
    assert_eq!(output["number"], 8, "{output}");
    let request = upstream.request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/repos/octo/hello/pulls"));
    assert_headers(&request);
    assert_eq!(request.json(), json!({ "title": "Fix it", "head": "fix", "base": "main", "body": "Closes #7" }));

    upstream.forget();
    let args = json!({ "repo": "octo/hello", "title": "Fix it", "head": "other:fix", "base": "release/1.0" });
    let _ = project.call("github.pulls.create", args).output();
    assert_eq!(upstream.request().json(), json!({ "title": "Fix it", "head": "other:fix", "base": "release/1.0" }));
}

#[test]
fn pull_requests_are_listed() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| Reply::json(200, json!([item(1, "pull"), item(2, "pull")])));
    let output =
        project.call("github.pulls.list", json!({ "repo": "octo/hello", "state": "all", "limit": 2 })).output();
    let text = output.to_string();
    assert!(text.contains("/pull/1") && text.contains("/pull/2"), "{text}");
    let request = upstream.request();
    assert_eq!((request.method.as_str(), request.path()), ("GET", "/repos/octo/hello/pulls"));
    assert_headers(&request);
    let query = request.query();
    assert!(query.contains(&("state", "all")) && query.contains(&("per_page", "2")), "{query:?}");

    upstream.forget();
    upstream.reply(HOST, Reply::json(200, json!([])));
    let output = project.call("github.pulls.list", json!({ "repo": "octo/hello" })).output();
    assert!(output.to_string().contains("[]"), "{output}");
}

#[test]
fn text_stays_text_whatever_it_holds() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| Reply::json(201, item(1, "issues")));
    let odd = "quotes \" ' \\ </script> \r\n\t\u{0} \u{2028} {{x}} ${y} %00 ünï";
    let _ = project.call("github.issues.create", json!({ "repo": "octo/hello", "title": odd, "body": odd })).output();
    assert_eq!(upstream.request().json(), json!({ "title": odd, "body": odd }));
}

#[test]
fn a_repository_cannot_change_the_request() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| Reply::json(201, item(1, "issues")));
    for repo in [
        "octo",
        "octo/",
        "/hello",
        "octo/hello/../../user",
        "../../user/x",
        "octo/hello?x=1",
        "octo/hello#x",
        "octo/hello/issues/1/comments",
        "octo/hello%2f..%2f..",
        "octo/he llo",
        "octo/..",
        "octo\\hello",
        "@evil.test/x",
        "octo/hello\r\nX-Evil: 1",
        "",
    ] {
        let output = project.call("github.issues.create", json!({ "repo": repo, "title": "t" }));
        if output.code == Some(0) {
            // What is sent must still be one repository's issues, the odd name encoded.
            for request in upstream.requests() {
                let parts: Vec<_> = request.target.split('/').collect();
                assert_eq!((parts.len(), parts[1], parts[4]), (5, "repos", "issues"), "{repo:?}: {}", request.target);
                assert!(parts[2..4].iter().all(|part| !["", ".", ".."].contains(part)), "{repo:?}: {}", request.target);
                assert_eq!(request.count("x-evil"), 0);
            }
        } else {
            let _ = output.error("validation_error");
            assert_eq!(upstream.requests(), [], "{repo:?}");
        }
        upstream.forget();
    }
}

#[test]
fn the_token_comes_from_the_environment_or_the_env_file() {
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::json(200, json!([])));
    let call = ["call", "github.pulls.list", r#"{"repo":"octo/hello"}"#];
    project.write(".env", "# secrets\nGITHUB_TOKEN=\"from-the-file-1234\"\n");
    let _ = project.run(call).without_env("GITHUB_TOKEN").output().output();
    assert_eq!(upstream.request().header("authorization"), Some("Bearer from-the-file-1234"));

    // The environment wins.
    upstream.forget();
    let _ = project.rig(&call).output();
    assert_eq!(upstream.request().header("authorization"), Some(&*format!("Bearer {TOKEN}")));
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::json(200, json!([])));
    let evil = Upstream::start();
    evil.reply(HOST, Reply::json(200, json!([])));
    let mut run = project.run(["call", "github.pulls.list", r#"{"repo":"octo/hello"}"#]);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        run = run.env(name, &evil.proxy_url());
    }
    let _ = run.env("SSL_CERT_FILE", evil.ca_path().to_str().unwrap()).output().output();
    evil.assert_untouched();
    assert_eq!(upstream.requests().len(), 1);
}
