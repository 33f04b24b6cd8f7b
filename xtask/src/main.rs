//! The tasks of this checkout: `cargo xtask demo`, `cargo xtask test` and the parts that they are made of. It drives cargo, the
//! built `rig` and rig's own toolchain step, and holds no rule of rig's: what a user cannot do with `rig`, a task cannot either.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal; it has no library part")]

mod bench;
mod checkout;
mod clients;
mod demo;
mod deny;
mod dist;
mod fail;
mod index;
mod inputs;
mod packs;
mod run;
mod test;

use std::{env, process::ExitCode};

use rig_toolchain::{Choice, Step, Toolchain, find_or_install};

use crate::{
    checkout::{Checkout, Profile},
    fail::Fail,
};

const USAGE: &str = "\
Usage: cargo xtask <TASK>

  toolchain       Find or install what compiles packs to WebAssembly
  demo            Build everything, then install packs into a scratch project and call their tools
  test [NAME…]    Check the format, lints, tests and licences; with names, run only the tests that match
  bench [ARG…]    Measure the call pipeline and the gateway in a release build
  clients         Install what the tests use of others: MCP clients, conformance suite, schemathesis, SDKs and API descriptions
  dist [--dev]    Build a rig that carries the published example packs: target/dist/rig, or quickly target/dist-dev/rig
  build-packs     Build the example packs and an index of them into target/packs
  help            Show this text

RIG_WASM_TOOLCHAIN=rustup|debian forces one way to compile packs.
RIG_DENY_ADVISORIES=1 has `test` also look for known vulnerabilities, which needs a git host.
RIG_TEST_CLIENTS=required has `test` fail when the outside programs cannot be installed.";

/// What the shell gets for a command line that makes no sense, as from `rig` itself.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let task = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let takes_words = matches!(&*task, "test" | "bench") || (task == "dist" && rest == ["--dev"]);
    if !rest.is_empty() && !takes_words {
        return usage(&format!("`{task}` takes no arguments, and got `{}`", rest.join(" ")));
    }
    let done = match &*task {
        "toolchain" => Checkout::find().and_then(|checkout| toolchain(&checkout).map(drop)),
        "demo" => Checkout::find().and_then(|checkout| demo::run(&checkout)),
        "test" => Checkout::find().and_then(|checkout| test::run(&checkout, &rest)),
        "bench" => Checkout::find().and_then(|checkout| bench::run(&checkout, &rest)),
        "dist" => Checkout::find().and_then(|checkout| dist::run(&checkout, profile(&rest))),
        "build-packs" => Checkout::find().and_then(|checkout| build_packs(&checkout)),
        "clients" => Checkout::find().and_then(|checkout| clients::install(&checkout)),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        "" => return usage("no task is named"),
        other => return usage(&format!("`{other}` is no task")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            eprintln!("{fail}");
            ExitCode::FAILURE
        }
    }
}

fn usage(why: &str) -> ExitCode {
    eprintln!("error: {why}\n\n{USAGE}");
    ExitCode::from(EXIT_USAGE)
}

/// The profile that `dist` builds with.
fn profile(words: &[String]) -> Profile {
    if words.is_empty() { Profile::Release } else { Profile::Dev }
}

/// Finds or installs what compiles packs, and says so.
fn toolchain(checkout: &Checkout) -> Result<Toolchain, Fail> {
    let choice: Choice = env::var("RIG_WASM_TOOLCHAIN").unwrap_or_default().parse()?;
    Ok(find_or_install(choice, checkout.root(), &mut |step| match step {
        Step::Line(line) => println!("  {line}"),
        step => println!("{step}"),
    })?)
}

fn build_packs(checkout: &Checkout) -> Result<(), Fail> {
    let toolchain = toolchain(checkout)?;
    let rig = checkout.build_rig()?;
    packs::build_examples(checkout, &rig, &toolchain)?;
    packs::build_for_tests(checkout, &rig, &toolchain)?;
    packs::build_languages(checkout, &rig, &toolchain).map(drop)
}
