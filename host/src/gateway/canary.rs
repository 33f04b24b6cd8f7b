//! Other versions of packs on trial: a share of the calls runs on the candidate that `rig update --canary` left in the project, and the
//! trial ends by itself when the candidate does worse. How "worse" is told is in [`verdict`]; what is kept in the project's files in
//! [`project::canary`](crate::project::canary).
//!
//! Only calls of packs that differ are shared out. What is listed, and what is not there in both versions, is that of `rig.lock`. A
//! pack that may ask people questions in the middle of a call is left out: a question and its answer belong to one version.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rig_specs::{PackId, Sha256, rgp::Outcome, rtp::ErrorKind};
use serde_json::json;

use super::LoadProblem;
use crate::{
    audit::{Audit, Event, Row},
    call::{Caller, Record, Services, Snapshot, open},
    egress::Gate,
    project::{
        Project,
        canary::{self, Candidate},
    },
};
use verdict::{Side, verdict};

mod verdict;

/// A candidate that is served.
pub(super) struct Trial {
    candidate: Candidate,
    /// Calls run on this for the candidate.
    pub(super) caller: Arc<Caller>,
    counts: Arc<Counts>,
    audit: Option<Audit>,
    is_new: bool,
}

/// What outlives a change of rules while the candidate stays the same.
#[derive(Debug, Default)]
struct Counts {
    turn: AtomicU64,
    sides: Mutex<Sides>,
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Sides {
    present: Side,
    candidate: Side,
}

/// The version that a call runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    Present,
    Candidate,
}

impl Arm {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Candidate => "candidate",
        }
    }
}

impl Trial {
    /// Loads the candidate of a project, if there is one. What does not load or does not fit `rig.lock` any more is over, and noted as
    /// such.
    pub(super) async fn load(
        project: &Project,
        present: &Arc<Caller>,
        gate: &Arc<Gate>,
        services: &Arc<Services>,
        old: Option<&Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let candidate = match canary::read(project.root()) {
            Ok(candidate) => candidate?,
            Err(error) => {
                tracing::error!(%error, hint = error.hint(), "the candidate is not served");
                return None;
            }
        };
        let root = project.root();
        if candidate.base != project.lock_digest() {
            end(root, services.audit.as_ref(), &candidate, "superseded", "rig.lock has changed", None).await;
            return None;
        }
        let old = old.filter(|old| old.candidate.digest == candidate.digest);
        let loaded = Self::caller(project, &candidate, present, gate, services).await;
        let caller = match loaded {
            Ok(caller) => caller,
            Err(problem) => {
                let reason = format!("it cannot be served: {problem}");
                end(root, services.audit.as_ref(), &candidate, "rolled_back", &reason, None).await;
                return None;
            }
        };
        let audit = services.audit.clone();
        let counts = old.map(|old| Arc::clone(&old.counts)).unwrap_or_default();
        Some(Arc::new(Self { candidate, caller, counts, audit, is_new: old.is_none() }))
    }

    /// To be called once calls run on it: notes that it began, unless it is only served anew.
    pub(super) async fn begun(&self) {
        if self.is_new {
            let candidate = &self.candidate;
            tracing::info!(share = %candidate.share, why = %candidate.why, "a candidate is on trial");
            record(self.audit.as_ref(), candidate, "begun", &format!("{} of the calls", candidate.share), None).await;
        }
    }

    async fn caller(
        project: &Project,
        candidate: &Candidate,
        present: &Arc<Caller>,
        gate: &Arc<Gate>,
        services: &Arc<Services>,
    ) -> Result<Arc<Caller>, LoadProblem> {
        let (candidate, home) = (project.with_candidate(candidate), services.home.clone());
        let read = tokio::task::spawn_blocking(move || (open::snapshot(&candidate, &home), candidate));
        let ((snapshot, mut damaged), project) =
            read.await.map_err(|_| LoadProblem::Other("checking the packs failed".into()))?;
        // What is damaged in both is not the candidate's fault.
        damaged.retain(|(id, _)| present.snapshot().offers(id));
        if !damaged.is_empty() {
            return Err(damaged.swap_remove(0).1.into());
        }
        snapshot.adopt(present.snapshot());
        let caller = open::caller(&project, snapshot, Arc::clone(gate), Arc::clone(services));
        let caller = Arc::new(caller.map_err(LoadProblem::Other)?);
        caller.prepare().await.map_err(LoadProblem::Other)?;
        Ok(caller)
    }

    /// Which version a call of a tool runs on; none when the tool is not on trial.
    pub(super) fn pick(&self, present: &Snapshot, tool: &str) -> Option<Arm> {
        let (here, there) = (present.get(tool)?, self.caller.snapshot().get(tool)?);
        let asks = |tool: &crate::call::Tool| tool.pack.verified.locked.granted.ask.is_some();
        let same = here.pack.verified.digest == there.pack.verified.digest;
        if same || asks(here) || asks(there) || self.counts.over.load(Ordering::Acquire) {
            return None;
        }
        let turn = self.counts.turn.fetch_add(1, Ordering::Relaxed);
        let share = self.candidate.share;
        Some(if share.of(turn + 1) > share.of(turn) { Arm::Candidate } else { Arm::Present })
    }

    /// Whether the candidate has this component and `present` has not: a call that was stored for it runs on it.
    pub(super) fn has_alone(&self, present: &Snapshot, component: &Sha256) -> bool {
        let has = |snapshot: &Snapshot| snapshot.tools().any(|tool| tool.pack.verified.digest == *component);
        has(self.caller.snapshot()) && !has(present) && !self.counts.over.load(Ordering::Acquire)
    }

    /// Counts a call, and ends the trial when it says that the candidate is worse. No call runs on the candidate after that.
    pub(super) fn count(&self, arm: Arm, record: &Record) -> Option<Verdict> {
        // What the gateway itself refused says nothing about the pack.
        let refused = matches!(
            record.error,
            Some(ErrorKind::PolicyBlocked | ErrorKind::ApprovalRequired | ErrorKind::RateLimited)
        );
        if refused && record.attempts == 0 {
            return None;
        }
        let failed = record.outcome == Outcome::Error;
        let mut sides = self.counts.sides.lock().unwrap_or_else(PoisonError::into_inner);
        let side = match arm {
            Arm::Present => &mut sides.present,
            Arm::Candidate => &mut sides.candidate,
        };
        side.add(failed, record.duration);
        if arm == Arm::Present {
            return None;
        }
        let reason = verdict(&sides.present, &sides.candidate)?;
        let counted = sides.numbers();
        drop(sides);
        // The first who says so.
        (!self.counts.over.swap(true, Ordering::AcqRel)).then_some(Verdict { reason, counted })
    }

    /// Takes the candidate back.
    pub(super) async fn roll_back(&self, root: &Path, verdict: Verdict) {
        let Verdict { reason, counted } = verdict;
        end(root, self.audit.as_ref(), &self.candidate, "rolled_back", &reason, Some(counted)).await;
    }
}

/// Why a trial ended by itself.
pub(super) struct Verdict {
    reason: String,
    counted: serde_json::Value,
}

impl Sides {
    fn numbers(&self) -> serde_json::Value {
        let side = |side: &Side| json!({ "calls": side.calls, "failed": side.failed, "p95_ms": side.p95().as_secs_f64() * 1e3 });
        json!({ "candidate": side(&self.candidate), "present": side(&self.present) })
    }
}

/// Notes the end of a trial: in the project, in the audit log, and in the log of the gateway.
async fn end(
    root: &Path,
    audit: Option<&Audit>,
    candidate: &Candidate,
    how: &str,
    reason: &str,
    counted: Option<serde_json::Value>,
) {
    let noted = {
        let (root, candidate, how, reason) = (root.to_owned(), candidate.clone(), how.to_owned(), reason.to_owned());
        tokio::task::spawn_blocking(move || canary::end(&root, &candidate, &how, &reason)).await
    };
    match noted {
        Ok(Ok(true)) => {}
        // Another gateway of the project was faster.
        Ok(Ok(false)) => return,
        Ok(Err(error)) => {
            tracing::error!(%error, hint = error.hint(), "the end of a trial cannot be noted; this gateway does not use the candidate");
        }
        Err(_) => tracing::error!("the end of a trial cannot be noted"),
    }
    tracing::warn!(how, reason, why = %candidate.why, "the trial of a candidate has ended");
    record(audit, candidate, how, reason, counted).await;
}

/// One row for the whole candidate: it is taken back as a whole.
async fn record(
    audit: Option<&Audit>,
    candidate: &Candidate,
    how: &str,
    reason: &str,
    counted: Option<serde_json::Value>,
) {
    let Some(audit) = audit else { return };
    let packs: BTreeSet<&PackId> = candidate.moved.iter().map(|moved| &moved.pack).collect();
    let packs: Vec<&str> = packs.into_iter().map(PackId::as_str).collect();
    let said = json!({ "canary": how, "reason": reason, "packs": candidate.moved, "counted": counted });
    let row = Row {
        event: Event::Canary,
        actor: "rig".into(),
        pack: packs.join(",").into(),
        args: said.as_object().cloned(),
        ..Row::default()
    };
    if let Err(error) = audit.record(row).await {
        tracing::error!(%error, hint = error.hint(), "the trial of a candidate has no row in the audit log");
    }
}
