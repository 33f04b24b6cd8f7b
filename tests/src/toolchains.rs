//! What `rig build` needs of the machine in a test: the compilers that `cargo xtask` installed, and the user's own cargo.

use std::{
    env,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{artifacts, run::Run};

/// Variables of the machine that say where its compilers are and how they reach what they download.
const HANDED_ON: [&str; 5] =
    ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RIG_WASM_TOOLCHAIN", "CARGO_NET_OFFLINE"];

/// A run that may build packs. It shares what was compiled for other builds of this checkout, and nothing else of the machine.
pub fn for_builds(run: Run) -> Run {
    let toolchains = artifacts::toolchains();
    let mut run = run.env("RIG_TOOLCHAINS", toolchains.to_str().expect("a path in UTF-8"));
    // The run's own HOME is an empty folder.
    let home = env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        run = run.env(name, home.join(folder).to_str().expect("a path in UTF-8"));
    }
    for name in HANDED_ON {
        if let Ok(value) = env::var(name) {
            run = run.env(name, &value);
        }
    }
    run
}

/// As [`for_builds`] for somebody else: cargo's folder and that of the compilers have other names, in this folder. They are the same
/// folders under them, because filling others takes minutes; what a build writes down is the name.
pub fn for_builds_of_another(run: Run, folder: &Path) -> Run {
    let mut run = for_builds(run);
    for name in ["CARGO_HOME", "RIG_TOOLCHAINS"] {
        let other = folder.join(name.to_lowercase());
        let shared = run.value(name).expect("set above").to_owned();
        symlink(shared, &other).expect("a folder to link in");
        run = run.env(name, other.to_str().expect("a path in UTF-8"));
    }
    run
}

/// Whether a pack in another language than Rust was built. When it was not, the reason is printed, and the test that asked is to
/// end; with `RIG_TEST_CLIENTS=required` that is a failure instead.
#[must_use]
#[allow(clippy::print_stdout, reason = "what is skipped on a machine is said")]
pub fn has_built(id: &str) -> bool {
    let built = artifacts::has_pack(id);
    if !built {
        let why = format!("{id} is not built: `cargo xtask build-packs` does that where its tools can be installed");
        let required = env::var_os("RIG_TEST_CLIENTS").is_some_and(|value| value == "required");
        assert!(!required, "{why}");
        println!("SKIPPED: {why}");
    }
    built
}
