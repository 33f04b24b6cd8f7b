//! A planted secret shows nowhere: not in output, logs, errors, the lock, caches or any file that rig writes, even when the
//! service sends it back in every form that redaction knows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose as codec};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rig_tests::{Output, Project, Reply, Upstream};
use serde_json::json;

use crate::github::HOST;

/// Has characters that look different in every encoding.
pub(crate) const CANARY: &str = "cnry/9+Zq=&7x?F~kW!m2Lp0Td4";

/// The canary in every form that the promise names.
pub(crate) fn forms() -> Vec<(&'static str, String)> {
    let percent = utf8_percent_encode(CANARY, NON_ALPHANUMERIC).to_string();
    let hex = hex::encode(CANARY);
    vec![
        ("raw", CANARY.to_owned()),
        ("base64", codec::STANDARD.encode(CANARY)),
        ("base64 without padding", codec::STANDARD_NO_PAD.encode(CANARY)),
        ("base64 for URLs", codec::URL_SAFE_NO_PAD.encode(CANARY)),
        ("upper-case hex", hex.to_uppercase()),
        ("hex", hex),
        ("lower-case percent", lower_escapes(&percent)),
        ("percent", percent),
    ]
}

/// `%2F` as `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        lower.extend(["%", &code.to_lowercase(), rest]);
    }
    lower
}

/// A project whose pack's answers carry a text back to the caller.
fn setup() -> (Project, Upstream) {
    let upstream = Upstream::start();
    let mut project = Project::with(&["github"]);
    project.configure(&upstream.yaml());
    project.set_env("GITHUB_TOKEN", CANARY);
    for (_, form) in forms() {
        project.guard(&form);
    }
    (project, upstream)
}

fn echoing(text: &str) -> Reply {
    let url = format!("https://github.com/octo/hello/issues/1#{text}");
    Reply::json(
        201,
        json!({
            "id": 1, "number": 1, "title": format!("before {text} after"), "body": text, "state": "open", "html_url": url,
            "url": url, "user": { "login": text }, "labels": [], "created_at": "2026-11-01T10:00:00Z"
        }),
    )
    .header("X-Echo", text)
}

fn create(project: &Project) -> Output {
    project.call("github.issues.create", json!({ "repo": "octo/hello", "title": "t" }))
}

/// Every file below a folder that holds a form of the canary.
pub(crate) fn leaks(dir: &Path) -> Vec<(PathBuf, &'static str)> {
    let forms = forms();
    let mut found = Vec::new();
    for path in rig_tests::files(dir).into_keys() {
        let bytes = fs::read(&path).unwrap_or_default();
        for (name, form) in &forms {
            if bytes.windows(form.len()).any(|window| window == form.as_bytes()) {
                found.push((path.clone(), *name));
            }
        }
    }
    found
}

#[test]
fn an_echoing_service_cannot_hand_it_to_the_caller() {
    let (project, upstream) = setup();
    for (name, form) in forms() {
        upstream.forget();
        let reply = form.clone();
        upstream.on(HOST, move |_| echoing(&reply));
        let output = create(&project); // Fails when any form shows.
        assert_eq!(
            upstream.request().header("authorization"),
            Some(&*format!("Bearer {CANARY}")),
            "it was sent: {name}"
        );
        assert_eq!(output.code, Some(0), "{name}: {output}");
    }
    assert_eq!(leaks(project.root()), []);
}

#[test]
fn an_echoing_error_cannot_either() {
    let (project, upstream) = setup();
    for (name, form) in forms() {
        for status in [401, 403, 404, 422, 429, 500] {
            let text = form.clone();
            upstream.on(HOST, move |_| {
                Reply::json(status, json!({ "message": format!("Bad token {text}"), "errors": [{ "message": text }] }))
                    .header("Retry-After", &text)
            });
            let output = create(&project);
            assert_eq!(output.code, Some(3), "{name} {status}: {output}");
        }
        // Nonsense that a pack may quote in its message.
        upstream.reply(HOST, Reply::html(200, &form));
        let output = create(&project);
        assert_eq!(output.code, Some(3), "{name}: {output}");
    }
    assert_eq!(leaks(project.root()), []);
}

#[test]
fn the_search_finds_what_is_there() {
    // The control: an answer that holds something else comes through whole, and a planted file is found.
    let (project, upstream) = setup();
    upstream.on(HOST, |_| echoing("harmless/9+Zq=&7x"));
    let shown = create(&project).output().to_string();
    assert!(shown.contains("harmless/9+Zq=&7x"), "{shown}");
    project.write("planted.txt", format!("x{}y", codec::STANDARD.encode(CANARY)));
    assert!(leaks(project.root()).iter().any(|(path, _)| path.ends_with("planted.txt")));
}

#[test]
fn no_command_shows_it() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| Reply::json(200, json!([])));
    for args in [
        &["list", "--json"][..],
        &["packs", "--json"],
        &["info", "github", "--json"],
        &["inspect", "github", "--json"],
        &["verify", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["--verbose", "doctor"],
        &["--verbose", "call", "github.pulls.list", r#"{"repo":"octo/hello"}"#],
        &["install", "--yes"],
        &["install", "github", "--yes", "--refresh"],
    ] {
        drop(project.rig(args));
    }
    // Arguments are the caller's own; an error about them may not repeat a secret in them either.
    drop(project.call("github.issues.create", json!({ "repo": CANARY, "title": CANARY, "nope": CANARY })));
    drop(project.call("github.pulls.list", json!({ "repo": "octo/hello", "state": CANARY })));
    assert_eq!(leaks(project.root()), []);
}

#[test]
fn the_env_file_is_read_and_never_copied() {
    let (project, upstream) = setup();
    upstream.on(HOST, |_| echoing(CANARY));
    project.write(".env", format!("GITHUB_TOKEN='{CANARY}'\nOTHER=1\n"));
    let args = json!({ "repo": "octo/hello", "title": "t" }).to_string();
    let output = project.run(["call", "github.issues.create", &args]).without_env("GITHUB_TOKEN").output();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(leaks(project.root()), [(project.dir().join(".env"), "raw")]);

    // A damaged file is told without its contents.
    project.write(".env", format!("GITHUB_TOKEN='{CANARY}\n=\n{CANARY}\n"));
    drop(project.run(["call", "github.issues.create", &args]).without_env("GITHUB_TOKEN").output());
    drop(project.rig(&["doctor"]));
}

#[test]
fn a_crash_of_the_connection_does_not_show_it() {
    let (project, upstream) = setup();
    for reply in [
        Reply::raw(CANARY),
        Reply::raw(format!("HTTP/1.1 {CANARY}\r\n\r\n")),
        Reply::raw(format!("HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n")),
    ] {
        upstream.reply(HOST, reply);
        assert_eq!(create(&project).code, Some(3));
    }
    drop(upstream);
    assert_eq!(create(&project).code, Some(3));
    assert_eq!(leaks(project.root()), []);
}
