//! The call pipeline: the one function through which every call of a tool goes, whoever makes it.
//!
//! Find the tool in the snapshot → policy → validate the arguments → approval → resolve secrets → run in the sandbox → validate the
//! output → answer. [`Caller::call`] owns this order and is the one outer place that reports: the inner functions return what
//! happened, and it turns every end, good or bad, into one [`Called`]. The command line and every server are thin translations
//! into it.

pub mod catalog;
pub mod contract;
pub mod json;
pub mod policy;
pub mod reach;
pub mod schema;

mod answer;
mod attempt;
mod client;
mod inner;
mod scan;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rig_specs::{config::Config, rtp::CallContext};
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, CallError};
pub use catalog::{Snapshot, Tool, VerifiedPack};
use contract::Breach;

use crate::{
    egress::{EgressRecord, Gate},
    home::Home,
    sandbox::{Client, Logged, Sandbox},
    secrets::Provider,
};
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
}

/// The facts of one call. Holds no secret and no arguments.
#[derive(Debug, Default)]
pub struct Record {
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

/// Everything that calls share: the tools, the rules, and the ways out.
pub struct Caller {
    snapshot: Arc<Snapshot>,
    sandbox: Sandbox,
    gate: Arc<Gate>,
    provider: Arc<Provider>,
    policy: Policy,
    config: Config,
    home: Home,
    storage_root: PathBuf,
}

impl Caller {
    /// Puts a pipeline together. `project` is the project's folder.
    #[must_use]
    pub fn new(
        snapshot: Arc<Snapshot>,
        sandbox: Sandbox,
        gate: Arc<Gate>,
        provider: Arc<Provider>,
        config: Config,
        home: &Home,
        project: &std::path::Path,
    ) -> Self {
        let policy = Policy::new(&config.policy);
        let storage_root = reach::storage_root(&home.storage(), project);
        Self { snapshot, sandbox, gate, provider, policy, config, home: home.clone(), storage_root }
    }

    /// The tools that can be called.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Makes one call. Always answers; `cancel` ends it early.
    pub async fn call(self: &Arc<Self>, request: Request, cancel: CancellationToken) -> Called {
        let started = Instant::now();
        let id = request.context.request_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let mut record = Record::default();
        let tool = self.snapshot.get(&request.tool);
        let ended = match tool {
            Some(tool) => {
                let record = &mut record;
                Running { caller: self, tool, request: &request, id: &id, cancel, started, record }.run().await
            }
            None => Err(CallError::unknown_tool(&request.tool, &self.snapshot)),
        };
        record.duration = started.elapsed();
        Called { answer: Answer::new(ended, id, tool.map(|tool| &*tool.pack), &self.snapshot), record }
    }
}

/// One call of a known tool while it runs.
struct Running<'a> {
    caller: &'a Arc<Caller>,
    tool: &'a Tool,
    request: &'a Request,
    /// The id of the call, and the key that all its attempts share.
    id: &'a str,
    cancel: CancellationToken,
    started: Instant,
    record: &'a mut Record,
}

impl Running<'_> {
    async fn run(mut self) -> Result<String, CallError> {
        let def = &self.tool.tool.def;
        let decision = self.caller.policy.decide(&def.name, def.risk_class);
        if let Decision::Deny(rule) = decision {
            return Err(CallError::denied(&def.name, &rule));
        }
        self.check_args()?;
        if decision == Decision::Approve {
            return Err(CallError::needs_approval(&def.name, def.risk_class));
        }
        self.attempts().await
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
