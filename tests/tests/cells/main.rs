//! Programs in cells, from outside: what they reach, what they cannot, and what becomes of them. Each attack is a program that also runs
//! without a cell, where it must succeed; else it would prove nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this program is tests")]
#![allow(clippy::print_stdout, reason = "what is skipped on a machine is said, and what is measured")]
#![cfg(target_os = "linux")]

mod attack;
mod files;
mod life;
mod network;
mod processes;
mod reduced;
