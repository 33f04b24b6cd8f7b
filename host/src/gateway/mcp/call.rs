//! A call of a tool: from the request to the pipeline, and from its answer to a result.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use rig_specs::{Sha256, rtp::CallContext};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, ClientCapabilities, InputRequiredResult, LoggingLevel,
        LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken,
    },
    service::RequestContext,
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Who, approve,
    ask::{self, Between, Link, Person, Said},
    content, needs,
    server::{Server, is_stateless},
    state::{Answers, Call, State},
};
use crate::{
    call::{Called, Request},
    gateway::Live,
    sandbox::{Level, Logged, Progress, Question},
};

/// The longest name of a tool that is looked up, and kept when there is none: longer ones are no names.
const MAX_TOOL: usize = 256;
/// The pause between the last report of progress and the answer. The official TypeScript client forgets a call when it reads the
/// answer, and takes a report that came in the same read for one of a call that it does not know.
const GAP: Duration = Duration::from_millis(2);

/// A call as it was asked for.
pub(super) struct Asked<'a> {
    pub(super) server: &'a Server,
    pub(super) live: Arc<Live>,
    pub(super) who: Who,
    pub(super) context: &'a RequestContext<RoleServer>,
    /// What names the call in a state.
    pub(super) call: Call,
}

/// How the part of a call ended that this request makes.
enum Ended {
    /// The pipeline answered.
    Called(Box<Called>),
    /// The tool asks, and the client has to come back with the answer.
    Waits(Question, Answers),
}

pub(super) async fn run(
    server: &Server,
    params: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let live = server.shared().gateway.live();
    let who = server.who(&context);
    let CallToolRequestParams { name, arguments, input_responses, request_state, .. } = params;
    let found = live.names.find(&name).and_then(|tool| live.caller.snapshot().get(tool));
    let Some(tool) = found.cloned() else {
        return Err(unknown(server, &live, who, &name).await);
    };
    let def = &tool.tool.def;
    needs::check(&def.input_schema, context.client_capabilities().as_ref())?;
    let args = arguments.map_or_else(|| "{}".to_owned(), |args| Value::Object(args).to_string());
    let call = Call {
        tool: def.name.clone(),
        args: Sha256::of(args.as_bytes()),
        tenant: who.tenant.clone(),
        pack: tool.pack.verified.digest,
    };
    let asked = Asked { server, live, who, context: &context, call };
    let state = request_state.filter(|_| is_stateless(&context)).map(|state| asked.open(&state)).transpose()?;
    let given = input_responses.unwrap_or_default();
    if let Some(State { approval: Some(token), .. }) = &state {
        return approve::decide(&asked, token, &given, &def.output_schema).await;
    }
    let answers = state.map(|state| state.answers).unwrap_or_default();
    let called = match asked.make(args, answers, given).await? {
        Ended::Called(called) => called,
        Ended::Waits(question, told) => return asked.wait(&question, told),
    };
    if let Some(waiting) = called.answer.waiting.as_deref()
        && let Some(response) = approve::ask(&asked, waiting, &def.output_schema).await?
    {
        return Ok(response);
    }
    asked.send_log(&called.record.log).await;
    Ok(content::result(called.answer, &def.output_schema).into())
}

impl Asked<'_> {
    /// Whether the client can ask its user to fill in a form.
    pub(super) fn can_ask(&self) -> bool {
        let form = |capabilities: ClientCapabilities| {
            // Without a word about its modes, a client has the one that came first.
            capabilities.elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
        };
        self.context.client_capabilities().is_some_and(form)
    }

    fn person(&self, recorded: Answers, given: BTreeMap<String, Value>) -> Person {
        if !self.can_ask() {
            return Person::Nobody("nobody can be asked: the MCP client does not have the `elicitation` capability");
        }
        match (is_stateless(self.context), &self.server.shared().seal) {
            (false, _) => Person::Now,
            (true, Some(_)) => Person::Between(Between::new(recorded, given).into()),
            (true, None) => {
                Person::Nobody("nobody can be asked: this machine has no random numbers to seal a call with")
            }
        }
    }

    /// Makes the call, and carries what the tool says meanwhile. Ends with the request: who cancelled it, or went away, waits for
    /// nothing any more.
    async fn make(&self, args: String, recorded: Answers, given: BTreeMap<String, Value>) -> Result<Ended, ErrorData> {
        let (said, mut says) = mpsc::unbounded_channel();
        let token = self.context.meta.get_progress_token();
        let link = Link { said, progress: token.is_some(), person: self.person(recorded, given) };
        let link = Arc::new(link);
        let request = Request {
            tool: self.call.tool.clone(),
            args,
            context: CallContext {
                tenant_id: self.who.tenant.clone(),
                request_id: None,
                actor: self.who.actor.clone(),
            },
            timeout: None,
            depth: 0,
            client: Some(Arc::clone(&link) as _),
        };
        let gone = self.server.gone(self.context);
        let mut calling = pin!(self.server.shared().gateway.call(&self.live, request));
        let mut cancelled = pin!(async {
            tokio::select! {
                () = self.context.ct.cancelled() => {}
                () = gone.cancelled() => {}
            }
        });
        let mut reported: Option<Instant> = None;
        loop {
            let next = tokio::select! {
                biased;
                () = &mut cancelled => return Err(self::cancelled()),
                Some(next) = says.recv() => next,
                called = &mut calling => {
                    // What was said before the end comes before the answer.
                    while let Ok(next) = says.try_recv() {
                        if let Said::Progress(progress) = next {
                            self.report(token.as_ref(), progress).await;
                            reported = Some(Instant::now());
                        }
                    }
                    if let Some(reported) = reported {
                        tokio::time::sleep_until(reported + GAP).await;
                    }
                    return Ok(Ended::Called(Box::new(called)));
                }
            };
            match next {
                Said::Progress(progress) => {
                    self.report(token.as_ref(), progress).await;
                    reported = Some(Instant::now());
                }
                Said::Waits(question) => return Ok(Ended::Waits(question, link.told())),
                Said::Unusable(error) => return Err(error),
                Said::Asks(question, mut reply) => {
                    let request = ask::request(&question, &self.call.tool);
                    let Ok(request) = request else {
                        let why = crate::sandbox::AskError::Unavailable(request.err().unwrap_or_default());
                        let _ = reply.send(Err(why));
                        continue;
                    };
                    let answered = tokio::select! {
                        () = &mut cancelled => return Err(self::cancelled()),
                        called = &mut calling => return Ok(Ended::Called(Box::new(called))),
                        answered = ask::elicit(&self.context.peer, request, reply.closed()) => answered,
                    };
                    let _ = reply.send(answered.and_then(|result| ask::to_reply(&question, result)));
                }
            }
        }
    }

    async fn report(&self, token: Option<&ProgressToken>, progress: Progress) {
        let Some(token) = token else { return };
        let mut param = ProgressNotificationParam::new(token.clone(), progress.done);
        (param.total, param.message) = (progress.total, progress.message);
        // A client that is gone cancels the call by other ways.
        let _ = self.context.peer.notify_progress(param).await;
    }

    /// The result that has the client ask, and come back.
    fn wait(&self, question: &Question, told: Answers) -> Result<CallToolResponse, ErrorData> {
        let request = ask::request(question, &self.call.tool);
        let request = request.map_err(|why| ErrorData::internal_error(why, None))?;
        self.input(question.key.clone(), request, State { call: self.call.clone(), answers: told, approval: None })
    }

    pub(super) fn input(
        &self,
        key: String,
        request: rmcp::model::ElicitRequest,
        state: State,
    ) -> Result<CallToolResponse, ErrorData> {
        let sealed = self.server.shared().seal.as_ref().map(|seal| seal.seal(state)).transpose()?;
        let requests = BTreeMap::from([(key, ask::input(request))]);
        Ok(InputRequiredResult::new(Some(requests), sealed).into())
    }

    fn open(&self, state: &str) -> Result<State, ErrorData> {
        let none = || ErrorData::invalid_params("this server gives out no requestState", None);
        self.server.shared().seal.as_ref().ok_or_else(none)?.open(state, &self.call)
    }

    /// What the pack logged, if the client asked for it.
    async fn send_log(&self, log: &Logged) {
        let Some(least) = self.server.level(self.context).filter(|_| !log.lines.is_empty()) else { return };
        for line in &log.lines {
            let level = level(line.level);
            if severity(level) < severity(least) {
                continue;
            }
            let mut param = LoggingMessageNotificationParam::new(level, Value::String(line.message.clone()));
            param.logger = Some(self.call.tool.clone());
            if self.context.peer.notify_logging_message(param).await.is_err() {
                return;
            }
        }
    }
}

/// Nobody reads it: the client has gone or takes no answer to what it cancelled.
fn cancelled() -> ErrorData {
    ErrorData::internal_error("the request was cancelled", None)
}

/// The error for a tool that there is not. It has its row in the audit log like any other call.
async fn unknown(server: &Server, live: &Live, who: Who, name: &str) -> ErrorData {
    let request = Request {
        tool: name.chars().take(MAX_TOOL).collect(),
        args: "{}".into(),
        context: CallContext { tenant_id: who.tenant, request_id: None, actor: who.actor },
        timeout: None,
        depth: 0,
        client: None,
    };
    let called = server.shared().gateway.call(live, request).await;
    match called.answer.ended {
        Err(error) => ErrorData::invalid_params(content::text(&error), Some(json!({ "error": error }))),
        Ok(_) => ErrorData::internal_error("a tool without a name was called", None),
    }
}

const fn level(level: Level) -> LoggingLevel {
    match level {
        Level::Debug => LoggingLevel::Debug,
        Level::Info => LoggingLevel::Info,
        Level::Warn => LoggingLevel::Warning,
        Level::Error => LoggingLevel::Error,
    }
}

/// Levels in their order, from the least important.
const fn severity(level: LoggingLevel) -> u8 {
    match level {
        LoggingLevel::Debug => 0,
        LoggingLevel::Info => 1,
        LoggingLevel::Notice => 2,
        LoggingLevel::Warning => 3,
        LoggingLevel::Error => 4,
        LoggingLevel::Critical => 5,
        LoggingLevel::Alert => 6,
        LoggingLevel::Emergency => 7,
    }
}
