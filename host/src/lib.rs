//! rig as a library: install packs of tools by hash, and run every call of a tool in a sandbox.
//!
//! The folders follow the two flows. [`install`]: index → fetch → verify → inspect → consent → store and lock. [`call`]: find the
//! tool → policy → validate → secrets → run in the [`sandbox`] → validate → answer. Everything a pack sends leaves through
//! [`egress`], the only place that dials out; values of [`secrets`] are read there and nowhere else. [`project`] is the folder with
//! `rig.yaml` and `rig.lock`, [`home`] the machine's store and caches.
//!
//! The library never prints and, outside [`secrets`], never reads the environment: paths and settings are handed in.

pub mod approvals;
pub mod audit;
pub mod author;
pub mod build;
pub mod call;
pub mod egress;
pub mod export;
pub mod gateway;
pub mod home;
pub mod index;
pub mod install;
pub mod project;
pub mod runner;
pub mod sandbox;
pub mod secrets;
pub mod tenants;
pub mod words;
