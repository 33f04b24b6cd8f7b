//! RGP, the HTTP API: what its paths mean. The bodies are described in [`rig_specs::rgp`] and [`rig_specs::rtp`].
//!
//! Everything here is translation. What a call may do is decided by the pipeline, and who calls by [`super::http`]. A failed call is
//! an answer like any other (200 and a result with its error); a status of its own means that no call came about.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header::CONTENT_TYPE};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::{
    Gateway,
    http::{Identity, MAX_NAME, problem::Problem},
    metrics::Seen,
};

mod approvals;
mod audit;
mod call;
mod envelope;
mod tools;

pub(super) use tools::Rendered;

/// What an answer to a request is.
type Answer = Result<Response, Problem>;

/// What stands behind the name of a tool, or a token, where something is to be done with it.
const CALL: &str = ":call";
/// The template of the path of calls.
pub(super) const CALLS: &str = "/v1/tools/{name}:call";
const APPROVE: &str = ":approve";
const DENY: &str = ":deny";

/// The paths that every gateway serves.
pub(super) fn base(gateway: &Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(gateway))
}

/// The paths of the API.
pub(super) fn router(gateway: &Arc<Gateway>) -> Router {
    let routes = Router::new()
        .route("/openapi.json", get(openapi))
        .route("/v1/tools", get(tools::list))
        .route("/v1/tools/{last}", any(tool))
        .route("/v1/approvals", get(approvals::list))
        .route("/v1/approvals/{last}", post(decision))
        .route("/v1/audit/query", post(audit::query))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::clone(gateway));
    base(gateway).merge(routes)
}

/// The path with its variable parts named, for metrics: there are few of them, whatever is asked for.
pub(super) fn template(path: &str) -> &'static str {
    match path {
        "/v1/health" => "/v1/health",
        "/metrics" => "/metrics",
        "/openapi.json" => "/openapi.json",
        "/v1/tools" => "/v1/tools",
        "/v1/approvals" => "/v1/approvals",
        "/v1/audit/query" => "/v1/audit/query",
        "/mcp" => "/mcp",
        _ if path.starts_with("/v1/tools/") && path.ends_with(CALL) => CALLS,
        _ if path.starts_with("/v1/tools/") => "/v1/tools/{name}",
        _ if path.starts_with("/v1/approvals/") && path.ends_with(APPROVE) => "/v1/approvals/{token}:approve",
        _ if path.starts_with("/v1/approvals/") && path.ends_with(DENY) => "/v1/approvals/{token}:deny",
        _ => "other",
    }
}

/// Whether a path takes no token: whoever watches the gateway, or learns what it is, has none.
pub(super) fn is_open(template: &str) -> bool {
    matches!(template, "/v1/health" | "/openapi.json")
}

async fn health() -> Response {
    json_text(Bytes::from_static(br#"{"status":"ok"}"#))
}

async fn openapi() -> Response {
    json_text(Bytes::from_static(rig_specs::openapi::TEXT.as_bytes()))
}

async fn metrics(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Answer {
    identity(&request).must_approve()?;
    let live = gateway.live();
    let waiting = live.caller.waiting(None).await.map_or(0, |waiting| waiting.len());
    let audit_problem = gateway.services().audit.as_ref().is_some_and(|audit| audit.problem().is_some());
    let text = gateway.metrics().text(Seen { waiting, audit_problem });
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

async fn wrong_method(request: Request<Body>) -> Response {
    // The routes' own list of methods is added by the router.
    let method: String = request.method().as_str().escape_debug().take(MAX_NAME).collect();
    Problem::wrong_method(&method).into_response()
}

/// `/v1/tools/{name}` and `/v1/tools/{name}:call`.
async fn tool(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Answer {
    let last = last_segment(request.uri().path())?;
    let method = request.method();
    match last.strip_suffix(CALL) {
        Some(_) if method == Method::POST => {
            let caller = identity(&request);
            call(&gateway, caller, request).await
        }
        Some(_) => Err(Problem::method_not_allowed("POST")),
        None if method == Method::GET || method == Method::HEAD => tools::one(&gateway, bounded(&last)?, &request),
        None => Err(Problem::method_not_allowed("GET, HEAD")),
    }
}

/// A call of the tool that the path names, which is a path of [`CALLS`].
pub(super) async fn call(gateway: &Gateway, identity: Identity, request: Request<Body>) -> Answer {
    let path = request.uri().path().strip_prefix("/v1/tools/").unwrap_or_default();
    if path.contains('/') {
        return Err(Problem::not_found("the name of a tool is one part of a path"));
    }
    let last = last_segment(path)?;
    let name = last.strip_suffix(CALL).unwrap_or(&last);
    call::call(gateway, bounded(name)?, identity, request).await
}

/// `/v1/approvals/{token}:approve` and `…:deny`.
async fn decision(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Answer {
    let last = last_segment(request.uri().path())?;
    if let Some(token) = last.strip_suffix(APPROVE) {
        approvals::approve(&gateway, bounded(token)?, request).await
    } else if let Some(token) = last.strip_suffix(DENY) {
        approvals::deny(&gateway, bounded(token)?, request).await
    } else {
        Err(Problem::not_found("what is done with an approval is `:approve` or `:deny`"))
    }
}

/// The last part of a path, in plain text.
fn last_segment(path: &str) -> Result<String, Problem> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let text = percent_decode_str(last).decode_utf8();
    text.map(Cow::into_owned).map_err(|_| Problem::bad_request("the path is not UTF-8"))
}

/// Names in paths stand in the audit log, so they have an end.
fn bounded(name: &str) -> Result<&str, Problem> {
    match name.chars().count() {
        1..=MAX_NAME => Ok(name),
        0 => Err(Problem::not_found("the path names nothing")),
        _ => Err(Problem::bad_request(format!("a name in a path has at most {MAX_NAME} characters"))),
    }
}

/// Who calls, as it was found out before any route.
fn identity(request: &Request<Body>) -> Identity {
    request.extensions().get::<Identity>().cloned().unwrap_or_default()
}

fn json_text(text: impl Into<Body>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], text.into()).into_response()
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(text) => Ok(json_text(text)),
        Err(error) => Err(Problem::internal(format!("the answer is no JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_know_few_paths() {
        for (path, expected) in [
            ("/v1/tools/a.b.c:call", "/v1/tools/{name}:call"),
            ("/v1/tools/a.b.c", "/v1/tools/{name}"),
            ("/v1/approvals/x:deny", "/v1/approvals/{token}:deny"),
            ("/v1/approvals/x", "other"),
            ("/v1/tools", "/v1/tools"),
            ("/", "other"),
        ] {
            assert_eq!(template(path), expected);
        }
        assert!(is_open("/v1/health") && !is_open("/metrics") && !is_open("other"));
    }

    #[test]
    fn names_in_paths_are_decoded_and_bounded() {
        assert_eq!(last_segment("/v1/tools/a%2Eb%20c").as_deref(), Ok("a.b c"));
        assert_eq!(last_segment("/v1/tools/%ff"), Err(Problem::bad_request("the path is not UTF-8")));
        let long = "é".repeat(MAX_NAME);
        assert_eq!(bounded(&long), Ok(long.as_str()));
        let longer = Problem::bad_request("a name in a path has at most 200 characters");
        assert_eq!(bounded(&(long.clone() + "é")), Err(longer));
        assert_eq!(bounded(""), Err(Problem::not_found("the path names nothing")));
    }
}
