//! The HTTP side of the gateway: connections, limits, and who may call. What the paths mean is the matter of [`super::rgp`] and
//! [`super::mcp`].

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::{
    HeaderValue, Method, Request,
    header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
};
use hyper::body::Incoming;
use tokio::{net::TcpListener, sync::Semaphore, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

use super::{DRAIN, Gateway, mcp, rgp};
use guard::Local;
use problem::Problem;

pub(super) mod body;
mod connection;
mod guard;
pub(super) mod problem;
mod wire;

pub use guard::{ACTOR_ID, CORRELATION_ID, Identity, MAX_NAME, TENANT_ID};

/// Connections that are served at once. Each costs a file and some kilobytes; more wait in the listener's backlog. Enough for a
/// thousand calls in flight and those who watch them.
const MAX_CONNECTIONS: usize = 2048;
/// How long to wait when no connection can be taken, for example because the process has no files left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// The API and MCP.
    All,
    /// MCP alone.
    Mcp,
}

impl Serves {
    /// In words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::All => "the API (/v1) and MCP (/mcp)",
            Self::Mcp => "MCP (/mcp)",
        }
    }
}

/// What all connections share.
pub(super) struct Server {
    gateway: Arc<Gateway>,
    router: Router,
    what: Serves,
}

/// Serves until the gateway stops, and the requests in flight have their answers.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, what: Serves) {
    let stopping = gateway.stopping().clone();
    let server = Arc::new(Server { router: router(&gateway, what), gateway, what });
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (connections, hurry) = (TaskTracker::new(), CancellationToken::new());
    let accept = async {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let Ok(local) = stream.local_addr() else { continue };
                    // Small answers would otherwise wait for the client's acknowledgement of the one before.
                    let _ = stream.set_nodelay(true);
                    let (server, hurry) = (Arc::clone(&server), hurry.clone());
                    connections.spawn(async move {
                        let open = server.gateway.metrics().connection();
                        connection::serve(server, Local::new(local), stream, hurry).await;
                        drop((open, slot));
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = accept => {}
    }
    drop(listener);
    connections.close();
    if time::timeout(DRAIN, connections.wait()).await.is_err() {
        hurry.cancel();
        connections.wait().await;
    }
}

/// Whether an error is about the connection that was to be taken, and says nothing about the next.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn router(gateway: &Arc<Gateway>, what: Serves) -> Router {
    let routes = match what {
        Serves::All => rgp::router(gateway),
        Serves::Mcp => rgp::base(gateway),
    };
    routes.nest("/mcp", mcp::router(gateway)).fallback(nowhere)
}

async fn nowhere(request: Request<Body>) -> Problem {
    let path: String = request.uri().path().escape_debug().take(MAX_NAME).collect();
    Problem::not_found(format!("there is nothing at {path}"))
}

impl Server {
    /// The one outer place of every request: who may call, the answer, what both leave in headers and metrics.
    async fn answer(&self, local: &Local, request: Request<Incoming>) -> Response<Body> {
        let route = rgp::template(request.uri().path());
        let correlation = guard::name(request.headers(), &CORRELATION_ID);
        let mut origin = None;
        let mut response = match self.admit(local, &request, route, &mut origin) {
            Ok(Admitted::Answer(response)) => response,
            Ok(Admitted::Caller(identity)) => self.guarded(identity, route, request).await,
            Err(problem) => problem.into_response(),
        };
        let headers = response.headers_mut();
        guard::allow_origin(headers, origin);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(CACHE_CONTROL).or_insert(const { HeaderValue::from_static("no-store") });
        if let Ok(Some(id)) = correlation
            && !headers.contains_key(&CORRELATION_ID)
            && let Ok(id) = HeaderValue::try_from(id)
        {
            headers.insert(CORRELATION_ID, id);
        }
        self.gateway.metrics().request(route, response.status());
        response
    }

    fn admit(
        &self,
        local: &Local,
        request: &Request<Incoming>,
        route: &str,
        origin: &mut Option<HeaderValue>,
    ) -> Result<Admitted, Problem> {
        let (live, headers) = (self.gateway.live(), request.headers());
        let server = &live.caller.config().server;
        let host = guard::check_host(request.uri(), headers, local, server)?;
        *origin = guard::check_origin(headers, host, server)?;
        if origin.is_some()
            && let Some(response) = guard::preflight(request.method(), headers)
        {
            return Ok(Admitted::Answer(response));
        }
        guard::name(headers, &CORRELATION_ID)?;
        guard::identify(headers, &live.tenants, rgp::is_open(route)).map(Admitted::Caller)
    }

    /// What stands behind the path answers. Calls of tools, which are nearly all requests, do not take the way through the router.
    async fn routed(&self, identity: Identity, route: &str, request: Request<Incoming>) -> Response<Body> {
        let mut request = request.map(Body::new);
        if route == rgp::CALLS && self.what == Serves::All && request.method() == Method::POST {
            return rgp::call(&self.gateway, identity, request).await.into_response();
        }
        request.extensions_mut().insert(identity);
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The same. A panic is this request's alone.
    async fn guarded(&self, identity: Identity, route: &str, request: Request<Incoming>) -> Response<Body> {
        match AssertUnwindSafe(self.routed(identity, route, request)).catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                let why = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let why = why.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                tracing::error!(%why, "a request ended in a panic: this is a bug in rig");
                Problem::internal("this is a bug in rig; the log of the gateway says more").into_response()
            }
        }
    }
}

/// What came of the checks.
enum Admitted {
    /// The answer stands already.
    Answer(Response<Body>),
    /// The routes answer this caller.
    Caller(Identity),
}
