//! What is served, and its replacement. The files of the project are watched; the next version is built beside the running one, with
//! every pack checked and compiled, and then swapped in as a whole. What does not load is never served: the old version stays, and
//! the reason is logged.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use notify::{RecursiveMode, Watcher as _};
use rig_specs::{PackId, Sha256};
use tokio::sync::mpsc;

use super::{Gateway, canary::Trial, rgp::Rendered};
use crate::{
    call::{Caller, Services, open},
    egress,
    export::Names,
    home::Home,
    install::InstallError,
    project::{Project, ProjectError, canary},
    tenants::Tenants,
};

/// How long the files must be left alone before they are read: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// How often the files are looked at even when nothing was reported: network and container file systems report nothing.
const LOOK: Duration = Duration::from_secs(5);

/// One version of the project, as it is served.
pub struct Live {
    /// The pipeline.
    pub caller: Arc<Caller>,
    /// Who may call.
    pub tenants: Tenants,
    /// The enabled packs that are not what the lock says, and why. Their tools are not served.
    pub broken: Vec<(PackId, String)>,
    /// Other versions of packs on which a share of the calls runs.
    pub(super) trial: Option<Arc<Trial>>,
    /// Counts from 1 with every swap.
    pub generation: u64,
    /// What the tools are called where names may not hold dots.
    pub names: Names,
    pub(super) rendered: Rendered,
}

/// Why a version of the project is not served.
#[derive(Debug, thiserror::Error)]
pub enum LoadProblem {
    /// The files cannot be read.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The network settings cannot be used.
    #[error(transparent)]
    Network(#[from] egress::Error),
    /// A pack is not what the lock says.
    #[error(transparent)]
    Pack(#[from] InstallError),
    /// The rules cannot be used, or a pack cannot be compiled.
    #[error("{0}")]
    Other(String),
}

impl LoadProblem {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Project(error) => error.hint(),
            Self::Network(error) => error.hint().map(str::to_owned),
            Self::Pack(error) => error.hint(),
            Self::Other(_) => None,
        }
    }
}

impl Live {
    /// Builds a version. With an old one, packs that are damaged refuse the whole: the old one serves them well.
    pub(super) async fn load(
        project: Project,
        home: &Home,
        offline: bool,
        services: &Arc<Services>,
        old: Option<&Self>,
    ) -> Result<Self, LoadProblem> {
        let home = home.clone();
        // Every component is read and hashed: not on a thread that serves calls.
        let read = tokio::task::spawn_blocking(move || (open::snapshot(&project, &home), project));
        let ((snapshot, mut damaged), project) =
            read.await.map_err(|_| LoadProblem::Other("checking the packs failed".into()))?;
        if old.is_some() && !damaged.is_empty() {
            return Err(damaged.swap_remove(0).1.into());
        }
        if let Some(old) = old {
            snapshot.adopt(old.caller.snapshot());
        }
        let gate = open::gate(&project, offline)?;
        gate.prepare()?;
        let gate = Arc::new(gate);
        let caller = open::caller(&project, snapshot, Arc::clone(&gate), Arc::clone(services));
        let caller = Arc::new(caller.map_err(LoadProblem::Other)?);
        if old.is_some() {
            caller.prepare().await.map_err(LoadProblem::Other)?;
        }
        let old_trial = old.and_then(|old| old.trial.as_ref());
        let trial = Trial::load(&project, &caller, &gate, services, old_trial).await;
        Ok(Self {
            names: Names::new(caller.snapshot()),
            caller,
            trial,
            tenants: Tenants::new(project.config()),
            broken: damaged.into_iter().map(|(id, error)| (id, error.to_string())).collect(),
            generation: old.map_or(1, |old| old.generation + 1),
            rendered: Rendered::default(),
        })
    }
}

/// What tells one state of the files from another without reading them.
type Stamp = Vec<Option<(SystemTime, u64)>>;

fn stamp(root: &Path) -> Stamp {
    let file = |name: &Path| {
        std::fs::metadata(root.join(name)).ok().and_then(|file| Some((file.modified().ok()?, file.len())))
    };
    let candidate = Path::new(canary::FOLDER).join(canary::CANDIDATE);
    [Path::new("rig.yaml"), Path::new("rig.lock"), &candidate].map(file).into()
}

impl Gateway {
    /// Follows the project's files until the gateway stops.
    pub async fn follow(self: Arc<Self>) {
        let (events, mut reported) = mpsc::channel(1);
        // A full channel holds a report already. Without a watcher the regular look still finds every change.
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let ours = |path: &std::path::PathBuf| {
                path.file_name()
                    .is_some_and(|name| name == "rig.lock" || name == "rig.yaml" || name == canary::CANDIDATE)
            };
            if event.map_or(true, |event| event.paths.is_empty() || event.paths.iter().any(ours)) {
                let _ = events.try_send(());
            }
        });
        let watching = watcher.and_then(|mut watcher| {
            watcher.watch(&self.project, RecursiveMode::NonRecursive)?;
            // Where it cannot be made there is no candidate either.
            let candidates = self.project.join(canary::FOLDER);
            if std::fs::create_dir_all(&candidates).is_ok() {
                watcher.watch(&candidates, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        if let Err(error) = &watching {
            tracing::warn!(%error, "the project's files are not watched; they are looked at every few seconds");
        }
        let mut seen = stamp(&self.project);
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                Some(()) = reported.recv() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            let mut now = stamp(&self.project);
            while now != seen {
                // Until the files rest; a writer that never rests is read between two of its steps, which reading survives.
                tokio::time::sleep(QUIET).await;
                let later = stamp(&self.project);
                let rests = later == now;
                now = later;
                if rests {
                    seen.clone_from(&now);
                    self.reload().await;
                    now = stamp(&self.project);
                }
            }
        }
    }

    /// Reads the project again and serves it, if it can be served. Answers why not.
    pub async fn reload(&self) -> Option<LoadProblem> {
        let old = self.live();
        let root = self.project.clone();
        let read = tokio::task::spawn_blocking(move || Project::open(&root)).await;
        let loaded = match read {
            Ok(Ok(project)) => Live::load(project, &self.home, self.offline, &self.services, Some(&old)).await,
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(LoadProblem::Other("reading the project failed".into())),
        };
        match loaded {
            Ok(live) => {
                let snapshot = live.caller.snapshot();
                tracing::info!(
                    pack_set_version = %snapshot.pack_set_version,
                    tools = snapshot.tools().count(),
                    packs = packs(&live),
                    generation = live.generation,
                    "serving the changed project"
                );
                let used = used(&live).chain(used(&old)).collect::<BTreeSet<_>>();
                let trial = live.trial.clone();
                self.live.store(Arc::new(live));
                // Calls go on with the old version for a while; what only older ones used may be removed from the store now.
                self.home.release(|digest| used.contains(digest));
                if let Some(trial) = trial {
                    trial.begun().await;
                }
                self.changed.send_modify(|count| *count += 1);
                self.metrics.reload(true);
                None
            }
            Err(problem) => {
                self.metrics.reload(false);
                tracing::error!(reason = %problem, hint = problem.hint(), "the changed project is not served; the old one stays");
                Some(problem)
            }
        }
    }
}

/// The components of a version.
fn used(live: &Live) -> impl Iterator<Item = Sha256> {
    let on_trial = live.trial.iter().flat_map(|trial| trial.caller.snapshot().tools());
    live.caller.snapshot().tools().chain(on_trial).map(|tool| tool.pack.verified.digest)
}

fn packs(live: &Live) -> usize {
    live.caller.snapshot().tools().map(|tool| tool.pack.id()).collect::<BTreeSet<_>>().len()
}
