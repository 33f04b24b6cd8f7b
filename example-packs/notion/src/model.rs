//! What the tools answer: the part of Notion's objects that a caller acts on.
//!
//! Only what names the object must be there. A page is written when Notion answers, so an answer that lacks a detail is no failure:
//! the detail is null, and so each is picked out of the answer by itself. Properties and parents are handed on as Notion sends them:
//! what a caller sends back has the same shape.

use rig_sdk::json::{Map, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// A page, which may be a row of a database, or a data source: a database's table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Entry {
    /// The id.
    pub id: String,
    /// `page` or `data_source`; null when Notion sends none.
    pub object: Option<String>,
    /// The title without its formatting, which may be empty; null when Notion sends none.
    pub title: Option<String>,
    /// Its page in Notion; null when Notion sends none.
    pub url: Option<String>,
    /// What it is in, as `{"type": "page_id", "page_id": "…"}`, or with `data_source_id` and `database_id`, `block_id` or
    /// `workspace`; null when Notion sends none.
    pub parent: Option<Map<String, Value>>,
    /// By name: the values of a page as `{"Status": {"type": "select", "select": {"name": "Done"}}}`, or of a data source what
    /// each column holds; null when Notion sends none.
    pub properties: Option<Map<String, Value>>,
    /// When it was created (RFC 3339); null when Notion sends none.
    pub created_time: Option<String>,
    /// When it last changed (RFC 3339); null when Notion sends none.
    pub last_edited_time: Option<String>,
    /// Whether it is in the trash; null when Notion does not say.
    pub in_trash: Option<bool>,
}

/// Rows of a database.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rows {
    /// The rows, as pages.
    pub results: Vec<Entry>,
    /// Whether more rows match.
    pub has_more: bool,
    /// Where Notion would go on; null when there are no more.
    pub next_cursor: Option<String>,
    /// The data source that the rows are from.
    pub data_source_id: String,
    /// All data sources of the database. Give the id of another one as `database_id` to query that.
    pub data_sources: Vec<DataSource>,
}

/// A table of a database; nearly every database has one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DataSource {
    /// The id.
    pub id: String,
    /// The name; null when Notion sends none.
    pub name: Option<String>,
}

/// Pages and data sources.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What was found, last edited first.
    pub results: Vec<Entry>,
    /// Whether more was found.
    #[serde(default)]
    pub has_more: bool,
    /// Where Notion would go on; null when there is no more.
    pub next_cursor: Option<String>,
}

/// The title stands where the kind of object wants it: a data source's at the top, a page's among its properties, under a name
/// of the author's choice.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut entry = Value::deserialize(deserializer)?;
        let text = |name: &str| entry[name].as_str().map(str::to_owned);
        let among = || entry["properties"].as_object()?.values().find_map(|property| plain(&property["title"]));
        Ok(Self {
            id: text("id").ok_or_else(|| D::Error::missing_field("id"))?,
            object: text("object"),
            title: plain(&entry["title"]).or_else(among),
            url: text("url"),
            created_time: text("created_time"),
            last_edited_time: text("last_edited_time"),
            in_trash: entry["in_trash"].as_bool(),
            parent: take(&mut entry, "parent"),
            properties: take(&mut entry, "properties"),
        })
    }
}

fn take(entry: &mut Value, name: &str) -> Option<Map<String, Value>> {
    match entry.get_mut(name).map(Value::take) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// A list of pieces of text, each formatted in its own way, as plain text. In a data source's properties `title` is an object.
fn plain(pieces: &Value) -> Option<String> {
    Some(pieces.as_array()?.iter().filter_map(|piece| piece["plain_text"].as_str()).collect())
}
