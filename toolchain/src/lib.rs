//! What compiles packs: finds or installs a toolchain for `wasm32-unknown-unknown`, and runs cargo with it so that the result is
//! a component. Shared by `rig build` and by `cargo xtask`, which must agree on every flag to share what they compiled.
//!
//! Nothing is printed here: what happens is told through a callback of [`Step`]s. What a component contains, and whether it is a
//! pack, is not looked at either; that is the caller's part.
//!
//! Two routes lead to the same kind of component, see [`Route`]. In both, the linker is the `wasm-component-ld` that rustup's
//! toolchain brings along, so that cargo's own output is a component without any WASI import.
//!
//! Packs in Python, JavaScript and C need none of that: see [`build_foreign`].

mod cargo_env;
mod debian;
mod error;
mod find;
mod foreign;
mod language;
mod library;
mod pack;
mod process;
mod rustup;
mod step;
#[cfg(test)]
mod testing;
mod tools;

pub use error::Error;
pub use find::{Choice, Route, Search, Toolchain, find_or_install, installed};
pub use foreign::{ForeignOptions, build_foreign, has_tools};
pub use language::Language;
pub use pack::{BuildOptions, Schemas, build_pack};
pub use step::Step;

/// The target that packs are compiled for. It knows no operating system, so a pack imports nothing but what it asks for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The linker that turns the compiled code into a component.
pub const LINKER: &str = "wasm-component-ld";
