//! Requests to Airtable's Web API.

use rig_sdk::{
    Result,
    http::{self, Request, Response},
    json::Object,
};
use serde::Serialize;

use crate::{failure, model::Record};

const BASE: &str = "https://api.airtable.com/v0";

/// From this length of a URL on Airtable refuses it, and wants a list's options in a body.
const URL_LIMIT: usize = 16_000;

/// Creates or changes one record. The two switches are those that Airtable's clients send, at their defaults.
pub(crate) fn write(method: &str, path: &[&str], fields: Object) -> Result<Record> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        fields: Object,
        typecast: bool,
        return_fields_by_field_id: bool,
    }
    let body = Body { fields, typecast: false, return_fields_by_field_id: false };
    send(http::request(method, BASE).path(path).json(&body))?.json()
}

/// Which records to list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filter_by_formula: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_records: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<String>,
}

impl Options {
    /// How long the URL with these options would be.
    fn url_length(&self, path: &str) -> usize {
        let field = |name: &str, value: Option<&str>| value.map_or(0, |value| name.len() + 2 + encoded_length(value));
        let max_records = self.max_records.map(|max| max.to_string());
        BASE.len()
            + path.len()
            + field("filterByFormula", self.filter_by_formula.as_deref())
            + field("maxRecords", max_records.as_deref())
            + field("offset", self.offset.as_deref())
    }
}

/// One page of a list.
pub(crate) fn list(base: &str, table: &str, options: &Options) -> Result<Response> {
    let path = [base, table];
    if options.url_length(&http::path(&path)?) >= URL_LIMIT {
        return send(http::post(BASE).path(&path).path(&["listRecords"]).json(options));
    }
    send(
        http::get(BASE)
            .path(&path)
            .query_opt("filterByFormula", options.filter_by_formula.as_ref())
            .query_opt("maxRecords", options.max_records)
            .query_opt("offset", options.offset.as_ref()),
    )
}

/// The length of a value in a query, where a space is `+`.
fn encoded_length(value: &str) -> usize {
    value.bytes().map(|byte| if byte.is_ascii_alphanumeric() || b" -._~".contains(&byte) { 1 } else { 3 }).sum()
}

/// A response that is not a success becomes the error that it stands for.
fn send(request: Request) -> Result<Response> {
    let response = request.send()?;
    if response.is_success() { Ok(response) } else { Err(failure::of(&response)) }
}
