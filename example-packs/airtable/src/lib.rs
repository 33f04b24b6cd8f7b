//! Records of tables in Airtable, over its Web API.
//!
//! The pack sees no token: the host adds it to the requests to `api.airtable.com`.

mod api;
mod failure;
mod model;

use rig_sdk::{Error, Result, json::Object, tool};
use serde::Deserialize;

pub use model::{Record, Records};

/// The most records that one call lists: ten of Airtable's pages, two seconds at the rate that it allows.
const LIST_LIMIT: u32 = 1000;

/// Airtable may answer fewer records than fit on a page and still have more. This is enough for pages that are half full, and
/// well below the requests that a call may make.
const PAGES: u32 = 20;

/// Creates a record in a table of an Airtable base.
#[tool(
    name = "airtable.records.create",
    title = "Create a record",
    risk = "write",
    tags = ["records"],
    slots = ["AIRTABLE_API_KEY"],
    example(
        description = "A task with a status and a link to a record of another table",
        args = r#"{"base_id": "appLkNDICXNqxSDhG", "table_name": "Tasks",
            "fields": {"Name": "Ship it", "Status": "Open", "Hours": 2.5, "Project": ["recwPQIfs4wKPyc9D"]}}"#
    )
)]
pub fn create_record(
    /// The id of the base, which begins with `app`: it is in the base's URL.
    #[schemars(regex(pattern = r"^app[A-Za-z0-9]{1,61}$"))]
    base_id: String,
    /// The name of the table, or its id, which begins with `tbl` and survives renaming.
    #[schemars(length(min = 1, max = 255))]
    table_name: String,
    /// The values by the names of the fields, as
    /// `{"Name": "…", "Hours": 2.5, "Done": true, "Tags": ["a", "b"], "Due": "2026-01-31"}`. Links to records are lists of their
    /// ids; computed fields cannot be set.
    fields: Object,
) -> Result<Record> {
    check_base(&base_id)?;
    api::write("POST", &[&base_id, &table_name], fields)
}

/// Lists records of a table of an Airtable base: all, or those that a formula selects.
#[tool(
    name = "airtable.records.list",
    title = "List records",
    risk = "read",
    tags = ["records"],
    slots = ["AIRTABLE_API_KEY"],
    idempotent,
    example(
        description = "Open tasks of more than two hours",
        args = r#"{"base_id": "appLkNDICXNqxSDhG", "table_name": "Tasks",
            "formula": "AND({Status} = 'Open', {Hours} > 2)", "max_records": 20}"#
    )
)]
pub fn list_records(
    /// The id of the base, which begins with `app`: it is in the base's URL.
    #[schemars(regex(pattern = r"^app[A-Za-z0-9]{1,61}$"))]
    base_id: String,
    /// The name of the table, or its id, which begins with `tbl` and survives renaming.
    #[schemars(length(min = 1, max = 255))]
    table_name: String,
    /// A formula that is true for the records to list, in Airtable's language: `{Status} = 'Open'`, `FIND('x', {Name})`,
    /// `AND(…, …)`, `IS_AFTER({Due}, TODAY())`.
    formula: Option<String>,
    /// How many to list at most. Without it, one page: at most 100.
    #[schemars(range(min = 1, max = LIST_LIMIT))]
    max_records: Option<u32>,
) -> Result<Records> {
    #[derive(Deserialize)]
    struct Page {
        records: Vec<Record>,
        offset: Option<String>,
    }
    check_base(&base_id)?;
    let mut options = api::Options { filter_by_formula: formula, max_records, offset: None };
    let wanted = max_records.map_or(0, |max| usize::try_from(max).unwrap_or(usize::MAX));
    let mut records: Vec<Record> = Vec::new();
    let mut pages = 0;
    loop {
        let page: Page = api::list(&base_id, &table_name, &options)?.json()?;
        records.extend(page.records);
        options.offset = page.offset.filter(|offset| !offset.is_empty());
        pages += 1;
        // Without a number, one page is what was asked for.
        if options.offset.is_none() || records.len() >= wanted || pages == PAGES {
            break;
        }
    }
    let has_more = match records.len() {
        listed if max_records.is_some() && listed > wanted => Some(true),
        listed if max_records.is_some() && listed == wanted && options.offset.is_none() => None,
        _ => Some(options.offset.is_some()),
    };
    if max_records.is_some() {
        records.truncate(wanted);
    }
    Ok(Records { records, has_more })
}

/// Changes fields of a record in an Airtable base. Fields that are not named keep their values.
#[tool(
    name = "airtable.records.update",
    title = "Change a record",
    risk = "write",
    tags = ["records"],
    slots = ["AIRTABLE_API_KEY"],
    example(
        description = "Another status; null empties a field",
        args = r#"{"base_id": "appLkNDICXNqxSDhG", "table_name": "Tasks", "record_id": "recwPQIfs4wKPyc9D",
            "fields": {"Status": "Done", "Due": null}}"#
    )
)]
pub fn update_record(
    /// The id of the base, which begins with `app`: it is in the base's URL.
    #[schemars(regex(pattern = r"^app[A-Za-z0-9]{1,61}$"))]
    base_id: String,
    /// The name of the table, or its id, which begins with `tbl` and survives renaming.
    #[schemars(length(min = 1, max = 255))]
    table_name: String,
    /// The id of the record, which begins with `rec`: `airtable.records.list` shows it.
    #[schemars(regex(pattern = r"^rec[A-Za-z0-9]{1,61}$"))]
    record_id: String,
    /// The new values by the names of the fields, in the shape of `airtable.records.create`. Null empties a field; lists
    /// replace the list that is there.
    fields: Object,
) -> Result<Record> {
    check_base(&base_id)?;
    api::write("PATCH", &[&base_id, &table_name, &record_id], fields)
}

/// `meta` and `bases` in place of an id would make another call of it.
fn check_base(id: &str) -> Result<()> {
    if id.starts_with("app") {
        Ok(())
    } else {
        Err(Error::validation("`base_id` must be the id of a base: it begins with `app`"))
    }
}

rig_sdk::export!(create_record, list_records, update_record);

#[cfg(test)]
mod tests;
