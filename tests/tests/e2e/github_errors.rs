//! The GitHub pack when things go wrong: each failure is one of the twelve kinds, with the service's own code and what to do.

use std::{fs, time::Duration};

use rig_tests::{Flaw, Reply};
use serde_json::{Value, json};

use crate::github::{HOST, TOKEN, setup};

const LIST: &str = "github.pulls.list";
const CREATE: &str = "github.issues.create";

fn list_args() -> Value {
    json!({ "repo": "octo/hello" })
}

fn message(text: &str) -> Value {
    json!({ "message": text, "documentation_url": "https://docs.github.com/rest" })
}

#[test]
fn answers_of_the_service_become_kinds() {
    let (project, upstream) = setup();
    let used_up = || Reply::json(403, message("API rate limit exceeded for user")).header("X-RateLimit-Remaining", "0");
    for (reply, kind, code, retryable) in [
        (Reply::json(401, message("Bad credentials")), "auth_error", "401", false),
        (
            Reply::json(403, message("Resource not accessible by personal access token")),
            "permission_error",
            "403",
            false,
        ),
        (used_up().header("X-RateLimit-Reset", "4102444800"), "rate_limited", "403", true),
        (Reply::json(404, message("Not Found")), "not_found", "404", false),
        (Reply::json(409, message("Conflict")), "conflict", "409", false),
        (Reply::json(410, message("Issues are disabled for this repo")), "not_found", "410", false),
        (
            Reply::json(422, json!({ "message": "Validation Failed", "errors": [{ "field": "title" }] })),
            "validation_error",
            "422",
            false,
        ),
        (Reply::json(429, message("Too many requests")).header("Retry-After", "17"), "rate_limited", "429", true),
        (Reply::json(500, message("Server Error")), "upstream_error", "500", true),
        (Reply::html(502, "<h1>Unicorn!</h1>"), "transient", "502", true),
        (Reply::html(503, "<h1>Unicorn!</h1>"), "transient", "503", true),
    ] {
        let shown = format!("{reply:?}");
        upstream.forget();
        upstream.reply(HOST, reply);
        for (tool, args) in [(LIST, list_args()), (CREATE, json!({ "repo": "octo/hello", "title": "t" }))] {
            let error = project.call(tool, args).error(kind);
            assert_eq!(
                (&error["upstream_code"], &error["retryable"]),
                (&json!(code), &json!(retryable)),
                "{shown}: {error}"
            );
            assert!(!error["message"].to_string().contains("<h1>"), "{error}");
        }
        assert_eq!(upstream.requests().len(), 2, "nothing is tried twice: {shown}");
    }
}

#[test]
fn what_the_service_says_reaches_the_caller() {
    let (project, upstream) = setup();
    let errors = json!({
        "message": "Validation Failed",
        "errors": [{ "resource": "PullRequest", "code": "custom", "message": "A pull request already exists for octo:fix." }]
    });
    upstream.reply(HOST, Reply::json(422, errors));
    let args = json!({ "repo": "octo/hello", "title": "t", "head": "fix" });
    let error = project.call("github.pulls.create", args).error("validation_error");
    assert!(error["message"].as_str().unwrap().contains("A pull request already exists"), "{error}");

    upstream.reply(HOST, Reply::json(429, message("slow down")).header("Retry-After", "17"));
    let error = project.call(LIST, list_args()).error("rate_limited");
    assert!(error["remediation_hints"].to_string().contains("17"), "{error}");

    upstream.reply(HOST, Reply::json(401, message("Bad credentials")));
    let error = project.call(LIST, list_args()).error("auth_error");
    assert!(error["remediation_hints"].to_string().contains("GITHUB_TOKEN"), "{error}");
}

#[test]
fn nonsense_is_an_error_of_the_service() {
    let (project, upstream) = setup();
    for reply in [
        Reply::html(200, "<h1>Sign in</h1>"),
        Reply::new(200, ""),
        Reply::new(200, "{\"number\": "),
        Reply::json(200, json!({ "number": "seven" })),
        Reply::json(200, json!(null)),
        Reply::new(200, vec![0xff; 100]),
    ] {
        let shown = format!("{reply:?}");
        upstream.forget();
        upstream.reply(HOST, reply);
        let error = project.call(LIST, list_args()).error("upstream_error");
        assert!(error["message"].as_str().unwrap().len() < 500, "{shown}: {error}");
    }
}

#[test]
fn redirects_are_not_followed() {
    let (project, upstream) = setup();
    for status in [301, 302, 307, 308] {
        upstream.forget();
        upstream.reply("evil.test", Reply::json(200, json!([])));
        upstream.reply(HOST, Reply::json(status, json!({})).header("Location", "https://evil.test/"));
        let _ = project.call(LIST, list_args()).error("not_found");
        assert_eq!(upstream.connects(), ["api.github.com:443"]);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn a_broken_connection_is_transient_or_the_service_s_fault() {
    let (project, upstream) = setup();
    let body = json!([]).to_string().repeat(100);
    for reply in [
        Reply::raw(""),
        Reply::raw("\0\0garbage\r\n\r\n"),
        Reply::new(200, body).cut_at(50),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    ] {
        let shown = format!("{reply:?}");
        upstream.reply(HOST, reply);
        let output = project.call(LIST, list_args());
        let kind = output.json()["error"]["type"].as_str().unwrap_or_default().to_owned();
        assert!(["transient", "upstream_error"].contains(&&*kind), "{shown}: {output}");
        let _ = output.error(&kind);
    }
}

#[test]
fn too_much_is_cut_off_and_said() {
    let (project, upstream) = setup();
    for reply in [Reply::zeros(64 << 20), Reply::endless()] {
        upstream.reply(HOST, reply);
        let error = project.call(LIST, list_args()).error("upstream_error");
        assert!(error["message"].as_str().unwrap().contains("16 MiB"), "{error}");
    }
}

#[test]
fn silence_ends_with_the_call_s_deadline() {
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::silent());
    let start = std::time::Instant::now();
    let error = project.rig(&["call", LIST, &list_args().to_string(), "--timeout", "1"]).error("timeout");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(error["retryable"], true, "{error}");
}

#[test]
fn a_missing_secret_is_told_before_anything_runs() {
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::json(200, json!([])));
    for run in
        [project.run(["call", LIST]).without_env("GITHUB_TOKEN"), project.run(["call", LIST]).env("GITHUB_TOKEN", "")]
    {
        let error = run.args([list_args().to_string()]).output().error("auth_error");
        assert!(error["message"].as_str().unwrap().contains("GITHUB_TOKEN"), "{error}");
        let hints = error["remediation_hints"].to_string();
        assert!(hints.contains("GITHUB_TOKEN") && hints.contains(".env"), "how to set it: {error}");
        assert_eq!(error["retryable"], false);
    }
    upstream.assert_untouched();
}

#[test]
fn a_secret_that_cannot_be_sent_is_told_without_showing_it() {
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::json(200, json!([])));
    let bad = "line-one-of-a-key\nX-Evil: 1";
    let run = project.run(["call", LIST, &list_args().to_string()]).env("GITHUB_TOKEN", bad);
    let output = run.output();
    assert_eq!(output.code, Some(3), "{output}");
    output.lacks("line-one-of-a-key");
    assert_eq!(upstream.requests(), []);
}

#[test]
fn a_host_that_was_not_granted_is_named() {
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::json(200, json!([])));
    // The control: with the grant it works.
    let _ = project.call(LIST, list_args()).output();
    upstream.forget();
    project.edit_lock("github", |pack| pack.granted.network.clear());
    let error = project.call(LIST, list_args()).error("permission_error");
    assert!(error["message"].as_str().unwrap().contains(HOST), "{error}");
    upstream.assert_untouched();
}

#[test]
fn a_method_that_was_not_granted_is_named() {
    let (project, upstream) = setup();
    upstream.on(
        HOST,
        |request| if request.method == "GET" { Reply::json(200, json!([])) } else { Reply::json(201, json!({})) },
    );
    project.edit_lock("github", |pack| pack.granted.network.retain(|rule| rule.methods == ["GET"]));
    let output = project.call(CREATE, json!({ "repo": "octo/hello", "title": "t" }));
    let error = output.error("permission_error");
    assert!(error["message"].as_str().unwrap().contains("api.github.com"), "{error}");
    upstream.assert_untouched();
}

#[test]
fn tls_that_does_not_hold_sends_nothing() {
    for flaw in [Flaw::WrongName, Flaw::Expired, Flaw::UnknownIssuer] {
        let (project, upstream) = setup();
        upstream.reply(HOST, Reply::json(200, json!([]))).flaw(HOST, flaw);
        let output = project.call(LIST, list_args());
        let kind = output.json()["error"]["type"].as_str().unwrap_or_default().to_owned();
        assert!(["transient", "upstream_error"].contains(&&*kind), "{flaw:?}: {output}");
        output.mentions(HOST);
        assert_eq!(upstream.requests(), [], "{flaw:?}");
    }
    // The authority is trusted because rig.yaml says so, and for no other reason.
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::json(200, json!([])));
    let text = project.read("rig.yaml").replace("extra_ca:", "extra_ca: []\n  allow_private:");
    project.write(
        "rig.yaml",
        text.lines()
            .filter(|line| !line.contains("test-ca.pem"))
            .collect::<Vec<_>>()
            .join("\n")
            .replace("allow_private:", "allow_private: []"),
    );
    assert_eq!(project.call(LIST, list_args()).code, Some(3));
    assert_eq!(upstream.requests(), []);
}

#[test]
fn a_proxy_that_is_gone_is_named() {
    let (project, mut upstream) = setup();
    let proxy = upstream.proxy_url();
    upstream.stop();
    let output = project.call(LIST, list_args());
    let _ = output.error("transient");
    output.mentions(proxy.trim_start_matches("http://"));
    output.lacks(TOKEN);
}

#[test]
fn an_authority_that_cannot_be_read_is_the_project_s_fault() {
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::json(200, json!([])));
    let ca = upstream.ca_path().to_owned();
    for text in ["no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""] {
        fs::write(&ca, text).unwrap();
        let error = project.call(LIST, list_args()).error("internal_error");
        assert!(error["message"].as_str().unwrap().contains(ca.to_str().unwrap()), "{error}");
        assert!(error["remediation_hints"].to_string().contains("PEM"), "{error}");
    }
    fs::remove_file(&ca).unwrap();
    let _ = project.call(LIST, list_args()).error("internal_error");
    project.rig(&["doctor"]).fails_with(1).shows("extra_ca");
    upstream.assert_untouched();
}

#[test]
fn writes_wait_for_a_person_when_the_project_says_so() {
    let (project, upstream) = setup();
    upstream.reply(HOST, Reply::json(200, json!([])));
    project.configure("policy:\n  require_approval_for: [write, infra, money, destructive]\n");
    let _ = project.call(CREATE, json!({ "repo": "octo/hello", "title": "t" })).error("approval_required");
    upstream.assert_untouched();
    let _ = project.call(LIST, list_args()).output();
}
