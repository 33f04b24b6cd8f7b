//! The tools that the official MCP conformance suite calls: one of each kind of answer, of question and of schema that a tool of rig
//! can have. The suite's `test_simple_text` is `conformance.test.simple_text` here, and so on.
//!
//! What the suite asks of prompts, resources, roots and sampling is not here: tools of rig have none of them.

pub mod content;
pub mod questions;
pub mod running;
pub mod schemas;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::Serialize;

/// A text, and nothing else.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Text {
    /// The text.
    #[schemars(extend("format" = "mcp-text"))]
    pub text: String,
}

impl Text {
    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

rig_sdk::export!(
    content::simple_text,
    content::image_content,
    content::audio_content,
    content::embedded_resource,
    content::multiple_content_types,
    content::error_handling,
    running::tool_with_progress,
    running::tool_with_logging,
    running::logging_tool,
    running::reconnection,
    questions::elicitation,
    questions::elicitation_sep1034_defaults,
    questions::elicitation_sep1330_enums,
    questions::streaming_elicitation,
    questions::input_required_result_elicitation,
    questions::input_required_result_request_state,
    questions::input_required_result_multi_round,
    questions::input_required_result_tampered_state,
    questions::input_required_result_capabilities,
    schemas::missing_capability,
    schemas::custom_headers,
    schemas::schema_2020_12_tool,
);
