//! Requests to Notion's API.

use rig_sdk::{
    Result,
    http::{self, Request, Response},
};
use serde::Serialize;

use crate::failure;

const BASE: &str = "https://api.notion.com/v1";

/// Since this version a database holds data sources, and those hold the rows.
const VERSION: &str = "2025-09-03";

pub(crate) fn get(path: &[&str]) -> Result<Response> {
    send(http::get(BASE), path)
}

pub(crate) fn post(path: &[&str], body: &impl Serialize) -> Result<Response> {
    send(http::post(BASE).json(body), path)
}

pub(crate) fn patch(path: &[&str], body: &impl Serialize) -> Result<Response> {
    send(http::patch(BASE).json(body), path)
}

/// A response that is not a success becomes the error that it stands for.
fn send(request: Request, path: &[&str]) -> Result<Response> {
    let response = request.path(path).header("notion-version", VERSION).send()?;
    if response.is_success() { Ok(response) } else { Err(failure::of(&response)) }
}
