//! What Twilio's error responses mean.

use rig_sdk::{Error, ErrorKind, http::Response, json::Value};

/// How much of Twilio's own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let message = message(response.status(), body["message"].as_str().unwrap_or_default());
    let code = body["code"].as_u64();
    let failure = match code {
        // Twilio sends these with status 400.
        Some(21408 | 21610) => Error::permission(message),
        _ => response.failure(message),
    };
    let failure = match advice(response.status(), code) {
        Some(hint) => failure.hint(hint),
        None => failure,
    };
    let failure = match body["more_info"].as_str() {
        Some(page) => failure.hint(["see ", page].concat()),
        None => failure,
    };
    match code {
        Some(code) => failure.upstream_code(code),
        None => failure.upstream_code(response.status()),
    }
}

/// What to do about the errors that are met most.
const fn advice(status: u16, code: Option<u64>) -> Option<&'static str> {
    Some(match (status, code) {
        (401, _) => "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN to those of one account",
        (_, Some(21603)) => "name a sender in `from_`, or set TWILIO_MESSAGING_SERVICE_SID",
        (_, Some(21606 | 21212 | 21210)) => "use a number of the account in `from_`, with its country: +15017122661",
        (_, Some(21211 | 21614 | 60200)) => "write `to` with its country and without spaces: +15558675310",
        (_, Some(21610)) => "the recipient has asked not to be written to: only an answer of theirs changes that",
        (_, Some(21408)) => "allow the recipient's country in the console, under geographic permissions",
        (_, Some(21608 | 21219)) => "a trial account reaches verified numbers only: verify this one, or upgrade",
        (_, Some(60202)) => "too many codes were tried: let this verification expire, ten minutes after it began",
        (_, Some(60203)) => "too many codes were sent to this address: wait ten minutes",
        (404, _) => "check the SIDs; a verification is gone when it was approved, has expired or had too many attempts",
        _ => return None,
    })
}

/// The error of a request that does something: without a clear answer it may have been done.
pub(crate) fn of_write(error: Error) -> Error {
    let unclear = match error.kind() {
        ErrorKind::Timeout | ErrorKind::UpstreamError => true,
        // Without a status nothing was sent.
        ErrorKind::Transient => error.code().is_some(),
        _ => false,
    };
    if unclear { error.hint("look whether it was done before making the call again") } else { error }
}

/// The error of an answer that does not name what it is about.
pub(crate) fn nameless() -> Error {
    Error::upstream("Twilio answered with JSON that has no `sid`")
}

fn message(status: u16, text: &str) -> String {
    if text.is_empty() {
        return format!("Twilio answered with status {status} and no explanation");
    }
    let mut message = ["Twilio: ", text].concat();
    if let Some((end, _)) = message.char_indices().nth(QUOTED) {
        message.truncate(end);
        message.push('…');
    }
    message
}
