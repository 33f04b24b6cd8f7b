//! Requests to Notion's API.

use rig_sdk::{
    Result,
    http::{self, Request},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::failure;

const BASE: &str = "https://api.notion.com/v1";

/// Since this version a database holds data sources, and those hold the rows.
const VERSION: &str = "2025-09-03";

pub(crate) fn get<T: DeserializeOwned>(path: &[&str]) -> Result<T> {
    send(http::get(BASE), path)
}

pub(crate) fn post<T: DeserializeOwned>(path: &[&str], body: &impl Serialize) -> Result<T> {
    send(http::post(BASE).json(body), path)
}

pub(crate) fn patch<T: DeserializeOwned>(path: &[&str], body: &impl Serialize) -> Result<T> {
    send(http::patch(BASE).json(body), path)
}

/// A response that is not a success becomes the error that it stands for.
fn send<T: DeserializeOwned>(request: Request, path: &[&str]) -> Result<T> {
    let response = request.path(path).header("notion-version", VERSION).send()?;
    if response.is_success() { response.json() } else { Err(failure::of(&response)) }
}
