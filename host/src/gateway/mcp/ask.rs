//! The way from a running tool to the person in front of the client: progress, and questions.
//!
//! In the older era the question goes to the client while the tool waits. In the stateless one nobody can be called back: the call
//! ends, its result says what is asked, and the client makes the call again with the answer. The tool then runs from its start, and is
//! given the answers that there are; that is why a pack may only ask before it changes anything.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use rig_specs::Sha256;
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
        InputRequest, InputResponses, ServerRequest,
    },
    service::{Peer, PeerRequestOptions},
};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use super::state::{Answered, Answers};
use crate::sandbox::{AskError, AskFuture, Client, Progress, Question, Reply};

/// What a running tool says to the one who serves its request.
pub(super) enum Said {
    /// How far it is.
    Progress(Progress),
    /// A question, and where the reply goes.
    Asks(Question, oneshot::Sender<Result<Reply, AskError>>),
    /// A question without an answer so far: the call cannot go on in this request.
    Waits(Question),
    /// An answer to a question that is none.
    Unusable(ErrorData),
}

/// Who can be asked.
pub(super) enum Person {
    /// Nobody, and why.
    Nobody(&'static str),
    /// The client asks while the call waits.
    Now,
    /// The client asks between two calls.
    Between(Mutex<Between>),
}

/// What is known of the answers in the stateless era.
pub(super) struct Between {
    /// From the rounds before.
    recorded: Answers,
    /// With this request, by key.
    given: InputResponses,
    /// What the tool was told in this run.
    told: Answers,
}

/// The client of one call.
pub(super) struct Link {
    pub(super) said: mpsc::UnboundedSender<Said>,
    /// Whether the client wants to know how far the call is.
    pub(super) progress: bool,
    pub(super) person: Person,
}

impl Between {
    pub(super) fn new(recorded: Answers, given: InputResponses) -> Self {
        Self { recorded, given, told: BTreeMap::new() }
    }

    /// The answer to a question, if there is one.
    fn reply(&mut self, question: &Question) -> Result<Option<Reply>, ErrorData> {
        let hash = hash(question);
        let recorded = self.recorded.get(&question.key).filter(|answered| answered.question == hash);
        let reply = match (recorded, self.given.get(&question.key)) {
            (Some(answered), _) => answered.reply(),
            (None, Some(given)) => reply(question, given)
                .map_err(|why| ErrorData::invalid_params(format!("the answer to `{}` {why}", question.key), None))?,
            (None, None) => return Ok(None),
        };
        self.told.insert(question.key.clone(), Answered::new(hash, &reply));
        Ok(Some(reply))
    }
}

impl Link {
    /// What the tool was told so far; to be kept for the next round.
    pub(super) fn told(&self) -> Answers {
        match &self.person {
            Person::Between(between) => between.lock().unwrap_or_else(PoisonError::into_inner).told.clone(),
            _ => Answers::new(),
        }
    }
}

impl Client for Link {
    fn progress(&self, progress: Progress) {
        if self.progress {
            // Nobody listens any more when the request has ended.
            let _ = self.said.send(Said::Progress(progress));
        }
    }

    fn ask(&self, question: Question) -> AskFuture<'_> {
        Box::pin(async move {
            let said = match &self.person {
                Person::Nobody(why) => return Err(AskError::Unavailable((*why).into())),
                Person::Now => {
                    let (send, reply) = oneshot::channel();
                    let _ = self.said.send(Said::Asks(question, send));
                    let gone = || AskError::Unavailable("the client went away before there was an answer".into());
                    return reply.await.unwrap_or_else(|_| Err(gone()));
                }
                Person::Between(between) => {
                    match between.lock().unwrap_or_else(PoisonError::into_inner).reply(&question) {
                        Ok(Some(reply)) => return Ok(reply),
                        Ok(None) => Said::Waits(question),
                        Err(error) => Said::Unusable(error),
                    }
                }
            };
            let _ = self.said.send(said);
            // The request ends, and the call with it.
            std::future::pending().await
        })
    }
}

/// Names a question by everything that the person sees of it.
fn hash(question: &Question) -> Sha256 {
    let Question { key, from, message, form } = question;
    Sha256::of_json(&json!({ "key": key, "from": from, "message": message, "form": form.schema() }))
}

/// What a person replied, as the client says it.
fn reply(question: &Question, given: &Value) -> Result<Reply, String> {
    let given: ElicitResult =
        serde_json::from_value(given.clone()).map_err(|_| "is not the result of an elicitation".to_owned())?;
    replied(given, |answer| question.form.accept(answer))
}

fn replied(
    given: ElicitResult,
    accept: impl FnOnce(Map<String, Value>) -> Result<Map<String, Value>, String>,
) -> Result<Reply, String> {
    match (given.action, given.content) {
        (ElicitationAction::Accept, Some(Value::Object(answer))) => {
            accept(answer).map(Reply::Accepted).map_err(|why| format!("does not fit the question: {why}"))
        }
        (ElicitationAction::Accept, None) => {
            accept(Map::new()).map(Reply::Accepted).map_err(|why| format!("does not fit the question: {why}"))
        }
        (ElicitationAction::Accept, Some(_)) => Err("is not an object".into()),
        (ElicitationAction::Decline, _) => Ok(Reply::Declined),
        _ => Ok(Reply::Cancelled),
    }
}

/// The question as the protocol has it. It names the tool that asks: the person knows the client and the gateway, and would take every
/// question for theirs.
pub(super) fn request(question: &Question, tool: &str) -> Result<ElicitRequest, String> {
    let tool = question.from.as_deref().unwrap_or(tool);
    let message = format!("{}\n\n(asked by the tool {tool})", question.message);
    form(message, Value::Object(question.form.schema().clone()))
}

/// A question of the gateway's own.
pub(super) fn form(message: String, schema: Value) -> Result<ElicitRequest, String> {
    let requested_schema: ElicitationSchema = serde_json::from_value(schema)
        .map_err(|error| format!("the question cannot be shown by MCP clients: {error}"))?;
    Ok(ElicitRequest::new(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema }))
}

/// The question as a part of a result that asks for input.
pub(super) fn input(request: ElicitRequest) -> InputRequest {
    InputRequest::Elicitation(request)
}

/// Asks the client, in the older era, and waits for the person. `left` ends the wait when nobody needs the reply any more.
///
/// To be called by the task that serves the request: rmcp sends the question to the same stream as the request's answer.
pub(super) async fn elicit(
    peer: &Peer<RoleServer>,
    request: ElicitRequest,
    left: impl Future<Output = ()>,
) -> Result<ElicitResult, AskError> {
    let unavailable = |why: &str| AskError::Unavailable(format!("the client did not ask: {why}"));
    let asked = peer
        .send_cancellable_request(ServerRequest::ElicitRequest(request), PeerRequestOptions::no_options())
        .await
        .map_err(|error| unavailable(&error.to_string()))?;
    let mut asked = asked;
    let answered = tokio::select! {
        answered = &mut asked.rx => Some(answered),
        () = left => None,
    };
    match answered {
        Some(Ok(Ok(ClientResult::ElicitResult(result)))) => Ok(result),
        Some(Ok(Ok(_))) => Err(unavailable("it answered something else")),
        Some(Ok(Err(error))) => Err(unavailable(&error.to_string())),
        Some(Err(_)) => Err(unavailable("it went away")),
        None => {
            // The form need not stay open.
            let _ = asked.cancel(Some("the call has ended".into())).await;
            Err(unavailable("the call has ended"))
        }
    }
}

/// A reply to a question of a pack.
pub(super) fn to_reply(question: &Question, result: ElicitResult) -> Result<Reply, AskError> {
    let replied = replied(result, |answer| question.form.accept(answer));
    replied.map_err(|why| AskError::Unavailable(format!("the answer {why}")))
}

#[cfg(test)]
mod tests;
