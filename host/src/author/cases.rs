//! The cases of a pack: calls in the real sandbox through the real pipeline, and what must come of each. HTTP is answered from what
//! the case says, or from a recording of the real service; nothing is sent unless a recording is made.
//!
//! - `file` reads `tests/*.toml`, `*.yaml` and `*.json`, which people write.
//! - `recording` reads and writes `tests/recorded/*.json`, which rig writes, and blanks what looks like a credential.
//! - `play` finds the recorded answer for a request, and says what differs when there is none.
//! - `judge` compares what came of a call with what the case says.
//! - `run` makes the calls, in a scratch project with the pack installed as anywhere else.
//!
//! Left out on purpose: the audit log and approvals. Who runs a pack's cases has decided to run its risky tools too.

use std::path::PathBuf;

mod file;
mod judge;
mod play;
mod recording;
mod run;

pub use file::{Case, CaseFile, read_all};
pub use run::{Bench, Outcome, Recorder, Setup};

/// The folder of the cases in a pack's folder.
pub const FOLDER: &str = "tests";

/// Why cases cannot be run. A case that fails is no error.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// A file cannot be read or written.
    #[error("{} cannot be {what}: {why}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There are no cases.
    #[error("there are no cases in {}", .0.display())]
    None(PathBuf),
    /// No case has such a name.
    #[error("no case has `{filter}` in its name or its tool: there are {}", names.join(", "))]
    NoMatch {
        /// What was asked for.
        filter: String,
        /// The names that there are.
        names: Vec<String>,
    },
    /// The pack cannot be installed in the scratch project.
    #[error(transparent)]
    Install(#[from] crate::install::InstallError),
    /// The settings of the network cannot be used.
    #[error(transparent)]
    Gate(#[from] crate::egress::Error),
    /// The scratch project cannot be set up.
    #[error("the scratch project for the cases cannot be set up: {0}")]
    Setup(String),
}

impl CasesError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } => "check that the file is there and that you may read and write it".into(),
            Self::Malformed { .. } => "mend the file; what a case is made of stands in docs/testing-packs.md".into(),
            Self::None(_) => {
                "write the first one into cases.toml there: a name, a tool, its args, and the output".into()
            }
            Self::NoMatch { .. } => "give a part of one of these names".into(),
            Self::Install(error) => return error.hint(),
            Self::Gate(error) => return error.hint().map(str::to_owned),
            Self::Setup(_) => "check that the temporary folder can be written".into(),
        })
    }
}
