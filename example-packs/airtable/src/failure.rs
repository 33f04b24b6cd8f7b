//! What Airtable's error responses mean.

use rig_sdk::{Error, http::Response, json::Value};

/// How much of Airtable's own words is quoted: whole sentences, but not a page.
const QUOTED: usize = 600;

/// The error that a response stands for.
pub(crate) fn of(response: &Response) -> Error {
    let status = response.status();
    // A proxy's page or an empty body explains nothing; the status still does.
    let body: Value = response.json().unwrap_or_default();
    // The three ways in which Airtable words an error: an object, its bare type, and a list with one entry.
    let error = &body["error"];
    let listed = &body["errors"][0];
    let code = [error, &error["type"], &listed["error"]].into_iter().find_map(Value::as_str);
    let text = [&error["message"], &listed["message"]].into_iter().find_map(Value::as_str);
    let message = match (code, text) {
        (_, Some(text)) => quoted(text),
        (Some(code), None) => quoted(code),
        (None, None) => format!("Airtable answered with status {status} and no explanation"),
    };
    let failure = meaning(response, code.unwrap_or_default(), message);
    match code {
        Some(code) => failure.upstream_code(code.chars().take(QUOTED).collect::<String>()),
        None => failure.upstream_code(status),
    }
}

fn meaning(response: &Response, code: &str, message: String) -> Error {
    match (response.status(), code) {
        (429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED") => Error::rate_limited(message)
            .not_retryable()
            .hint("the workspace has used up its API calls of this month: wait for the next one, or upgrade its plan"),
        (429, _) => {
            let error = response.failure(message);
            // What Airtable's documentation asks for: until then it refuses every call to the base.
            if error.hints().is_empty() { error.hint("retry after 30 s") } else { error }
        }
        (401, _) => response.failure(message).hint("set AIRTABLE_API_KEY to a personal access token that is valid"),
        (403, _) => response.failure(message).hint(
            "check the ids, and that the token has the scope and the base: Airtable answers the same for what does not exist",
        ),
        (_, "ROW_DOES_NOT_EXIST" | "TABLE_NOT_FOUND" | "MODEL_ID_NOT_FOUND") | (404, _) => Error::not_found(message)
            .hint("check the ids of base and record and the name of the table, which is case-sensitive"),
        (_, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE") => Error::transient(message).hint("list the records again from the start"),
        (_, "UNKNOWN_FIELD_NAME") => {
            response.failure(message).hint("names of fields are case-sensitive: airtable.records.list shows those in use")
        }
        (_, "INVALID_FILTER_BY_FORMULA") => response.failure(message).hint("a field in a formula is written {Its name}"),
        (_, "INVALID_MULTIPLE_CHOICE_OPTIONS") => {
            response.failure(message).hint("use an option that the field already has, in exactly its spelling")
        }
        _ => response.failure(message),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("Airtable: ");
    quoted.extend(text.chars().take(QUOTED));
    if text.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}
