//! RGP, the HTTP API: the bodies of its requests and answers beside those of [`crate::rtp`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::rtp::{CallContext, ErrorKind};

/// The body of `POST /v1/tools/{name}:call`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CallBody {
    /// The arguments.
    pub args: Map<String, Value>,
    /// Who calls.
    pub context: CallContext,
}

/// The body of `POST /v1/audit/query`. Everything that is given must match.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditQuery {
    /// RFC 3339; rows at or after it.
    pub start_time: Option<String>,
    /// RFC 3339; rows before it.
    pub end_time: Option<String>,
    /// The tenant.
    pub tenant_id: Option<String>,
    /// Who called.
    pub actor: Option<String>,
    /// The tool's full name.
    pub tool_name: Option<String>,
    /// Whether the call succeeded.
    pub ok: Option<bool>,
    /// How many entries at most, newest first.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// The answer of `POST /v1/audit/query`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// The newest entries that match, newest first.
    pub entries: Vec<AuditEntry>,
    /// How many match in all.
    pub total: u64,
    /// Whether there are more than `entries`.
    pub has_more: bool,
}

/// How a call ended, as the audit log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The tool answered.
    Ok,
    /// It failed.
    Error,
    /// A person must approve it first.
    ApprovalRequired,
    /// A rule of the project forbids it, or a person denied it.
    PolicyDenied,
}

impl Outcome {
    /// The outcome as it is written in every format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::ApprovalRequired => "approval_required",
            Self::PolicyDenied => "policy_denied",
        }
    }
}

/// One request that a call made, in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// The host, with the port when it is not the scheme's.
    pub host: String,
    /// The method.
    pub method: String,
    /// The status of the answer, or null.
    pub status: Option<u16>,
    /// The kind of failure when there was no answer.
    pub error: Option<String>,
    /// In bytes, body only.
    pub bytes_sent: u64,
    /// In bytes, body only.
    pub bytes_received: u64,
}

/// A person's decision about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// `sha256:` of the approval's token: names the request without being the key to it.
    pub approval: String,
    /// `approved`, `denied`, or `attempted` when the decision could not be made, for example because the token was used before.
    pub decision: String,
    /// Who decided.
    pub by: String,
}

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// The row's place in the chain, from 1.
    pub seq: u64,
    /// `call`; `intent` for the row that is written before a risky call runs; `retention` where old rows were removed;
    /// `canary` where other versions of packs went on trial, or a trial ended.
    pub event: String,
    /// RFC 3339, UTC, with microseconds.
    pub timestamp: String,
    /// The tenant; empty when none was named.
    pub tenant_id: String,
    /// The correlation id of the call.
    pub run_id: String,
    /// Who called; empty when nobody was named.
    pub actor: String,
    /// The tool as it was asked for.
    pub tool: String,
    /// Its pack; empty when the tool is unknown.
    pub pack: String,
    /// The pack's version.
    pub pack_version: String,
    /// `sha256:` of the pack's component.
    pub pack_hash: String,
    /// Of the snapshot that the call ran on.
    pub interface_hash: String,
    /// `sha256:` of the canonical JSON of the arguments; of their bytes when they are not JSON.
    pub input_hash: String,
    /// How the call ended; null for an intent.
    pub outcome: Option<Outcome>,
    /// The kind of error, or null.
    pub error_type: Option<ErrorKind>,
    /// In milliseconds.
    pub duration_ms: f64,
    /// Which secrets were used and where they came from, for example `env:STRIPE_API_KEY`.
    pub auth: Vec<String>,
    /// What was sent.
    pub egress: Vec<Sent>,
    /// The decision that the row is about, or null.
    pub decision: Option<Decision>,
    /// How the pack was kept apart: `sandbox` for components.
    pub isolation: String,
    /// The arguments with secrets and long texts taken out, when the project keeps them; else null.
    pub args: Option<Map<String, Value>>,
    /// `sha256:` of the row before; of nothing for the first.
    pub prev_hash: String,
    /// `sha256:` over `prev_hash` and everything else in this row.
    pub hash: String,
}

/// The body of an answer that is no answer of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// A word for programs, for example `not_found`.
    pub error: String,
    /// What is wrong and what to do, for people.
    pub detail: String,
}

/// The answer of `POST /v1/approvals/{token}:deny`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Denied {
    /// Whether the call was denied.
    pub denied: bool,
    /// The token.
    pub token: String,
}

/// The answer of `GET /v1/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}
