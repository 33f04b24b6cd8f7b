//! What a pack's author needs beside a compiler: the SDK's sources, a new pack to start from, its cases, and the way into an index.
//!
//! - [`sdk`] writes the Rust SDK, which this program carries, to where a pack's `Cargo.toml` says.
//! - [`new`] makes the folder of a new pack from a template.
//! - [`cases`] runs a pack's cases in the real sandbox through the real pipeline, against recorded HTTP.
//! - [`publish`] puts a built pack into an index that is a folder, [`push`] into an OCI registry.
//!
//! Compiling is the business of `rig-toolchain`, making a pack of a component that of [`build`](crate::build).

pub mod cases;
pub mod new;
pub mod publish;
pub mod push;
pub mod sdk;

/// What the build script found.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}
