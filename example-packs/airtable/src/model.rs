//! What the tools answer: Airtable's records.
//!
//! Only the id must be there. A record is written when Airtable answers, so an answer that lacks a detail is no failure: the detail
//! is null. Fields are handed on as Airtable sends them, without being looked at.

use rig_sdk::json::Object;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A record: a row of a table.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The id, which begins with `rec`.
    pub id: String,
    /// When it was created (RFC 3339); null when Airtable sends none.
    #[serde(rename(deserialize = "createdTime"))]
    pub created_time: Option<String>,
    /// The values by the names of the fields. Empty fields are left out. Null when Airtable sends none.
    pub fields: Option<Object>,
}

/// Records of a table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Records {
    /// The records, in no particular order.
    pub records: Vec<Record>,
    /// Whether there are more than were listed; null when exactly `max_records` came, as Airtable does not say then.
    pub has_more: Option<bool>,
}
