//! What Notion's error responses mean.

use rig_sdk::{Error, http::Response, json::Value};

/// How much of Notion's own words is quoted: validation errors list every shape that would have fitted, for pages.
const QUOTED: usize = 1000;

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    let status = response.status();
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let message = match body["message"].as_str() {
        Some(text) if !text.is_empty() => quoted(text),
        _ => format!("Notion answered with status {status} and no explanation"),
    };
    let error = response.failure(message);
    let error = match status {
        401 => error.hint("set NOTION_TOKEN to the token of an integration that still exists"),
        403 => error.hint("give the integration the capability in its settings: to read, insert or update content"),
        404 => error.hint(
            "check the id, and share the page or database with the integration (its menu, Connections): what is not shared is not found",
        ),
        // Two changes met; Notion made neither.
        409 => error.retryable().hint("read the page again, then repeat the change"),
        429 if error.hints().is_empty() => error.hint("retry after 1 s: Notion allows about three requests a second"),
        _ => error,
    };
    match body["code"].as_str() {
        Some(code) => error.upstream_code(code.chars().take(QUOTED).collect::<String>()),
        None => error,
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("Notion: ");
    quoted.extend(text.chars().take(QUOTED));
    if text.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}
