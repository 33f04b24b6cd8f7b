//! Why no toolchain was found or a pack did not compile, and what to do next.

use std::{io, path::PathBuf};

use crate::{LINKER, Route, TARGET};

/// Why it failed. [`Error::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The forced route has a name that does not exist.
    #[error("`{0}` is not a way to compile packs")]
    UnknownRoute(String),
    /// A program that every route needs is missing.
    #[error("`{0}` was not found in PATH")]
    NoProgram(&'static str),
    /// A program could not be started or waited for.
    #[error("cannot run `{command}`: {source}")]
    Run {
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that only answers questions failed.
    #[error("`{command}` failed: {detail}")]
    Failed {
        /// The command.
        command: String,
        /// What it said.
        detail: String,
    },
    /// The Rust in PATH brings no linker for components.
    #[error("the Rust at {} has no {LINKER}", .0.display())]
    NoLinker(PathBuf),
    /// The one route that was asked for leads nowhere.
    #[error("packs cannot be compiled by {route}: {reason}")]
    Forced {
        /// The route.
        route: Route,
        /// What stopped it.
        reason: String,
    },
    /// No route leads anywhere.
    #[error("nothing here can compile packs for {TARGET}: by rustup: {rustup}; by Debian's packages: {debian}")]
    NoRoute {
        /// What stopped rustup.
        rustup: String,
        /// What stopped Debian's packages.
        debian: String,
    },
    /// The folder of the pack is no cargo package.
    #[error("{} has no Cargo.toml", .0.display())]
    NoManifest(PathBuf),
    /// The folder holds a workspace, and no package.
    #[error("{} is a workspace without a package of its own", .0.display())]
    NoPackage(PathBuf),
    /// The package has no library.
    #[error("the package `{0}` has no library to make a component of")]
    NoLibrary(String),
    /// Cargo's description of the package could not be read.
    #[error("cannot read what cargo says about {}: {detail}", dir.display())]
    Metadata {
        /// The folder of the pack.
        dir: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The folder has no source in a language that is known.
    #[error("{} holds no source of a pack", .0.display())]
    NoSource(PathBuf),
    /// A program that installs or runs a tool is missing.
    #[error("{tool} needs `{program}`, which was not found in PATH")]
    NoInterpreter {
        /// The program.
        program: &'static str,
        /// The tool.
        tool: &'static str,
    },
    /// A tool has to be fetched first.
    #[error("{tool} {version} is not installed, and --offline forbids fetching it")]
    Offline {
        /// The tool.
        tool: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// A tool could not be installed.
    #[error("{tool} {version} cannot be installed: {detail}")]
    Install {
        /// The tool.
        tool: &'static str,
        /// Its version.
        version: &'static str,
        /// What the installing program said.
        detail: String,
    },
    /// A linked module does not become a component.
    #[error("the compiled pack cannot be made a component: {0}")]
    Encode(String),
    /// A file of the target folder could not be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The compiler refused the pack.
    #[error("the package `{package}` does not compile")]
    Compile {
        /// The name of the package.
        package: String,
        /// The end of what cargo and the compiler said.
        stderr: String,
    },
    /// Cargo succeeded without a component.
    #[error("cargo compiled the package `{0}`, but named no .wasm file")]
    NoArtifact(String),
}

impl Error {
    /// What to do next, in a sentence or two.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownRoute(_) => "write `rustup` or `debian`, or leave it out to take whichever works".into(),
            Self::NoProgram(_) | Self::NoLinker(_) => {
                "install Rust from https://rustup.rs and put ~/.cargo/bin first in PATH".into()
            }
            Self::Run { .. } | Self::Failed { .. } => "run the command by hand to see what it needs".into(),
            Self::Forced { route: Route::Rustup, .. } => {
                format!("run `rustup target add {TARGET}` where rustup's server can be reached")
            }
            Self::Forced { route: Route::Debian, .. } => {
                format!("on Debian, run `{}` as root", crate::debian::BY_HAND)
            }
            Self::NoRoute { .. } => format!(
                "run `rustup target add {TARGET}` where rustup's server can be reached, or on Debian `{}` as root",
                crate::debian::BY_HAND
            ),
            Self::NoManifest(_) => "name the folder of a pack: it holds Cargo.toml and rig-pack.toml".into(),
            Self::NoPackage(_) => "name the folder of one package inside the workspace".into(),
            Self::NoLibrary(_) => "write the tools in src/lib.rs".into(),
            Self::Metadata { .. } => "check the Cargo.toml with `cargo metadata`".into(),
            Self::NoSource(_) => {
                "name the folder of a pack: beside rig-pack.toml it holds Cargo.toml (Rust), app.py (Python), pack.js (JavaScript) \
                 or .c files (C)"
                    .into()
            }
            Self::NoInterpreter { program: "npm", .. } => "install Node.js 18 or later, with npm, from https://nodejs.org".into(),
            Self::NoInterpreter { .. } => {
                "install Python 3.9 or later with its module venv (on Debian: `apt-get install python3-venv`)".into()
            }
            Self::Offline { .. } => "build once without --offline".into(),
            Self::Install { .. } => "look at what it said above; a proxy for pip or npm is set in their own settings".into(),
            Self::Encode(_) => "define `rig_tools` as rig_pack.h says, and import nothing else".into(),
            Self::Write { .. } => "make room, or have cargo write to another folder with CARGO_TARGET_DIR".into(),
            Self::Compile { .. } => "correct what is reported above".into(),
            Self::NoArtifact(_) => "remove settings of `[lib]` in Cargo.toml, such as a name or a crate type".into(),
        }
    }
}
