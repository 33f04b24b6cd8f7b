//! The call pipeline: the one function through which every call of a tool goes, whoever makes it.
//!
//! Find the tool in the snapshot → policy (allow, deny, limits) → validate the arguments → approval → resolve secrets → durable intent
//! → run in the sandbox → validate the output → record → answer. [`Caller::run`] owns this order and is the one outer place that
//! reports: the inner functions return what happened, and it turns every end, good or bad, into one row of the audit log and one
//! [`Called`]. The command line and every server are thin translations into it.

pub mod catalog;
pub mod constraints;
pub mod contract;
pub mod json;
pub mod limits;
pub mod open;
pub mod policy;
pub mod reach;
pub mod sanitise;
pub mod schema;

mod answer;
mod approval;
mod attempt;
mod client;
mod inner;
mod ledger;
mod scan;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rig_specs::{
    config::Config,
    rgp::{self, Outcome},
    rtp::{CallContext, ErrorKind, RiskClass},
};
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, CallError};
pub use approval::Decider;
pub use catalog::{Snapshot, Tool, VerifiedPack};
pub use open::Services;

use crate::{
    audit::{AuditError, Event, Row},
    egress::{EgressRecord, Gate},
    sandbox::{Client, Logged},
    secrets::Provider,
};
use approval::Approved;
use constraints::Constraints;
use contract::Breach;
use limits::{Limits, Permit};
use policy::{Decision, Policy};

/// One call as it is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The tool's full name.
    pub tool: String,
    /// The arguments as JSON text, as they came.
    pub args: String,
    /// Who calls.
    pub context: CallContext,
    /// A shorter wall clock than the policy's.
    pub timeout: Option<Duration>,
    /// 0 for calls from outside; one more for each call that a tool makes to another.
    pub depth: u32,
    /// Whoever calls, when they listen while the call runs.
    pub client: Option<Arc<dyn Client>>,
}

/// How a call ended: the answer for the caller and the facts for whoever records it.
#[derive(Debug)]
pub struct Called {
    /// The answer.
    pub answer: Answer,
    /// The facts.
    pub record: Record,
    /// Whether this was a person's denial, and it holds.
    pub denied: bool,
}

/// The facts of one call. Holds no secret and no arguments.
#[derive(Debug)]
pub struct Record {
    /// The tool that was called; none when there is none of that name.
    pub tool: Option<String>,
    /// How the call ended.
    pub outcome: Outcome,
    /// The kind of error, if it is one.
    pub error: Option<ErrorKind>,
    /// The risk class that counted; none for unknown tools.
    pub risk: Option<RiskClass>,
    /// Why the call has no row in the audit log yet, if it has none.
    pub unrecorded: Option<AuditError>,
    /// How long the call took, from the request to the answer.
    pub duration: Duration,
    /// How many attempts were made; 0 when the sandbox was never entered.
    pub attempts: u32,
    /// Which secrets were used and where they came from, for example `env:STRIPE_API_KEY`.
    pub auth: Vec<String>,
    /// What was sent.
    pub egress: Vec<EgressRecord>,
    /// What the pack logged, with known secrets taken out.
    pub log: Logged,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            tool: None,
            outcome: Outcome::Error,
            error: None,
            risk: None,
            unrecorded: None,
            duration: Duration::ZERO,
            attempts: 0,
            auth: Vec::new(),
            egress: Vec::new(),
            log: Logged::default(),
        }
    }
}

/// Everything that calls share: the tools, the rules, and the ways out.
pub struct Caller {
    snapshot: Arc<Snapshot>,
    services: Arc<Services>,
    gate: Arc<Gate>,
    provider: Arc<Provider>,
    policy: Policy,
    limits: Limits,
    constraints: Constraints,
    config: Config,
    storage_root: PathBuf,
    project: PathBuf,
}

impl Caller {
    /// Puts a pipeline together. `project` is the project's folder.
    ///
    /// # Errors
    /// When a constraint of the policy cannot be compiled; reading rig.yaml has refused such a one before.
    pub fn new(
        snapshot: Arc<Snapshot>,
        services: Arc<Services>,
        gate: Arc<Gate>,
        provider: Arc<Provider>,
        config: Config,
        project: &std::path::Path,
    ) -> Result<Self, String> {
        let policy = Policy::new(&config);
        let limits = Limits::new(&config.policy.rate_limits);
        let constraints = Constraints::new(&config.policy.constraints)?;
        let storage_root = reach::storage_root(&services.home.storage(), project);
        let project = project.to_path_buf();
        Ok(Self { snapshot, services, gate, provider, policy, limits, constraints, config, storage_root, project })
    }

    /// The tools that can be called.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The rules.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The settings that the rules come from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What outlives this snapshot.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Makes one call. Always answers; `cancel` ends it early.
    pub async fn call(self: &Arc<Self>, request: Request, cancel: CancellationToken) -> Called {
        self.run(request, None, cancel).await
    }

    async fn run(self: &Arc<Self>, request: Request, approved: Option<Approved>, cancel: CancellationToken) -> Called {
        let started = Instant::now();
        let id = request.context.request_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let tool = self.snapshot.get(&request.tool).map(|tool| &**tool);
        let mut row = self.row(&request, &id, tool);
        row.decision =
            approved.as_ref().map(|approved| ledger::decision(&approved.token, ledger::APPROVED, &approved.by));
        let mut record = Record::default();
        let ended = match tool {
            Some(tool) => {
                let risk = self.policy.risk(&tool.tool.def.name, tool.tool.def.risk_class);
                let mut running = Running {
                    caller: self,
                    tool,
                    request: &request,
                    id: &id,
                    risk,
                    approved,
                    cancel,
                    started,
                    intent: &row,
                    permit: None,
                    record: &mut record,
                };
                running.run().await
            }
            None => Err(CallError::unknown_tool(&request.tool, &self.snapshot)),
        };
        self.finish(started, row, ended, record, tool, id).await
    }

    /// A call that ends before it begins, with its row.
    async fn refused(&self, request: Request, error: CallError, decision: rgp::Decision) -> Called {
        let id = request.context.request_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let tool = self.snapshot.get(&request.tool).map(|tool| &**tool);
        let row = Row { decision: Some(decision), ..self.row(&request, &id, tool) };
        self.finish(Instant::now(), row, Err(error), Record::default(), tool, id).await
    }

    fn row(&self, request: &Request, id: &str, tool: Option<&Tool>) -> Row {
        if self.services.audit.is_none() {
            return Row::default();
        }
        ledger::row(request, id, tool, &self.snapshot.interface_hash, self.config.audit.args)
    }

    /// The one place where calls end: the record, the row, the answer.
    async fn finish(
        &self,
        started: Instant,
        row: Row,
        ended: Result<String, CallError>,
        mut record: Record,
        tool: Option<&Tool>,
        id: String,
    ) -> Called {
        record.tool = tool.map(|tool| tool.tool.def.name.clone());
        record.duration = started.elapsed();
        record.outcome = ledger::outcome(ended.as_ref().err());
        record.error = ended.as_ref().err().map(|error| error.kind);
        let denied = row.decision.as_ref().is_some_and(|decision| decision.decision == ledger::DENIED);
        if let Some(audit) = &self.services.audit {
            record.unrecorded = audit.record(ledger::ended(row, &record)).await.err();
        }
        Called { answer: Answer::new(ended, id, tool.map(|tool| &*tool.pack), &self.snapshot), record, denied }
    }
}

/// One call of a known tool while it runs.
struct Running<'a> {
    caller: &'a Arc<Caller>,
    tool: &'a Tool,
    request: &'a Request,
    /// The id of the call, which all its attempts share.
    id: &'a str,
    /// The risk class that counts.
    risk: RiskClass,
    /// A person's yes, when the call was stored before.
    approved: Option<Approved>,
    cancel: CancellationToken,
    started: Instant,
    /// The row as it is before the call runs.
    intent: &'a Row,
    /// Its place among the calls that run at once, until it ends.
    permit: Option<Permit>,
    record: &'a mut Record,
}

impl Running<'_> {
    async fn run(&mut self) -> Result<String, CallError> {
        let def = &self.tool.tool.def;
        let policy = &self.caller.policy;
        self.record.risk = Some(self.risk);
        let tenant = self.request.context.tenant_id.as_deref();
        let decision = policy.decide(&def.name, self.risk, &def.policy_defaults, tenant);
        if let Decision::Deny(rule) = decision {
            return Err(CallError::denied(&def.name, &rule));
        }
        self.permit = Some(self.enter()?);
        self.check_args()?;
        self.check_constraints()?;
        match &self.approved {
            Some(approved) => self.check_approved(approved)?,
            None if decision == Decision::Approve => return Err(self.ask_person().await),
            None => {}
        }
        self.attempts().await
    }

    /// Counts the call against the limits of the policy.
    fn enter(&self) -> Result<Permit, CallError> {
        let (services, name) = (&self.caller.services, &self.tool.tool.def.name);
        let tenant = self.request.context.tenant_id.as_deref().unwrap_or_default();
        let entered = services.limiter.enter(&self.caller.limits, name, self.tool.pack.id().as_str(), tenant);
        entered.map_err(|limited| CallError::limited(name, &limited))
    }

    fn check_constraints(&self) -> Result<(), CallError> {
        let name = &self.tool.tool.def.name;
        if !self.caller.constraints.applies(name) {
            return Ok(());
        }
        let args = json::object(&self.request.args).map_err(CallError::args)?;
        let kept = self.caller.constraints.check(name, &args);
        kept.map_err(|problems| CallError::constrained(name, &problems))
    }

    /// Before a risky call runs, that it will is on the disk; when that cannot be written, it does not run.
    async fn intend(&self) -> Result<(), CallError> {
        if self.approved.is_none() && self.risk <= RiskClass::Write {
            return Ok(());
        }
        if let Some(audit) = &self.caller.services.audit {
            let intent = Row { event: Event::Intent, auth: self.record.auth.clone(), ..self.intent.clone() };
            let written = audit.record_durably(intent).await;
            written.map_err(|error| CallError::unrecordable(&self.tool.tool.def.name, &error))?;
        }
        self.claim().await
    }

    fn check_args(&self) -> Result<(), CallError> {
        let (tool, args, limit) = (self.tool, &self.request.args, self.caller.config.limits.args);
        if args.len() > limit.as_usize() {
            return Err(CallError::args(format!("the arguments are {} bytes long, the limit is {limit}", args.len()))
                .with_hint("send less, or raise `limits.args` in rig.yaml"));
        }
        let name = &tool.tool.def.name;
        tool.input.check(args).map_err(|breach| match breach {
            Breach::NotAnObject(why) => CallError::args(format!("the arguments are not a JSON object: {why}")),
            Breach::Refused(problems) => {
                CallError::args(format!("the arguments do not fit `{name}`: {}", problems.join("; ")))
                    .with_hint(&format!("see the arguments of the tool: rig info {}", tool.pack.id()))
            }
            Breach::Unusable(why) => CallError::broken_pack(format!("its input schema cannot be used: {why}")),
        })
    }
}
