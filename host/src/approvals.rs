//! Approvals: risky calls that wait for a person. Each is stored sealed, decided once, and expires.
//!
//! Nothing here runs a call or decides who may approve: the pipeline asks, and runs what was stored.
//!
//! What each part keeps from happening: the token is a random number of which the file has the hash only, so who reads the file cannot
//! approve; the seal binds the stored call to its token, tenant and times, so who writes the file cannot change what runs, move it to
//! another tenant, or let it wait longer; and a mark outside the project says that a token was used, so that a row, or the whole file,
//! put back as it was before is not approved again. Who writes the file can still remove what waits. Who reads the user's private
//! files can do everything.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rig_specs::{
    Sha256,
    rtp::{ApprovalRequired, RiskClass},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

mod seal;
mod store;
mod used;

use seal::{Frame, Seal};
use store::{Kept, State, Store};

/// How many calls wait at most. A person decides some a minute: more are a program that asks in a loop, and the file must not grow
/// with it.
pub const MAX_WAITING: u64 = 10_000;

/// A call as it is stored: everything that the approval is bound to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Too many calls wait.
    #[error("{MAX_WAITING} calls wait for approval already, which is the most that may")]
    Full,
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
            Self::NotFound { why: NEVER } => "see what waits: `rig approvals`".into(),
            Self::NotFound { .. } => "make the call again: it asks for approval anew, under a new token".into(),
            Self::Broken => "make the call again, and find out who can write to the approvals of this project".into(),
            Self::Full => "decide what waits (`rig approvals`), and find out who asks for so much".into(),
            Self::Store { .. } => {
                "check that the disk has space and who may write to the folder; a file that is damaged can be moved away, and what \
                 waited must be asked for again"
                    .into()
            }
        }
    }
}

const NEVER: &str = "it was never given out";
const APPROVED: &str = "it was approved already";
const DENIED: &str = "it was denied";
const EXPIRED: &str = "it expired";

fn not_found<T>(why: &'static str) -> Result<T, ApprovalError> {
    Err(ApprovalError::NotFound { why })
}

/// The stored approvals of one project. Everything here blocks: on a database, and on the disk where it says so.
#[derive(Debug)]
pub struct Approvals {
    path: PathBuf,
    keys: PathBuf,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    store: Store,
    seal: Seal,
}

/// What is sealed: the call, and the token to show who may see it.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    token: String,
    bound: Bound,
}

impl Approvals {
    /// The store at that place; `keys` is the private folder (outside the project) that holds the sealing key. Opens nothing yet.
    #[must_use]
    pub fn new(path: PathBuf, keys: PathBuf) -> Self {
        Self { path, keys, open: Mutex::new(None) }
    }

    /// Stores a call and makes its token. On the disk when this returns.
    pub fn request(&self, bound: &Bound, lifetime: Duration) -> Result<ApprovalRequired, ApprovalError> {
        self.request_at(bound, lifetime, Timestamp::now())
    }

    fn request_at(&self, bound: &Bound, lifetime: Duration, now: Timestamp) -> Result<ApprovalRequired, ApprovalError> {
        let expires = now.checked_add(lifetime).map_err(|error| self.store(error))?;
        let token = Uuid::new_v4().to_string();
        let frame = Frame {
            token_hash: Sha256::of(token.as_bytes()),
            tenant_id: bound.tenant_id.clone(),
            requested_at: now.as_microsecond(),
            expires_at: expires.as_microsecond(),
        };
        let sealed = Sealed { token, bound: bound.clone() };
        self.with(|open| {
            let plain = serde_json::to_vec(&sealed).map_err(|error| self.store(error))?;
            let blob = open.seal.close(&frame, plain).ok_or_else(|| self.store("it cannot be sealed"))?;
            used::sweep(&self.keys, frame.requested_at);
            match open.store.insert(&frame, &blob, MAX_WAITING) {
                Ok(true) => Ok(shown(&frame, &sealed)),
                Ok(false) => Err(ApprovalError::Full),
                Err(error) => Err(self.store(error)),
            }
        })
    }

    /// The calls that wait, oldest first; of one tenant, or of all. A stored call that was changed is left out.
    pub fn list(&self, tenant: Option<&str>) -> Result<Vec<ApprovalRequired>, ApprovalError> {
        self.list_at(tenant, Timestamp::now())
    }

    fn list_at(&self, tenant: Option<&str>, now: Timestamp) -> Result<Vec<ApprovalRequired>, ApprovalError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        self.with(|open| {
            let kept = open.store.waiting(tenant, now.as_microsecond()).map_err(|error| self.store(error))?;
            let mut waiting = Vec::new();
            for kept in kept {
                match self.look(open, &kept) {
                    Ok(sealed) => waiting.push(shown(&kept.frame, &sealed)),
                    Err(ApprovalError::Broken) => {
                        let approval = kept.frame.token_hash;
                        tracing::warn!(%approval, "a stored call was changed or belongs to another machine");
                    }
                    // It was used, whatever its row says.
                    Err(ApprovalError::NotFound { .. }) => {}
                    Err(other) => return Err(other),
                }
            }
            Ok(waiting)
        })
    }

    /// The stored call of a token that waits. `tenant` is whose approvals the asker may see; none sees all.
    pub fn get(&self, token: &str, tenant: Option<&str>) -> Result<Bound, ApprovalError> {
        self.get_at(token, tenant, Timestamp::now())
    }

    fn get_at(&self, token: &str, tenant: Option<&str>, now: Timestamp) -> Result<Bound, ApprovalError> {
        self.with_token(token, |open, hash| self.find(open, &hash, tenant, now).map(|(_, sealed)| sealed.bound))
    }

    /// Takes a token that waits, for good: of any number of racing callers one gets `Ok`. On the disk when this returns.
    pub fn claim(&self, token: &str, by: &str) -> Result<(), ApprovalError> {
        self.claim_at(token, by, Timestamp::now())
    }

    fn claim_at(&self, token: &str, by: &str, now: Timestamp) -> Result<(), ApprovalError> {
        self.decide(token, None, State::Approved, by, now).map(drop)
    }

    /// Denies a call that waits, and gives it back for the record. On the disk when this returns.
    pub fn deny(&self, token: &str, tenant: Option<&str>, by: &str) -> Result<Bound, ApprovalError> {
        self.decide(token, tenant, State::Denied, by, Timestamp::now())
    }

    fn decide(
        &self,
        token: &str,
        tenant: Option<&str>,
        decision: State,
        by: &str,
        now: Timestamp,
    ) -> Result<Bound, ApprovalError> {
        self.with_token(token, |open, hash| {
            // A look without a lock first: of many who race, most are told here that they lost.
            let (kept, sealed) = self.find(open, &hash, tenant, now)?;
            let won = open.store.decide(&kept.frame, decision, by, now.as_microsecond(), || {
                // Within the transaction, and before its end: when the process dies in between, the token is used, but nothing ran.
                used::mark(&self.keys, &kept.frame, decision)
            });
            if won.map_err(|error| self.store(error))? {
                return Ok(sealed.bound);
            }
            // Somebody else decided since, or it was used before: the second look says which.
            self.find(open, &hash, tenant, now).and_then(|_| not_found(APPROVED))
        })
    }

    /// The stored call, if it waits for this tenant's decision.
    fn find(
        &self,
        open: &mut Open,
        hash: &Sha256,
        tenant: Option<&str>,
        now: Timestamp,
    ) -> Result<(Kept, Sealed), ApprovalError> {
        let kept = open.store.find(hash, now.as_microsecond()).map_err(|error| self.store(error))?;
        // Another tenant's is as unknown as one that never was.
        let Some(kept) = kept.filter(|kept| tenant.is_none_or(|tenant| tenant == kept.frame.tenant_id)) else {
            return not_found(NEVER);
        };
        match kept.state {
            State::Waiting => self.look(open, &kept).map(|sealed| (kept, sealed)),
            State::Approved => not_found(APPROVED),
            State::Denied => not_found(DENIED),
            State::Expired => not_found(EXPIRED),
        }
    }

    /// Opens the seal of what is said to wait.
    fn look(&self, open: &Open, kept: &Kept) -> Result<Sealed, ApprovalError> {
        match used::find(&self.keys, &kept.frame).map_err(|error| self.store(error))? {
            Some(State::Denied) => return not_found(DENIED),
            Some(_) => return not_found(APPROVED),
            None => {}
        }
        let plain = open.seal.open(&kept.frame, &kept.sealed).ok_or(ApprovalError::Broken)?;
        serde_json::from_slice(&plain).map_err(|_| ApprovalError::Broken)
    }

    /// Runs `work` with the hash of a token. What is no token is unknown without a look.
    fn with_token<T>(
        &self,
        token: &str,
        work: impl FnOnce(&mut Open, Sha256) -> Result<T, ApprovalError>,
    ) -> Result<T, ApprovalError> {
        let is_token = Uuid::try_parse(token).is_ok_and(|uuid| uuid.hyphenated().to_string() == token);
        if !is_token || !self.path.exists() {
            return not_found(NEVER);
        }
        self.with(|open| work(open, Sha256::of(token.as_bytes())))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Open) -> Result<T, ApprovalError>) -> Result<T, ApprovalError> {
        let mut open = self.lock();
        if open.as_ref().is_none_or(|open| !open.store.is_current()) {
            *open = None;
            let seal = Seal::new(&self.keys).map_err(|error| self.store(error))?;
            let store = Store::open(&self.path).map_err(|why| self.store(why))?;
            *open = Some(Open { store, seal });
        }
        let Some(ready) = open.as_mut() else { return Err(self.store("it was closed")) };
        let done = work(ready);
        if matches!(done, Err(ApprovalError::Store { .. })) {
            // A connection that failed may be half broken.
            *open = None;
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, why: impl std::fmt::Display) -> ApprovalError {
        ApprovalError::Store { path: self.path.clone(), why: why.to_string() }
    }
}

fn shown(frame: &Frame, sealed: &Sealed) -> ApprovalRequired {
    let bound = &sealed.bound;
    ApprovalRequired {
        token: sealed.token.clone(),
        tool_name: bound.tool.clone(),
        risk_class: bound.risk_class,
        args: bound.shown_args.clone(),
        tenant_id: bound.tenant_id.clone(),
        actor: bound.actor.clone(),
        requested_at: timestamp(frame.requested_at),
        expires_at: timestamp(frame.expires_at),
    }
}

/// RFC 3339, UTC, in whole seconds: a person reads it. Of the moment of expiry nothing is promised beyond that.
fn timestamp(at: i64) -> String {
    Timestamp::from_microsecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.0}"))
}

#[cfg(test)]
mod tests;
