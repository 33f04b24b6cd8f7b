//! Requests to the project.

use rig_sdk::{
    Result,
    http::{self, Request, Response},
    json::Object,
};

use crate::{failure, project};

const CLIENT: &str = concat!("rig-pack-supabase/", env!("CARGO_PKG_VERSION"));

/// The schema whose tables are meant.
const SCHEMA: &str = "public";

pub(crate) fn table(method: &str, table: &str) -> Result<Request> {
    let request = http::request(method, project::url()?).path(&["rest", "v1", table]);
    Ok(request.header("accept-profile", SCHEMA).header("content-profile", SCHEMA))
}

pub(crate) fn users() -> Result<Request> {
    let request = http::post(project::url()?).path(&["auth", "v1", "admin", "users"]);
    Ok(request.header("x-supabase-api-version", "2024-01-01"))
}

/// Sends a request that changes rows, and answers the rows as they are then.
pub(crate) fn write(request: Request) -> Result<Vec<Object>> {
    let request = request.header("prefer", "return=representation");
    send(request).and_then(|response| response.json()).map_err(failure::of_write)
}

/// Sends a request; a response that is not a success becomes the error that it stands for.
pub(crate) fn send(request: Request) -> Result<Response> {
    let response = request.header("x-client-info", CLIENT).send()?;
    if response.is_success() { Ok(response) } else { Err(failure::of(&response)) }
}

/// A list of columns without white space, except in quoted names.
pub(crate) fn without_spaces(columns: &str) -> String {
    let mut quoted = false;
    let keep = |c: &char| {
        quoted ^= *c == '"';
        quoted || !c.is_whitespace()
    };
    columns.chars().filter(keep).collect()
}
