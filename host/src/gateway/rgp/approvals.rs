//! `GET /v1/approvals`, `POST /v1/approvals/{token}:approve` and `:deny`. What runs is what was stored; nothing that is sent here
//! becomes part of it.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use http::Request;
use rig_specs::rgp::Denied;

use super::{
    super::{
        Gateway,
        http::{Identity, body, problem::Problem},
    },
    Answer, call, envelope, identity, json,
};
use crate::call::Decider;

/// A decision has no body to speak of: `{}`, or the context that some clients send with everything.
const MAX_BODY: usize = 16 << 10;

pub(super) async fn list(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Answer {
    let identity = identity(&request);
    identity.must_approve()?;
    match gateway.live().caller.waiting(identity.scope).await {
        Ok(waiting) => json(&waiting),
        Err(error) => Err(Problem::unavailable(format!("{error}: {}", error.hint()))),
    }
}

pub(super) async fn approve(gateway: &Gateway, token: &str, request: Request<Body>) -> Answer {
    let decider = decider(request).await?;
    Ok(call::answer(&gateway.approve(&gateway.live(), token, decider).await))
}

pub(super) async fn deny(gateway: &Gateway, token: &str, request: Request<Body>) -> Answer {
    let decider = decider(request).await?;
    let called = gateway.deny(&gateway.live(), token, decider).await;
    if called.denied {
        return json(&Denied { denied: true, token: token.to_owned() });
    }
    Ok(call::answer(&called))
}

/// Who decides, once it is certain that they may.
async fn decider(request: Request<Body>) -> Result<Decider, Problem> {
    let identity = identity(&request);
    identity.must_approve()?;
    let text = body::text(request, MAX_BODY).await?;
    if !text.is_empty() && !envelope::object(&text)?.is_empty() {
        return Err(Problem::invalid("a decision has no body, or an empty object: what runs is what was stored"));
    }
    Ok(Decider { by: by(&identity), tenant: identity.scope })
}

/// The name that is recorded: the person's own, where the request says it.
fn by(identity: &Identity) -> String {
    match (&identity.actor, &identity.scope) {
        (Some(actor), _) => actor.clone(),
        (None, Some(tenant)) => format!("an approver of {tenant}"),
        (None, None) => "somebody at the API".to_owned(),
    }
}
