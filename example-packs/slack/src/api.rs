//! Calls of Slack's Web API, as its own Python SDK makes them: every method is a POST, some with a form, some with JSON.

use rig_sdk::{
    Result,
    http::{self, Request},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::failure;

const BASE: &str = "https://slack.com/api";

/// Without the charset Slack adds a warning to every answer.
const JSON: &str = "application/json;charset=utf-8";

/// Calls a method with JSON, which is how arguments that are objects are sent.
pub(crate) fn json<T: DeserializeOwned>(method: &str, arguments: &impl Serialize) -> Result<T> {
    send(http::post(BASE).path(&[method]).header("content-type", JSON).json(arguments))
}

/// Calls a method with a form: methods that read do not take JSON.
pub(crate) fn form<T: DeserializeOwned>(method: &str, arguments: &[(&str, &str)]) -> Result<T> {
    send(http::post(BASE).path(&[method]).form(arguments.iter().copied()))
}

/// Slack says in the body whether a call succeeded; the status is 200 for most that did not.
#[derive(Deserialize)]
struct Verdict {
    #[serde(default)]
    ok: bool,
}

fn send<T: DeserializeOwned>(request: Request) -> Result<T> {
    let response = request.send()?;
    if response.is_success() && response.json::<Verdict>()?.ok {
        return response.json();
    }
    Err(failure::of(&response))
}
