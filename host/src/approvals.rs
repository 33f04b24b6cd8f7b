//! Approvals: risky calls that wait for a person. Each is stored sealed, decided once, and expires.
//!
//! Nothing here runs a call or decides who may approve: the pipeline asks, and runs what was stored.

use std::path::PathBuf;

use rig_specs::{
    Sha256,
    rtp::{ApprovalRequired, RiskClass},
};
use serde_json::{Map, Value};

/// A call as it is stored: everything that the approval is bound to.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The tenant; empty when none was named.
    pub tenant_id: String,
    /// Who asked for the call.
    pub actor: String,
    /// The id of the call that asked.
    pub request_id: String,
    /// The tool's full name.
    pub tool: String,
    /// Its risk class, as the policy has it.
    pub risk_class: RiskClass,
    /// The digest of the pack's component.
    pub pack_hash: Sha256,
    /// The digest of the policy that asked for approval.
    pub policy_hash: Sha256,
    /// The arguments: canonical JSON.
    pub args: String,
    /// The arguments as people see them.
    pub shown_args: Map<String, Value>,
}

/// Why an approval cannot be stored or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// There is none with this token that waits: for this tenant, or at all.
    #[error("no call waits for approval under this token: {why}")]
    NotFound {
        /// `it was never given out`, `it was approved already`, `it was denied`, `it expired`.
        why: &'static str,
    },
    /// What was stored is not what was written.
    #[error("the stored call was changed or belongs to another machine")]
    Broken,
    /// The file cannot be used.
    #[error("the approvals in {} cannot be used: {why}", .path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl ApprovalError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound { .. } => "see what waits with `rig approvals`, or make the call again".into(),
            Self::Broken => "make the call again".into(),
            Self::Store { .. } => {
                "check that the project's folder .rig can be written and that the disk has space".into()
            }
        }
    }
}

/// The stored approvals of one project.
#[derive(Debug)]
pub struct Approvals {
    path: PathBuf,
}

impl Approvals {
    /// The store at that place; `keys` is the private folder (outside the project) that holds the sealing key. Opens nothing yet.
    #[must_use]
    pub fn new(path: PathBuf, keys: PathBuf) -> Self {
        let _ = keys;
        Self { path }
    }

    /// Stores a call and makes its token. On the disk when this returns.
    pub fn request(&self, bound: &Bound, lifetime: std::time::Duration) -> Result<ApprovalRequired, ApprovalError> {
        let _ = (bound, lifetime);
        Err(ApprovalError::Store { path: self.path.clone(), why: "not there".into() })
    }

    /// The calls that wait, oldest first; of one tenant, or of all.
    pub fn list(&self, tenant: Option<&str>) -> Result<Vec<ApprovalRequired>, ApprovalError> {
        let _ = tenant;
        Ok(Vec::new())
    }

    /// The stored call of a token that waits. `tenant` is whose approvals the asker may see; none sees all.
    pub fn get(&self, token: &str, tenant: Option<&str>) -> Result<Bound, ApprovalError> {
        let _ = (token, tenant);
        Err(ApprovalError::NotFound { why: "it was never given out" })
    }

    /// Takes a token that waits, for good: of any number of racing callers one gets `Ok`. On the disk when this returns.
    pub fn claim(&self, token: &str, by: &str) -> Result<(), ApprovalError> {
        let _ = (token, by);
        Err(ApprovalError::NotFound { why: "it was never given out" })
    }

    /// Denies a call that waits, and gives it back for the record.
    pub fn deny(&self, token: &str, tenant: Option<&str>, by: &str) -> Result<Bound, ApprovalError> {
        let _ = (token, tenant, by);
        Err(ApprovalError::NotFound { why: "it was never given out" })
    }
}
