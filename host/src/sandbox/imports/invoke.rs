//! `rig:pack/invoke`: calls to other tools. The call itself belongs to the pipeline; this is only the way to it.

use std::{future::Future, pin::Pin, sync::Arc};

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::sandbox::{
    ErrorKind, ToolError,
    bindings::rig::pack::{invoke as generated, types},
    instance::State,
};

/// The answer of an inner call: its output as JSON text, or its error.
pub type InvokeFuture<'a> = Pin<Box<dyn Future<Output = std::result::Result<String, ToolError>> + Send + 'a>>;

/// Takes an inner call through the whole pipeline.
pub trait Invoke: Send + Sync {
    /// Calls `tool` with arguments as JSON text.
    fn call(&self, tool: String, args: String) -> InvokeFuture<'_>;
}

struct Caller<'a>(Option<&'a Arc<dyn Invoke>>);

struct HasCaller;

impl HasData for HasCaller {
    type Data<'a> = Caller<'a>;
}

impl generated::Host for Caller<'_> {
    async fn call(&mut self, tool: String, args: String) -> Result<std::result::Result<String, types::ToolError>> {
        Ok(match self.0 {
            Some(invoke) => invoke.call(tool, args).await,
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
    generated::add_to_linker::<State, HasCaller>(linker, |state| Caller(state.reach.invoke.as_ref()))
}
