//! The types of every file and wire format of rig, and the JSON Schemas generated from them.
//!
//! One module per format: [`rtp`] (tools, calls, results), [`manifest`] (what a pack asks for), [`index`], [`lock`],
//! [`config`] (`rig.yaml`), [`bundle`] (packs inside the program), [`tuf`] (the signatures of an index); beside them the values they share ([`PackId`], [`ByteSize`], [`digest`]). The types hold shapes and
//! the rules that a reader can check on the value alone. Reading files, asking people and running code stay outside: this crate
//! has no I/O and knows nothing of WebAssembly.

pub mod bundle;
pub mod config;
pub mod digest;
pub mod index;
pub mod lock;
pub mod manifest;
pub mod openapi;
pub mod rgp;
pub mod rtp;
pub mod schemas;
pub mod tuf;

mod pack_id;
mod size;

pub use digest::Sha256;
pub use pack_id::{PackId, PackIdError};
pub use size::ByteSize;
