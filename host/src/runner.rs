//! Runs packs from PyPI and npm: each in a process of its own, which is kept warm and spoken to over its pipes.
//!
//! A [`Program`] is what is run, [`Runners`] are the processes. [`Program::call`] makes one call and always ends by its deadline.
//!
//! - [`cell`] starts a program that reaches nothing but what it was given, and ends it with everything that it started.
//! - `proxy` is the only network there is in a cell: it passes on what the pack's grant covers.
//! - `process`, `message` and [`frame`] are the conversation with a program; `pool` keeps it running.
//!
//! Which packs there are and where their files come from is decided in [`install`](crate::install). Policy, arguments and secrets are
//! the pipeline's.

pub mod cell;
mod describe;
pub mod frame;
mod message;
mod pool;
mod process;
mod proxy;
mod trust;

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rig_specs::{Sha256, rtp};
use serde_json::{json, value::RawValue};
use tokio_util::sync::CancellationToken;

pub use describe::{About, Described};
pub use pool::Runners;
pub use proxy::{Destination, Meter};

use crate::{
    egress::{Gate, Reach, Settings, Traffic},
    home,
    sandbox::{Context, ErrorKind, Failure, Logged, Outcome, Stop, ToolError},
    secrets::CallSecrets,
};
use cell::{Cell, CellLimits, Isolation};
use message::{CallParams, Refusal};
use pool::within;
use process::{Process, Reply};

/// How long a pack may take until it has told its tools: large SDKs take seconds to load from a cold disk.
const START: Duration = Duration::from_secs(30);

/// What is run for a pack.
#[derive(Debug, Clone)]
pub struct Program {
    /// The pack, for people.
    pub pack: String,
    /// What tells this program from every other: two with the same are the same process.
    pub identity: String,
    /// The program: an interpreter.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What it reads beside the system's own libraries: files and folders.
    pub read_only: Vec<PathBuf>,
    /// The hosts that it may reach.
    pub network: Arc<Reach>,
    /// How much it may use.
    pub limits: CellLimits,
    /// How far it must be kept apart.
    pub level: Isolation,
    /// Whether its SDKs are told of the proxy in its environment; see [`Cell::proxy_variables`].
    pub proxy_variables: bool,
    /// Where scratch folders are made.
    pub scratch: PathBuf,
    /// What the runner is told: where the pack's files are, and what its package is called.
    pub paths: Vec<PathBuf>,
    /// The name of the package.
    pub package: String,
    /// Of the tools that it must tell; nothing while it is being installed.
    pub tools_hash: Option<Sha256>,
}

/// What one call is given.
pub struct RunnerCall<'a> {
    /// The tool's full name.
    pub tool: &'a str,
    /// The arguments as JSON text, checked.
    pub args: &'a str,
    /// Of the tool's own slots.
    pub secrets: &'a CallSecrets,
    /// Told to the tool.
    pub context: &'a Context,
    /// When the call is given up.
    pub deadline: Instant,
    /// Gives the call up at once.
    pub cancel: &'a CancellationToken,
    /// The size of the output in bytes.
    pub output: usize,
}

/// What came of a call.
pub struct Made {
    /// The answer and the log.
    pub outcome: Outcome,
    /// What went over the network since the last call of the process ended. Calls that run at once share their connections, so that
    /// nobody can tell whose it was.
    pub traffic: Vec<Traffic>,
}

/// Why a pack has no process.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The process cannot be started.
    #[error(transparent)]
    Cell(#[from] cell::Error),
    /// The project's certificate authorities cannot be handed on.
    #[error("the certificate authorities of `network.extra_ca` cannot be handed to its process: {0}")]
    Trust(std::io::Error),
    /// Its scratch folder cannot be made.
    #[error("cannot make a folder for its process: {0}")]
    Scratch(std::io::Error),
    /// The process ended, or said nothing.
    #[error("its process did not start: {why}")]
    Silent {
        /// Why.
        why: String,
        /// What it said.
        log: Vec<String>,
    },
    /// The pack cannot be used.
    #[error("{why}")]
    Pack {
        /// Why, for people.
        why: String,
        /// What it said.
        log: Vec<String>,
    },
    /// What the pack tells of its tools is not sound.
    #[error("{}", .0.join("; "))]
    Tools(Vec<String>),
    /// It tells other tools than those that were consented to.
    #[error("it tells other tools now than those in rig.lock")]
    OtherTools,
}

impl RunnerError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self, pack: &str) -> String {
        match self {
            Self::Cell(cell::Error::Program { .. }) => {
                "look whether the interpreter is still there; `rig install` puts the environment together again".into()
            }
            Self::Cell(error) => error.hint(pack).unwrap_or_else(|| "`rig doctor` shows what this machine has".into()),
            Self::Trust(_) => "check the files that `network.extra_ca` names in rig.yaml".into(),
            Self::Scratch(_) => "check that rig's home has space and belongs to you".into(),
            Self::Pack { log, .. } => match log.iter().rev().find(|line| !line.trim().is_empty()) {
                Some(line) => format!("it said: {}", crate::words::plain(line)),
                None => "report this to the pack's author".into(),
            },
            // Of a silent one, what it said last is the reason already.
            Self::Silent { .. } | Self::Tools(_) => "report this to the pack's author".into(),
            Self::OtherTools => {
                format!("what it tells may depend on the machine; `rig uninstall {pack}` and install it again")
            }
        }
    }
}

impl Program {
    /// Starts a process and has the pack loaded.
    async fn launch(&self, gate: &Arc<Gate>) -> Result<Process, RunnerError> {
        let (process, described) = self.load(gate).await?;
        let defs = || described.tools.iter().map(|tool| &tool.def);
        if self.tools_hash.is_some_and(|expected| expected != rtp::tools_hash(defs())) {
            process.end("it tells other tools");
            return Err(RunnerError::OtherTools);
        }
        Ok(process)
    }

    async fn load(&self, gate: &Arc<Gate>) -> Result<(Process, Described), RunnerError> {
        home::private_dir(&self.scratch).map_err(RunnerError::Scratch)?;
        let scratch =
            tempfile::Builder::new().prefix("pack-").tempdir_in(&self.scratch).map_err(RunnerError::Scratch)?;
        let (env, bundle) = trust::variables(gate, &self.scratch).map_err(RunnerError::Trust)?;
        let mut cell = Cell {
            program: self.program.clone(),
            args: self.args.clone(),
            env,
            read_only: self.read_only.clone(),
            listed: self.paths.clone(),
            scratch: scratch.path().to_owned(),
            network: Arc::clone(&self.network),
            gate: Arc::clone(gate),
            proxy_variables: self.proxy_variables,
            limits: self.limits,
            level: self.level,
            launcher: cell::LAUNCHER.into(),
        };
        cell.read_only.extend(bundle);
        let process = Process::start(&self.pack, &cell, scratch).await?;
        let answer = async {
            let params = json!({ "key": process.key(), "paths": self.paths, "package": self.package });
            match process.send("start", params).await {
                Ok(mut sent) => sent.answer().await,
                Err(why) => Reply::Gone(why),
            }
        };
        let reply = tokio::time::timeout(START, answer).await;
        match reply {
            Ok(Reply::Result(text)) => {
                let described = Described::read(&text).map_err(RunnerError::Tools)?;
                Ok((process, described))
            }
            Ok(Reply::Refused(refusal)) => Err(RunnerError::Pack { why: refusal.message, log: process.recent() }),
            Ok(Reply::Gone(why)) => {
                process.gone().await;
                Err(RunnerError::Silent { why, log: process.recent() })
            }
            Err(_) => {
                let why = format!("it did not tell its tools within {} s", START.as_secs());
                process.end(&why);
                Err(RunnerError::Silent { why, log: process.recent() })
            }
        }
    }

    /// Asks the pack for its tools, in a process that ends then. To be called without a network grant, when it is installed.
    ///
    /// # Errors
    /// When it cannot be started or tells nothing sound.
    pub async fn describe(&self) -> Result<Described, RunnerError> {
        // It reaches nothing; nor would it, if it were granted something.
        let closed = Gate::new(&Settings { offline: true, ..Settings::default() });
        let closed = closed.map_err(|error| cell::Error::Setup(error.to_string()))?;
        let (process, described) = self.load(&Arc::new(closed)).await?;
        process.end("it has told its tools");
        process.gone().await;
        Ok(described)
    }

    /// Makes a call. Always ends by the deadline and soon after a cancel; the pack is made to stop then.
    ///
    /// # Errors
    /// When there is no process for it.
    pub async fn call(
        &self,
        runners: &Arc<Runners>,
        gate: &Arc<Gate>,
        call: RunnerCall<'_>,
    ) -> Result<Made, RunnerError> {
        let end =
            |failure, traffic| Ok(Made { outcome: Outcome { result: Err(failure), log: Logged::default() }, traffic });
        let stopped = |stop| end(Failure::Stopped(stop), Vec::new());
        let process = match within(call.deadline, call.cancel, runners.process(self, gate)).await {
            Ok(process) => process?,
            Err(stop) => return stopped(stop),
        };
        let args = match serde_json::from_str::<&RawValue>(call.args) {
            Ok(args) => args,
            // The pipeline has read them before.
            Err(error) => return stopped(Stop::Trap(format!("its arguments cannot be passed on: {error}"))),
        };
        let (tool, context) = (call.tool, call.context.into());
        let params = CallParams { tool, args, secrets: call.secrets.for_process(), context };
        let mut sent = match within(call.deadline, call.cancel, process.send("call", params)).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(why)) => return end(gone(&why), process.traffic()),
            Err(stop) => return stopped(stop),
        };
        let reply = within(call.deadline, call.cancel, sent.answer()).await;
        let log = sent.log.clone();
        let result = match reply {
            Ok(Reply::Result(text)) if text.len() > call.output => {
                Err(Failure::Stopped(Stop::OutputTooLarge { size: text.len(), limit: call.output }))
            }
            Ok(Reply::Result(text)) => Ok(text),
            Ok(Reply::Refused(refusal)) if refusal.code == Refusal::CANCELLED => Err(Failure::Stopped(Stop::Cancelled)),
            Ok(Reply::Refused(refusal)) => Err(Failure::Tool(refusal.into_tool_error())),
            Ok(Reply::Gone(why)) => Err(gone(&why)),
            Err(stop) => Err(Failure::Stopped(stop)),
        };
        Ok(Made { outcome: Outcome { result, log: log.finish() }, traffic: process.traffic() })
    }
}

/// The process ended while the call ran: nobody knows how far the call came.
fn gone(why: &str) -> Failure {
    Failure::Tool(ToolError {
        kind: ErrorKind::Transient,
        message: format!("the process of the pack ended during the call: {why}"),
        retryable: true,
        upstream_code: None,
        remediation_hints: vec![
            "call again when doing it twice does no harm; the pack's log says more: `rig call --verbose`".into(),
        ],
    })
}
