//! The smallest useful pack: a tool that answers what it was given. It needs nothing of the host, so a call measures what calling
//! a pack costs.

use rig_sdk::{Result, json::Object, tool};
use schemars::JsonSchema;
use serde::Serialize;

/// What was sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Echo {
    /// The message, unchanged.
    pub message: String,
    /// The data, unchanged. Absent when none was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Object>,
}

/// Sends a message, and any data with it, and answers both unchanged. Use it to check that tools can be called at all.
#[tool(
    name = "echo.message.send",
    title = "Echo a message",
    risk = "read",
    tags = ["test"],
    idempotent,
    example(description = "A message alone", args = r#"{"message": "hello"}"#, output = r#"{"message": "hello"}"#),
    example(
        description = "A message with data",
        args = r#"{"message": "hello", "data": {"n": [1, 2]}}"#,
        output = r#"{"message": "hello", "data": {"n": [1, 2]}}"#
    )
)]
pub fn send(
    /// The message to send back.
    message: String,
    /// Any JSON object to send back with it.
    data: Option<Object>,
) -> Result<Echo> {
    Ok(Echo { message, data })
}

rig_sdk::export!(send);
