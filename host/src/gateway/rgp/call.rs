//! `POST /v1/tools/{name}:call`, and the form of the answer of every call.

use axum::{body::Body, response::Response};
use http::{HeaderValue, Request};
use rig_specs::rtp::CallContext;

use super::{
    super::{
        Gateway,
        http::{CORRELATION_ID, Identity, body, problem::Problem},
    },
    Answer,
    envelope::Envelope,
    json_text,
};
use crate::call::{self, Called};

/// What a body may hold beside the arguments.
const ENVELOPE: usize = 64 << 10;

pub(super) async fn call(gateway: &Gateway, name: &str, identity: Identity, request: Request<Body>) -> Answer {
    let live = gateway.live();
    let correlation = request.headers().get(&CORRELATION_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let limit = live.caller.config().limits.args.as_usize().saturating_add(ENVELOPE);
    let text = body::text(request, limit).await?;
    let Envelope { args, context } = Envelope::read(&text)?;
    let context = CallContext {
        tenant_id: identity.tenant_of(context.tenant_id)?,
        request_id: context.request_id.or(correlation.filter(|id| !id.is_empty())),
        actor: context.actor.or(identity.actor),
    };
    // What a list in another format calls a tool is a name of it too.
    let tool = match live.caller.snapshot().get(name) {
        Some(_) => name,
        None => live.names.find(name).unwrap_or(name),
    };
    let request =
        call::Request { tool: tool.to_owned(), args: args.to_owned(), context, timeout: None, depth: 0, client: None };
    Ok(answer(&gateway.call(&live, request).await))
}

/// The answer of a call: a result, whether it succeeded or not.
pub(super) fn answer(called: &Called) -> Response {
    let id = HeaderValue::try_from(called.answer.correlation_id.as_str());
    let mut response = match text(&called.answer) {
        Ok(text) => json_text(text),
        Err(error) => {
            return axum::response::IntoResponse::into_response(Problem::internal(error.to_string()));
        }
    };
    // The id of a stored call may have come over another way than HTTP.
    if let Ok(id) = id {
        response.headers_mut().insert(CORRELATION_ID, id);
    }
    response
}

/// A [`rig_specs::rtp::ToolResult`] as JSON. The output is JSON already and goes in as it is.
fn text(answer: &call::Answer) -> Result<String, serde_json::Error> {
    let mut text = String::with_capacity(512 + answer.ended.as_ref().map_or(0, String::len));
    text.push_str(if answer.ended.is_ok() { r#"{"ok":true"# } else { r#"{"ok":false"# });
    match &answer.ended {
        Ok(output) => {
            text.push_str(r#","output":"#);
            text.push_str(output);
            text.push_str(r#","error":null"#);
        }
        Err(error) => {
            text.push_str(r#","output":null,"error":"#);
            text.push_str(&serde_json::to_string(error)?);
        }
    }
    for (key, value) in [
        ("correlation_id", &*answer.correlation_id),
        ("pack", &answer.pack),
        ("pack_version", &answer.pack_version),
        ("interface_hash", &answer.interface_hash),
        ("pack_set_version", &answer.pack_set_version),
    ] {
        text.extend([",\"", key, "\":"]);
        if value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
            text.extend(["\"", value, "\""]);
        } else {
            text.push_str(&serde_json::to_string(value)?);
        }
    }
    text.push('}');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rig_specs::rtp::{ErrorKind, ToolError, ToolResult};

    #[test]
    fn the_text_of_an_answer_is_a_result() {
        let error = ToolError {
            kind: ErrorKind::NotFound,
            message: "no \"x\"".into(),
            retryable: false,
            upstream_code: None,
            remediation_hints: vec!["look".into()],
            correlation_id: "c\"1".into(),
        };
        for ended in [Ok(r#"{ "a": [1, "\u00e9"] }"#.to_owned()), Err(error)] {
            let answer = call::Answer {
                ended,
                correlation_id: "c\"1".into(),
                pack: "p".into(),
                pack_version: "1.0.0".into(),
                interface_hash: "sha256:0".into(),
                pack_set_version: "s".into(),
                waiting: None,
            };
            let read: ToolResult = serde_json::from_str(&text(&answer).unwrap()).unwrap();
            assert_eq!(read, answer.into_result());
        }
    }
}
