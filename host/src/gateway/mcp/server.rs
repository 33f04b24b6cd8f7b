//! What a client can ask: the methods of the protocol. rmcp reads them, checks the era's own rules, and writes the answers.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use http::request::Parts;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, ConstString as _,
        CustomRequest, CustomResult, DiscoverResult, ErrorCode, GetPromptRequestParams, GetPromptResponse,
        Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        LoggingLevel, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
        ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscriptionFilter, Tool,
    },
    service::{NotificationContext, Peer, RequestContext, SubscriptionContext},
};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Shared, Who, call, listing::Listing};
use crate::{gateway::http::Identity, words};

/// Said to every model that gets these tools.
const INSTRUCTIONS: &str = "Tools of packs that rig runs in a sandbox. A call may need a person's approval: its result then says so, \
and how a person approves it. Errors say what to do next.";
/// For how long lists may be kept that never change, in milliseconds.
const FIXED_MS: u64 = 3_600_000;
/// The longest name of a client that the audit log keeps.
const MAX_CLIENT: usize = 200;

/// The answers for one client: of a process, a session, or a single request.
pub(super) struct Server {
    shared: Arc<Shared>,
    /// Who calls when the request itself does not say so.
    who: Who,
    /// Cancelled when nobody is there to take answers.
    gone: CancellationToken,
    /// The least important log lines that a client of the older era wants.
    level: Mutex<Option<LoggingLevel>>,
    /// Ends what waits for changes when rmcp lets go of this value.
    ended: CancellationToken,
    _guard: DropGuard,
}

impl Server {
    /// For requests over HTTP: they say themselves who makes them.
    pub(super) fn of_http(shared: Arc<Shared>) -> Self {
        Self::of_process(shared, Who::default(), CancellationToken::new())
    }

    /// For the one client of this process.
    pub(super) fn of_process(shared: Arc<Shared>, who: Who, gone: CancellationToken) -> Self {
        let ended = CancellationToken::new();
        Self { shared, who, gone, level: Mutex::new(None), _guard: ended.clone().drop_guard(), ended }
    }

    /// Who makes a request. Over HTTP that was found out before; the client's name stands in for a caller who is not named.
    pub(super) fn who(&self, context: &RequestContext<RoleServer>) -> Who {
        let mut who = match parts(context).and_then(|parts| parts.extensions.get::<Identity>()) {
            Some(identity) => Who { tenant: identity.tenant.clone(), actor: identity.actor.clone() },
            None => self.who.clone(),
        };
        if who.actor.is_none() {
            who.actor =
                context.client_info().map(|client| words::plain(&client.name).chars().take(MAX_CLIENT).collect());
        }
        who
    }

    /// Cancelled when the session or the process that a request belongs to ends.
    pub(super) fn gone(&self, context: &RequestContext<RoleServer>) -> CancellationToken {
        let session = parts(context).and_then(|parts| parts.headers.get(super::http::SESSION)?.to_str().ok());
        session.and_then(|session| self.shared.sessions.gone(session)).unwrap_or_else(|| self.gone.clone())
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The least important log lines to send for a request; none when the client asked for none.
    pub(super) fn level(&self, context: &RequestContext<RoleServer>) -> Option<LoggingLevel> {
        if is_stateless(context) {
            return context.meta.log_level();
        }
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listing(&self, who: &Who) -> Arc<Listing> {
        self.shared.listings.get(&self.shared.gateway.live(), who.tenant.as_deref())
    }
}

fn parts(context: &RequestContext<RoleServer>) -> Option<&Parts> {
    context.extensions.get::<Parts>()
}

/// Whether a request is of the era without handshake and sessions.
pub(super) fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// A method that a server without that capability does not have.
fn absent<T>(context: &RequestContext<RoleServer>, method: &'static str) -> Result<T, ErrorData>
where
    T: Default,
{
    // Clients of the stateless era ask for lists without asking first what there is.
    if is_stateless(context) {
        Ok(T::default())
    } else {
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None))
    }
}

/// Tells about every real change of a tenant's list, until `ended` or the last sender is gone.
async fn on_changes<F>(shared: &Shared, who: &Who, ended: &CancellationToken, tell: impl Fn() -> F)
where
    F: Future<Output = bool>,
{
    let gateway = &shared.gateway;
    let mut swaps: watch::Receiver<u64> = gateway.changes();
    let digest = || shared.listings.get(&gateway.live(), who.tenant.as_deref()).digest;
    let mut seen = digest();
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            () = gateway.stopping().cancelled() => return,
            changed = swaps.changed() => if changed.is_err() { return },
        }
        let now = digest();
        if now != seen {
            seen = now;
            if !tell().await {
                return;
            }
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_logging().enable_tools().enable_tool_list_changed();
        let info = Implementation::new("rig", env!("CARGO_PKG_VERSION")).with_title("rig");
        ServerConfig::new(capabilities.build()).with_server_info(info).with_instructions(INSTRUCTIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let mut info = self.get_info();
        // In this era there are lists of prompts and resources too, with nothing on them; and logging is asked for by request.
        info.capabilities.prompts = Some(rmcp::model::PromptsCapability::default());
        info.capabilities.resources = Some(rmcp::model::ResourcesCapability::default());
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, info).with_ttl_ms(FIXED_MS).with_cache_scope(CacheScope::Public))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        self.listing(&self.who(&context)).page(cursor.as_deref(), is_stateless(&context))
    }

    /// What the headers of a request are compared with. The call itself checks again, for its own tenant.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.listing(&self.who).tool(name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // In its place at once: rmcp moves what it makes of this future several times.
        Box::pin(call::run(self, request, context)).await
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if is_stateless(&context) {
            return Err(ErrorData::method_not_found::<rmcp::model::SetLevelRequestMethod>());
        }
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.level);
        Ok(())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let identity = context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get::<Identity>());
        let who =
            identity.map_or_else(|| self.who.clone(), |identity| Who { tenant: identity.tenant.clone(), actor: None });
        let (shared, ended) = (Arc::clone(&self.shared), self.ended.clone());
        let peer: Peer<RoleServer> = context.peer;
        tokio::spawn(async move {
            on_changes(&shared, &who, &ended, || async { peer.notify_tool_list_changed().await.is_ok() }).await;
        });
    }

    fn accepted_subscription_filter(&self, _: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let context = subscription.request_context();
        let (who, sink) = (self.who(context), subscription.sink());
        let ended = context.ct.child_token();
        let gone = self.gone(context);
        let told = on_changes(&self.shared, &who, &ended, || async {
            // Lists of another kind were asked for: nothing of them changes here.
            sink.accepted().tools_list_changed != Some(true) || sink.notify_tool_list_changed().await.is_ok()
        });
        tokio::select! {
            () = told => {}
            () = gone.cancelled() => {}
        }
        Ok(())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<rmcp::model::CompleteRequestMethod>())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let list: ListPromptsResult = absent(&context, rmcp::model::ListPromptsRequestMethod::VALUE)?;
        Ok(list.with_ttl_ms(FIXED_MS).with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        absent::<()>(&context, rmcp::model::GetPromptRequestMethod::VALUE)?;
        Err(ErrorData::invalid_params(format!("there is no prompt `{}`", words::plain(&request.name)), None))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let list: ListResourcesResult = absent(&context, rmcp::model::ListResourcesRequestMethod::VALUE)?;
        Ok(list.with_ttl_ms(FIXED_MS).with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let list: ListResourceTemplatesResult =
            absent(&context, rmcp::model::ListResourceTemplatesRequestMethod::VALUE)?;
        Ok(list.with_ttl_ms(FIXED_MS).with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        absent::<()>(&context, rmcp::model::ReadResourceRequestMethod::VALUE)?;
        let data = serde_json::json!({ "uri": request.uri });
        Err(ErrorData::resource_not_found("there is no such resource", Some(data)))
    }

    /// Methods that nobody knows, and known ones whose parameters are not theirs.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = words::plain(&request.method.chars().take(128).collect::<String>());
        if matches!(request.method.as_str(), "tools/call" | "tools/list" | "subscriptions/listen") {
            return Err(ErrorData::invalid_params(
                format!("the parameters of {method} are not as it takes them"),
                None,
            ));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None))
    }
}
