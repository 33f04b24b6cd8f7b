//! Pages and databases in Notion, over its API (version 2025-09-03).
//!
//! The pack sees no token: the host adds it to the requests to `api.notion.com`.

mod api;
mod failure;
mod model;

use rig_sdk::{Error, ErrorKind, Result, json::Object, tool};
use serde::{Deserialize, Serialize};

pub use model::{DataSource, Entry, Found, Rows};

/// Creates a Notion page below another page, or a row in a database.
#[tool(
    name = "notion.pages.create",
    title = "Create a page",
    risk = "write",
    tags = ["pages"],
    slots = ["NOTION_TOKEN"],
    example(
        description = "A page with a paragraph, below another page",
        args = r#"{"parent": {"page_id": "59833787-2cf9-4fdf-8782-e53db20768a5"},
            "properties": {"title": {"title": [{"text": {"content": "Minutes"}}]}},
            "children": [{"type": "paragraph", "paragraph": {"rich_text": [{"text": {"content": "All agreed."}}]}}]}"#
    ),
    example(
        description = "A row of a database",
        args = r#"{"parent": {"data_source_id": "897e5a76-ae52-4b48-9fdf-e71f5945d1af"},
            "properties": {"Name": {"title": [{"text": {"content": "Milk"}}]}, "Price": {"number": 2.5},
            "Status": {"select": {"name": "Open"}}}}"#
    )
)]
pub fn create_page(
    /// Where the page goes: `{"page_id": "…"}` below a page, `{"data_source_id": "…"}` or `{"database_id": "…"}` as a row of a
    /// database. `notion.search` finds the ids.
    parent: Object,
    /// The values, by the names of the properties:
    /// `{"Name": {"title": [{"text": {"content": "…"}}]}, "Done": {"checkbox": true}}`. Below a page only `title` is allowed; in a
    /// database they are its columns, as `notion.search` shows them for a data source.
    properties: Option<Object>,
    /// The content: at most 100 blocks such as
    /// `{"type": "paragraph", "paragraph": {"rich_text": [{"text": {"content": "…"}}]}}`; further types are `heading_1` to
    /// `heading_3`, `bulleted_list_item`, `numbered_list_item`, `to_do`, `code` and `quote`.
    children: Option<Vec<Object>>,
) -> Result<Entry> {
    #[derive(Serialize)]
    struct NewPage {
        parent: Object,
        #[serde(skip_serializing_if = "Option::is_none")]
        properties: Option<Object>,
        #[serde(skip_serializing_if = "Option::is_none")]
        children: Option<Vec<Object>>,
    }
    api::post(&["pages"], &NewPage { parent, properties, children })?.json()
}

/// Changes properties of a Notion page, for example its title or the columns of a row. Properties that are not named keep their
/// values, and so does the content.
#[tool(
    name = "notion.pages.update",
    title = "Change a page's properties",
    risk = "write",
    tags = ["pages"],
    slots = ["NOTION_TOKEN"],
    example(
        description = "Another status",
        args = r#"{"page_id": "59833787-2cf9-4fdf-8782-e53db20768a5", "properties": {"Status": {"select": {"name": "Done"}}}}"#
    )
)]
pub fn update_page(
    /// The id of the page, with or without hyphens.
    #[schemars(length(min = 1, max = 255))]
    page_id: String,
    /// The new values, by the names of the properties: `{"Status": {"select": {"name": "Done"}}, "Price": {"number": 3}}`. The
    /// shape is that of the property's type, as in the page's own `properties`.
    properties: Option<Object>,
) -> Result<Entry> {
    #[derive(Serialize)]
    struct Change {
        #[serde(skip_serializing_if = "Option::is_none")]
        properties: Option<Object>,
    }
    api::patch(&["pages", &page_id], &Change { properties })?.json()
}

/// Lists the rows of a Notion database that match a filter, at most 100. When there are more, `has_more` is true: narrow the
/// filter. To search by title in all of Notion use `notion.search`.
#[tool(
    name = "notion.databases.query",
    title = "Query a database",
    risk = "read",
    tags = ["databases"],
    slots = ["NOTION_TOKEN"],
    idempotent,
    example(
        description = "What is open, the most urgent first",
        args = r#"{"database_id": "d9824bdc-8445-4327-be8b-5b47500af6ce",
            "filter": {"and": [{"property": "Status", "select": {"equals": "Open"}},
                {"property": "Price", "number": {"less_than": 10}}]},
            "sorts": [{"property": "Due", "direction": "ascending"}]}"#
    )
)]
pub fn query_database(
    /// The id of the database, with or without hyphens, or that of one of its data sources, as `notion.search` finds them. Of a
    /// database with several data sources the first is queried.
    #[schemars(length(min = 1, max = 255))]
    database_id: String,
    /// A condition `{"property": "Status", "select": {"equals": "Done"}}`, where the second key is the property's type, or
    /// several as `{"and": […]}` or `{"or": […]}`. All rows when it is left out.
    filter: Option<Object>,
    /// What to sort by, the most important first: `{"property": "Due", "direction": "ascending"}` or
    /// `{"timestamp": "last_edited_time", "direction": "descending"}`.
    sorts: Option<Vec<Object>>,
) -> Result<Rows> {
    #[derive(Deserialize)]
    struct Database {
        data_sources: Vec<DataSource>,
    }
    #[derive(Serialize)]
    struct Query {
        #[serde(skip_serializing_if = "Option::is_none")]
        filter: Option<Object>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sorts: Option<Vec<Object>>,
    }
    let query = Query { filter, sorts };
    let rows = |id: &str| -> Result<Found> { api::post(&["data_sources", id, "query"], &query)?.json() };
    let (Found { results, has_more, next_cursor }, data_source_id, data_sources) =
        match api::get(&["databases", &database_id]).and_then(|response| response.json::<Database>()) {
            Ok(Database { data_sources }) => {
                let Some(first) = data_sources.first().map(|source| source.id.clone()) else {
                    return Err(Error::not_found("the database has no data source that the integration can see").hint(
                        "share the original database with the integration: a linked view of it has no rows of its own",
                    ));
                };
                (rows(&first)?, first, data_sources)
            }
            // Search answers ids of data sources, so they are what a caller is likely to have.
            Err(unknown) if unknown.kind() == ErrorKind::NotFound => {
                let found = rows(&database_id)
                    .map_err(|error| if error.kind() == ErrorKind::NotFound { unknown } else { error })?;
                let only = DataSource { id: database_id.clone(), name: None };
                (found, database_id, vec![only])
            }
            Err(error) => return Err(error),
        };
    Ok(Rows { results, has_more, next_cursor, data_source_id, data_sources })
}

/// Finds Notion pages and databases by their titles, among those that are shared with the integration. At most 100, last edited
/// first. It does not look into the content. To select rows of one database by their values use `notion.databases.query`.
#[tool(
    name = "notion.search",
    title = "Search by title",
    risk = "read",
    tags = ["pages", "databases"],
    slots = ["NOTION_TOKEN"],
    idempotent,
    example(
        description = "Databases, to query them or to add rows",
        args = r#"{"query": "Tasks", "filter": {"property": "object", "value": "data_source"}}"#
    )
)]
pub fn search(
    /// Words of the title. An empty text finds everything.
    query: String,
    /// `{"property": "object", "value": "page"}` for pages alone, or with `data_source` for databases.
    filter: Option<Object>,
) -> Result<Found> {
    #[derive(Serialize)]
    struct Query {
        query: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        filter: Option<Object>,
    }
    api::post(&["search"], &Query { query, filter })?.json()
}

rig_sdk::export!(create_page, update_page, query_database, search);

#[cfg(test)]
mod tests;
