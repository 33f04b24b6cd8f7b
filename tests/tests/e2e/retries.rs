//! Further attempts: only of calls that may be made twice, only for errors that may pass, and only as often as the project says.

use std::sync::atomic::{AtomicUsize, Ordering};

use rig_tests::{Project, Reply, Upstream};
use serde_json::{Value, json};

use crate::github::HOST;

/// A service that fails so many times before it answers.
fn failing(times: usize, failure: fn() -> Reply, answer: fn() -> Value) -> Upstream {
    let upstream = Upstream::start();
    let asked = AtomicUsize::new(0);
    upstream.on(HOST, move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) < times { failure() } else { Reply::json(200, answer()) }
    });
    upstream
}

fn project(upstream: &Upstream, retries: u32) -> Project {
    let mut project = Project::with(&["github"]);
    project.configure(&upstream.yaml());
    project.configure(&format!("policy:\n  retries: {retries}\n"));
    project.set_secret("GITHUB_TOKEN", "ghp_0123456789abcdef");
    project
}

fn busy() -> Reply {
    Reply::json(503, json!({ "message": "try again" }))
}

#[test]
fn a_read_is_tried_again() {
    let upstream = failing(2, busy, || json!([]));
    let project = project(&upstream, 2);
    project.call("github.pulls.list", json!({ "repo": "octo/hello" })).ok();
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn only_as_often_as_the_project_says() {
    for (retries, requests) in [(0, 1), (1, 2)] {
        let upstream = failing(9, busy, || json!([]));
        let project = project(&upstream, retries);
        let error = project.call("github.pulls.list", json!({ "repo": "octo/hello" })).fails_with(3).json();
        assert_eq!(error["error"]["retryable"], true, "{error}");
        assert_eq!(upstream.requests().len(), requests);
    }
}

#[test]
fn a_write_is_never_tried_again() {
    let upstream = failing(1, busy, || json!({}));
    let project = project(&upstream, 5);
    project.call("github.issues.create", json!({ "repo": "octo/hello", "title": "t" })).fails_with(3);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    let upstream = failing(1, || Reply::json(404, json!({ "message": "Not Found" })), || json!([]));
    let project = project(&upstream, 5);
    let _ = project.call("github.pulls.list", json!({ "repo": "octo/hello" })).error("not_found");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_wait_that_was_asked_for_is_kept() {
    let upstream = failing(1, || busy().header("retry-after", "1"), || json!([]));
    let project = project(&upstream, 1);
    let started = std::time::Instant::now();
    project.call("github.pulls.list", json!({ "repo": "octo/hello" })).ok();
    assert_eq!(upstream.requests().len(), 2);
    assert!(started.elapsed() >= std::time::Duration::from_secs(1));

    // A wait beyond the deadline is not begun.
    let upstream = failing(1, || busy().header("retry-after", "600"), || json!([]));
    let project = self::project(&upstream, 1);
    project.call("github.pulls.list", json!({ "repo": "octo/hello" })).fails_with(3);
    assert_eq!(upstream.requests().len(), 1);
}
