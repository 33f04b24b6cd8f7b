//! The answer of a call: every way in which it can end, in the form that callers get.

use rig_specs::{
    PackId,
    rtp::{ErrorKind, RiskClass, ToolError, ToolResult},
};

use super::{
    catalog::{Pack, Snapshot},
    json,
};
use crate::{
    egress,
    install::StoreError,
    sandbox::{self, LoadError, Stop},
};

/// Why a call gave no output, before it has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) retryable: bool,
    pub(super) upstream_code: Option<String>,
    pub(super) hints: Vec<String>,
}

impl CallError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retryable: false, upstream_code: None, hints: Vec::new() }
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
        Self::new(ErrorKind::PolicyBlocked, format!("the project does not allow `{tool}`: {rule}"))
            .with_hint("ask whoever runs the project to change the policy")
    }

    pub(super) fn needs_approval(tool: &str, risk: RiskClass) -> Self {
        let message = format!("`{tool}` is of risk class {}, which a person must approve first", risk.as_str());
        Self::new(ErrorKind::ApprovalRequired, message).with_hint(
            "this version cannot ask for approval: whoever runs the project can allow the class by leaving it out of \
                 `policy.require_approval_for` in rig.yaml",
        )
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

    pub(super) fn tool(error: sandbox::ToolError) -> Self {
        let sandbox::ToolError { kind, message, retryable, upstream_code, remediation_hints } = error;
        Self { kind: kind.into(), message, retryable, upstream_code, hints: remediation_hints }
    }
}

/// What a call answers: a [`ToolResult`] whose output is still the text that the tool wrote, already checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The output, a JSON object, or the error.
    pub ended: Result<String, ToolError>,
    /// The id of the call.
    pub correlation_id: String,
    /// The pack that was called; empty when the tool is unknown.
    pub pack: String,
    /// Its version.
    pub pack_version: String,
    /// Of the whole snapshot.
    pub interface_hash: String,
    /// Of the snapshot.
    pub pack_set_version: String,
}

impl Answer {
    pub(super) fn new(ended: Result<String, CallError>, id: String, pack: Option<&Pack>, snapshot: &Snapshot) -> Self {
        let error = |error: CallError| ToolError {
            kind: error.kind,
            message: error.message,
            retryable: error.retryable,
            upstream_code: error.upstream_code,
            remediation_hints: error.hints,
            correlation_id: id.clone(),
        };
        Self {
            ended: ended.map_err(error),
            correlation_id: id,
            pack: pack.map(|pack| pack.id().to_string()).unwrap_or_default(),
            pack_version: pack.map(Pack::version).unwrap_or_default(),
            interface_hash: snapshot.interface_hash.clone(),
            pack_set_version: snapshot.pack_set_version.clone(),
        }
    }

    /// Whether a person must approve the call first.
    #[must_use]
    pub fn waits_for_approval(&self) -> bool {
        self.ended.as_ref().is_err_and(|error| error.kind == ErrorKind::ApprovalRequired)
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
            pack: self.pack,
            pack_version: self.pack_version,
            interface_hash: self.interface_hash,
            pack_set_version: self.pack_set_version,
        }
    }
}
