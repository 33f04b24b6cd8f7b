//! What the tools take and answer: cells, and the part of Google's objects that a caller acts on.
//!
//! Only what names the object must be there. A write has happened when Google answers, so an answer that lacks a detail is no failure:
//! the detail is null.

use std::borrow::Cow;

use rig_sdk::json::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// What stands in one cell: a text, a number, a boolean, or nothing (null).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cell(pub Value);

impl JsonSchema for Cell {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cell".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean", "null"] })
    }
}

/// Values of a range.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Values {
    /// The range that was read, in A1 notation.
    pub range: String,
    /// The rows, each a list of cells from left to right. Empty rows and cells at the end are left out; empty when nothing is there.
    #[serde(default)]
    pub values: Vec<Vec<Cell>>,
}

/// What was written.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// The id of the spreadsheet.
    #[serde(rename(deserialize = "spreadsheetId"))]
    pub spreadsheet_id: String,
    /// The range that was written to, in A1 notation; null when Google sends none.
    #[serde(rename(deserialize = "updatedRange"))]
    pub updated_range: Option<String>,
    /// How many cells were written; null when Google does not say.
    #[serde(rename(deserialize = "updatedCells"))]
    pub updated_cells: Option<u64>,
    /// In how many rows; null when Google does not say.
    #[serde(rename(deserialize = "updatedRows"))]
    pub updated_rows: Option<u64>,
    /// In how many columns; null when Google does not say.
    #[serde(rename(deserialize = "updatedColumns"))]
    pub updated_columns: Option<u64>,
}

/// A file or a folder.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// The id, which other tools take; that of a spreadsheet is its `spreadsheet_id`.
    pub id: String,
    /// The name; null when Google sends none.
    pub name: Option<String>,
    /// The media type, for example `application/vnd.google-apps.spreadsheet`, or `application/vnd.google-apps.folder` for a folder;
    /// null when Google sends none.
    #[serde(rename(deserialize = "mimeType"))]
    pub mime_type: Option<String>,
}

/// Files and folders.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Files {
    /// The files and folders, in Google's order.
    pub files: Vec<File>,
    /// Whether there are more than were asked for.
    pub has_more: bool,
    /// Whether Google did not search everywhere, so that some may be missing.
    pub incomplete_search: bool,
}

/// A page of files as Google sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    pub(crate) files: Vec<File>,
    pub(crate) next_page_token: Option<String>,
    #[serde(default)]
    pub(crate) incomplete_search: bool,
}
