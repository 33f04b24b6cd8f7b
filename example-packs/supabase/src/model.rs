//! What the tools take and answer: rows as they are in the database, and the part of a user that a caller acts on.
//!
//! Only what names the object must be there. A write has happened when Supabase answers, so an answer that lacks a detail is no
//! failure: the detail is null.

use std::borrow::Cow;

use rig_sdk::{
    Error, Result,
    json::{Map, Object, Value},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Rows of a table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rows {
    /// The rows, each an object of columns and values.
    pub rows: Vec<Object>,
    /// How many rows there are in `rows`.
    pub count: usize,
}

impl Rows {
    pub(crate) const fn new(rows: Vec<Object>) -> Self {
        let count = rows.len();
        Self { rows, count }
    }
}

/// One row or several, for an insert.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NewRows {
    /// One row.
    One(Map<String, Value>),
    /// Several.
    Many(Vec<Map<String, Value>>),
}

impl NewRows {
    /// The columns of a list of rows, as PostgREST wants them told: each once, in quotes. Nothing for a single row.
    pub(crate) fn columns(&self) -> Result<Option<String>> {
        let Self::Many(rows) = self else { return Ok(None) };
        if rows.is_empty() {
            return Err(Error::validation("`data` holds no row"));
        }
        let mut columns: Vec<&str> = Vec::new();
        for column in rows.iter().flat_map(Map::keys) {
            if !columns.contains(&column.as_str()) {
                columns.push(column);
            }
        }
        let quoted: Vec<String> = columns.iter().map(|column| crate::filter::quote(column)).collect();
        Ok(Some(quoted.join(",")).filter(|columns| !columns.is_empty()))
    }
}

impl JsonSchema for NewRows {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NewRows".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "object" },
                { "type": "array", "items": { "type": "object" }, "minItems": 1 },
            ]
        })
    }
}

/// A user.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// The user's id, a UUID.
    pub id: String,
    /// The address; null when Supabase sends none.
    pub email: Option<String>,
    /// When the address was confirmed (RFC 3339); null when it was not.
    pub email_confirmed_at: Option<String>,
    /// When the user was created (RFC 3339); null when Supabase sends none.
    pub created_at: Option<String>,
    /// What else is stored with the user; null when Supabase sends none.
    pub user_metadata: Option<Object>,
}
