//! What GitHub's error responses mean.

use rig_sdk::{Error, clock, http::Response, json::Value};

/// How much of GitHub's own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// How long GitHub asks to wait when it names no time for a secondary rate limit.
const SECONDARY_WAIT: u64 = 60;

/// One entry of `errors`, which GitHub sends as objects and, here and there, as plain texts.
fn detail(entry: &Value) -> String {
    let field = |name: &str| entry[name].as_str();
    if let Some(text) = entry.as_str().or(field("message")) {
        return text.to_owned();
    }
    let place: Vec<&str> = [field("resource"), field("field")].into_iter().flatten().collect();
    format!("{} {}", place.join("."), field("code").unwrap_or("invalid")).trim().to_owned()
}

/// GitHub's code for an entry of `errors`, when it says more than the status does.
fn code(entry: &Value) -> Option<&str> {
    entry["code"].as_str().filter(|code| *code != "custom")
}

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let text = body["message"].as_str().unwrap_or_default();
    let errors = match &body["errors"] {
        Value::Array(errors) => errors.as_slice(),
        Value::Null => &[],
        other => std::slice::from_ref(other),
    };
    let message = message(response.status(), text, errors);
    let error = match response.status() {
        403 | 429 if is_rate_limit(response, text) => return rate_limit(response, message),
        401 => response.failure(message).hint("set GITHUB_TOKEN to a token that is valid and not expired"),
        403 => permission(response, message),
        404 => response
            .failure(message)
            .hint("check the names; GitHub also answers 404 for what the token has no access to"),
        300..=399 => Error::not_found("the repository has moved")
            .upstream_code(response.status())
            .hint("look up the repository's new name and use that"),
        _ => response.failure(message),
    };
    match errors.iter().find_map(code) {
        Some(code) => error.upstream_code(code),
        None => error,
    }
}

fn message(status: u16, text: &str, errors: &[Value]) -> String {
    if text.is_empty() {
        return format!("GitHub answered with status {status} and no explanation");
    }
    let mut text = format!("GitHub: {text}");
    let details: Vec<String> = errors.iter().map(detail).collect();
    if !details.is_empty() {
        text.push_str(" (");
        text.push_str(&details.join("; "));
        text.push(')');
    }
    if text.chars().nth(QUOTED).is_some() {
        text = text.chars().take(QUOTED).collect();
        text.push('…');
    }
    text
}

fn is_rate_limit(response: &Response, text: &str) -> bool {
    response.status() == 429
        || response.header("retry-after").is_some()
        || response.header("x-ratelimit-remaining") == Some("0")
        || text.to_ascii_lowercase().contains("secondary rate limit")
}

/// The wait is `Retry-After`, else the time until the limit is reset, else what GitHub's documentation asks for.
fn rate_limit(response: &Response, message: String) -> Error {
    let number = |name| response.header(name)?.trim().parse::<u64>().ok();
    let until_reset = || {
        let exhausted = response.header("x-ratelimit-remaining") == Some("0");
        let reset = number("x-ratelimit-reset").filter(|_| exhausted)?;
        Some(reset.saturating_sub(clock::now_ms() / 1000).max(1))
    };
    let wait = number("retry-after").or_else(until_reset).unwrap_or(SECONDARY_WAIT);
    Error::rate_limited(message).upstream_code(response.status()).hint(format!("retry after {wait} s"))
}

fn permission(response: &Response, message: String) -> Error {
    let error = response.failure(message);
    if response.header("x-github-sso").is_some() {
        return error.hint("authorise the token for the organisation's single sign-on");
    }
    match response.header("x-accepted-github-permissions") {
        Some(needed) => error.hint(format!("the token needs one of these permissions: {needed}")),
        None => error.hint("give the token read and write access to issues and pull requests of this repository"),
    }
}
