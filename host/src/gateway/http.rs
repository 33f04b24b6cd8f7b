//! The HTTP side of the gateway: connections, limits, and who may call.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::Gateway;

/// Who calls, as far as the request says and the gateway believes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The tenant: the token's; without tokens what the request names.
    pub tenant: Option<String>,
    /// Who makes the call, in the request's own words.
    pub actor: Option<String>,
}

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

/// Serves until the gateway stops.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, serves: Serves) {
    let _ = (listener, serves);
    gateway.stopping().cancelled().await;
}
