//! Requests to Stripe's API.

use rig_sdk::{
    Context, Result,
    http::{self, Request},
    json::Value,
};

use crate::{failure, form::Form};

const BASE: &str = "https://api.stripe.com/v1";

/// The version whose objects the tools read. Without it Stripe answers in whatever version the account is set to.
const VERSION: &str = "2026-10-28.endive";

fn request(method: &str, path: &[&str]) -> Request {
    http::request(method, BASE).path(path).header("stripe-version", VERSION)
}

/// Creates something. The key of the call keeps Stripe from doing it twice when the same call is made again.
pub(crate) fn create<T>(ctx: &Context, what: &str, form: Form, read: fn(&Value) -> Result<T>) -> Result<T> {
    let request = request("POST", &[what]).header("idempotency-key", &*ctx.idempotency_key).form(form.into_fields());
    answer(request).and_then(|body| read(&body)).map_err(failure::of_write)
}

/// Deletes something, which Stripe does once by nature and takes no key for.
pub(crate) fn delete<T>(path: &[&str], read: fn(&Value) -> Result<T>) -> Result<T> {
    answer(request("DELETE", path)).and_then(|body| read(&body)).map_err(failure::of_write)
}

pub(crate) fn search(what: &str, query: &str) -> Result<Value> {
    answer(request("GET", &[what, "search"]).query("query", query))
}

fn answer(request: Request) -> Result<Value> {
    let response = request.send()?;
    if response.is_success() { response.json() } else { Err(failure::of(&response)) }
}
