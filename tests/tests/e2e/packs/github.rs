//! The GitHub pack against PyGithub.

use rig_tests::{
    Recorded, Reply,
    sdk::{Allowed, Part},
};
use serde_json::{Value, json};

use super::Service;
use crate::github::{HOST, TOKEN};

/// What GitHub answers to PyGithub's look-ups and to the calls themselves.
fn answer(request: &Recorded) -> Reply {
    let item = |number: u64| {
        json!({
            "number": number, "id": 1, "title": "T", "state": "open", "html_url": "https://github.com/octo/hello/issues/7",
            "url": "https://api.github.com/repos/octo/hello/issues/7"
        })
    };
    match (request.method.as_str(), request.path()) {
        ("GET", "/repos/octo/hello") => Reply::json(
            200,
            json!({ "id": 1, "full_name": "octo/hello", "url": "https://api.github.com/repos/octo/hello" }),
        ),
        ("GET", "/repos/octo/hello/issues/7") => Reply::json(200, item(7)),
        ("GET", "/repos/octo/hello/pulls") => Reply::json(200, json!([item(1), item(2)])),
        ("POST", "/repos/octo/hello/issues/7/comments") => Reply::json(201, json!({ "id": 9, "body": "B" })),
        ("POST", "/repos/octo/hello/issues" | "/repos/octo/hello/pulls") => Reply::json(201, item(8)),
        _ => Reply::json(404, json!({ "message": "Not Found" })),
    }
}

pub(super) fn setup() -> Service {
    let service = Service::start("github", &[("GITHUB_TOKEN", TOKEN)]);
    service.on(HOST, answer);
    service
}

/// Every tool with all of its arguments, and which of them it requires.
pub(super) fn calls() -> [(&'static str, &'static [&'static str], Value); 4] {
    let repo = "octo/hello";
    [
        (
            "github.issues.create",
            &["repo", "title"],
            json!({ "repo": repo, "title": "T \u{1F44B}", "body": "", "labels": ["bug", "a b"] }),
        ),
        (
            "github.issues.comment",
            &["repo", "issue_number", "body"],
            json!({ "repo": repo, "issue_number": 7, "body": "Me too \u{1F44B}" }),
        ),
        (
            "github.pulls.create",
            &["repo", "title", "head"],
            json!({ "repo": repo, "title": "T", "head": "o:fix", "base": "release/1.0", "body": "B" }),
        ),
        ("github.pulls.list", &["repo"], json!({ "repo": repo, "state": "all", "limit": 2 })),
    ]
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = setup();
    let repository = Allowed { part: Part::Request("GET /repos/*/*"), why: "the SDK looks the repository up first" };
    let issue = Allowed { part: Part::Request("GET /repos/*/*/issues/*"), why: "the SDK looks the issue up first" };
    let common = [
        repository,
        Allowed {
            part: Part::Header("accept"),
            why: "GitHub's documentation asks for it; the SDK relies on the default",
        },
        Allowed {
            part: Part::Header("x-github-api-version"),
            why: "the version is pinned, so that a newer one breaks nothing",
        },
        Allowed {
            part: Part::Header("authorization"),
            why: "`Bearer` is the standard's word for GitHub's older `token`",
        },
    ];
    let page = Allowed { part: Part::Query("page"), why: "the SDK leaves out the number of the first page" };
    let size = Allowed { part: Part::Query("per_page"), why: "the SDK leaves out what is GitHub's default" };
    let cases: [(&str, Value, &[Allowed<'_>]); 7] = [
        ("github.issues.create", json!({ "title": "T" }), &[]),
        ("github.issues.create", json!({ "title": "T", "body": "", "labels": ["bug", "a b"] }), &[]),
        ("github.issues.comment", json!({ "issue_number": 7, "body": "Me too \u{1F44B}" }), &[issue]),
        ("github.pulls.create", json!({ "title": "T", "head": "fix" }), &[]),
        ("github.pulls.create", json!({ "title": "T", "head": "o:fix", "base": "release/1.0", "body": "B" }), &[]),
        ("github.pulls.list", json!({ "state": "open" }), &[page, size]),
        ("github.pulls.list", json!({ "state": "all", "limit": 2 }), &[page]),
    ];
    for (tool, mut args, allowed) in cases {
        args["repo"] = json!("octo/hello");
        service.sends_what_the_sdk_sends(tool, &args, &[&common, allowed].concat());
    }
}
