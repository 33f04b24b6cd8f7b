//! What the callers are told while something takes its time.

use std::{fmt, path::PathBuf};

use crate::{Route, Toolchain};

/// One thing that happened or is about to happen. Its `Display` is one line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// This toolchain will be used.
    Using(Toolchain),
    /// A command that changes this machine is about to run.
    Running {
        /// The command as a person would type it.
        command: String,
        /// Why it is run.
        why: String,
    },
    /// A route was tried and leads nowhere; the next one is tried.
    GaveUp {
        /// The route.
        route: Route,
        /// What stopped it.
        reason: String,
    },
    /// The standard library is about to be compiled, which takes a minute, once.
    Library,
    /// A tool is about to be installed.
    Installing {
        /// The tool.
        tool: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// A pack in another language than Rust is about to be compiled, from this folder.
    Componentizing(PathBuf),
    /// A pack is about to be compiled.
    Compiling {
        /// The name of the cargo package.
        package: String,
        /// The profile of cargo that is used.
        profile: String,
    },
    /// A line of output of the command that runs.
    Line(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Using(toolchain) => write!(f, "packs are compiled by {toolchain}"),
            Self::Running { command, why } => write!(f, "{why}: running `{command}`"),
            Self::GaveUp { route, reason } => write!(f, "not by {route}: {reason}"),
            Self::Installing { tool, version } => write!(f, "installing {tool} {version}, once on this machine"),
            Self::Componentizing(dir) => write!(f, "compiling {}", dir.display()),
            Self::Library => f.write_str("compiling the standard library for packs, once on this machine"),
            Self::Compiling { package, profile } => write!(f, "compiling {package} (profile {profile})"),
            Self::Line(line) => f.write_str(line),
        }
    }
}
