//! The harness of the end-to-end tests: everything a test needs to drive the built `rig` binary from outside.
//!
//! - [`Project`]: a project, a home and a user of their own in a temporary folder, and runs of the binary in a clean
//!   environment. [`snapshot!`] compares a whole run with text that stands in the test.
//! - [`Upstream`]: stands in for the services that packs talk to, under their real names, over real TLS.
//! - [`IndexServer`]: serves an index and its components over loopback HTTP, as badly as a test wants.
//! - [`Gateway`]: a running `rig serve`, and plain HTTP to it. [`Talk`]: `rig serve mcp` over its pipes. [`Clients`]: the official MCP clients and other outside programs.
//! - [`Registry`]: a real OCI registry, and [`Artifact`]s for it.
//! - [`sdk`]: the services' official SDKs, to hold what a pack sends against what they send.
//! - [`described`]: the services' descriptions of their APIs, to hold it against them.
//! - [`Strace`]: kills rig at any system call.
//! - [`packs`]: components and indexes to install, good and bad. [`guest`]: packs that do what a test writes down in text.
//! - [`wheels`], [`npm`]: packs for Python and Node, made of the code that a test writes down.
//! - [`console`]: the commands of the documentation and what it says they print.
//!
//! What is not here: building. `cargo xtask test` builds the binary and the packs and says where they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a harness reports what is wrong by panicking: that is what fails the test"
)]
#![allow(clippy::must_use_candidate, reason = "most of what is here is called for its checks")]

mod artifacts;
mod clients;
mod filters;
mod gateway;
mod http;
mod index_server;
mod output;
mod project;
mod registry;
mod run;
mod signed_index;
mod strace;
mod talk;
mod tls;
mod upstream;

pub mod console;
pub mod described;
pub mod guest;
pub mod npm;
pub mod packs;
pub mod sdk;
pub mod toolchains;
pub mod wheels;

pub use artifacts::rig as rig_path;
pub use clients::{Client, Clients, Seen, Server};
pub use filters::normalised;
pub use gateway::{Answer, Gateway};
pub use http::{Recorded, Reply};
pub use index_server::IndexServer;
pub use insta;
pub use output::Output;
pub use project::{Project, files};
pub use registry::{Artifact, IMAGE_INDEX, MANIFEST, Registry, USER};
pub use run::{Child, Run};
pub use signed_index::{SignedIndex, Snapshot};
pub use strace::{Call, Strace};
pub use talk::Talk;
pub use tls::Flaw;
pub use upstream::Upstream;

/// Runs `rig` in a project and compares exit code, stdout and stderr with the text in the test. What varies from run to run
/// (paths, hashes, times, sizes, ports) is replaced first. Gives the [`Output`] back for further checks.
///
/// Fill in new text with `cargo insta test --accept`, then read it: the text is what a person will see.
#[macro_export]
macro_rules! snapshot {
    ($project:expr, $args:expr, @$expected:literal) => {{
        let project = &$project;
        let output = project.rig(&$args);
        project.filters().bind(|| $crate::insta::assert_snapshot!(output.to_string(), @$expected));
        output
    }};
}
