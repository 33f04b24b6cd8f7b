//! The answer of a call: every way in which it can end, in the form that callers get.

use std::sync::Arc;

use rig_specs::{
    PackId,
    rgp::Outcome,
    rtp::{ApprovalRequired, ErrorKind, ToolError, ToolResult},
};

use super::{
    catalog::{Pack, Snapshot},
    json,
    limits::Limited,
};
use crate::{
    approvals::ApprovalError,
    audit::AuditError,
    egress,
    install::{LegacyError, StoreError},
    runner::RunnerError,
    sandbox::{self, LoadError, Stop},
};

/// Why a call gave no output, before it has an id.
#[derive(Debug, Clone, PartialEq)]
pub struct CallError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) retryable: bool,
    pub(super) upstream_code: Option<String>,
    pub(super) hints: Vec<String>,
    /// What the audit log says of it.
    pub(super) outcome: Outcome,
    /// The call as it waits for a person.
    pub(super) waiting: Option<Box<ApprovalRequired>>,
}

impl CallError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retryable: false,
            upstream_code: None,
            hints: Vec::new(),
            outcome: Outcome::Error,
            waiting: None,
        }
    }

    pub(super) fn with_hint(mut self, hint: &str) -> Self {
        self.hints.push(hint.to_owned());
        self
    }

    fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    pub(super) fn unknown_tool(name: &str, snapshot: &Snapshot) -> Self {
        let shown: String = name.escape_debug().take(128).collect();
        let error = Self::new(ErrorKind::NotFound, format!("there is no tool `{shown}` in this project"));
        let error = match snapshot.nearest(name).as_slice() {
            [] => error.with_hint("see the tools that there are: rig list"),
            near => error.with_hint(&format!("did you mean {}?", near.join(", "))),
        };
        match PackId::of_tool(name).filter(|pack| !snapshot.offers(pack)) {
            Some(pack) => error.with_hint(&format!(
                "the pack `{pack}` is not installed or not enabled here: look at it with `rig info {pack}`, then `rig install {pack}`"
            )),
            None => error,
        }
    }

    pub(super) fn denied(tool: &str, rule: &str) -> Self {
        Self::policy(format!("the project does not allow `{tool}`: {rule}"))
            .with_hint("ask whoever runs the project to change the policy")
    }

    pub(super) fn denied_by_person(tool: &str, by: &str) -> Self {
        Self::policy(format!("`{tool}` was denied by {by}"))
    }

    pub(super) fn constrained(tool: &str, problems: &[String]) -> Self {
        Self::policy(format!("the project limits the arguments of `{tool}`: {}", problems.join("; ")))
            .with_hint("call it within these limits, or ask whoever runs the project to change `policy.constraints`")
    }

    fn policy(message: String) -> Self {
        Self { outcome: Outcome::PolicyDenied, ..Self::new(ErrorKind::PolicyBlocked, message) }
    }

    pub(super) fn limited(tool: &str, limited: &Limited) -> Self {
        // Whole seconds, rounded up: waiting that long is enough.
        let seconds = limited.retry_after.as_secs() + u64::from(limited.retry_after.subsec_nanos() > 0);
        Self::new(ErrorKind::RateLimited, format!("`{tool}` is called too often: {}", limited.why))
            .retryable()
            .with_hint(&format!("retry after {} s", seconds.max(1)))
    }

    pub(super) fn needs_approval(waiting: ApprovalRequired) -> Self {
        let (tool, risk) = (&waiting.tool_name, waiting.risk_class.as_str());
        let message = format!("`{tool}` is of risk class {risk}: a person must approve this call before it runs");
        let error = Self::new(ErrorKind::ApprovalRequired, message)
            .with_hint(&format!("approve token: {}", waiting.token))
            .with_hint(&format!(
                "a person looks at it with `rig approvals` and runs it with `rig approve {}`, until {}",
                waiting.token, waiting.expires_at
            ));
        Self { outcome: Outcome::ApprovalRequired, waiting: Some(Box::new(waiting)), ..error }
    }

    pub(super) fn approval(error: &ApprovalError) -> Self {
        let kind = match error {
            ApprovalError::NotFound { .. } => ErrorKind::NotFound,
            _ => ErrorKind::InternalError,
        };
        Self::new(kind, error.to_string()).with_hint(&error.hint())
    }

    pub(super) fn unrecordable(tool: &str, error: &AuditError) -> Self {
        Self::new(ErrorKind::InternalError, format!("`{tool}` was not run, because {error}")).with_hint(&error.hint())
    }

    pub(super) fn args(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ValidationError, message)
    }

    pub(super) fn broken_pack(why: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::InternalError, format!("the pack is broken: {why}"))
            .with_hint("look for a newer version of the pack, or report this to its author")
    }

    pub(super) fn load(error: &LoadError) -> Self {
        Self::new(ErrorKind::InternalError, error.to_string()).with_hint(&error.hint())
    }

    pub(super) fn settings(error: &egress::Error) -> Self {
        let call =
            Self::new(ErrorKind::InternalError, format!("the network settings of rig.yaml cannot be used: {error}"));
        match error.hint() {
            Some(hint) => call.with_hint(hint),
            None => call,
        }
    }

    pub(super) fn package(error: &LegacyError) -> Self {
        let call = Self::new(ErrorKind::InternalError, error.to_string());
        match error.hint() {
            Some(hint) => call.with_hint(&hint),
            None => call,
        }
    }

    /// There is no process for a pack.
    pub(super) fn runner(pack: &PackId, error: &RunnerError) -> Self {
        Self::new(ErrorKind::InternalError, format!("the pack `{pack}` cannot be run: {error}"))
            .with_hint(&error.hint(pack.as_str()))
    }

    pub(super) fn store(error: &StoreError) -> Self {
        let call = Self::new(ErrorKind::InternalError, error.to_string());
        match error.hint() {
            Some(hint) => call.with_hint(&hint),
            None => call,
        }
    }

    pub(super) fn stopped(stop: &Stop, seconds: u64) -> Self {
        match stop {
            Stop::Timeout => {
                Self::new(ErrorKind::Timeout, format!("the call did not finish within {seconds} s")).retryable()
            }
            Stop::Cancelled => Self::new(ErrorKind::Transient, stop.to_string()).retryable(),
            Stop::Busy => Self::new(ErrorKind::RateLimited, stop.to_string()).retryable(),
            _ => Self::new(ErrorKind::InternalError, stop.to_string()),
        }
        .with_hint(stop.hint())
    }

    /// No token could be had for a secret of the call: the cause of what the tool answered.
    pub(super) fn credential(error: egress::CredentialError) -> Self {
        let egress::CredentialError { kind, message, retryable, upstream_code, hint } = error;
        Self { retryable, upstream_code, hints: hint.into_iter().collect(), ..Self::new(kind, message) }
    }

    pub(super) fn tool(error: sandbox::ToolError) -> Self {
        let sandbox::ToolError { kind, message, retryable, upstream_code, remediation_hints } = error;
        Self { retryable, upstream_code, hints: remediation_hints, ..Self::new(kind.into(), message) }
    }
}

/// What a call answers: a [`ToolResult`] whose output is still the text that the tool wrote, already checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The output, a JSON object, or the error.
    pub ended: Result<String, ToolError>,
    /// The id of the call.
    pub correlation_id: String,
    /// The pack that was called; empty when the tool is unknown.
    pub pack: Arc<str>,
    /// Its version.
    pub pack_version: Arc<str>,
    /// Of the whole snapshot.
    pub interface_hash: Arc<str>,
    /// Of the snapshot.
    pub pack_set_version: Arc<str>,
    /// The call as it waits for a person, when it does.
    pub waiting: Option<Box<ApprovalRequired>>,
}

impl Answer {
    pub(super) fn new(
        mut ended: Result<String, CallError>,
        id: String,
        pack: Option<&Pack>,
        snapshot: &Snapshot,
    ) -> Self {
        let waiting = ended.as_mut().err().and_then(|error| error.waiting.take());
        let error = |error: CallError| ToolError {
            kind: error.kind,
            message: error.message,
            retryable: error.retryable,
            upstream_code: error.upstream_code,
            remediation_hints: error.hints,
            correlation_id: id.clone(),
        };
        let labels = pack.map(|pack| pack.labels.clone()).unwrap_or_default();
        Self {
            ended: ended.map_err(error),
            correlation_id: id,
            pack: labels.id,
            pack_version: labels.version,
            interface_hash: snapshot.interface_hash.clone(),
            pack_set_version: snapshot.pack_set_version.clone(),
            waiting,
        }
    }

    /// With the output as a value, for showing and for programs in this process.
    #[must_use]
    pub fn into_result(self) -> ToolResult {
        let (output, error) = match self.ended {
            // The text was checked to be one object; nothing else can come of it.
            Ok(text) => (Some(json::object(&text).unwrap_or_default()), None),
            Err(error) => (None, Some(error)),
        };
        ToolResult {
            ok: error.is_none(),
            output,
            error,
            correlation_id: self.correlation_id,
            pack: self.pack.to_string(),
            pack_version: self.pack_version.to_string(),
            interface_hash: self.interface_hash.to_string(),
            pack_set_version: self.pack_set_version.to_string(),
        }
    }
}
