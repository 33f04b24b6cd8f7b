//! MCP: the project's tools for clients that speak it, over stdio and over HTTP, in both eras of the protocol: the revisions with a
//! handshake and sessions, and the stateless one of 2026-07-28.
//!
//! rmcp has the protocol; what is here says what rig's tools are in it. [`server`] answers the methods, [`listing`] shows the tools,
//! [`call`] takes a call to the pipeline and back, [`ask`] takes questions to the person and [`content`] answers to the model,
//! [`lines`] and [`http`] carry the messages. No method grants a capability, installs a pack, or approves a call: a person who is asked in front of the client does
//! that, if the project allows it.

#![allow(deprecated, reason = "rmcp marks what the newest revision drops, and the older ones still have it")]

use std::sync::Arc;

use axum::Router;
use rmcp::ServiceExt as _;
use tokio_util::sync::CancellationToken;

use super::Gateway;

mod approve;
mod ask;
mod call;
mod content;
mod http;
mod lines;
mod listing;
mod needs;
mod server;
mod sessions;
mod state;

use listing::Listings;
use sessions::Sessions;

/// What the envelope of a message may add to the arguments of a call.
const ENVELOPE: usize = 64 << 10;

/// What all MCP clients of a gateway share.
struct Shared {
    gateway: Arc<Gateway>,
    listings: Listings,
    sessions: Arc<Sessions>,
    /// Seals what clients of the stateless era carry for us.
    seal: Option<state::Seal>,
}

impl Shared {
    fn new(gateway: &Arc<Gateway>) -> Arc<Self> {
        Arc::new(Self {
            gateway: Arc::clone(gateway),
            listings: Listings::default(),
            sessions: Arc::new(Sessions::default()),
            seal: state::Seal::new(),
        })
    }

    /// The longest message that a client may send.
    fn max_message(&self) -> usize {
        self.gateway.live().caller.config().limits.args.as_usize().saturating_add(ENVELOPE)
    }
}

/// Who calls, as the pipeline gets to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Who {
    tenant: Option<String>,
    actor: Option<String>,
}

/// Serves one client over this process's stdin and stdout, until stdin ends or the gateway stops.
pub async fn stdio(gateway: &Arc<Gateway>, tenant: Option<String>, actor: Option<String>) {
    let shared = Shared::new(gateway);
    // Cancelled when the client is gone: what it asked for then has nobody to go to.
    let gone = CancellationToken::new();
    let transport = lines::stdio(shared.max_message(), gone.clone());
    let server = server::Server::of_process(shared, Who { tenant, actor }, gone);
    let stop = CancellationToken::new();
    let serving = async {
        match server.serve_with_ct(transport, stop.clone()).await {
            Ok(running) => drop(running.waiting().await),
            Err(error) => tracing::debug!(%error, "the client went away before it said hello"),
        }
    };
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = gateway.stopping().cancelled() => {
            stop.cancel();
            serving.await;
        }
    }
}

/// The routes of MCP over HTTP, to be mounted behind the checks of `Host`, `Origin` and tokens.
pub fn router(gateway: &Arc<Gateway>) -> Router {
    http::router(&Shared::new(gateway))
}
