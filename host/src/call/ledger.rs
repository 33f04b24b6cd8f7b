//! The row of a call in the audit log: what the pipeline knows at its end, and for risky calls what it intends at its start.

use std::sync::Arc;

use rig_specs::{
    Sha256,
    digest::{canonical_json, canonical_text},
    rgp::{Decision, Outcome, Sent},
};
use serde_json::Value;

use super::{Record, Request, catalog::Tool, json, sanitise::sanitised};
use crate::{
    audit::{Event, Row},
    egress::EgressRecord,
};

/// Bytes of a name that a caller chose. Names are far shorter; a log must not grow with what a caller calls itself.
const MAX_NAME: usize = 256;

/// What people decide, and what it is when the decision could not be made.
pub(super) const APPROVED: &str = "approved";
pub(super) const DENIED: &str = "denied";
pub(super) const ATTEMPTED: &str = "attempted";

/// What the row of a call says about the request.
pub(super) fn row(request: &Request, id: &str, tool: Option<&Tool>, interface_hash: &Arc<str>, keep_args: bool) -> Row {
    let kept = || json::object(&request.args).ok().map(|args| sanitised(&args));
    let labels = tool.map(|tool| tool.pack.labels.clone()).unwrap_or_default();
    Row {
        event: Event::Call,
        tenant_id: bounded(request.context.tenant_id.as_deref().unwrap_or_default()),
        run_id: bounded(id),
        actor: bounded(request.context.actor.as_deref().unwrap_or_default()),
        tool: bounded(&request.tool),
        pack: labels.id,
        pack_version: labels.version,
        pack_hash: labels.digest,
        interface_hash: Arc::clone(interface_hash),
        input_hash: input_hash(&request.args),
        isolation: labels.isolation,
        args: keep_args.then(kept).flatten(),
        ..Row::default()
    }
}

fn bounded(name: &str) -> String {
    name[..name.floor_char_boundary(MAX_NAME)].to_owned()
}

/// Over the canonical form, so that the same arguments have the same hash however they were written; over the bytes of what is no
/// JSON object.
fn input_hash(args: &str) -> String {
    let canonical =
        canonical_text(args).or_else(|| json::object(args).ok().map(|args| canonical_json(&Value::Object(args))));
    Sha256::of(canonical.as_deref().unwrap_or(args).as_bytes()).to_string()
}

/// The same call's row at its end.
pub(super) fn ended(row: Row, record: &Record) -> Row {
    Row {
        event: Event::Call,
        outcome: Some(record.outcome),
        error_type: record.error,
        duration_us: u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX),
        auth: record.auth.clone(),
        egress: record.egress.iter().map(sent).collect(),
        ..row
    }
}

/// A person's decision, as it is recorded.
pub(super) fn decision(token: &str, decision: &str, by: &str) -> Decision {
    Decision { approval: Sha256::of(token.as_bytes()).to_string(), decision: decision.to_owned(), by: by.to_owned() }
}

/// What a row says about a call that the tool answered, or did not.
pub(super) fn outcome(error: Option<&super::CallError>) -> Outcome {
    match error {
        None => Outcome::Ok,
        Some(error) => error.outcome,
    }
}

fn sent(record: &EgressRecord) -> Sent {
    Sent {
        host: record.host.clone(),
        method: record.method.clone(),
        status: record.status,
        error: record.error.map(str::to_owned),
        bytes_sent: record.bytes_sent,
        bytes_received: record.bytes_received,
    }
}
