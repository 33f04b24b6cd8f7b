//! `rig:pack/invoke`: calls to other tools. The call itself belongs to the pipeline; this is only the way to it.

use std::{future::Future, pin::Pin, sync::Arc, time::Instant};

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use super::client::{self, Changes, Client};
use crate::sandbox::{
    ErrorKind, ToolError,
    bindings::rig::pack::{invoke as generated, types},
    instance::State,
    watch::Watch,
};

/// The answer of an inner call: its output as JSON text, or its error.
pub type InvokeFuture<'a> = Pin<Box<dyn Future<Output = std::result::Result<String, ToolError>> + Send + 'a>>;

/// A call that a tool makes.
#[derive(Debug)]
pub struct InnerCall {
    /// The tool's full name.
    pub tool: String,
    /// The arguments as JSON text.
    pub args: String,
    /// When the outer call is stopped, as things stand.
    pub deadline: Instant,
    /// Whoever made the outer call.
    pub client: Option<Arc<dyn Client>>,
}

/// Takes an inner call through the whole pipeline.
pub trait Invoke: Send + Sync {
    /// Makes the call.
    fn call(&self, call: InnerCall) -> InvokeFuture<'_>;
}

struct Caller<'a> {
    invoke: Option<&'a Arc<dyn Invoke>>,
    client: Option<Arc<dyn Client>>,
    watch: &'a Arc<Watch>,
    changes: &'a mut Changes,
}

struct HasCaller;

impl HasData for HasCaller {
    type Data<'a> = Caller<'a>;
}

impl generated::Host for Caller<'_> {
    async fn call(&mut self, tool: String, args: String) -> Result<std::result::Result<String, types::ToolError>> {
        Ok(match self.invoke {
            Some(invoke) => {
                // The client for the inner call was made before: the first inner call may still ask.
                self.changes.invoke();
                let (deadline, client) = (self.watch.deadline(), self.client.take());
                invoke.call(InnerCall { tool, args, deadline, client }).await
            }
            None => Err(ToolError {
                kind: ErrorKind::PermissionError,
                message: format!("this pack may not call `{tool}`: it was granted no other tools"),
                retryable: false,
                upstream_code: None,
                remediation_hints: vec!["the pack names the tools it calls under [invoke] in its manifest".into()],
            }),
        })
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    generated::add_to_linker::<State, HasCaller>(linker, |state| Caller {
        invoke: state.reach.invoke.as_ref(),
        client: state.reach.client.as_ref().map(|client| client::relay(client, &state.watch, state.changed())),
        watch: &state.watch,
        changes: &mut state.changes,
    })
}
