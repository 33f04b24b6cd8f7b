//! Runs the benchmark program in a release build, with the packs that it calls.

use std::process::Command;

use crate::{
    checkout::{Checkout, Profile},
    fail::Fail,
    packs, run,
};

/// The package and the program of the benchmarks.
const PROGRAM: &str = "rig-bench";

pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<(), Fail> {
    let toolchain = crate::toolchain(checkout)?;
    // Both in one build, so that they share what they are made of.
    let rig = checkout.build(Profile::Release, &["rig", PROGRAM])?;
    packs::build_examples(checkout, &rig, &toolchain)?;
    let mut command = Command::new(checkout.program(Profile::Release, PROGRAM));
    command.args(args).current_dir(checkout.root());
    run::ok(command.env("RIG_TEST_PACKS", checkout.packs()).env("RIG_TEST_BIN", rig))
}
