//! What Stripe's error responses mean.

use rig_sdk::{Error, ErrorKind, http::Response, json::Value};

/// How much of Stripe's own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let error = &body["error"];
    let field = |name: &str| error[name].as_str();
    let (kind, code) = (field("type").unwrap_or_default(), field("code"));
    let message = message(response.status(), error);
    let failure = match (response.status(), kind, code) {
        (401, ..) => response.failure(message).hint("set STRIPE_API_KEY to a key that is valid and not expired"),
        (403, ..) => response.failure(message).hint("give the restricted key the permission that the message names"),
        // Stripe's older form of a rate limit.
        (400, _, Some("rate_limit")) => Error::rate_limited(message),
        (429, ..) => response.failure(message).hint("make fewer calls at once"),
        // The service did its work, and somebody's bank or a check said no.
        (402, ..) | (_, "card_error", _) => Error::conflict(message).hint("ask for another payment method"),
        (_, "idempotency_error", _) => {
            Error::conflict(message).hint("make it a new call: this one's key was used for another request")
        }
        (_, _, Some("resource_missing")) | (404, ..) => {
            Error::not_found(message).hint("check the id; test mode and live mode have different objects")
        }
        (409, ..) => Error::conflict(message).hint("make the call again later"),
        _ => response.failure(message),
    };
    let failure = match code.or(Some(kind).filter(|kind| *kind == "idempotency_error")) {
        Some(code) => failure.upstream_code(code),
        None => failure.upstream_code(response.status()),
    };
    let failure = match field("param") {
        Some(param) => failure.hint(format!("look at the parameter `{param}`")),
        None => failure,
    };
    // Stripe knows best, where it says so.
    match response.header("stripe-should-retry") {
        Some("true") => failure.retryable(),
        Some("false") => failure.not_retryable(),
        _ => failure,
    }
}

/// The error of a request that changes something: without a clear answer it may have been carried out.
pub(crate) fn of_write(error: Error) -> Error {
    let unclear = match error.kind() {
        ErrorKind::Timeout | ErrorKind::UpstreamError => true,
        // Without a status nothing was sent.
        ErrorKind::Transient => error.code().is_some(),
        _ => false,
    };
    if unclear { error.hint("look whether it was done before making the call again") } else { error }
}

fn message(status: u16, error: &Value) -> String {
    let text = error["message"].as_str().unwrap_or_default();
    if text.is_empty() {
        return format!("Stripe answered with status {status} and no explanation");
    }
    let mut message = format!("Stripe: {text}");
    if let Some(reason) = error["decline_code"].as_str() {
        message.push_str(" (");
        message.push_str(reason);
        message.push(')');
    }
    if let Some((end, _)) = message.char_indices().nth(QUOTED) {
        message.truncate(end);
        message.push('…');
    }
    message
}
