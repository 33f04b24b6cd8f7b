//! `rig` from end to end: every test drives the built binary in a project of its own. One program for all areas, so that it
//! is linked once and the tests of all areas run side by side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this program is tests")]
#![allow(clippy::print_stdout, reason = "what is skipped on a machine is said")]

mod approvals;
mod at_once;
mod audit;
mod author;
mod build;
mod call;
mod canary;
mod cases;
mod cli;
mod component;
mod config;
mod conformance;
mod conformance_pack;
mod crash;
mod downloads;
mod durable;
mod gc;
mod github;
mod github_errors;
mod hostile_packs;
mod index;
mod install;
mod install_sources;
mod kills;
mod languages;
mod legacy_at_once;
mod legacy_errors;
mod live;
mod mcp;
mod mcp_ask;
mod mcp_clients;
mod mcp_http;
mod memory;
mod node;
mod oci;
mod oci_hostile;
mod oci_login;
mod openapi;
mod otlp;
mod packs;
mod policy;
mod probe;
mod python;
mod python_errors;
mod python_life;
mod remote;
mod retries;
mod rgp;
mod rgp_refused;
mod rollback;
mod sdk_packs;
mod signed;
mod signed_keys;
mod signed_names;
mod tamper;
mod tenants;
mod trial;
mod update;
mod wasi;
