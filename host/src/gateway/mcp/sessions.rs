//! The sessions of the older era, over HTTP: rmcp's, bounded in number and idle time, each held by the tenant that opened it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt as _};
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::streamable_http_server::session::{
        ServerSseMessage, SessionId, SessionManager,
        local::{LocalSessionManager, LocalSessionManagerError, SessionConfig},
    },
};
use tokio_util::sync::CancellationToken;

/// Sessions at once. Each has two tasks and some kilobytes; clients open one and keep it.
pub(super) const MAX_SESSIONS: usize = 1024;
/// How long a session may be silent, with no call running and no stream open, before it ends. Clients that were away for longer open
/// another one.
const IDLE: Duration = Duration::from_mins(30);
/// How often silent sessions are looked for.
pub(super) const LOOK: Duration = Duration::from_mins(1);

/// The sessions that there are.
pub(super) struct Sessions {
    inner: LocalSessionManager,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

/// What rmcp does not know of a session.
struct Known {
    owner: Owner,
    used: Instant,
    /// Answers and streams that a client reads.
    streams: usize,
    gone: CancellationToken,
}

/// Who opened a session.
#[derive(PartialEq, Eq)]
enum Owner {
    /// Its client has no answer yet.
    Unknown,
    /// A tenant; none when the gateway has no tenants.
    Tenant(Option<String>),
}

/// Why a session does nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("there are {MAX_SESSIONS} sessions, all in use; end one, or come back later")]
    Full,
    #[error(transparent)]
    Rmcp(#[from] LocalSessionManagerError),
}

impl Default for Sessions {
    fn default() -> Self {
        let mut config = SessionConfig::default();
        // Only a look at the whole session says whether it is idle: a call may run silently for longer than any fixed time.
        config.keep_alive = None;
        let mut inner = LocalSessionManager::default();
        inner.session_config = config;
        Self { inner, known: Arc::default() }
    }
}

impl Sessions {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who opened a session.
    pub(super) fn opened(&self, id: &str, tenant: Option<String>) {
        if let Some(known) = self.known().get_mut(id) {
            known.owner = Owner::Tenant(tenant);
        }
    }

    /// Whether a session is there for a tenant. One of somebody else is as good as none.
    pub(super) fn belongs(&self, id: &str, tenant: Option<&str>) -> bool {
        let is_theirs = |owner: &Owner| matches!(owner, Owner::Tenant(owner) if owner.as_deref() == tenant);
        self.known().get(id).is_some_and(|known| is_theirs(&known.owner))
    }

    /// Cancelled when the session ends.
    pub(super) fn gone(&self, id: &str) -> Option<CancellationToken> {
        self.known().get(id).map(|known| known.gone.clone())
    }

    /// Ends the sessions that have been silent for too long at a point in time.
    pub(super) async fn end_idle(&self, now: Instant) {
        let is_idle = |known: &Known| known.streams == 0 && now.saturating_duration_since(known.used) >= IDLE;
        let idle: Vec<String> =
            self.known().iter().filter(|(_, known)| is_idle(known)).map(|(id, _)| id.clone()).collect();
        for id in idle {
            // It may have ended by itself meanwhile.
            let _ = self.close_session(&id.into()).await;
        }
    }

    /// The session that has been silent for longest and that nobody reads from, when there is no room for another.
    fn oldest_if_full(&self) -> Result<Option<String>, SessionError> {
        let known = self.known();
        if known.len() < MAX_SESSIONS {
            return Ok(None);
        }
        let silent = known.iter().filter(|(_, known)| known.streams == 0);
        let oldest = silent.min_by_key(|(_, known)| known.used).map(|(id, _)| id.clone());
        oldest.map(Some).ok_or(SessionError::Full)
    }

    /// Counts a stream for as long as a client reads it.
    fn counted<S>(&self, id: &SessionId, stream: S) -> impl Stream<Item = ServerSseMessage> + Send + Sync + use<S>
    where
        S: Stream<Item = ServerSseMessage> + Send + Sync,
    {
        if let Some(known) = self.known().get_mut(&**id) {
            (known.used, known.streams) = (Instant::now(), known.streams + 1);
        }
        let open = Open { id: id.to_string(), known: Arc::clone(&self.known) };
        stream.map(move |message| {
            let _ = &open;
            message
        })
    }
}

/// A stream that is read.
struct Open {
    id: String,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(&self.id) {
            (known.used, known.streams) = (Instant::now(), known.streams.saturating_sub(1));
        }
    }
}

impl SessionManager for Sessions {
    type Error = SessionError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        if let Some(oldest) = self.oldest_if_full()? {
            self.close_session(&oldest.into()).await?;
        }
        let (id, transport) = self.inner.create_session().await?;
        let known = Known { owner: Owner::Unknown, used: Instant::now(), streams: 0, gone: CancellationToken::new() };
        self.known().insert(id.to_string(), known);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionError> {
        Ok(self.inner.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionError> {
        Ok(self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), SessionError> {
        // The calls of the session end with it: nobody could take their answers.
        if let Some(known) = self.known().remove(&**id) {
            known.gone.cancel();
        }
        Ok(self.inner.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let stream = self.inner.create_stream(id, message).await?;
        Ok(self.counted(id, stream))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), SessionError> {
        if let Some(known) = self.known().get_mut(&**id) {
            known.used = Instant::now();
        }
        Ok(self.inner.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let stream = self.inner.create_standalone_stream(id).await?;
        Ok(self.counted(id, stream))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let stream = self.inner.resume(id, last_event_id).await?;
        Ok(self.counted(id, stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(sessions: &Sessions, tenant: Option<&str>) -> String {
        let (id, transport) = sessions.create_session().await.unwrap();
        // The worker waits for its client for a minute; the test does not.
        drop(transport);
        sessions.opened(&id, tenant.map(str::to_owned));
        id.to_string()
    }

    #[tokio::test]
    async fn a_session_is_there_for_its_owner_only() {
        let sessions = Sessions::default();
        let (id, _transport) = sessions.create_session().await.unwrap();
        assert!(!sessions.belongs(&id, None), "its client does not know it yet");
        sessions.opened(&id, Some("ann".into()));
        assert!(sessions.belongs(&id, Some("ann")));
        for other in [None, Some("bob"), Some("")] {
            assert!(!sessions.belongs(&id, other), "{other:?}");
        }
        let gone = sessions.gone(&id).unwrap();
        sessions.close_session(&id).await.unwrap();
        assert!(gone.is_cancelled() && !sessions.belongs(&id, Some("ann")));
        assert!(sessions.gone(&id).is_none());
    }

    #[tokio::test]
    async fn silent_sessions_end_and_those_in_use_do_not() {
        let sessions = Sessions::default();
        let (silent, used) = (opened(&sessions, None).await, opened(&sessions, None).await);
        let reading = sessions.counted(&used.clone().into(), futures_util::stream::pending());
        let later = Instant::now() + IDLE;
        sessions.end_idle(later.checked_sub(Duration::from_mins(1)).unwrap()).await;
        assert!(sessions.belongs(&silent, None), "not yet");
        sessions.end_idle(later + Duration::from_secs(1)).await;
        assert!(!sessions.belongs(&silent, None) && sessions.belongs(&used, None));
        // The time counts from the end of the last stream.
        drop(reading);
        sessions.end_idle(Instant::now()).await;
        assert!(sessions.belongs(&used, None));
        sessions.end_idle(Instant::now() + IDLE).await;
        assert!(!sessions.belongs(&used, None));
    }

    #[tokio::test]
    async fn the_oldest_silent_session_makes_way() {
        let sessions = Sessions::default();
        let mut ids = Vec::new();
        let mut reading = Vec::new();
        for n in 0..MAX_SESSIONS {
            let id = opened(&sessions, None).await;
            if n == 0 {
                reading.push(sessions.counted(&id.clone().into(), futures_util::stream::pending()));
            }
            ids.push(id);
        }
        let new = opened(&sessions, None).await;
        assert!(sessions.belongs(&ids[0], None), "somebody reads from it");
        assert!(!sessions.belongs(&ids[1], None), "the oldest of the others");
        assert!(sessions.belongs(&ids[2], None) && sessions.belongs(&new, None));
        // When all are in use, nobody is thrown out.
        for id in ids.iter().skip(2).chain([&new]) {
            reading.push(sessions.counted(&id.clone().into(), futures_util::stream::pending()));
        }
        let refused = sessions.create_session().await.err().expect("no room");
        assert!(matches!(refused, SessionError::Full), "{refused}");
        assert!(sessions.belongs(&new, None));
    }
}
