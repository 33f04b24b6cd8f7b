//! Streamable HTTP at `/mcp`, for both eras. Who may connect and call was checked before; here are MCP's own rules: its headers, its
//! sessions, and that nobody uses the session of another.

use std::{sync::Arc, time::Instant};

use axum::{Router, body::Body, extract::Request, response::Response, routing::any};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Limited};
use rmcp::{
    ErrorData,
    model::{ErrorCode, JsonRpcError},
    transport::{StreamableHttpServerConfig, StreamableHttpService},
};

use super::{
    Shared,
    server::Server,
    sessions::{LOOK, Sessions},
};
use crate::gateway::http::Identity;

/// Names the session that a request belongs to.
pub(super) const SESSION: &str = "mcp-session-id";

/// The JSON-RPC code for refusals that MCP has no code for.
const REFUSED: ErrorCode = ErrorCode(-32000);
/// rmcp's own words for a refusal are shorter than this.
const MAX_REFUSAL: usize = 16 << 10;

type Service = StreamableHttpService<Server, Sessions>;

struct Http {
    shared: Arc<Shared>,
    service: Service,
}

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let stopping = shared.gateway.stopping().clone();
    let config = StreamableHttpServerConfig::default()
        // One answer is one JSON body, unless something comes before it.
        .with_json_response(true)
        // The gateway knows its own names and checked them.
        .disable_allowed_hosts()
        .enforce_origin_validation()
        .with_cancellation_token(stopping.clone());
    let of = Arc::clone(shared);
    let server = move || Ok(Server::of_http(Arc::clone(&of)));
    let service = StreamableHttpService::new(server, Arc::clone(&shared.sessions), config);
    let http = Arc::new(Http { shared: Arc::clone(shared), service });
    let sessions = Arc::clone(&shared.sessions);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(LOOK) => sessions.end_idle(Instant::now()).await,
            }
        }
    });
    Router::new().route("/", any(move |request| async move { http.answer(request).await }))
}

impl Http {
    async fn answer(&self, request: Request) -> Response {
        let tenant = request.extensions().get::<Identity>().and_then(|identity| identity.tenant.clone());
        let sessions = &self.shared.sessions;
        if let Some(session) = request.headers().get(SESSION) {
            let known = session.to_str().is_ok_and(|session| sessions.belongs(session, tenant.as_deref()));
            if !known {
                return refusal(StatusCode::NOT_FOUND, "there is no such session; open another one with `initialize`");
            }
        }
        let mut service = self.service.clone();
        service.config.max_request_body_bytes = self.shared.max_message();
        service.config.allowed_origins = self.origins();
        let response = service.handle(request).await;
        if let Some(session) = response.headers().get(SESSION).and_then(|session| session.to_str().ok()) {
            sessions.opened(session, tenant);
        }
        in_json(response.map(Body::new)).await
    }

    /// The pages that may call: those that the project names, and those that this machine serves itself. The gateway's own check,
    /// which comes before, is stricter.
    fn origins(&self) -> Vec<String> {
        let live = self.shared.gateway.live();
        let own = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"].map(str::to_owned);
        let named = live.caller.config().server.allowed_origins.iter();
        own.into_iter().chain(named.map(|origin| with_port(origin))).collect()
    }
}

/// An origin with its port: without one it would mean every port.
fn with_port(origin: &str) -> String {
    let default = match url::Url::parse(origin) {
        Ok(url) if url.port().is_none() => url.port_or_known_default(),
        _ => None,
    };
    match default {
        Some(port) => format!("{}:{port}", origin.trim_end_matches('/')),
        None => origin.to_owned(),
    }
}

fn refusal(status: StatusCode, why: impl Into<String>) -> Response {
    let error = JsonRpcError::new(None, ErrorData::new(REFUSED, why.into(), None));
    let mut response = Response::new(Body::from(serde_json::to_vec(&error).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Refusals that rmcp writes as plain text, as JSON.
async fn in_json(response: Response) -> Response {
    let status = response.status();
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !(status.is_client_error() || status.is_server_error()) || is_json {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = Limited::new(body, MAX_REFUSAL).collect().await.map(http_body_util::Collected::to_bytes);
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    // A body that is no message is the fault of what it says, not of the type it says it in.
    let status = if text.starts_with("fail to deserialize") { StatusCode::BAD_REQUEST } else { status };
    let mut refused = refusal(status, text);
    for (name, value) in &parts.headers {
        refused.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    refused.headers_mut().remove(http::header::CONTENT_LENGTH);
    refused
}
