//! What SendGrid's error responses mean.

use rig_sdk::{Error, ErrorKind, clock, http::Response, json::Value};

/// How much of SendGrid's own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let failure = response.failure(message(response.status(), &body));
    match response.status() {
        401 => failure.hint("set SENDGRID_API_KEY to a key that is valid"),
        403 => failure.hint(
            "give the key the permission to do this; an email also needs a sender that is verified: \
             https://app.sendgrid.com/settings/sender_auth",
        ),
        413 => failure.hint("send less: an email has at most 30 MB"),
        429 if response.header("retry-after").is_none() => match wait(response) {
            Some(wait) => failure.hint(["retry after ", &wait, " s"].concat()),
            None => failure,
        },
        _ => failure,
    }
}

/// How long until SendGrid's limit is reset, in seconds.
fn wait(response: &Response) -> Option<String> {
    let reset: u64 = response.header("x-ratelimit-reset")?.trim().parse().ok()?;
    Some(reset.saturating_sub(clock::now_ms() / 1000).max(1).to_string())
}

/// The error of a request that sends something: without a clear answer it may be on its way.
pub(crate) fn of_sending(error: Error) -> Error {
    let unclear = match error.kind() {
        ErrorKind::Timeout | ErrorKind::UpstreamError => true,
        // Without a status nothing was sent.
        ErrorKind::Transient => error.code().is_some(),
        _ => false,
    };
    if unclear { error.hint("look whether it was sent before sending it again") } else { error }
}

/// SendGrid lists what is wrong, each with the field of its own API that it is about.
fn message(status: u16, body: &Value) -> String {
    let mut message = String::from("SendGrid: ");
    let start = message.len();
    for error in body["errors"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let Some(text) = error["message"].as_str() else { continue };
        if message.len() > start {
            message.push_str("; ");
        }
        message.push_str(text);
        if let Some(field) = error["field"].as_str() {
            message.push_str(" (");
            message.push_str(field);
            message.push(')');
        }
    }
    if message.len() == start {
        return format!("SendGrid answered with status {status} and no explanation");
    }
    if let Some((end, _)) = message.char_indices().nth(QUOTED) {
        message.truncate(end);
        message.push('…');
    }
    message
}
