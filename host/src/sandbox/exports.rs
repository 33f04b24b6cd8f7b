//! The two functions that a pack exports. The generated side looks both up in every instance and checks their types there; a call needs
//! one of them, and a check costs as much as entering the guest.

use wasmtime::{
    Store,
    component::{Component, ComponentExportIndex, Instance, InstancePre},
    error::Context as _,
};

use super::{
    bindings::{CallContext, PackPre, ToolDef, ToolError},
    instance::State,
};

/// The interface that every pack exports.
pub const TOOLS: &str = "rig:pack/tools@0.1.0";

/// A linked component, and where its functions are.
#[derive(Clone)]
pub(super) struct Exports {
    pre: InstancePre<State>,
    call: ComponentExportIndex,
    describe: ComponentExportIndex,
}

impl Exports {
    /// Finds the functions and checks their types.
    pub(super) fn new(pre: InstancePre<State>, component: &Component) -> wasmtime::Result<Self> {
        let pre = PackPre::new(pre)?.instance_pre().clone();
        let tools = component.get_export_index(None, TOOLS).with_context(|| format!("there is no {TOOLS}"))?;
        let find = |name| {
            let index = component.get_export_index(Some(&tools), name);
            index.with_context(|| format!("there is no {TOOLS}#{name}"))
        };
        Ok(Self { pre, call: find("call")?, describe: find("describe")? })
    }

    pub(super) async fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Instance> {
        self.pre.instantiate_async(store).await
    }

    pub(super) async fn call(
        &self,
        instance: &Instance,
        store: &mut Store<State>,
        tool: &str,
        args: &str,
        context: &CallContext,
    ) -> wasmtime::Result<Result<String, ToolError>> {
        let call = instance
            .get_typed_func::<(&str, &str, &CallContext), (Result<String, ToolError>,)>(&mut *store, &self.call)?;
        Ok(call.call_async(store, (tool, args, context)).await?.0)
    }

    pub(super) async fn describe(
        &self,
        instance: &Instance,
        store: &mut Store<State>,
    ) -> wasmtime::Result<Vec<ToolDef>> {
        let describe = instance.get_typed_func::<(), (Vec<ToolDef>,)>(&mut *store, &self.describe)?;
        Ok(describe.call_async(store, ()).await?.0)
    }
}
