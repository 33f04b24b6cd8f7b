//! The gateway: one project's tools, served to many callers at once, over the API of [`rgp`] and over MCP.
//!
//! It keeps what runs today ([`Live`]) and swaps it as a whole when `rig.lock` or `rig.yaml` change ([`live`]). Every call goes through
//! the one pipeline of [`crate::call`]; what is here translates, authenticates, counts and logs. It opens no connection and prints
//! nothing.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    call::{Called, Decider, Request, Services},
    home::Home,
    project::{Project, ProjectError},
    sandbox::{EngineError, PoolSize, Sandbox},
};

mod attended;
mod canary;
pub mod http;
mod live;
pub mod mcp;
mod metrics;
mod report;
mod rgp;
#[cfg(feature = "otlp")]
mod traces;

use attended::Attended;
use canary::{Arm, Trial};
pub use live::{Live, LoadProblem};
pub use metrics::Metrics;
use report::Asked;
#[cfg(feature = "otlp")]
pub use traces::{TraceError, Traces};

/// How long calls in flight may take to finish when the gateway is told to stop. Longer than a call takes by default, shorter than
/// what service managers wait before they kill (90 s).
pub const DRAIN: Duration = Duration::from_secs(45);

/// A gateway of one project.
pub struct Gateway {
    live: ArcSwap<Live>,
    services: Arc<Services>,
    project: std::path::PathBuf,
    audit_path: std::path::PathBuf,
    home: Home,
    offline: bool,
    /// Counts the swaps; whoever tells clients about changed tools waits on it.
    changed: watch::Sender<u64>,
    calls: TaskTracker,
    metrics: Arc<Metrics>,
    #[cfg(feature = "otlp")]
    traces: std::sync::OnceLock<Arc<Traces>>,
    stopping: CancellationToken,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The project cannot be read.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The sandbox does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What the project says cannot be served.
    #[error(transparent)]
    Load(#[from] LoadProblem),
    /// Everybody on the network could call.
    #[error("{address} can be reached from other machines, and no tenant has a token")]
    Open {
        /// The address.
        address: SocketAddr,
    },
}

impl GatewayError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.hint(),
            Self::Engine(error) => Some(error.hint().to_owned()),
            Self::Load(error) => error.hint(),
            Self::Open { .. } => {
                Some("listen on 127.0.0.1, or set up `tenants` in rig.yaml: `rig tenant new ID` makes a token".into())
            }
        }
    }
}

impl Gateway {
    /// Opens a project for serving. A pack that is not what the lock says is left out and named in [`Live::broken`].
    ///
    /// # Errors
    /// When the project, its settings or the sandbox cannot be used.
    pub async fn open(project: Project, home: &Home, offline: bool) -> Result<Arc<Self>, GatewayError> {
        let pool = PoolSize(project.config().limits.concurrency);
        let sandbox = Sandbox::new(pool, Some(home.compiled()))?;
        let services = Arc::new(Services::new(&project, home, sandbox));
        if let Some(audit) = &services.audit {
            audit.start_upkeep();
        }
        let (root, audit_path) = (project.root().to_owned(), project.resolve(&project.config().audit_db_path.0));
        let live = Live::load(project, home, offline, &services, None).await?;
        if let Some(trial) = &live.trial {
            trial.begun().await;
        }
        Ok(Arc::new(Self {
            live: ArcSwap::from_pointee(live),
            services,
            project: root,
            audit_path,
            home: home.clone(),
            offline,
            changed: watch::Sender::new(0),
            calls: TaskTracker::new(),
            metrics: Arc::default(),
            #[cfg(feature = "otlp")]
            traces: std::sync::OnceLock::new(),
            stopping: CancellationToken::new(),
        }))
    }

    /// Refuses an address that other machines can reach while calls need no token.
    ///
    /// # Errors
    /// [`GatewayError::Open`].
    pub fn check_address(&self, address: SocketAddr) -> Result<SocketAddr, GatewayError> {
        if address.ip().is_loopback() || !self.live().tenants.is_empty() {
            return Ok(address);
        }
        Err(GatewayError::Open { address })
    }

    /// What is served at the moment. A caller keeps it for as long as its call takes, whatever is swapped meanwhile.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// What outlives the swaps.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Told each time other tools or rules are served.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Makes one call. It ends in the audit log even when nobody waits for it any more: dropping the future cancels the call.
    pub async fn call(&self, live: &Live, request: Request) -> Called {
        let pick = |trial: &Arc<Trial>| Some((Arc::clone(trial), trial.pick(live.caller.snapshot(), &request.tool)?));
        let picked = live.trial.as_ref().and_then(pick);
        let caller = match &picked {
            Some((trial, Arm::Candidate)) => &trial.caller,
            _ => &live.caller,
        };
        let (caller, asked) = (Arc::clone(caller), Asked::call(&request));
        self.run(asked, picked, async move |cancel| caller.call(request, cancel).await).await
    }

    /// Runs a stored call that a person approves, on the version that it was stored for.
    pub async fn approve(&self, live: &Live, token: &str, decider: Decider) -> Called {
        let mut caller = &live.caller;
        if let Some(trial) = &live.trial
            && let Some(component) = caller.stored_for(token, &decider).await
            && trial.has_alone(caller.snapshot(), &component)
        {
            caller = &trial.caller;
        }
        let (caller, token, asked) = (Arc::clone(caller), token.to_owned(), Asked::decision("approve", &decider));
        self.run(asked, None, async move |cancel| caller.approve(&token, decider, cancel).await).await
    }

    /// Takes back a call that waits.
    pub async fn deny(&self, live: &Live, token: &str, decider: Decider) -> Called {
        let (caller, token, asked) = (Arc::clone(&live.caller), token.to_owned(), Asked::decision("deny", &decider));
        self.run(asked, None, async move |_| caller.deny(&token, decider).await).await
    }

    /// The one place where calls are counted and logged; a caller that went away counts too.
    async fn run<F>(
        &self,
        asked: Asked,
        picked: Option<(Arc<Trial>, Arm)>,
        call: impl FnOnce(CancellationToken) -> F,
    ) -> Called
    where
        F: Future<Output = Called> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        // The pipeline's future is large: it is put in its place once, and only pointers to it are moved from here on.
        let (metrics, running) = (Arc::clone(&self.metrics), Box::pin(call(cancel.clone())));
        let picked = picked.map(|picked| Box::new((picked, self.project.clone())));
        #[cfg(feature = "otlp")]
        let traces = self.traces.get().cloned();
        let call = async move {
            let in_flight = metrics.call();
            let called = running.await;
            drop(in_flight);
            metrics.called(&called);
            #[cfg(feature = "otlp")]
            if let Some(traces) = traces {
                traces.called(&asked, &called);
            }
            asked.log(&called);
            if let Some(picked) = picked {
                let ((trial, arm), project) = *picked;
                metrics.on_trial(arm.as_str(), called.record.outcome.as_str());
                if let Some(verdict) = trial.count(arm, &called.record) {
                    // The caller need not wait for that.
                    tokio::spawn(async move { trial.roll_back(&project, verdict).await });
                }
            }
            called
        };
        Attended::new(&self.calls, cancel, call).await
    }

    /// Cancelled when the gateway is to stop: servers stop taking requests then.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Stops taking requests and waits for the calls in flight, up to [`DRAIN`]. Answers how many were left.
    pub async fn stop(&self) -> usize {
        self.stopping.cancel();
        self.calls.close();
        let _ = tokio::time::timeout(DRAIN, self.calls.wait()).await;
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.traces.get() {
            traces.finish().await;
        }
        self.calls.len()
    }

    /// Exports a span of every call from now on. The first answer holds.
    #[cfg(feature = "otlp")]
    pub fn trace(&self, traces: Traces) {
        // Set already: the other exporter goes on.
        let _ = self.traces.set(Arc::new(traces));
    }
}
