//! Values of Google Sheets (version 4) and the list of files on Google Drive (version 3).
//!
//! The pack sees neither key nor token: the host trades the key of the service account for tokens and adds them to the requests. The
//! account sees what is shared with its address, and nothing else.

mod api;
mod failure;
mod model;

use rig_sdk::{Result, tool};
use serde::Serialize;

use api::Reach;
pub use model::{Cell, File, Files, Updated, Values};

/// The most files that one call lists: two pages of Google's own maximum.
const LIST_LIMIT: u32 = 2000;

/// What Google puts on one page at most.
const PAGE_LIMIT: u32 = 1000;

/// How many pages are fetched for one call. Google may send pages that are short or even empty before the last one.
const PAGES: u32 = 20;

/// Reads the values of a range of cells in a Google spreadsheet, as they are shown there.
#[tool(
    name = "google.sheets.values.get",
    title = "Read cells",
    risk = "read",
    tags = ["spreadsheets"],
    slots = ["GOOGLE_CREDENTIALS_JSON"],
    idempotent,
    example(
        description = "The first ten rows of three columns",
        args = r#"{"spreadsheet_id": "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms", "range": "Class Data!A1:C10"}"#
    )
)]
pub fn get_values(
    /// The id of the spreadsheet: the long part of its address between `/d/` and the next `/`.
    #[schemars(length(min = 1, max = 200))]
    spreadsheet_id: String,
    /// The cells, in A1 notation: `Sheet1!A1:C10`, `Sheet1!A:A` or `Sheet1` for all of a sheet. Quote names with spaces or
    /// punctuation: `'Q1 (draft)'!A1`.
    #[schemars(length(min = 1, max = 500))]
    range: String,
) -> Result<Values> {
    let request = api::values("GET", &spreadsheet_id, &range);
    api::send(request, Reach::Spreadsheet)?.json()
}

/// Overwrites cells in a Google spreadsheet, row by row from the upper left cell of a range. Texts are read as if a person had typed
/// them: `=SUM(A1:A3)` becomes a formula, `1/2/2026` a date. A text stays as it is with an apostrophe before it. Cells that are null
/// are left alone.
#[tool(
    name = "google.sheets.values.update",
    title = "Write cells",
    risk = "write",
    tags = ["spreadsheets"],
    slots = ["GOOGLE_CREDENTIALS_JSON"],
    example(
        description = "Two rows with a text and a number each",
        args = r#"{"spreadsheet_id": "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms", "range": "Sheet1!A1:B2", "values": [["Apples", 3], ["Pears", 5]]}"#
    )
)]
pub fn update_values(
    /// The id of the spreadsheet: the long part of its address between `/d/` and the next `/`.
    #[schemars(length(min = 1, max = 200))]
    spreadsheet_id: String,
    /// The cells, in A1 notation: `Sheet1!A1:C10`, or the upper left cell alone. The values must fit in it.
    #[schemars(length(min = 1, max = 500))]
    range: String,
    /// The rows, each a list of cells from left to right: texts, numbers, booleans, or null for a cell that is left alone.
    #[schemars(length(min = 1))]
    values: Vec<Vec<Cell>>,
) -> Result<Updated> {
    #[derive(Serialize)]
    struct NewValues {
        values: Vec<Vec<Cell>>,
    }
    let request = api::values("PUT", &spreadsheet_id, &range)
        .query("valueInputOption", "USER_ENTERED")
        .json(&NewValues { values });
    let updated = api::send(request, Reach::Spreadsheet).and_then(|response| response.json());
    updated.map_err(failure::of_write)
}

/// Lists files and folders on Google Drive that the service account can see, or searches among them by name, type, folder or date.
#[tool(
    name = "google.drive.files.list",
    title = "List files",
    risk = "read",
    tags = ["files"],
    slots = ["GOOGLE_CREDENTIALS_JSON"],
    idempotent,
    example(
        description = "Spreadsheets whose name holds a word",
        args = r#"{"query": "name contains 'budget' and mimeType = 'application/vnd.google-apps.spreadsheet' and trashed = false", "page_size": 10}"#
    )
)]
pub fn list_files(
    /// What to look for, in Drive's query language: `name contains 'budget'`, `mimeType = 'application/pdf'`, `'<folder id>' in
    /// parents`, `modifiedTime > '2026-01-01T00:00:00'`, joined by `and`, `or` and `not`. Everything when left out, the trash
    /// included.
    #[schemars(length(min = 1, max = 2000))]
    query: Option<String>,
    /// How many files to list at most.
    #[tool(default = 100)]
    #[schemars(range(min = 1, max = LIST_LIMIT))]
    page_size: u32,
) -> Result<Files> {
    let wanted = page_size.clamp(1, LIST_LIMIT);
    let mut all = Files::default();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let left = wanted - u32::try_from(all.files.len()).unwrap_or(wanted);
        let request = api::files()
            .query_opt("q", query.as_deref())
            .query("pageSize", left.min(PAGE_LIMIT))
            .query_opt("pageToken", token);
        let page: model::Page = api::send(request, Reach::Drive)?.json()?;
        all.incomplete_search |= page.incomplete_search;
        all.files.extend(page.files);
        token = page.next_page_token.filter(|token| !token.is_empty());
        if token.is_none() || all.files.len() >= wanted as usize {
            break;
        }
    }
    all.has_more = token.is_some() || all.files.len() > wanted as usize;
    all.files.truncate(wanted as usize);
    Ok(all)
}

rig_sdk::export!(get_values, update_values, list_files);

#[cfg(test)]
mod tests;
