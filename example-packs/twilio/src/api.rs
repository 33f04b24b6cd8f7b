//! Requests to Twilio's two APIs.

use rig_sdk::{
    Result, config,
    http::{self, Request},
    json::Value,
};

use crate::failure;

const CORE: &str = "https://api.twilio.com/2010-04-01";
const VERIFY: &str = "https://verify.twilio.com/v2";

/// A request to what belongs to the account.
pub(crate) fn of_account(method: &str, path: &[&str]) -> Result<Request> {
    let account = config::require("TWILIO_ACCOUNT_SID")?;
    Ok(http::request(method, CORE).path(&["Accounts", &account]).path(path))
}

/// A request to a service of Verify.
pub(crate) fn of_service(service: &str, what: &str) -> Request {
    http::post(VERIFY).path(&["Services", service, what])
}

/// Sends a form of the fields that have a value, to do something. Twilio takes no key that would keep it from doing it twice.
pub(crate) fn post(request: Request, fields: &[(&str, Option<&str>)]) -> Result<Value> {
    let given = fields.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    send(request.form(given)).map_err(failure::of_write)
}

/// Sends a request; a response that is not a success becomes the error that it stands for.
pub(crate) fn send(request: Request) -> Result<Value> {
    let response = request.header("accept", "application/json").send()?;
    if !response.is_success() {
        return Err(failure::of(&response));
    }
    let body: Value = response.json()?;
    if body["sid"].is_string() { Ok(body) } else { Err(failure::nameless()) }
}
