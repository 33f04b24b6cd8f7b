//! Where the functions of the host come from: the component's imports, or natively the mock. A component imports only what is
//! used, because nothing else here refers to the bindings' functions.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::rig::pack::{client, clock, config, http, invoke, log, random, storage};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::mock::host::{client, clock, config, http, invoke, log, random, storage};
