//! Makes the calls of cases. The pack is installed into a scratch project, with everything that its manifest asks for, and called
//! through the pipeline; only what leaves the gate meets a tape instead of the network, unless a recording is made.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rig_specs::{PackId, rtp::CallContext};
use serde::Serialize;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{
    CasesError,
    file::{Case, CaseFile},
    judge::Expectation,
    play::Script,
    recording::{self, Recording, Recordings},
};
use crate::{
    approvals::Approvals,
    call::{Caller, Request, Services, Snapshot, open},
    egress::{self, Gate, Tape, limits::REDACTED_SECRET},
    home::Home,
    install::{self, Bundle, Installer, Options, WithBundle},
    project::{self, Project},
    sandbox::Sandbox,
    secrets::Provider,
};

/// What cases are run with.
pub struct Setup {
    /// The built pack.
    pub component: PathBuf,
    /// Compiles and runs it.
    pub sandbox: Sandbox,
    /// Where packs that it needs are found; `index.url` of a `rig.yaml`.
    pub index_url: Option<String>,
    /// Where they are found else.
    pub bundle: Option<Bundle>,
    /// How the network is reached, for recording and for packs that it needs. Of replayed calls only the hosts at private addresses
    /// count.
    pub network: egress::Settings,
    /// Present when recordings are made.
    pub recorder: Option<Recorder>,
}

/// What a recording needs beside the network.
pub struct Recorder {
    /// Has the author's secrets and settings.
    pub provider: Arc<Provider>,
}

/// A scratch project with the pack in it.
pub struct Bench {
    folder: TempDir,
    project: Project,
    home: Home,
    /// Compiles the pack once; each case has a snapshot of its own.
    compiled: Snapshot,
    pack: PackId,
    setup: Setup,
}

/// What came of a case.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The file that it stands in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// The tool that it calls.
    pub tool: String,
    /// Whether everything was as the case says.
    pub ok: bool,
    /// What was not, each a sentence and perhaps a difference below it.
    pub problems: Vec<String>,
    /// How many requests were recorded, when a recording was made.
    pub recorded: Option<usize>,
    /// What the pack logged.
    pub log: Vec<String>,
}

impl Bench {
    /// Installs the pack.
    ///
    /// # Errors
    /// When it cannot be installed, or the scratch project cannot be made.
    pub async fn new(setup: Setup) -> Result<Self, CasesError> {
        let set_up = |error: &dyn std::fmt::Display| CasesError::Setup(error.to_string());
        let folder = tempfile::tempdir().map_err(|error| set_up(&error))?;
        let root = folder.path().join("project");
        fs::create_dir(&root).map_err(|error| set_up(&error))?;
        project::init(&root, setup.index_url.as_deref()).map_err(|error| set_up(&error))?;
        let home = Home::new(folder.path().join("home"));

        let gate = Gate::new(&setup.network)?;
        let way = WithBundle { network: &gate, bundle: setup.bundle.as_ref() };
        let installer = Installer::new(home.clone(), &way);
        let project = Project::open(&root).map_err(|error| set_up(&error))?;
        let request = install::Request::File(setup.component.clone());
        let plan = installer.plan(&project, &[request], &Options::new(root.clone()), &|_| {}).await?;
        let pack = plan.packs.first().map(|planned| planned.id().clone());
        let pack = pack.ok_or_else(|| CasesError::Setup("nothing was installed".into()))?;
        plan.commit(&root, &mut |_| {})?;
        let project = Project::open(&root).map_err(|error| set_up(&error))?;
        let compiled = snapshot(&project, &home)?;
        Ok(Self { folder, project, home, compiled, pack, setup })
    }

    /// Runs the cases of a file whose names or tools contain the filter, in their order, and keeps the recordings that were made.
    /// `done` is told each outcome as it comes.
    ///
    /// # Errors
    /// When the recordings cannot be read or written.
    pub async fn run(
        &self,
        pack: &Path,
        file: &CaseFile,
        filter: &str,
        done: &mut dyn FnMut(&Outcome),
    ) -> Result<Vec<Outcome>, CasesError> {
        let path = recording::path(pack, &file.path);
        let mut recordings = recording::read(&path)?;
        let (mut outcomes, mut changed) = (Vec::new(), false);
        for case in file.cases.iter().filter(|case| case.name.contains(filter) || case.tool.contains(filter)) {
            let (mut outcome, recording) = self.one(case, recordings.cases.get(&case.name)).await?;
            outcome.file.clone_from(&file.shown);
            if let Some(recording) = recording {
                changed |= keep(&mut recordings, &case.name, recording);
            }
            done(&outcome);
            outcomes.push(outcome);
        }
        if changed {
            recordings.cases.retain(|name, _| file.cases.iter().any(|case| case.name == *name));
            recording::write(&path, &recordings)?;
        }
        Ok(outcomes)
    }

    async fn one(&self, case: &Case, recorded: Option<&Recording>) -> Result<(Outcome, Option<Recording>), CasesError> {
        let mut outcome = Outcome {
            file: String::new(),
            name: case.name.clone(),
            tool: case.tool.clone(),
            ok: false,
            problems: Vec::new(),
            recorded: None,
            log: Vec::new(),
        };
        if let Some(problem) = self.not_callable(case) {
            outcome.problems.push(problem);
            return Ok((outcome, None));
        }
        // A case that says what HTTP there is, is never recorded.
        let recording = if let Some(live) = self.setup.recorder.as_ref().filter(|_| case.http.is_none()) {
            self.record(case, live, &mut outcome).await?
        } else {
            self.replay(case, recorded, &mut outcome).await?;
            None
        };
        outcome.ok = outcome.problems.is_empty();
        // A recording of what was not as it should be would replace one that was.
        Ok((outcome.clone(), recording.filter(|_| outcome.ok)))
    }

    fn not_callable(&self, case: &Case) -> Option<String> {
        if self.compiled.get(&case.tool).is_some() {
            return None;
        }
        let names: Vec<&str> = self.compiled.tools().map(|tool| tool.tool.def.name.as_str()).collect();
        Some(format!("the pack has no tool `{}`; it has {}", case.tool, names.join(", ")))
    }

    async fn record(
        &self,
        case: &Case,
        recorder: &Recorder,
        outcome: &mut Outcome,
    ) -> Result<Option<Recording>, CasesError> {
        let provider = &recorder.provider;
        let tool = self.compiled.get(&case.tool);
        for slot in tool.iter().flat_map(|tool| &tool.tool.def.auth_slots) {
            // One that cannot be read or is missing is the pipeline's to report.
            if provider.secret(slot).ok().flatten().is_some_and(|(secret, _)| secret.is_shorter_than(REDACTED_SECRET)) {
                let why = "too short to be found in an answer and blanked; nothing was sent";
                outcome
                    .problems
                    .push(format!("the secret `{slot}` has fewer than {REDACTED_SECRET} characters, {why}"));
                return Ok(None);
            }
        }
        // Kept with the recording: a replay has no environment.
        let declared = tool.map(|tool| &tool.pack.verified.embedded.manifest.config);
        let mut config = BTreeMap::new();
        for name in declared.into_iter().flat_map(BTreeMap::keys).filter(|name| !case.config.contains_key(*name)) {
            if let Ok(Some(value)) = provider.setting(name) {
                config.insert(name.clone(), value);
            }
        }
        let tape = Arc::new(Tape::recording());
        let gate = Gate::new(&self.setup.network)?.with_tape(Arc::clone(&tape));
        let id = uuid::Uuid::new_v4().to_string();
        let result = self.call(case, &config, Arc::clone(provider), gate, &id, outcome).await?;
        let stated = Expectation::of(case);
        outcome.problems.extend(stated.as_ref().and_then(|stated| stated.judge(&result)));
        let found = stated.is_none().then(|| Expectation::from_result(&result));
        let exchanges = tape.recorded();
        outcome.recorded = Some(exchanges.len());
        Ok(Some(Recording::new(id, config, exchanges, found.as_ref())))
    }

    async fn replay(&self, case: &Case, recorded: Option<&Recording>, outcome: &mut Outcome) -> Result<(), CasesError> {
        let recorded = recorded.filter(|_| case.http.is_none());
        let expectation = Expectation::of(case).or_else(|| recorded.and_then(Recording::expectation));
        let script = match (&case.http, recorded) {
            (Some(exchanges), _) => Script::of_case(case, exchanges),
            (None, Some(recorded)) => Script::new(recorded.exchanges(), &case.ignore),
            (None, None) => Script::default(),
        };
        let script = Arc::new(Mutex::new(script));
        let lock = |script: &Mutex<Script>, sent: &egress::Sent| {
            script.lock().unwrap_or_else(PoisonError::into_inner).answer(sent)
        };
        let player = Arc::clone(&script);
        let tape = Tape::replaying(move |sent| lock(&player, sent));
        // Neither a proxy nor an authority matters where nothing is sent, and a machine that replays may have neither.
        let network =
            egress::Settings { allow_private: self.setup.network.allow_private.clone(), ..egress::Settings::default() };
        let gate = Gate::new(&network)?.with_tape(Arc::new(tape));
        let id = recorded.map_or_else(|| uuid::Uuid::new_v4().to_string(), |recorded| recorded.request_id.clone());
        let config = recorded.map(|recorded| recorded.config.clone()).unwrap_or_default();
        let result = self.call(case, &config, Arc::new(self.stand_ins()), gate, &id, outcome).await?;
        let unanswered = script.lock().unwrap_or_else(PoisonError::into_inner).end();
        let stale = recorded.is_some() && !unanswered.is_empty();
        outcome.problems.extend(unanswered);
        if stale {
            outcome.problems.push("when the pack is right, record the case again: rig test --record".into());
        }
        match expectation {
            Some(expectation) => outcome.problems.extend(expectation.judge(&result)),
            None => outcome.problems.push(
                "the case does not say what must come of it: record it with `rig test --record`, or give it `output`, `includes` or \
                 `error`"
                    .into(),
            ),
        }
        Ok(())
    }

    /// Values for all secrets of the pack: that one goes along is checked, and no machine has to have it.
    fn stand_ins(&self) -> Provider {
        let slots = self.compiled.tools().flat_map(|tool| tool.pack.verified.embedded.manifest.secrets.keys());
        let values = slots.map(|slot| (slot.clone(), format!("stand-in-for-{slot}"))).collect();
        Provider::with_environment(values, self.folder.path().join("no.env"))
    }

    async fn call(
        &self,
        case: &Case,
        config: &BTreeMap<String, String>,
        provider: Arc<Provider>,
        gate: Gate,
        id: &str,
        outcome: &mut Outcome,
    ) -> Result<rig_specs::rtp::ToolResult, CasesError> {
        // Files of one case are not there in the next.
        match fs::remove_dir_all(self.home.storage()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CasesError::Setup(error.to_string()));
            }
            _ => {}
        }
        let snapshot = snapshot(&self.project, &self.home)?;
        snapshot.adopt(&self.compiled);
        let services = Services {
            sandbox: self.setup.sandbox.clone(),
            home: self.home.clone(),
            audit: None,
            approvals: Arc::new(Approvals::new(self.project.state_dir().join("approvals"), self.home.keys())),
            limiter: Arc::default(),
            runners: Arc::default(),
        };
        let mut settings = self.project.config().clone();
        settings.policy.require_approval_for.clear();
        let values = settings.config.entry(self.pack.clone()).or_default();
        values.extend(config.clone());
        values.extend(case.config.clone());
        let root = self.project.root();
        let caller = Caller::new(Arc::new(snapshot), Arc::new(services), Arc::new(gate), provider, settings, root);
        let caller = Arc::new(caller.map_err(CasesError::Setup)?);
        let request = Request {
            tool: case.tool.clone(),
            args: serde_json::Value::Object(case.args.clone()).to_string(),
            context: CallContext { request_id: Some(id.to_owned()), tenant_id: None, actor: Some("rig test".into()) },
            timeout: None,
            depth: 0,
            client: None,
        };
        // Before the call, whose time is the pack's: a large runtime takes long to compile. What does not compile, the call reports.
        let _ = caller.prepare().await;
        let ended = caller.call(request, CancellationToken::new()).await;
        // Compiled at the first call, and kept for all others.
        self.compiled.adopt(caller.snapshot());
        outcome.log = ended.record.log.lines.iter().map(|line| format!("{} {}", line.level, line.message)).collect();
        Ok(ended.answer.into_result())
    }
}

/// Whether the recordings changed.
fn keep(recordings: &mut Recordings, name: &str, recording: Recording) -> bool {
    if recording.is_empty() {
        return recordings.cases.remove(name).is_some();
    }
    recordings.cases.insert(name.to_owned(), recording);
    true
}

fn snapshot(project: &Project, home: &Home) -> Result<Snapshot, CasesError> {
    let (snapshot, broken) = open::snapshot(project, home);
    match broken.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => Ok(snapshot),
    }
}
