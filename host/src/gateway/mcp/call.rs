//! A call of a tool: from the request to the pipeline, and from its answer to a result.

use rig_specs::rtp::CallContext;
use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, LoggingLevel, LoggingMessageNotificationParam},
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{content, server::Server};
use crate::{
    call::{Called, Request},
    gateway::Live,
    sandbox::{Level, Logged},
};

/// The longest name of a tool that is looked up, and kept when there is none: longer ones are no names.
const MAX_TOOL: usize = 256;

pub(super) async fn run(
    server: &Server,
    params: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let live = server.shared().gateway.live();
    let who = server.who(&context);
    let Some(tool) = live.names.find(&params.name) else {
        return Err(unknown(server, &live, &params.name, &context).await);
    };
    let args = params.arguments.map_or_else(|| "{}".to_owned(), |args| Value::Object(args).to_string());
    let request = Request {
        tool: tool.to_owned(),
        args,
        context: CallContext { tenant_id: who.tenant, request_id: None, actor: who.actor },
        timeout: None,
        depth: 0,
        client: None,
    };
    let called = running(server, &live, request, &context).await?;
    send_log(server, tool, &called.record.log, &context).await;
    let schema = live.caller.snapshot().get(tool).map(|tool| &tool.tool.def.output_schema);
    Ok(content::result(called.answer, schema.unwrap_or(&Value::Null)).into())
}

/// The call while it runs. Ends with the request: who cancelled it, or went away, waits for nothing any more.
async fn running(
    server: &Server,
    live: &Live,
    request: Request,
    context: &RequestContext<RoleServer>,
) -> Result<Called, ErrorData> {
    let gone = server.gone(context);
    tokio::select! {
        called = server.shared().gateway.call(live, request) => Ok(called),
        () = context.ct.cancelled() => Err(cancelled()),
        () = gone.cancelled() => Err(cancelled()),
    }
}

/// Nobody reads it: the client has gone or takes no answer to what it cancelled.
fn cancelled() -> ErrorData {
    ErrorData::internal_error("the request was cancelled", None)
}

/// The error for a tool that there is not. It has its row in the audit log like any other call.
async fn unknown(server: &Server, live: &Live, name: &str, context: &RequestContext<RoleServer>) -> ErrorData {
    let who = server.who(context);
    let name: String = name.chars().take(MAX_TOOL).collect();
    let request = Request {
        tool: name,
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

/// What the pack logged, if the client asked for it.
async fn send_log(server: &Server, tool: &str, log: &Logged, context: &RequestContext<RoleServer>) {
    let Some(least) = server.level(context).filter(|_| !log.lines.is_empty()) else { return };
    for line in &log.lines {
        let level = level(line.level);
        if severity(level) < severity(least) {
            continue;
        }
        let mut param = LoggingMessageNotificationParam::new(level, Value::String(line.message.clone()));
        param.logger = Some(tool.to_owned());
        let sent = context.peer.notify_logging_message(param).await;
        if sent.is_err() {
            return;
        }
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
        _ => 7,
    }
}
