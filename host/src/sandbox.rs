//! The sandbox: compiles components, and runs each call in a fresh instance that can reach only what the call was given.
//!
//! A [`Sandbox`] holds the engine and the linkers; a [`Program`] is one compiled component, ready to be instantiated; a call takes
//! a [`CallInput`] and ends in an [`Outcome`], whatever the component does. Deciding whether a call may happen, checking arguments
//! against schemas and finding secrets are not done here.

mod bindings;
mod compiled;
mod convert;
mod engine;
mod exports;
mod form;
mod imports;
mod instance;
mod limits;
mod trap;
mod watch;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};

use rig_specs::Sha256;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Component, Linker};

pub use bindings::{ErrorKind, RiskClass, ToolDef, ToolError};
pub use compiled::LoadError;
pub use engine::{EngineError, PoolSize};
pub use form::Form;
pub(crate) use imports::log::CallLog;
pub use imports::{
    InnerCall, Invoke, InvokeFuture,
    client::{AskError, AskFuture, Client, Progress, Question, Reply},
    log::{Level, LogLine, Logged},
    storage::Storage,
};
pub use limits::CallLimits;
pub use trap::Stop;

use crate::egress::CallEgress;
pub use exports::TOOLS;

use exports::Exports;
use instance::State;

/// The engine, the linkers and the cache of compiled code. One a process; cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    engine: engine::RunningEngine,
    plain: Linker<State>,
    wasi: Linker<State>,
    cache: Option<compiled::Cache>,
}

/// A compiled component with its imports linked.
#[derive(Clone)]
pub struct Program {
    sandbox: Sandbox,
    exports: Exports,
}

/// What one call is given.
pub struct CallInput {
    /// The tool's full name.
    pub tool: String,
    /// The arguments as JSON text.
    pub args: String,
    /// Told to the tool.
    pub context: Context,
    /// When the call is stopped.
    pub deadline: Instant,
    /// Stops the call at once.
    pub cancel: CancellationToken,
    /// How much the call may use.
    pub limits: CallLimits,
    /// What the call may reach.
    pub reach: CallReach,
}

/// What one call may reach beside its own memory.
#[derive(Default)]
pub struct CallReach {
    /// The gate for requests. Calls of tools always have one, also those of packs without a network grant: it names what it denies,
    /// and records it. None when a pack is asked to describe itself.
    pub egress: Option<Arc<CallEgress>>,
    /// The pack's settings.
    pub config: Arc<BTreeMap<String, String>>,
    /// The pack's files.
    pub storage: Option<Storage>,
    /// The way to other tools.
    pub invoke: Option<Arc<dyn Invoke>>,
    /// Whoever made the call, when they listen.
    pub client: Option<Arc<dyn Client>>,
    /// Whether the pack was granted questions to the person behind the client.
    pub ask: bool,
}

/// What a tool is told about its call.
#[derive(Debug, Clone)]
pub struct Context {
    /// The same through all attempts.
    pub request_id: String,
    /// The tenant that the call is made for.
    pub tenant_id: String,
    /// Who makes the call.
    pub actor: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The same through all attempts.
    pub idempotency_key: String,
    /// Milliseconds since the Unix epoch.
    pub deadline_ms: u64,
}

/// How a call ended, and what the pack logged.
#[derive(Debug)]
pub struct Outcome {
    /// The output as JSON text, or why there is none.
    pub result: Result<String, Failure>,
    /// What the pack logged.
    pub log: Logged,
}

/// Why a call gave no output.
#[derive(Debug)]
pub enum Failure {
    /// The tool answered with an error.
    Tool(ToolError),
    /// The sandbox stopped the call.
    Stopped(Stop),
}

impl Sandbox {
    /// Starts an engine. `cache` is the folder for compiled code; without one every load compiles.
    pub fn new(pool: PoolSize, cache: Option<PathBuf>) -> Result<Self, EngineError> {
        let engine = engine::RunningEngine::start(pool)?;
        let plain = imports::plain_linker(&engine).map_err(EngineError::Link)?;
        let wasi = imports::wasi_linker(&plain).map_err(EngineError::Link)?;
        let cache = cache.map(|dir| compiled::Cache::new(dir, &engine));
        Ok(Self { inner: Arc::new(Inner { engine, plain, wasi, cache }) })
    }

    /// Compiles a component, or takes its compiled form from the cache, and links it.
    ///
    /// `digest` is that of `component`; the caller has checked it.
    pub fn load(&self, digest: &Sha256, component: &[u8]) -> Result<Program, LoadError> {
        let engine = &self.inner.engine;
        let compiled = match &self.inner.cache {
            Some(cache) => cache.load(engine, digest, component)?,
            None => Component::new(engine, component).map_err(LoadError::Compile)?,
        };
        self.link(&compiled)
    }

    /// Makes ready what was compiled before, without the component itself; nothing when it was not.
    ///
    /// # Errors
    /// As [`Sandbox::load`].
    pub fn load_compiled(&self, digest: &Sha256) -> Result<Option<Program>, LoadError> {
        let Some(cache) = &self.inner.cache else { return Ok(None) };
        cache.find(&self.inner.engine, digest)?.map(|compiled| self.link(&compiled)).transpose()
    }

    fn link(&self, compiled: &Component) -> Result<Program, LoadError> {
        let linker =
            if imports::uses_wasi(&self.inner.engine, compiled) { &self.inner.wasi } else { &self.inner.plain };
        let pre = linker.instantiate_pre(compiled).map_err(LoadError::Link)?;
        Ok(Program { sandbox: self.clone(), exports: Exports::new(pre, compiled).map_err(LoadError::Link)? })
    }

    /// The digest that a compiled file of the cache should have and the one that it has, when there is one.
    pub fn check_compiled(&self, digest: &Sha256) -> Result<bool, LoadError> {
        match &self.inner.cache {
            Some(cache) => cache.check(digest),
            None => Ok(false),
        }
    }

    /// The engine, for measuring it without anything around it.
    #[must_use]
    pub fn engine(&self) -> &wasmtime::Engine {
        &self.inner.engine
    }
}

impl Program {
    /// Runs one tool in a fresh instance. Always ends by the deadline, soon after a cancel, and within the limits.
    pub async fn call(&self, input: CallInput) -> Outcome {
        let CallInput { tool, args, context, deadline, cancel, limits, reach } = input;
        let context = bindings::CallContext::from(context);
        let exports = &self.exports;
        instance::run(&self.sandbox.inner.engine, exports, reach, &limits, deadline, cancel, async |pack, store| {
            exports.call(pack, store, &tool, &args, &context).await
        })
        .await
        .into_outcome()
    }

    /// Asks the component for its tools, reaching nothing. Used when a pack is built and when it is verified in depth.
    pub async fn describe(&self, deadline: Instant, limits: &CallLimits) -> Result<Vec<ToolDef>, Stop> {
        let (reach, cancel) = (CallReach::default(), CancellationToken::new());
        let exports = &self.exports;
        instance::run(&self.sandbox.inner.engine, exports, reach, limits, deadline, cancel, async |pack, store| {
            exports.describe(pack, store).await
        })
        .await
        .result
    }
}
