//! Requests to Google's APIs.

use rig_sdk::{
    Result,
    http::{self, Request, Response},
};

use crate::failure;

/// What a request is for, which decides what helps when it is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Spreadsheet,
    Drive,
}

pub(crate) fn values(method: &str, spreadsheet: &str, range: &str) -> Request {
    // `!`, `:` and `'` of the range are encoded as well: the whole range is one segment.
    http::request(method, "https://sheets.googleapis.com/v4/spreadsheets")
        .path(&[spreadsheet, "values", range])
        .query("alt", "json")
}

pub(crate) fn files() -> Request {
    http::get("https://www.googleapis.com/drive/v3/files").query("alt", "json")
}

/// Sends a request; a response that is not a success becomes the error that it stands for.
pub(crate) fn send(request: Request, reach: Reach) -> Result<Response> {
    let response = request.header("accept", "application/json").send()?;
    if response.is_success() { Ok(response) } else { Err(failure::of(&response, reach)) }
}
