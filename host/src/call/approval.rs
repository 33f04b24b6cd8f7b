//! Risky calls and the person: storing a call that must wait, and running what was stored once somebody says yes. Who may decide is
//! the caller's matter; that what runs is what was shown is ours.

use std::{sync::Arc, time::Duration};

use rig_specs::{
    Sha256,
    digest::canonical_json,
    rtp::{ApprovalRequired, CallContext, ErrorKind},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{CallError, Called, Caller, Request, Running, json, ledger, sanitise::sanitised};
use crate::approvals::{ApprovalError, Approvals, Bound};

/// The file with the stored calls, in the project's own folder.
pub(super) const FILE: &str = "approvals.sqlite";

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// The name that is recorded.
    pub by: String,
    /// Whose approvals this person may decide; none means everybody's.
    pub tenant: Option<String>,
}

/// A person's yes, while the stored call runs.
pub(super) struct Approved {
    pub(super) token: String,
    pub(super) by: String,
    bound: Bound,
}

impl Caller {
    /// The calls that wait, oldest first: one tenant's, or all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn waiting(&self, tenant: Option<String>) -> Result<Vec<ApprovalRequired>, ApprovalError> {
        self.with_approvals(move |approvals| approvals.list(tenant.as_deref())).await
    }

    /// The component that the stored call of a token is for, when there is such a call.
    pub(crate) async fn stored_for(&self, token: &str, decider: &Decider) -> Option<Sha256> {
        let (token, tenant) = (token.to_owned(), decider.tenant.clone());
        let found = self.with_approvals(move |approvals| approvals.get(&token, tenant.as_deref())).await;
        found.ok().map(|bound| bound.pack_hash)
    }

    /// Runs the stored call that a token stands for. Always answers; an unknown token is `not_found`.
    pub async fn approve(self: &Arc<Self>, token: &str, decider: Decider, cancel: CancellationToken) -> Called {
        let (key, tenant) = (token.to_owned(), decider.tenant.clone());
        let found = self.with_approvals(move |approvals| approvals.get(&key, tenant.as_deref())).await;
        let bound = match found {
            Ok(bound) => bound,
            Err(error) => return self.not_decided(token, &decider, &error).await,
        };
        let request = stored(&bound);
        let approved = Approved { token: token.to_owned(), by: decider.by, bound };
        self.run(request, Some(approved), cancel).await
    }

    /// Takes a waiting call back. The answer says that it was denied, or why it was not.
    pub async fn deny(self: &Arc<Self>, token: &str, decider: Decider) -> Called {
        let (key, tenant, by) = (token.to_owned(), decider.tenant.clone(), decider.by.clone());
        let denied = self.with_approvals(move |approvals| approvals.deny(&key, tenant.as_deref(), &by)).await;
        let bound = match denied {
            Ok(bound) => bound,
            Err(error) => return self.not_decided(token, &decider, &error).await,
        };
        let error = CallError::denied_by_person(&bound.tool, &decider.by);
        self.refused(stored(&bound), error, ledger::decision(token, ledger::DENIED, &decider.by)).await
    }

    /// The answer and the record of a decision that could not be made.
    async fn not_decided(self: &Arc<Self>, token: &str, decider: &Decider, error: &ApprovalError) -> Called {
        let request = Request {
            tool: String::new(),
            args: "{}".into(),
            context: CallContext {
                tenant_id: decider.tenant.clone(),
                request_id: None,
                actor: Some(decider.by.clone()),
            },
            timeout: None,
            depth: 0,
            client: None,
        };
        self.refused(request, CallError::approval(error), ledger::decision(token, ledger::ATTEMPTED, &decider.by)).await
    }

    async fn with_approvals<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Approvals) -> Result<T, ApprovalError> + Send + 'static,
    ) -> Result<T, ApprovalError> {
        let approvals = Arc::clone(&self.services.approvals);
        let done = tokio::task::spawn_blocking(move || work(&approvals)).await;
        done.unwrap_or(Err(ApprovalError::Broken))
    }
}

/// The call as it was stored: nothing that the decider sends becomes part of it.
fn stored(bound: &Bound) -> Request {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Request {
        tool: bound.tool.clone(),
        args: bound.args.clone(),
        context: CallContext {
            tenant_id: some(&bound.tenant_id),
            request_id: some(&bound.request_id),
            actor: some(&bound.actor),
        },
        timeout: None,
        depth: 0,
        client: None,
    }
}

impl Running<'_> {
    /// Stores the call, and says how it can be approved.
    pub(super) async fn ask_person(&self) -> CallError {
        let (def, context) = (&self.tool.tool.def, &self.request.context);
        // The arguments were checked before; only their form changes.
        let args = json::object(&self.request.args).unwrap_or_default();
        let shown_args = sanitised(&args);
        let bound = Bound {
            tenant_id: context.tenant_id.clone().unwrap_or_default(),
            actor: context.actor.clone().unwrap_or_default(),
            request_id: self.id.to_owned(),
            tool: def.name.clone(),
            risk_class: self.risk,
            pack_hash: self.tool.pack.verified.digest,
            policy_hash: self.caller.policy.digest(),
            args: canonical_json(&Value::Object(args)),
            shown_args,
        };
        let lifetime = Duration::from_secs(self.caller.config.approvals.expire_seconds.into());
        match self.caller.with_approvals(move |approvals| approvals.request(&bound, lifetime)).await {
            Ok(waiting) => CallError::needs_approval(waiting),
            Err(error) => CallError::approval(&error),
        }
    }

    /// Whether what was approved is still what would run.
    pub(super) fn check_approved(&self, approved: &Approved) -> Result<(), CallError> {
        let changed = if approved.bound.pack_hash != self.tool.pack.verified.digest {
            "the pack is another one than when the call was shown"
        } else if approved.bound.policy_hash != self.caller.policy.digest() {
            "the rules of rig.yaml are others than when the call was shown"
        } else {
            return Ok(());
        };
        let message = format!("the approval of `{}` does not hold any more: {changed}", approved.bound.tool);
        Err(CallError::new(ErrorKind::Conflict, message).with_hint("make the call again and approve that"))
    }

    /// Uses the approval up. Nothing but the run itself comes after it, so that no other failure costs the approval.
    pub(super) async fn claim(&self) -> Result<(), CallError> {
        let Some(approved) = &self.approved else { return Ok(()) };
        let (token, by) = (approved.token.clone(), approved.by.clone());
        let claimed = self.caller.with_approvals(move |approvals| approvals.claim(&token, &by)).await;
        claimed.map_err(|error| CallError::approval(&error))
    }
}
