//! RTP, the tool types: what a tool is, what a call is told, and what it answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::digest::{Sha256, canonical_json};

/// What a call can do to the world, from harmless to irreversible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RiskClass {
    /// Reads only.
    Read,
    /// Changes data that can be changed back.
    Write,
    /// Changes infrastructure.
    Infra,
    /// Moves money.
    Money,
    /// Deletes or overwrites what cannot be restored.
    Destructive,
}

impl RiskClass {
    /// The class as it is written in every format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Infra => "infra",
            Self::Money => "money",
            Self::Destructive => "destructive",
        }
    }
}

/// The twelve kinds of failure that an agent can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The arguments are wrong.
    ValidationError,
    /// A credential is missing, expired or refused.
    AuthError,
    /// The credential is good but does not allow this.
    PermissionError,
    /// What the arguments name does not exist.
    NotFound,
    /// The state of the service forbids it.
    Conflict,
    /// Too many calls.
    RateLimited,
    /// A passing fault.
    Transient,
    /// The deadline passed.
    Timeout,
    /// The service failed or answered nonsense.
    UpstreamError,
    /// A rule of the project forbids it.
    PolicyBlocked,
    /// A person must approve the call first.
    ApprovalRequired,
    /// A fault of the pack or of rig.
    InternalError,
}

impl ErrorKind {
    /// The kind as it is written in every format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValidationError => "validation_error",
            Self::AuthError => "auth_error",
            Self::PermissionError => "permission_error",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::UpstreamError => "upstream_error",
            Self::PolicyBlocked => "policy_blocked",
            Self::ApprovalRequired => "approval_required",
            Self::InternalError => "internal_error",
        }
    }
}

/// One example of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// What the example shows.
    pub description: String,
    /// The arguments.
    pub args: Map<String, Value>,
    /// A typical output, or null.
    #[serde(default)]
    pub output: Option<Map<String, Value>>,
}

/// A tool as models and people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolDef {
    /// `pack.noun.verb`.
    pub name: String,
    /// What the tool does and when to choose it.
    pub description: String,
    /// JSON Schema (2020-12) of the arguments.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// JSON Schema of the error.
    pub error_schema: Value,
    /// The names of the secrets that the tool uses.
    pub auth_slots: Vec<String>,
    /// What a call can do to the world.
    pub risk_class: RiskClass,
    /// Words to find the tool by.
    pub tags: Vec<String>,
    /// Defaults for the project's policy.
    pub policy_defaults: Map<String, Value>,
    /// Example calls.
    pub examples: Vec<Example>,
}

/// A tool as its pack describes it: the public definition and what only the host and MCP use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PackTool {
    /// The definition that is shown to models.
    pub def: ToolDef,
    /// A short title for people, possibly empty.
    #[serde(default)]
    pub title: String,
    /// Whether making the same call twice has the effect of making it once.
    #[serde(default)]
    pub idempotent: bool,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolError {
    /// The kind of failure.
    #[serde(rename = "type")]
    pub kind: ErrorKind,
    /// One sentence: what happened and why.
    pub message: String,
    /// Whether the same call may succeed when made again.
    pub retryable: bool,
    /// The upstream service's own code, or null.
    pub upstream_code: Option<String>,
    /// What the caller can do next, most useful first.
    pub remediation_hints: Vec<String>,
    /// The id of the call.
    pub correlation_id: String,
}

/// What a call answers. Exactly one of `output` and `error` is not null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolResult {
    /// Whether the call succeeded.
    pub ok: bool,
    /// The output of a successful call.
    pub output: Option<Map<String, Value>>,
    /// The error of a failed call.
    pub error: Option<ToolError>,
    /// The request id if one was given, else a new UUID.
    pub correlation_id: String,
    /// The pack that was called; empty when the tool is unknown.
    pub pack: String,
    /// The version of the pack; empty when the tool is unknown.
    pub pack_version: String,
    /// The interface hash of the whole snapshot that the call ran on.
    pub interface_hash: String,
    /// The name of the set of packs that the call ran on.
    pub pack_set_version: String,
}

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallContext {
    /// The tenant that the call is made for.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// The caller's own id of the call.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Who makes the call.
    #[serde(default)]
    pub actor: Option<String>,
}

/// A call that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequired {
    /// The UUID to approve or deny by.
    pub token: String,
    /// The tool to be called.
    pub tool_name: String,
    /// Its risk class.
    pub risk_class: RiskClass,
    /// The arguments with secrets and long texts taken out.
    pub args: Map<String, Value>,
    /// The tenant that the call is made for.
    pub tenant_id: String,
    /// Who asked for the call.
    pub actor: String,
    /// RFC 3339, UTC.
    pub requested_at: String,
    /// RFC 3339, UTC.
    pub expires_at: String,
}

/// The hash of what callers depend on: over the tools sorted by name, each with its input, output and error schema.
#[must_use]
pub fn interface_hash<'a>(tools: impl IntoIterator<Item = &'a ToolDef>) -> Sha256 {
    hash_sorted(tools, |tool| {
        json!({
            "name": tool.name,
            "input_schema": tool.input_schema,
            "output_schema": tool.output_schema,
            "error_schema": tool.error_schema,
        })
    })
}

/// The hash of everything that a model reads, descriptions included.
#[must_use]
pub fn tools_hash<'a>(tools: impl IntoIterator<Item = &'a ToolDef>) -> Sha256 {
    hash_sorted(tools, |tool| json!(tool))
}

fn hash_sorted<'a>(tools: impl IntoIterator<Item = &'a ToolDef>, part: impl Fn(&ToolDef) -> Value) -> Sha256 {
    let mut tools: Vec<&ToolDef> = tools.into_iter().collect();
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    let parts = tools.into_iter().map(part).collect();
    Sha256::of(canonical_json(&Value::Array(parts)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> ToolDef {
        ToolDef {
            name: name.into(),
            description: "Does it.".into(),
            input_schema: json!({ "type": "object" }),
            output_schema: json!({ "type": "object" }),
            error_schema: json!({}),
            auth_slots: vec![],
            risk_class: RiskClass::Read,
            tags: vec![],
            policy_defaults: Map::new(),
            examples: vec![],
        }
    }

    #[test]
    fn interface_hash_sees_schemas_and_nothing_else() {
        let (a, b) = (tool("p.a.x"), tool("p.b.x"));
        let base = interface_hash([&a, &b]);
        assert_eq!(base, interface_hash([&b, &a]), "order must not matter");

        let described = ToolDef { description: "Other words.".into(), ..a.clone() };
        assert_eq!(base, interface_hash([&described, &b]));
        assert_ne!(tools_hash([&a, &b]), tools_hash([&described, &b]));

        let reshaped = ToolDef { input_schema: json!({ "type": "object", "required": ["q"] }), ..a };
        assert_ne!(base, interface_hash([&reshaped, &b]));
    }

    #[test]
    fn all_keys_of_a_result_are_written() {
        let result = ToolResult {
            ok: false,
            output: None,
            error: None,
            correlation_id: "c".into(),
            pack: String::new(),
            pack_version: String::new(),
            interface_hash: String::new(),
            pack_set_version: String::new(),
        };
        let keys: Vec<String> = json!(result).as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.join(" "), "correlation_id error interface_hash ok output pack pack_set_version pack_version");
    }
}
