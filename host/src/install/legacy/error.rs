//! Why a pack from PyPI or npm is not installed or cannot be used.

use std::{io, path::PathBuf};

use rig_specs::{PackId, lock::Runtime};

use crate::{runner::RunnerError, words::plain};

/// Why a pack from PyPI or npm is not installed or cannot be used. Nothing that was installed before has changed.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// The text names no package.
    #[error("`{}` is not the name of a package for {}", plain(.text), language(*.runtime))]
    Name {
        /// The text.
        text: String,
        /// For which ecosystem.
        runtime: Runtime,
    },
    /// There is no interpreter.
    #[error("there is no {} on this machine: {looked}", language(*.runtime))]
    NoInterpreter {
        /// Which is missing.
        runtime: Runtime,
        /// Where it was looked for.
        looked: String,
    },
    /// The interpreter is too old, or cannot be used.
    #[error("{} cannot be used: {why}", .path.display())]
    Interpreter {
        /// Of which ecosystem.
        runtime: Runtime,
        /// The interpreter.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No version of the package is there.
    #[error("there is no package `{package}`{} in {places}", version(.wanted))]
    NotFound {
        /// The package.
        package: String,
        /// The versions that were asked for, as a condition; empty for any.
        wanted: String,
        /// Where it was looked for.
        places: String,
    },
    /// There is only source.
    #[error("`{package}` is there as source only: {file}")]
    NoWheel {
        /// The package.
        package: String,
        /// The file that there is.
        file: String,
    },
    /// There are wheels, but for other machines or versions of Python.
    #[error("no wheel of `{package}` fits this machine and Python {python}: there is {file}")]
    OtherPlatform {
        /// The package.
        package: String,
        /// The version of the interpreter.
        python: String,
        /// A wheel that there is.
        file: String,
    },
    /// The package is for another version of the interpreter.
    #[error("`{package}` needs {} {needs}, and this is {found}", language(*.runtime))]
    OtherVersion {
        /// The package.
        package: String,
        /// Of which ecosystem.
        runtime: Runtime,
        /// The versions that it runs on.
        needs: String,
        /// The version of the interpreter.
        found: String,
    },
    /// The package's needs, or those of what it needs, do not go together with each other or with what is installed.
    #[error("what `{package}` needs does not go together: {}", .facts.join("; "))]
    Conflict {
        /// The package.
        package: String,
        /// One sentence each.
        facts: Vec<String>,
    },
    /// The ecosystem's own installer failed.
    #[error("{tool} failed: {why}")]
    Tool {
        /// `pip`, `uv` or `npm`.
        tool: &'static str,
        /// What it said.
        why: String,
    },
    /// What came is not what it should be.
    #[error("{file}: {why}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The pack cannot be loaded or is not sound.
    #[error("`{package}` is no pack that rig can use: {error}")]
    Pack {
        /// The package.
        package: String,
        /// Why.
        error: RunnerError,
    },
    /// The pack tells tools that are not sound.
    #[error("`{package}` is no pack that rig can use:\n  {}", .problems.join("\n  "))]
    Unsound {
        /// The package.
        package: String,
        /// One sentence each.
        problems: Vec<String>,
    },
    /// The pack is another than the one that was named.
    #[error("the package `{package}` is the pack `{}`, and `{expected}` was named", plain(.found))]
    OtherPack {
        /// The package.
        package: String,
        /// The id that was named.
        expected: PackId,
        /// The id that it says.
        found: String,
    },
    /// A host of a grant cannot be read.
    #[error("`{}` is no host that can be granted: expected `HOST` or `HOST:PORT`, a host such as `api.example.com` or `*.example.com`", plain(.0))]
    Host(String),
    /// A slot of a grant cannot be read.
    #[error("`{}` is not the name of a secret: expected capital letters, digits and underscores", plain(.0))]
    Slot(String),
    /// The environment is not there or not as it was installed.
    #[error("the environment of `{pack}` is not as it was installed: {why}")]
    Environment {
        /// The pack.
        pack: PackId,
        /// What is wrong.
        why: String,
    },
    /// A file or folder cannot be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Offline, and something is not on this machine.
    #[error("{what} is not on this machine, and rig works offline")]
    Offline {
        /// What is missing.
        what: String,
    },
    /// Two versions of a pack cannot be there at once.
    #[error("`{0}` cannot be put on trial: packs from PyPI and npm have one environment a project")]
    Trial(PackId),
    /// rig's own work was broken off.
    #[error("the installation was broken off")]
    BrokenOff,
}

/// The ecosystem's language, as people call it.
pub(super) const fn language(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Wasm => "WebAssembly",
        Runtime::Python => "Python",
        Runtime::Node => "Node",
    }
}

fn version(wanted: &str) -> String {
    if wanted.is_empty() { String::new() } else { format!(" {wanted}") }
}

impl LegacyError {
    pub(super) fn io(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Name { .. } => "name a package, such as `rig-pack-stripe` or `rig-pack-stripe@1.2.0`".to_owned(),
            Self::NoInterpreter { runtime: Runtime::Node, .. } | Self::Interpreter { runtime: Runtime::Node, .. } => {
                "install Node 20 or later, with npm".into()
            }
            Self::NoInterpreter { .. } => {
                "install Python 3.9 or later, or name one in rig.yaml under `python: {interpreter: …}`".into()
            }
            Self::Interpreter { .. } => "name another in rig.yaml under `python: {interpreter: …}`".into(),
            Self::NotFound { .. } => {
                "check the name; private packages need `python: {index_url, find_links}` or `node: {registry, scopes}` in rig.yaml".into()
            }
            Self::NoWheel { .. } => {
                "rig installs wheels only, because building from source runs the source's code: build the wheel yourself, put it into a folder, and name that under `python: {find_links: […]}`".into()
            }
            Self::OtherPlatform { .. } => "choose another version of the pack, or another Python under `python: {interpreter: …}`".into(),
            Self::OtherVersion { runtime: Runtime::Node, .. } => "choose another version of the pack, or install the Node that it needs".into(),
            Self::OtherVersion { .. } => {
                "choose another version of the pack, or another Python under `python: {interpreter: …}`".into()
            }
            Self::Conflict { .. } => {
                "choose another version of the pack, or update the packs that it does not go together with".into()
            }
            Self::Tool { .. } => "run the command again with --verbose to see all that it said".into(),
            Self::File { .. } | Self::Unsound { .. } => "report this to the pack's author".into(),
            Self::Pack { package, error } => return Some(error.hint(package)),
            Self::OtherPack { found, .. } => format!("if it is `{}` that you want, name the package itself", plain(found)),
            Self::Host(_) | Self::Slot(_) => return None,
            Self::Environment { .. } => "`rig install` puts it together again, from what rig.lock says".into(),
            Self::Io { .. } => "check that the disk has space and that the folder belongs to you".into(),
            Self::Offline { .. } => "run the command without --offline once".into(),
            Self::Trial(_) => "update it without --canary".into(),
            Self::BrokenOff => "run the command again".into(),
        };
        Some(hint)
    }
}
