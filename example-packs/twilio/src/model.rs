//! What the tools answer: the part of Twilio's objects that a caller acts on.
//!
//! Only the SID must be there. A message is sent when Twilio answers, so an answer that lacks a detail, or has it in another shape, is
//! no failure: the detail is null.

use rig_sdk::json::Value;
use schemars::JsonSchema;
use serde::Serialize;

/// A text message.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Message {
    /// Twilio's id, `SM…`.
    pub sid: String,
    /// `accepted`, `queued`, `sending`, `sent`, `delivered`, `undelivered` or `failed`, and others; null when Twilio sends none.
    pub status: Option<String>,
    /// The recipient; null when Twilio sends none.
    pub to: Option<String>,
    /// The sender; null while a messaging service has not chosen one.
    pub from: Option<String>,
    /// The text; null when Twilio sends none.
    pub body: Option<String>,
    /// In how many parts it is sent and paid for; null when Twilio sends none.
    pub num_segments: Option<u64>,
    /// Twilio's code for why it was not delivered; null when nothing is wrong.
    pub error_code: Option<u64>,
    /// Why it was not delivered; null when nothing is wrong.
    pub error_message: Option<String>,
    /// When it was created (RFC 2822); null when Twilio sends none.
    pub date_created: Option<String>,
}

/// A phone call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Call {
    /// Twilio's id, `CA…`.
    pub sid: String,
    /// `queued`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer` or `canceled`; null when Twilio sends none.
    pub status: Option<String>,
    /// Who is called; null when Twilio sends none.
    pub to: Option<String>,
    /// Who calls; null when Twilio sends none.
    pub from: Option<String>,
    /// `outbound-api`, `outbound-dial` or `inbound`, and others; null when Twilio sends none.
    pub direction: Option<String>,
    /// How long it lasted, in seconds; null until it has ended.
    pub duration: Option<u64>,
    /// When it was answered (RFC 2822); null before.
    pub start_time: Option<String>,
    /// When it ended (RFC 2822); null before.
    pub end_time: Option<String>,
    /// `human` or a kind of machine; null when that was not looked into.
    pub answered_by: Option<String>,
    /// What it cost, negative; null until Twilio knows.
    pub price: Option<String>,
    /// The currency of the price; null when Twilio sends none.
    pub price_unit: Option<String>,
}

/// A verification, or the outcome of a check.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verification {
    /// Twilio's id, `VE…`.
    pub sid: String,
    /// `pending`, `approved`, `canceled`, `max_attempts_reached`, `deleted`, `failed` or `expired`; null when Twilio sends none.
    pub status: Option<String>,
    /// Whether the address is verified; null when Twilio does not say.
    pub valid: Option<bool>,
    /// The address; null when Twilio sends none.
    pub to: Option<String>,
    /// How the code was sent; null when Twilio sends none.
    pub channel: Option<String>,
}

impl Message {
    pub(crate) fn read(body: &Value) -> Self {
        Self {
            sid: sid(body),
            status: text(body, "status"),
            to: text(body, "to"),
            from: text(body, "from"),
            body: text(body, "body"),
            num_segments: number(body, "num_segments"),
            error_code: number(body, "error_code"),
            error_message: text(body, "error_message"),
            date_created: text(body, "date_created"),
        }
    }
}

impl Call {
    pub(crate) fn read(body: &Value) -> Self {
        Self {
            sid: sid(body),
            status: text(body, "status"),
            to: text(body, "to"),
            from: text(body, "from"),
            direction: text(body, "direction"),
            duration: number(body, "duration"),
            start_time: text(body, "start_time"),
            end_time: text(body, "end_time"),
            answered_by: text(body, "answered_by"),
            price: text(body, "price"),
            price_unit: text(body, "price_unit"),
        }
    }
}

impl Verification {
    pub(crate) fn read(body: &Value) -> Self {
        Self {
            sid: sid(body),
            status: text(body, "status"),
            valid: body["valid"].as_bool(),
            to: text(body, "to"),
            channel: text(body, "channel"),
        }
    }
}

/// The SID, which was seen to be there when the answer came.
fn sid(body: &Value) -> String {
    text(body, "sid").unwrap_or_default()
}

fn text(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().map(str::to_owned)
}

/// A number, which Twilio sends as one or as a text.
fn number(body: &Value, name: &str) -> Option<u64> {
    body[name].as_u64().or_else(|| body[name].as_str()?.parse().ok())
}
