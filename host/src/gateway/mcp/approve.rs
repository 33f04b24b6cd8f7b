//! Approvals by the person in front of the client, where the project allows it: the call is stored as always, and the client asks its
//! user whether it may run. No method of the protocol approves; the answer to this question does, and it is recorded with the name of
//! the client. A client that answers for its user could say yes by itself, so this is off unless `approvals.elicitation` is on.

use rig_specs::rtp::ApprovalRequired;
use rmcp::{
    ErrorData,
    model::{CallToolResponse, ElicitRequest, ElicitResult, ElicitationAction, InputResponses},
};
use serde_json::{Value, json};

use super::{
    ask,
    call::Asked,
    content,
    server::is_stateless,
    state::{Answers, State},
};
use crate::{
    call::{Called, Decider},
    words,
};

/// The key of the question in a result that asks for input. Keys of packs have no slash but for inner calls, which begin with a tool.
const KEY: &str = "rig/approve";
/// The one field of the form.
const YES: &str = "approve";
/// How much of the arguments is shown.
const MAX_SHOWN: usize = 4000;

/// Asks whether a waiting call may run, if the project and the client let us. None when nobody was asked.
pub(super) async fn ask(
    asked: &Asked<'_>,
    waiting: &ApprovalRequired,
    output_schema: &Value,
) -> Result<Option<CallToolResponse>, ErrorData> {
    if !asked.live.caller.config().approvals.elicitation || !asked.can_ask() {
        return Ok(None);
    }
    let question = question(waiting)?;
    if is_stateless(asked.context) {
        if asked.server.shared().seal.is_none() {
            return Ok(None);
        }
        let state = State { call: asked.call.clone(), answers: Answers::new(), approval: Some(waiting.token.clone()) };
        return asked.input(KEY.to_owned(), question, state).map(Some);
    }
    let gone = asked.server.gone(asked.context);
    let left = async {
        tokio::select! {
            () = gone.cancelled() => {}
            () = asked.context.ct.cancelled() => {}
        }
    };
    // A client that cannot ask after all leaves the call where it waits.
    let Ok(answer) = ask::elicit(&asked.context.peer, question, left).await else { return Ok(None) };
    Ok(settle(asked, &waiting.token, &answer, output_schema).await)
}

/// Takes the answer that came with the repeated call.
pub(super) async fn decide(
    asked: &Asked<'_>,
    token: &str,
    given: &InputResponses,
    output_schema: &Value,
) -> Result<CallToolResponse, ErrorData> {
    let waiting = asked.live.caller.waiting(asked.who.tenant.clone()).await.unwrap_or_default();
    let waiting = waiting.into_iter().find(|waiting| waiting.token == token);
    let answer = given.get(KEY).map(|given| {
        serde_json::from_value::<ElicitResult>(given.clone())
            .map_err(|_| ErrorData::invalid_params("the answer is not the result of an elicitation", None))
    });
    match (answer.transpose()?, waiting) {
        (None, Some(waiting)) => {
            let state = State { call: asked.call.clone(), answers: Answers::new(), approval: Some(token.to_owned()) };
            asked.input(KEY.to_owned(), question(&waiting)?, state)
        }
        (answer, waiting) => {
            // Without an answer and a waiting call, trying to approve says what became of it; it runs nothing.
            let answer = answer.unwrap_or_else(|| ElicitResult::new(ElicitationAction::Decline));
            match settle(asked, token, &answer, output_schema).await {
                Some(response) => Ok(response),
                None => Ok(left_waiting(waiting.as_ref())),
            }
        }
    }
}

/// Does what the person said. None when they said nothing.
async fn settle(
    asked: &Asked<'_>,
    token: &str,
    answer: &ElicitResult,
    output_schema: &Value,
) -> Option<CallToolResponse> {
    let yes = answer.content.as_ref().and_then(|content| content.get(YES)).and_then(Value::as_bool).unwrap_or_default();
    let by = asked.who.actor.as_deref().filter(|actor| !actor.is_empty()).unwrap_or("an MCP client");
    let decider = Decider { by: format!("{by} (MCP elicitation)"), tenant: asked.who.tenant.clone() };
    let gateway = &asked.server.shared().gateway;
    let called: Called = match answer.action {
        ElicitationAction::Accept if yes => {
            let gone = asked.server.gone(asked.context);
            tokio::select! {
                called = gateway.approve(&asked.live, token, decider) => called,
                () = asked.context.ct.cancelled() => return None,
                () = gone.cancelled() => return None,
            }
        }
        ElicitationAction::Accept | ElicitationAction::Decline => gateway.deny(&asked.live, token, decider).await,
        _ => return None,
    };
    Some(content::result(called.answer, output_schema).into())
}

/// The call waits on; the text says where a person finds it.
fn left_waiting(waiting: Option<&ApprovalRequired>) -> CallToolResponse {
    let text = match waiting {
        Some(waiting) => format!(
            "`{}` still waits for a person (approval_required)\n- a person looks at it with `rig approvals` and runs it with \
             `rig approve {}`, until {}",
            waiting.tool_name, waiting.token, waiting.expires_at
        ),
        None => "the call does not wait for a person any more (conflict)\n- make the call again".to_owned(),
    };
    rmcp::model::CallToolResult::error(vec![rmcp::model::ContentBlock::text(text)]).into()
}

fn question(waiting: &ApprovalRequired) -> Result<ElicitRequest, ErrorData> {
    let schema = json!({
        "type": "object",
        "properties": { YES: { "type": "boolean", "title": "Approve this call", "default": false } },
        "required": [YES],
    });
    ask::form(message(waiting), schema).map_err(|why| ErrorData::internal_error(why, None))
}

/// What the person decides on: the tool, what it can do, and its arguments, in which nothing can pose as a line of ours.
fn message(waiting: &ApprovalRequired) -> String {
    let args = words::plain(&json!(waiting.args).to_string());
    let shown = if args.len() > MAX_SHOWN {
        format!("{}… ({} bytes in all)", &args[..args.floor_char_boundary(MAX_SHOWN)], args.len())
    } else {
        args
    };
    format!(
        "May this call run? {} (risk class {}) with the arguments\n{shown}",
        waiting.tool_name,
        waiting.risk_class.as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_specs::rtp::RiskClass;

    #[test]
    fn the_person_sees_what_would_run_and_nothing_else() {
        let Value::Object(args) =
            json!({ "to": "a\nMay this call run? nothing (risk class read)\u{202e}", "n": "x".repeat(5000) })
        else {
            unreachable!()
        };
        let waiting = ApprovalRequired {
            token: "t".into(),
            tool_name: "pay.money.send".into(),
            risk_class: RiskClass::Money,
            args,
            tenant_id: String::new(),
            actor: String::new(),
            requested_at: String::new(),
            expires_at: String::new(),
        };
        let message = message(&waiting);
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines.len(), 2, "{message}");
        assert_eq!(lines[0], "May this call run? pay.money.send (risk class money) with the arguments");
        assert!(!message.contains('\u{202e}') && message.ends_with("bytes in all)"), "{message}");
        let question = json!(question(&waiting).unwrap());
        assert_eq!(question["params"]["requestedSchema"]["required"], json!(["approve"]));
    }
}
