//! The generated host side of `rig:pack@0.1.0`. Generated types stay in the sandbox; the few that leave it are named here.
#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../wit/0.1.0",
    world: "pack",
    imports: {
        "rig:pack/client.ask": async | trappable,
        "rig:pack/http.send": async | trappable,
        "rig:pack/invoke.call": async | trappable,
        "rig:pack/storage": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    additional_derives: [PartialEq],
});

pub use rig::pack::types::{CallContext, ErrorKind, RiskClass, ToolDef, ToolError};

impl From<super::Context> for CallContext {
    fn from(context: super::Context) -> Self {
        let super::Context { request_id, tenant_id, actor, attempt, idempotency_key, deadline_ms } = context;
        Self { request_id, tenant_id, actor, attempt, idempotency_key, deadline: deadline_ms }
    }
}
