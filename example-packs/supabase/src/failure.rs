//! What the error responses of a Supabase project mean: those of PostgREST, of Auth, and of the gateway in front of both.

use rig_sdk::{Error, ErrorKind, http::Response, json::Value};

/// How much of Supabase's own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    let field = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
    // Auth's older form has a number as `code` and the word beside it.
    let code = field("error_code").or(field("code"));
    let message = message(response.status(), field);
    let error = match (response.status(), code.unwrap_or_default()) {
        // A statement that the database cancelled.
        (_, "57014") => Error::timeout(message).hint("look for fewer rows, or by a column that has an index"),
        (_, "42P01" | "PGRST205") => {
            Error::not_found(message).hint("check the name of the table; it must be in the schema `public`")
        }
        (_, "42703" | "PGRST204") => Error::validation(message).hint("check the names of the columns"),
        (_, "23505") => {
            Error::conflict(message).hint("there is such a row already: update it, or choose another value")
        }
        (_, "23503") => {
            Error::conflict(message).hint("the row that is referred to must exist, and stay while it is referred to")
        }
        (_, "email_exists" | "phone_exists" | "user_already_exists") => {
            Error::conflict(message).hint("there is a user with this address already")
        }
        (401, _) => response
            .failure(message)
            .hint("set SUPABASE_SERVICE_ROLE_KEY to the service role key of the project that SUPABASE_URL names"),
        (403, _) => {
            response.failure(message).hint("use the service role key, and grant the role `service_role` the table")
        }
        _ => response.failure(message),
    };
    let error = match code {
        Some(code) => error.upstream_code(code),
        None => error.upstream_code(response.status()),
    };
    match field("hint") {
        Some(hint) => error.hint(cut(hint.to_owned())),
        None => error,
    }
}

/// The error of a request that changes something: without a clear answer it may have been carried out.
pub(crate) fn of_write(error: Error) -> Error {
    let unclear = match error.kind() {
        ErrorKind::Timeout | ErrorKind::UpstreamError => error.code() != Some("57014"),
        // Without a status nothing was sent.
        ErrorKind::Transient => error.code().is_some(),
        _ => false,
    };
    if unclear { error.hint("look whether it was done before making the call again") } else { error }
}

fn message<'a>(status: u16, field: impl Fn(&str) -> Option<&'a str>) -> String {
    let text = field("message").or(field("msg")).or(field("error_description")).or(field("error"));
    let Some(text) = text else {
        return format!("Supabase answered with status {status} and no explanation");
    };
    let mut message = format!("Supabase: {text}");
    if let Some(details) = field("details") {
        message.push_str(" (");
        message.push_str(details);
        message.push(')');
    }
    cut(message)
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(QUOTED) {
        text.truncate(end);
        text.push('…');
    }
    text
}
