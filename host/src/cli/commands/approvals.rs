//! `rig approvals`, `rig approve`, `rig deny`: the calls that wait for a person, and what the person says.

use std::sync::Arc;

use rig_host::{
    call::{Called, Caller, Decider, open},
    project::Project,
};
use rig_specs::rtp::ApprovalRequired;

use crate::cli::{
    args::{Approvals, Decide},
    commands::call,
    render,
    report::{Failure, exit},
    session::Session,
};

/// `rig approvals`.
pub fn list(session: &Session, args: &Approvals) -> Result<u8, Failure> {
    let project = session.project()?;
    let caller = pipeline(session, &project)?;
    let waiting = Session::block_on(caller.waiting(args.tenant.clone()))??;
    if args.json {
        render::json(&waiting)?;
    } else if waiting.is_empty() {
        session.ui.note("No call waits for approval.");
    } else {
        for call in &waiting {
            show(call)?;
        }
        session.ui.note("Run one with `rig approve TOKEN`, or take it back with `rig deny TOKEN`.");
    }
    Ok(exit::DONE)
}

/// `rig approve`.
pub fn approve(session: &Session, args: &Decide) -> Result<u8, Failure> {
    let project = session.project()?;
    let caller = pipeline(session, &project)?;
    let decider = decider(session, args);
    let ended =
        Session::block_on(call::cancellable(async |cancel| caller.approve(&args.token, decider, cancel).await))?;
    call::show(session, ended)
}

/// `rig deny`.
pub fn deny(session: &Session, args: &Decide) -> Result<u8, Failure> {
    let project = session.project()?;
    let caller = pipeline(session, &project)?;
    let decider = decider(session, args);
    let by = decider.by.clone();
    let Called { denied, answer, .. } = Session::block_on(caller.deny(&args.token, decider))?;
    if denied {
        session.ui.done(&format!("denied by {by}; the call will not run"));
        return Ok(exit::DONE);
    }
    let error = answer.ended.err();
    let (message, hints) = error.map(|error| (error.message, error.remediation_hints)).unwrap_or_default();
    Err(Failure::new(message).with_hint(hints.into_iter().next().unwrap_or_default()))
}

/// Damaged packs matter when a call of theirs is approved, and are named then.
fn pipeline(session: &Session, project: &Project) -> Result<Arc<Caller>, Failure> {
    let (snapshot, _) = open::snapshot(project, &session.home);
    session.caller(project, snapshot)
}

fn decider(session: &Session, args: &Decide) -> Decider {
    Decider { by: args.by.clone().unwrap_or_else(|| session.user.clone()), tenant: None }
}

fn show(call: &ApprovalRequired) -> Result<(), Failure> {
    let who = |text: &str| if text.is_empty() { "nobody named".to_owned() } else { text.to_owned() };
    render::line(&format!("{}  {} [{}]", call.token, call.tool_name, call.risk_class.as_str()));
    render::line(&format!("  asked by   {} (tenant: {})", who(&call.actor), who(&call.tenant_id)));
    render::line(&format!("  asked at   {}, expires {}", call.requested_at, call.expires_at));
    let args = serde_json::to_string(&call.args).map_err(|error| Failure::of(&error, ""))?;
    render::line(&format!("  arguments  {args}"));
    Ok(())
}
