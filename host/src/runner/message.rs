//! What rig and a runner say to each other: JSON-RPC 2.0. Requests are written, answers read; which answer belongs to which call is
//! decided in [`super::process`].

use std::collections::BTreeMap;

use rig_specs::rtp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::sandbox::{Context, ErrorKind, ToolError};

/// A request, or without an id a notification.
#[derive(Serialize)]
pub(super) struct Request<'a, P: Serialize> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    method: &'a str,
    params: P,
}

impl<'a, P: Serialize> Request<'a, P> {
    pub(super) const fn new(id: Option<u64>, method: &'a str, params: P) -> Self {
        Self { jsonrpc: "2.0", id, method, params }
    }
}

/// `call`.
#[derive(Serialize)]
pub(super) struct CallParams<'a> {
    pub(super) tool: &'a str,
    /// Checked before: one JSON object.
    pub(super) args: &'a RawValue,
    pub(super) secrets: BTreeMap<&'a str, &'a str>,
    pub(super) context: ContextParams<'a>,
}

/// What a tool is told about its call.
#[derive(Serialize)]
pub(super) struct ContextParams<'a> {
    request_id: &'a str,
    tenant_id: &'a str,
    actor: &'a str,
    attempt: u32,
    idempotency_key: &'a str,
    deadline_ms: u64,
}

impl<'a> From<&'a Context> for ContextParams<'a> {
    fn from(context: &'a Context) -> Self {
        Self {
            request_id: &context.request_id,
            tenant_id: &context.tenant_id,
            actor: &context.actor,
            attempt: context.attempt,
            idempotency_key: &context.idempotency_key,
            deadline_ms: context.deadline_ms,
        }
    }
}

/// Everything that a runner sends.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    /// What the runner was told at its start. Bytes that the pack writes itself do not have it.
    #[serde(default)]
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) id: Option<u64>,
    #[serde(default, borrow)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) error: Option<Refusal>,
    #[serde(default)]
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: Option<LogParams>,
}

/// `log`.
#[derive(Deserialize)]
pub(super) struct LogParams {
    #[serde(default)]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) level: String,
    #[serde(default)]
    pub(super) message: String,
}

/// Why there is no result.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) data: Value,
}

impl Refusal {
    /// The runner stopped the call because it was told to.
    pub(super) const CANCELLED: i64 = 3;

    /// As the error of a tool. What a pack calls an error is read kindly: whatever is missing or of another type is left out.
    pub(super) fn into_tool_error(self) -> ToolError {
        let text = |key: &str| self.data.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = self.data.get("type").cloned().and_then(|kind| serde_json::from_value::<rtp::ErrorKind>(kind).ok());
        let hints = self.data.get("remediation_hints").and_then(Value::as_array).into_iter().flatten();
        let code = match self.data.get("upstream_code") {
            None | Some(Value::Null) => None,
            Some(Value::String(code)) => Some(code.clone()),
            Some(other) => Some(other.to_string()),
        };
        ToolError {
            kind: kind.map_or(ErrorKind::InternalError, ErrorKind::from),
            message: text("message").filter(|text| !text.is_empty()).unwrap_or_else(|| "the tool failed".into()),
            retryable: self.data.get("retryable").and_then(Value::as_bool).unwrap_or(false),
            upstream_code: code,
            remediation_hints: hints.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(data: Value) -> ToolError {
        Refusal { code: 2, message: String::new(), data }.into_tool_error()
    }

    #[test]
    fn errors_of_packs_are_read_kindly() {
        let whole = error(json!({
            "type": "rate_limited", "message": "slow down", "retryable": true, "upstream_code": 429,
            "remediation_hints": ["wait", 7], "correlation_id": null,
        }));
        assert_eq!((whole.kind, whole.retryable), (ErrorKind::RateLimited, true));
        assert_eq!((whole.upstream_code.as_deref(), whole.remediation_hints), (Some("429"), vec!["wait".to_owned()]));
        for data in [json!(null), json!([]), json!({ "type": "nonsense", "message": 7, "retryable": "yes" })] {
            let poor = error(data);
            assert_eq!(
                (poor.kind, poor.message.as_str(), poor.retryable),
                (ErrorKind::InternalError, "the tool failed", false)
            );
        }
    }
}
