//! Runs the benchmark program in a release build, with the packs that it calls and the server that it compares with.

use std::process::Command;

use crate::{
    checkout::{Checkout, Profile},
    clients,
    fail::Fail,
    packs, run,
};

/// The package and the program of the benchmarks.
const PROGRAM: &str = "rig-bench";

pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<(), Fail> {
    let toolchain = crate::toolchain(checkout)?;
    // Both in one build, so that they share what they are made of.
    let rig = checkout.build(Profile::Release, &["rig", PROGRAM])?;
    packs::build_for_tests(checkout, &rig, &toolchain)?;
    packs::build_examples(checkout, &rig, &toolchain)?;
    // Without it, the comparison with the Node server is left out, and says so.
    clients::check(checkout)?;
    let mut command = Command::new(checkout.program(Profile::Release, PROGRAM));
    command.args(args).current_dir(checkout.root());
    command.env("RIG_TEST_PACKS", checkout.packs()).env("RIG_TEST_BIN", rig);
    run::ok(command.env("RIG_BENCH_CLIENTS", clients::folder(checkout)))
}
