//! The command `rig`: reads the command line, calls the library, shows what came of it. This is the only part that prints, reads
//! the environment for its own settings, or ends the process.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    reason = "a binary: it prints, and nothing uses it as a library"
)]

mod cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
