//! Where packs that are no components run: a process each, in a cell.
//!
//! - `cell` starts a program that reaches nothing but what it was given, and ends it with everything that it started.
//! - `proxy` is the only network there is in a cell: it passes on what the pack's grant covers.
//!
//! What is said to the program, and which program it is, is not decided here.

pub mod cell;
mod proxy;

pub use proxy::{Destination, Traffic};
