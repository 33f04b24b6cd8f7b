//! `rig approvals`, `rig approve`, `rig deny`: the calls that wait for a person, and what the person says.

use std::sync::Arc;

use rig_host::{
    call::{Called, Caller, Decider, open},
    project::Project,
};
use rig_specs::rtp::{ApprovalRequired, ToolError, ToolResult};
use serde_json::Value;

use crate::cli::{
    args::{Approvals, Decide},
    commands::call,
    remote::{self, Gateway},
    render,
    report::{Failure, exit},
    session::{Answer, Session},
};

/// `rig approvals`.
pub fn list(session: &Session, args: &Approvals) -> Result<u8, Failure> {
    let waiting = if let Some(url) = &args.remote.url {
        of_tenant(remote_waiting(&Gateway::new(session, url)?)?, args.tenant.as_deref())
    } else {
        let project = session.project()?;
        Session::block_on(pipeline(session, &project)?.waiting(args.tenant.clone()))??
    };
    if args.json {
        render::json(&waiting)?;
    } else if waiting.is_empty() {
        session.ui.note("No call waits for approval.");
    } else {
        for call in &waiting {
            described(call)?.iter().for_each(|line| render::line(line));
        }
        session.ui.note("Run one with `rig approve TOKEN`, or take it back with `rig deny TOKEN`.");
    }
    Ok(exit::DONE)
}

/// `rig approve`.
pub fn approve(session: &Session, args: &Decide) -> Result<u8, Failure> {
    if let Some(url) = &args.remote.url {
        let gateway = Gateway::new(session, url)?;
        let token = token(session, args, "Run this call?", || remote_waiting(&gateway))?;
        let answer = gateway.decide(&token, "approve", &decider(session, args).by)?;
        return remote::show(&result(answer)?);
    }
    let project = session.project()?;
    let caller = pipeline(session, &project)?;
    let token = token(session, args, "Run this call?", || local_waiting(&caller))?;
    let decider = decider(session, args);
    let ended = Session::block_on(call::cancellable(async |cancel| caller.approve(&token, decider, cancel).await))?;
    call::show(session, ended)
}

/// `rig deny`.
pub fn deny(session: &Session, args: &Decide) -> Result<u8, Failure> {
    let question = "Take this call back?";
    if let Some(url) = &args.remote.url {
        let gateway = Gateway::new(session, url)?;
        let token = token(session, args, question, || remote_waiting(&gateway))?;
        let by = decider(session, args).by;
        let answer = gateway.decide(&token, "deny", &by)?;
        if answer["denied"] == true {
            return Ok(denied_by(session, &by));
        }
        return Err(not_denied(result(answer)?.error));
    }
    let project = session.project()?;
    let caller = pipeline(session, &project)?;
    let token = token(session, args, question, || local_waiting(&caller))?;
    let decider = decider(session, args);
    let by = decider.by.clone();
    let Called { denied, answer, .. } = Session::block_on(caller.deny(&token, decider))?;
    if denied { Ok(denied_by(session, &by)) } else { Err(not_denied(answer.ended.err())) }
}

fn denied_by(session: &Session, by: &str) -> u8 {
    session.ui.done(&format!("denied by {by}; the call will not run"));
    exit::DONE
}

fn not_denied(error: Option<ToolError>) -> Failure {
    let (message, hints) = error.map(|error| (error.message, error.remediation_hints)).unwrap_or_default();
    Failure::new(message).with_hint(hints.into_iter().next().unwrap_or_default())
}

fn local_waiting(caller: &Arc<Caller>) -> Result<Vec<ApprovalRequired>, Failure> {
    Ok(Session::block_on(caller.waiting(None))??)
}

fn remote_waiting(gateway: &Gateway) -> Result<Vec<ApprovalRequired>, Failure> {
    gateway.get(&["v1", "approvals"])
}

fn of_tenant(mut waiting: Vec<ApprovalRequired>, tenant: Option<&str>) -> Vec<ApprovalRequired> {
    waiting.retain(|call| tenant.is_none_or(|tenant| call.tenant_id == tenant));
    waiting
}

fn result(answer: Value) -> Result<ToolResult, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::of(&error, "use the same version of rig on both sides")
            .context("the gateway answered with something else than the result of a call")
    })
}

/// The token that was given; else the one of the only call that waits, once it was looked at.
fn token(
    session: &Session,
    args: &Decide,
    question: &str,
    waiting: impl FnOnce() -> Result<Vec<ApprovalRequired>, Failure>,
) -> Result<String, Failure> {
    if let Some(token) = &args.token {
        return Ok(token.clone());
    }
    let waiting = waiting()?;
    let [call] = waiting.as_slice() else {
        let many = waiting.len();
        return Err(match many {
            0 => Failure::new("no call waits for approval")
                .with_hint("a call that needs approval says so, with its token"),
            _ => Failure::usage(format!("{many} calls wait for approval"))
                .with_hint("name one by its token: rig approvals"),
        });
    };
    // Beside the answer, which alone stands on stdout. Shown whatever `--quiet` says: nobody approves what they did not see.
    described(call)?.iter().for_each(|line| session.ui.tell(line));
    match session.ask(question) {
        Answer::Yes => Ok(call.token.clone()),
        Answer::No => Err(Failure::new("nothing was decided; the call still waits")),
        Answer::NobodyThere => Err(Failure::new("there is no terminal to ask on")
            .with_hint("name the call by its token, or say --yes to the one that waits")),
    }
}

/// Damaged packs matter when a call of theirs is approved, and are named then.
fn pipeline(session: &Session, project: &Project) -> Result<Arc<Caller>, Failure> {
    let (snapshot, _) = open::snapshot(project, &session.home);
    session.caller(project, snapshot)
}

fn decider(session: &Session, args: &Decide) -> Decider {
    Decider { by: args.by.clone().unwrap_or_else(|| session.user.clone()), tenant: None }
}

/// What a person needs to know of a waiting call, a line for each.
fn described(call: &ApprovalRequired) -> Result<Vec<String>, Failure> {
    let who = |text: &str| if text.is_empty() { "nobody named".to_owned() } else { text.to_owned() };
    let args = serde_json::to_string(&call.args).map_err(|error| Failure::of(&error, ""))?;
    Ok(vec![
        format!("{}  {} [{}]", call.token, call.tool_name, call.risk_class.as_str()),
        format!("  asked by   {} (tenant: {})", who(&call.actor), who(&call.tenant_id)),
        format!("  asked at   {}, expires {}", call.requested_at, call.expires_at),
        format!("  arguments  {args}"),
    ])
}
