//! The audit log: one row for every call, chained by hashes, committed before the answer is sent.
//!
//! [`Audit`] is the one way to write: to the chain itself, or, for processes that live long, to a journal whose rows move into the
//! chain some milliseconds later. [`read`] queries, verifies and exports what is there; it needs no running gateway. What a row
//! holds is decided by the call pipeline; nothing here looks at arguments or secrets.
//!
//! Several processes write to one log at the same time: a gateway, `rig call`, `rig approve`. What the chain can and cannot show is
//! told in [`read::verify`].

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rig_specs::rgp::{Decision, Outcome, Sent};
use rig_specs::rtp::ErrorKind;
use serde_json::{Map, Value};

mod anchor;
mod append;
mod chain;
mod intake;
mod journal;
mod left;
mod log;
mod queue;
pub mod read;
mod retention;
mod row_bytes;
mod schema;
mod summary;
mod upkeep;
mod writer;

use queue::Shared;
use upkeep::Job;

/// What a row is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Event {
    /// A call that was answered.
    #[default]
    Call,
    /// A risky call that is about to run.
    Intent,
    /// A trial of other versions began or ended.
    Canary,
}

/// A row before it has its place in the chain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// What it is about.
    pub event: Event,
    /// The tenant; empty when none was named.
    pub tenant_id: String,
    /// The correlation id of the call.
    pub run_id: String,
    /// Who called.
    pub actor: String,
    /// The tool as it was asked for.
    pub tool: String,
    /// Its pack; empty when the tool is unknown.
    pub pack: Arc<str>,
    /// The pack's version.
    pub pack_version: Arc<str>,
    /// `sha256:` of the pack's component.
    pub pack_hash: Arc<str>,
    /// Of the snapshot.
    pub interface_hash: Arc<str>,
    /// `sha256:` of the canonical JSON of the arguments.
    pub input_hash: String,
    /// How the call ended; none for an intent.
    pub outcome: Option<Outcome>,
    /// The kind of error.
    pub error_type: Option<ErrorKind>,
    /// In microseconds.
    pub duration_us: u64,
    /// Markers of the secrets that were used.
    pub auth: Vec<String>,
    /// What was sent.
    pub egress: Vec<Sent>,
    /// A person's decision.
    pub decision: Option<Decision>,
    /// `sandbox` for components.
    pub isolation: &'static str,
    /// The sanitised arguments, when the project keeps them.
    pub args: Option<Map<String, Value>>,
}

/// Where the log is and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The SQLite file.
    pub path: PathBuf,
    /// The folder (private, outside the project) that remembers the head of the chain, so that a shortened log is noticed.
    pub anchors: PathBuf,
    /// Days after which rows are removed.
    pub retention_days: Option<u32>,
}

/// Why a row cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be written.
    #[error("the audit log {} cannot be written: {why}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file cannot be written, and more rows waited for it than are kept in memory.
    #[error("the audit log {} cannot be written: {why}; {lost} rows are lost", .path.display())]
    Lost {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
        /// How many rows were given up so far.
        lost: u64,
    },
    /// The file cannot be read.
    #[error("the audit log {} cannot be read: {why}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file holds what rig never wrote.
    #[error("the audit log {} is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file is something else.
    #[error("{} is not an audit log that this rig knows: {why}", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no file.
    #[error("there is no audit log at {}", .path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The question makes no sense.
    #[error("{why}")]
    Query {
        /// What is wrong with it.
        why: String,
    },
    /// The export cannot be written.
    #[error("the export cannot be written: {why}")]
    Output {
        /// Why.
        why: String,
        /// Whether the reader went away.
        closed: bool,
    },
}

impl AuditError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Write { .. } | Self::Lost { .. } => {
                "free space on the disk, or name another file in audit_db_path of rig.yaml".into()
            }
            Self::Read { .. } => "check who owns the file and what its permissions are".into(),
            Self::Damaged { path, .. } => format!(
                "keep every file whose name begins with {0} for a look at what happened: move them away; a new log is begun then",
                path.display()
            ),
            Self::Unknown { .. } => "name another file in audit_db_path of rig.yaml, or update rig".into(),
            Self::Missing { .. } => "it is made by the first call; check audit_db_path in rig.yaml".into(),
            Self::Query { .. } => "see `rig audit query --help`".into(),
            Self::Output { .. } => "check the place that the export is written to".into(),
        }
    }

    fn write(path: &Path, why: impl fmt::Display) -> Self {
        Self::Write { path: path.to_owned(), why: why.to_string() }
    }

    fn read(path: &Path, error: &rusqlite::Error) -> Self {
        match Self::from_sqlite(path, error) {
            Self::Write { path, why } => Self::Read { path, why },
            other => other,
        }
    }

    fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.into() }
    }

    fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        match error {
            error if log::is_damage(error) => Self::damaged(path, error.to_string()),
            error if log::is_busy(error) => Self::write(path, "another process holds it locked"),
            error => Self::write(path, error),
        }
    }

    /// The same error, when rows had to be given up.
    fn with_lost(self, lost: u64) -> Self {
        match self {
            Self::Write { path, why } | Self::Lost { path, why, .. } if lost > 0 => Self::Lost { path, why, lost },
            other => other,
        }
    }
}

/// The log, open for writing. Cheap to clone; every clone writes to the same chain.
///
/// When the last clone goes away, rows that wait are written; that takes some milliseconds at most, unless the disk is slow.
#[derive(Debug, Clone)]
pub struct Audit {
    shared: Arc<Shared>,
    _last: Arc<Last>,
}

/// Told when the last handle goes away. The upkeep's thread and commits under way have the log, but no handle.
#[derive(Debug)]
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.upkeep.close(&self.0);
    }
}

impl Audit {
    /// The log at that place. Opens nothing yet: the first row does, and a file that cannot be opened is an error of each row.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let shared = Shared::new(settings);
        Self { _last: Arc::new(Last(Arc::clone(&shared))), shared }
    }

    /// Prepares for many rows: they go to a journal first, and old ones are removed now and every hour where the project asks for it.
    /// For processes that run for long.
    pub fn start_upkeep(&self) {
        self.shared.intake.want();
        self.shared.upkeep.ask(&self.shared, Job::TakeInLeft);
        if self.shared.settings.retention_days.is_some() {
            self.shared.upkeep.ask(&self.shared, Job::Retain);
        }
    }

    /// Adds a row. Committed when this returns: it survives the end of this process, not yet a loss of power.
    ///
    /// # Errors
    /// When it cannot be written now. It is kept, and written as soon as the file can be written again; unless the error is
    /// [`AuditError::Lost`], or the process ends before.
    pub async fn record(&self, row: Row) -> Result<(), AuditError> {
        self.shared.record(row, true).await.map(drop)
    }

    /// Adds a row that is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written. It is not kept: what it announces must not happen.
    pub async fn record_durably(&self, row: Row) -> Result<(), AuditError> {
        let taken = self.shared.record(row, false).await?;
        self.shared.sync(taken).await
    }

    /// Says why rows cannot be written at the moment, if they cannot.
    #[must_use]
    pub fn problem(&self) -> Option<AuditError> {
        self.shared.status.problem()
    }

    /// Removes the rows that are older than the project keeps them; how many. Blocking. Done by itself after
    /// [`Audit::start_upkeep`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn retain(&self, now: Timestamp) -> Result<u64, AuditError> {
        self.shared.retain(now)
    }
}

#[cfg(test)]
mod tests;
