//! `rig completions`.

use clap::CommandFactory as _;

use crate::cli::{
    args::{Cli, Completions},
    report::{Failure, exit},
};

// Every command returns the same type, also those that cannot fail.
#[allow(clippy::unnecessary_wraps, reason = "the shape of a command")]
pub fn run(args: &Completions) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rig", &mut script);
    crate::cli::render::out(String::from_utf8_lossy(&script).trim_end());
    Ok(exit::DONE)
}
