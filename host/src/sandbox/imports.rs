//! What guests can import: one module an interface, each with the same shape: a view that borrows what the interface needs from
//! the call's state, the generated `Host` trait for it, and `add_to_linker`. A guest's mistake is an error value or a trap of that
//! guest; nothing here can fail the host.

pub(super) mod client;
pub(super) mod log;
pub(super) mod storage;

pub(super) mod wasi;

mod clock;
mod config;
mod http;
mod invoke;
mod random;

use wasmtime::{
    Engine, Result,
    component::{Component, Linker},
};

pub use invoke::{InnerCall, Invoke, InvokeFuture};

use super::instance::State;

/// The interfaces of `rig:pack`.
pub(super) fn plain_linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    client::add_to_linker(&mut linker)?;
    clock::add_to_linker(&mut linker)?;
    config::add_to_linker(&mut linker)?;
    http::add_to_linker(&mut linker)?;
    invoke::add_to_linker(&mut linker)?;
    log::add_to_linker(&mut linker)?;
    random::add_to_linker(&mut linker)?;
    storage::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// The same, and the virtual WASI for components of other toolchains.
pub(super) fn wasi_linker(plain: &Linker<State>) -> Result<Linker<State>> {
    let mut linker = plain.clone();
    wasi::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Whether a component imports anything of WASI.
pub(super) fn uses_wasi(engine: &Engine, component: &Component) -> bool {
    component.component_type().imports(engine).any(|(name, _)| name.starts_with("wasi:"))
}
