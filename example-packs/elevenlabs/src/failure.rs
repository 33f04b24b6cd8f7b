//! What ElevenLabs' error responses mean.

use rig_sdk::{Error, ErrorKind, http::Response, json::Value};

/// How much of ElevenLabs' own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let detail = &body["detail"];
    // Newer answers have a `code`, older ones call it `status`.
    let code = detail["code"].as_str().or(detail["status"].as_str());
    let message = message(response.status(), detail);
    let error = match (response.status(), code.unwrap_or_default()) {
        // These come with 401, though the key is good.
        (_, "quota_exceeded") => Error::rate_limited(message).not_retryable().hint(
            "the account has used up its characters: wait for the next period, buy more, or speak a shorter text",
        ),
        (_, "missing_permissions") => {
            Error::permission(message).hint("give the API key the permission for voices and text to speech")
        }
        (_, "voice_not_found") => Error::not_found(message).hint("take the id of a voice from elevenlabs.voices.list"),
        (_, "max_character_limit_exceeded" | "text_too_long") => {
            Error::validation(message).hint("split the text and speak each part by itself")
        }
        (401, _) => response.failure(message).hint("set ELEVENLABS_API_KEY to a key that is valid and not disabled"),
        (402 | 403, _) => response.failure(message).hint("look at what the account's plan allows"),
        (404, _) => response.failure(message).hint("take the id of a voice from elevenlabs.voices.list"),
        (429, _) => response.failure(message).hint("make fewer calls at once"),
        _ => response.failure(message),
    };
    match code {
        Some(code) => error.upstream_code(code),
        None => error.upstream_code(response.status()),
    }
}

/// The error of a request that uses up characters: without a clear answer it may have been carried out.
pub(crate) fn of_write(error: Error) -> Error {
    let unclear = match error.kind() {
        ErrorKind::Timeout | ErrorKind::UpstreamError => true,
        // Without a status nothing was sent.
        ErrorKind::Transient => error.code().is_some(),
        _ => false,
    };
    if unclear { error.hint("the characters may have been used up all the same") } else { error }
}

fn message(status: u16, detail: &Value) -> String {
    let text = match detail {
        // What is wrong with the fields of a request.
        Value::Array(entries) => entries.iter().map(field_problem).collect::<Vec<_>>().join("; "),
        Value::String(text) => text.clone(),
        detail => detail["message"].as_str().unwrap_or_default().to_owned(),
    };
    if text.is_empty() {
        return format!("ElevenLabs answered with status {status} and no explanation");
    }
    let mut message = format!("ElevenLabs: {text}");
    if let Some((end, _)) = message.char_indices().nth(QUOTED) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// `body.text: Field required`
fn field_problem(entry: &Value) -> String {
    let place: Vec<&str> = entry["loc"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    format!("{}: {}", place.join("."), entry["msg"].as_str().unwrap_or("invalid"))
}
