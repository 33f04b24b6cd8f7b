//! The checkout that a task works in, and the folders inside it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{fail::Fail, run};

/// The folder of the workspace and the one that cargo builds into.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    root: PathBuf,
    target: PathBuf,
}

/// The profile of cargo that a task builds rig with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Checkout {
    /// The checkout around the current folder.
    pub(crate) fn find() -> Result<Self, Fail> {
        let here = env::current_dir().map_err(|error| Fail::new(format!("cannot tell the current folder: {error}")))?;
        // Cargo names the folder of this package when it runs it, so that `cargo --manifest-path` works from elsewhere.
        let by_cargo = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = by_cargo.iter().flat_map(|dir| dir.ancestors()).chain(here.ancestors()).find(|dir| is_root(dir));
        let root = root.ok_or_else(|| outside(&here))?.to_owned();
        let mut metadata = cargo();
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&root);
        let metadata = run::output(&mut metadata)?;
        let target = serde_json::from_str::<Value>(&metadata)
            .ok()
            .and_then(|metadata| metadata.get("target_directory").and_then(Value::as_str).map(PathBuf::from));
        let target = target.ok_or_else(|| Fail::new("`cargo metadata` names no target folder"))?;
        Ok(Self { root, target })
    }

    /// A checkout at known places.
    #[cfg(test)]
    pub(crate) fn at(root: PathBuf, target: PathBuf) -> Self {
        Self { root, target }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds into.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where the built packs and their index are.
    pub(crate) fn packs(&self) -> PathBuf {
        self.target.join("packs")
    }

    /// Where what compiles packs is kept.
    pub(crate) fn toolchains(&self) -> PathBuf {
        self.target.join("toolchains")
    }

    /// Cargo at the root of the checkout.
    pub(crate) fn cargo(&self, words: &[&str]) -> Command {
        let mut command = cargo();
        command.args(words).current_dir(&self.root);
        command
    }

    /// Builds `rig` and returns where it is.
    pub(crate) fn build_rig(&self) -> Result<PathBuf, Fail> {
        self.build(Profile::Dev, &["rig"])
    }

    /// Builds programs of the workspace and returns where the first is.
    pub(crate) fn build(&self, profile: Profile, programs: &[&str]) -> Result<PathBuf, Fail> {
        // With `--workspace`, dependencies get the features that `cargo test --workspace` gives them: nothing is built twice.
        let mut command = self.cargo(&["build", "--workspace"]);
        for program in programs {
            command.args(["--bin", program]);
        }
        if profile == Profile::Release {
            command.arg("--release");
        }
        run::ok(&mut command)?;
        Ok(self.program(profile, programs.first().copied().unwrap_or_default()))
    }

    /// Where cargo puts a program.
    pub(crate) fn program(&self, profile: Profile, name: &str) -> PathBuf {
        let folder = match profile {
            Profile::Dev => "debug",
            Profile::Release => "release",
        };
        self.target.join(folder).join(name)
    }
}

/// The cargo that runs this task, without what it told this program about its own package: build scripts of dependencies look at
/// these variables, and would run again each time that a task follows a plain `cargo build` or the other way round.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_of_package) {
            command.env_remove(name);
        }
    }
    command
}

fn is_of_package(variable: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    let names = ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
    prefixes.iter().any(|prefix| variable.starts_with(prefix)) || names.contains(&variable)
}

fn is_root(dir: &Path) -> bool {
    dir.join("xtask/Cargo.toml").is_file() && dir.join("example-packs").is_dir()
}

fn outside(here: &Path) -> Fail {
    Fail::new(format!("{} is not inside a checkout of rig", here.display()))
        .hint("run it in the folder that `git clone` made: the one with xtask/ and example-packs/ in it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_of_the_own_package_are_taken_away() {
        for gone in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"] {
            assert!(is_of_package(gone), "{gone}");
        }
        for kept in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "RUSTFLAGS", "PATH"] {
            assert!(!is_of_package(kept), "{kept}");
        }
    }

    #[test]
    fn a_folder_elsewhere_is_told_apart() {
        assert!(is_root(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()));
        assert!(!is_root(Path::new("/")));
        assert_eq!(
            outside(Path::new("/elsewhere")).to_string(),
            "error: /elsewhere is not inside a checkout of rig\n hint: run it in the folder that `git clone` made: the one with \
             xtask/ and example-packs/ in it"
        );
    }
}
