//! What the error responses of Google's APIs mean.

use rig_sdk::{Error, ErrorKind, http::Response, json::Value};

use crate::api::Reach;

/// How much of Google's own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// How long to wait when Google names no time: its quotas are per minute.
const QUOTA_WAIT: u64 = 60;

/// The error that a response stands for.
pub(crate) fn of(response: &Response, reach: Reach) -> Error {
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let error = &body["error"];
    let reason = reason(error);
    let message = message(response.status(), error);
    let failure = match (response.status(), reason.unwrap_or_default()) {
        (429, _) | (403, "rateLimitExceeded" | "userRateLimitExceeded" | "RATE_LIMIT_EXCEEDED") => {
            let wait = response.header("retry-after").and_then(|wait| wait.trim().parse().ok()).unwrap_or(QUOTA_WAIT);
            Error::rate_limited(message).hint(format!("retry after {wait} s"))
        }
        (401, _) => response
            .failure(message)
            .hint("set GOOGLE_CREDENTIALS_JSON to the key of a service account that still exists"),
        (403, "SERVICE_DISABLED" | "accessNotConfigured") => {
            response.failure(message).hint("enable this API in the Google Cloud project of the service account")
        }
        (403, _) => response.failure(message).hint(match reach {
            Reach::Spreadsheet => {
                "share the spreadsheet with the service account's address, as an editor when it is written"
            }
            Reach::Drive => "share the files or their folder with the service account's address",
        }),
        (404, _) if reach == Reach::Spreadsheet => response
            .failure(message)
            .hint("check the id; the spreadsheet must be shared with the service account's address"),
        (400, _) if error["message"].as_str().is_some_and(|text| text.starts_with("Unable to parse range")) => {
            response.failure(message).hint("write the range as Sheet1!A1:C10, with the name of a sheet that exists")
        }
        _ => response.failure(message),
    };
    match error["status"].as_str().or(reason) {
        Some(code) => failure.upstream_code(code),
        None => failure.upstream_code(response.status()),
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
    if unclear {
        error.hint("read the cells before making the call again: it may have been carried out")
    } else {
        error
    }
}

/// Google's word for what happened: newer APIs have it in `details`, older ones in `errors`.
fn reason(error: &Value) -> Option<&str> {
    let of =
        |list: &'static str| error[list].as_array().into_iter().flatten().find_map(|entry| entry["reason"].as_str());
    of("details").or_else(|| of("errors"))
}

fn message(status: u16, error: &Value) -> String {
    let text = error["message"].as_str().unwrap_or_default();
    if text.is_empty() {
        return format!("Google answered with status {status} and no explanation");
    }
    let mut message = format!("Google: {text}");
    if let Some((end, _)) = message.char_indices().nth(QUOTED) {
        message.truncate(end);
        message.push('…');
    }
    message
}
