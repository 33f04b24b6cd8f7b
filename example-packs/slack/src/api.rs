//! Calls of Slack's Web API, as its own Python SDK makes them: every method is a POST, some with a form, some with JSON.

use rig_sdk::{
    Result,
    http::{self, Request, Response},
};
use serde::{Deserialize, Serialize};

use crate::failure;

const BASE: &str = "https://slack.com/api";

/// Without the charset Slack adds a warning to every answer.
const JSON: &str = "application/json;charset=utf-8";

/// Calls a method with JSON, which is how arguments that are objects are sent.
pub(crate) fn json(method: &str, arguments: &impl Serialize) -> Result<Response> {
    send(http::post(BASE).path(&[method]).header("content-type", JSON).json(arguments))
}

/// Calls a method with a form: methods that read do not take JSON.
pub(crate) fn form(method: &str, arguments: &[(&str, &str)]) -> Result<Response> {
    send(http::post(BASE).path(&[method]).form(arguments.iter().copied()))
}

/// Slack says in the body whether a call succeeded; the status is 200 for most that did not.
#[derive(Deserialize)]
struct Verdict {
    #[serde(default)]
    ok: bool,
}

fn send(request: Request) -> Result<Response> {
    let response = request.send()?;
    let succeeded = response.is_success() && response.json::<Verdict>()?.ok;
    if succeeded { Ok(response) } else { Err(failure::of(&response)) }
}
