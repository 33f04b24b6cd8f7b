//! The floor: wasmtime alone. The same engine settings, the same component, a fresh instance for each call, and host functions that
//! do nothing.

use wasmtime::{
    Engine, Result, Store,
    component::{Component, HasSelf, Linker},
};

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "pack",
        imports: { default: trappable },
        exports: { default: async },
    });
}

use bindings::{Pack, PackPre, rig::pack};

struct Nothing;

impl pack::log::Host for Nothing {
    fn write(&mut self, _: pack::log::Level, _: String) -> Result<()> {
        Ok(())
    }
}

/// The component, ready to be instantiated.
pub(crate) struct Bare {
    engine: Engine,
    pre: PackPre<Nothing>,
}

impl Bare {
    pub(crate) fn new(engine: &Engine, component: &[u8]) -> Result<Self> {
        Self::of(engine, &Component::new(engine, component)?)
    }

    /// Of a component that is compiled.
    pub(crate) fn of(engine: &Engine, component: &Component) -> Result<Self> {
        let mut linker = Linker::new(engine);
        pack::log::add_to_linker::<_, HasSelf<Nothing>>(&mut linker, |state| state)?;
        let pre = PackPre::new(linker.instantiate_pre(component)?)?;
        Ok(Self { engine: engine.clone(), pre })
    }

    /// One call in a fresh instance.
    // The generated binding takes a reference to a `String`.
    #[allow(clippy::ptr_arg, reason = "as the binding has it")]
    pub(crate) async fn call(&self, args: &String) -> Result<String> {
        let mut store = Store::new(&self.engine, Nothing);
        store.set_epoch_deadline(u64::MAX / 2);
        let pack: Pack = self.pre.instantiate_async(&mut store).await?;
        let context = pack::types::CallContext {
            request_id: "bench".into(),
            tenant_id: String::new(),
            actor: String::new(),
            attempt: 1,
            idempotency_key: "bench".into(),
            deadline: 0,
        };
        let answer = pack.rig_pack_tools().call_call(&mut store, "echo.message.send", args, &context).await?;
        answer.map_err(|error| wasmtime::format_err!("{}", error.message))
    }
}
