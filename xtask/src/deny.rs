//! `cargo deny`: the licences and sources of every dependency, against `deny.toml`. It is installed when it is missing.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{checkout::Checkout, fail::Fail, run, test::Outcome};

/// The version that is installed. Others may read `deny.toml` in another way.
const VERSION: &str = "0.20.2";

/// What is checked without a network. Known vulnerabilities need a database from a git host.
const OFFLINE_CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

/// Runs the checks, or says why it cannot.
pub(crate) fn check(checkout: &Checkout) -> Result<Outcome, Fail> {
    let program = match find(checkout) {
        Some(program) => program,
        None => match install(checkout) {
            Ok(program) => program,
            Err(fail) => {
                println!("{fail}");
                let reason =
                    format!("cargo-deny cannot be installed; `cargo install --locked cargo-deny@{VERSION}` would");
                return Ok(Outcome::Skipped(reason));
            }
        },
    };
    let mut command = Command::new(program);
    command.arg("check").args(OFFLINE_CHECKS).current_dir(checkout.root());
    if env::var_os("RIG_DENY_ADVISORIES").is_some_and(|value| value == "1") {
        command.arg("advisories");
    }
    run::ok(&mut command)?;
    Ok(Outcome::Passed)
}

fn tools(checkout: &Checkout) -> PathBuf {
    checkout.target().join("tools")
}

/// The program in the checkout's own tools, else in PATH.
fn find(checkout: &Checkout) -> Option<PathBuf> {
    [tools(checkout).join("bin/cargo-deny"), PathBuf::from("cargo-deny")].into_iter().find(|program| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

fn install(checkout: &Checkout) -> Result<PathBuf, Fail> {
    let root = tools(checkout);
    println!("installing cargo-deny into {}, which takes some minutes", root.display());
    let building = root.join("build");
    let mut command = checkout.cargo(&["install", "--locked", "--version", VERSION, "cargo-deny", "--root"]);
    // A folder of its own, which is removed afterwards: nothing else will use what is in it.
    command.arg(&root).env("CARGO_TARGET_DIR", &building);
    let installed = run::ok(&mut command);
    let _ = fs::remove_dir_all(&building);
    installed.map(|()| root.join("bin/cargo-deny"))
}
