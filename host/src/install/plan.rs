//! From what a person named to a plan: every pack resolved, fetched to staging, verified and inspected. The project is read only.

use std::collections::{BTreeMap, VecDeque};

use rig_specs::{
    PackId, Sha256,
    index::Publisher,
    lock::{KnownPublisher, LockedPack, Origin, Runtime},
    manifest::EmbeddedPack,
};
use semver::{Version, VersionReq};

use super::{
    ConsentRequest, InstallError, Installer, LoadedIndex, Options, Progress, consent,
    inspect::{self, Inspected},
    lookalike,
    source::{Request, Wanted},
    store::{self, Staged},
};
use crate::{project::Project, words};

mod choose;
mod find;

pub(super) use choose::artifacts;
use choose::choose;
pub use choose::similar;

/// What committing a plan does with a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is new to the project.
    Install,
    /// It replaces another version.
    Replace {
        /// That version.
        from: Version,
    },
    /// The same bytes are installed from another index, whose pack they were.
    Move {
        /// That index.
        from: String,
    },
    /// It is installed already, exactly so.
    Keep,
}

/// One pack of a plan.
#[derive(Debug)]
pub struct Planned {
    /// What the pack is, and its hashes.
    pub inspected: Inspected,
    /// What committing does.
    pub action: Action,
    /// Where it comes from, as it will stand in the lock.
    pub source: String,
    /// A newer version that the index has, when an installed pack was named without a version.
    pub newer: Option<Version>,
    /// The pack whose dependency it is, when nobody named it.
    pub needed_by: Option<PackId>,
    pub(super) staged: Option<Staged>,
    pub(super) previous: Option<LockedPack>,
    pub(super) from_index: bool,
    /// The packs that it needs, with the versions chosen.
    pub(super) dependencies: BTreeMap<PackId, String>,
    pub(super) origin: Option<Origin>,
    publisher: Option<Publisher>,
}

impl Planned {
    /// The pack.
    #[must_use]
    pub fn id(&self) -> &PackId {
        &self.inspected.pack.manifest.pack.id
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.inspected.pack.manifest.pack.version
    }

    /// Who is known to the project when a person has agreed to the pack.
    pub(super) fn publisher(&self) -> Option<KnownPublisher> {
        self.origin.as_ref().zip(self.publisher.as_ref()).map(|(origin, publisher)| known(origin, publisher))
    }
}

fn known(origin: &Origin, publisher: &Publisher) -> KnownPublisher {
    KnownPublisher { index: origin.index.clone(), name: publisher.name.clone(), key: publisher.key.clone() }
}

/// What is going to be installed. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Plan {
    /// The packs, those that others need last.
    pub packs: Vec<Planned>,
    /// Sentences to be shown.
    pub warnings: Vec<String>,
    pub(super) enable: bool,
    /// The index that was used: its place, and when it was made.
    pub(super) index: Option<(String, String)>,
    pub(super) home: crate::home::Home,
    consent: Vec<ConsentRequest>,
}

impl Plan {
    /// What a person must agree to before the plan is committed: one request for each pack that is new or replaced.
    #[must_use]
    pub fn consent(&self) -> &[ConsentRequest] {
        &self.consent
    }

    /// The components that are new to the project, with their digests, for those who compile them before the plan is committed.
    ///
    /// # Errors
    /// When a component cannot be read, or was changed since it was fetched.
    pub fn components(&self) -> Result<Vec<(Sha256, Vec<u8>)>, store::StoreError> {
        let new = self.packs.iter().filter(|pack| pack.action != Action::Keep);
        let read = |pack: &Planned| {
            let digest = pack.inspected.sha256;
            let bytes = match &pack.staged {
                Some(staged) => staged.read()?,
                None => store::read(&self.home, &digest)?,
            };
            Ok((digest, bytes))
        };
        new.map(read).collect()
    }
}

/// What is being resolved.
struct Task {
    request: Request,
    needed_by: Option<PackId>,
}

/// A component to be inspected, and what was said about it.
struct Found {
    staged: Option<Staged>,
    bytes: Vec<u8>,
    source: String,
    publisher: Option<Publisher>,
    newer: Option<Version>,
    origin: Option<Origin>,
    from_index: bool,
}

struct Planner<'a> {
    installer: &'a Installer<'a>,
    project: &'a Project,
    options: &'a Options,
    progress: &'a (dyn Fn(Progress<'_>) + Sync),
    index: Option<LoadedIndex>,
    warnings: Vec<String>,
}

impl Installer<'_> {
    /// Resolves, fetches, verifies and inspects what was named and what that needs. Nothing in the project changes.
    ///
    /// # Errors
    /// The first thing that is wrong. Nothing is left in staging.
    pub async fn plan(
        &self,
        project: &Project,
        requests: &[Request],
        options: &Options,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Plan, InstallError> {
        if let Some(runtime) = options.runtime.filter(|runtime| *runtime != Runtime::Wasm) {
            let what = format!("`--runtime {}`", runtime.as_str());
            return Err(InstallError::OtherRuntime { what, runtimes: vec![runtime] });
        }
        let mut planner = Planner { installer: self, project, options, progress, index: None, warnings: Vec::new() };
        let packs = planner.resolve(requests).await?;
        let consent = packs.iter().filter(|pack| pack.action != Action::Keep);
        let consent = consent.map(|pack| planner.consent(pack)).collect();
        let used_index = packs.iter().any(|pack| pack.from_index);
        let index = planner.index.filter(|_| used_index).map(|index| (index.location, index.index.generated_at));
        Ok(Plan { packs, warnings: planner.warnings, enable: options.enable, index, home: self.home.clone(), consent })
    }
}

impl Planner<'_> {
    async fn resolve(&mut self, requests: &[Request]) -> Result<Vec<Planned>, InstallError> {
        let named = requests.iter().map(|request| Task { request: request.clone(), needed_by: None });
        let mut tasks: VecDeque<Task> = named.collect();
        let mut packs: Vec<Planned> = Vec::new();
        // What packs need is looked at when everything that was named is known, so that a name decides over a range.
        let mut next = 0;
        loop {
            while let Some(task) = tasks.pop_front() {
                let planned = self.one(task).await?;
                let same = packs.iter().find(|other| other.id() == planned.id());
                match same.map(|other| other.inspected.sha256 == planned.inspected.sha256) {
                    Some(true) => {}
                    Some(false) => return Err(InstallError::NamedTwice { pack: planned.id().clone() }),
                    None => packs.push(planned),
                }
            }
            let Some(pack) = packs.get(next) else { break };
            let needs = pack.inspected.pack.manifest.dependencies.clone();
            let (id, mut chosen) = (pack.id().clone(), BTreeMap::new());
            for (dependency, range) in needs {
                if let Some(version) = self.dependency(&id, &dependency, &range, &packs)? {
                    chosen.insert(dependency, version.to_string());
                    continue;
                }
                let request = Request::Named { id: dependency, version: Some(Wanted::Range(range)) };
                tasks.push_back(Task { request, needed_by: Some(id.clone()) });
            }
            if tasks.is_empty() {
                packs[next].dependencies = chosen;
                next += 1;
            }
        }
        Ok(packs)
    }

    /// The version of a dependency that is chosen or installed already; nothing when it must be resolved.
    fn dependency(
        &self,
        pack: &PackId,
        dependency: &PackId,
        range: &VersionReq,
        packs: &[Planned],
    ) -> Result<Option<Version>, InstallError> {
        let planned = packs.iter().find(|other| other.id() == dependency).map(|other| (other.version(), "chosen"));
        let locked = self.project.locked(dependency).map(|locked| (&locked.version, "installed"));
        match planned.or(locked) {
            Some((version, _)) if range.matches(version) => Ok(Some(version.clone())),
            Some((version, how)) => Err(InstallError::Dependency {
                pack: pack.clone(),
                dependency: dependency.clone(),
                range: range.to_string(),
                found: version.clone(),
                how,
            }),
            None => Ok(None),
        }
    }

    async fn one(&mut self, task: Task) -> Result<Planned, InstallError> {
        let (found, what) = match &task.request {
            Request::File(path) => (self.file(path)?, path.display().to_string()),
            Request::Url { url, sha256 } => (self.url(url, *sha256).await?, url.to_string()),
            Request::Named { id, version } => (self.named(id, version.as_ref()).await?, id.to_string()),
        };
        let inspected = inspect::inspect(&found.bytes, &self.installer.rig)
            .map_err(|error| InstallError::Inspect { what: words::plain(&what), error })?;
        if let Request::Named { id, version } = &task.request {
            self.check_named(id, version.as_ref(), &inspected, found.from_index)?;
        }
        let info = &inspected.pack.manifest.pack;
        let previous = self.project.locked(&info.id).cloned();
        let action = self.action(&info.id, &info.version, inspected.sha256, &found, previous.as_ref())?;
        Ok(Planned {
            action,
            source: found.source,
            newer: found.newer,
            needed_by: task.needed_by,
            staged: found.staged,
            previous,
            from_index: found.from_index,
            dependencies: BTreeMap::new(),
            origin: found.origin,
            publisher: found.publisher,
            inspected,
        })
    }

    /// What committing does with a component, beside what is installed.
    fn action(
        &self,
        id: &PackId,
        version: &Version,
        sha256: Sha256,
        found: &Found,
        previous: Option<&LockedPack>,
    ) -> Result<Action, InstallError> {
        let Some(locked) = previous else { return Ok(Action::Install) };
        let other = locked.origin.as_ref().filter(|origin| {
            found.from_index && self.index.as_ref().is_some_and(|loaded| !loaded.is_origin(self.project, origin))
        });
        if locked.version != *version {
            return Ok(Action::Replace { from: locked.version.clone() });
        }
        match (locked.integrity, other) {
            (Some(hash), None) if hash == sha256 => Ok(Action::Keep),
            (Some(hash), Some(origin)) if hash == sha256 => Ok(Action::Move { from: origin.index.clone() }),
            (Some(hash), None) if locked.runtime == Runtime::Wasm => {
                Err(other_bytes(id, version, hash, sha256, &found.source))
            }
            _ => Ok(Action::Replace { from: locked.version.clone() }),
        }
    }

    /// The component must be what the index and the person said.
    fn check_named(
        &self,
        id: &PackId,
        wanted: Option<&Wanted>,
        inspected: &Inspected,
        from_index: bool,
    ) -> Result<(), InstallError> {
        let info = &inspected.pack.manifest.pack;
        let differs = |field, expected: String, found: String| {
            if expected == found {
                return Ok(());
            }
            Err(InstallError::NotAsIndexed { pack: id.clone(), field, expected, found })
        };
        differs("id", id.to_string(), info.id.to_string())?;
        if !from_index {
            let locked = self.project.locked(id).map(|locked| locked.version.to_string());
            return differs("version", locked.unwrap_or_default(), info.version.to_string());
        }
        let Some(loaded) = &self.index else { return Ok(()) };
        let (version, release) = choose(&loaded.index, id, wanted)?;
        differs("version", version.to_string(), info.version.to_string())?;
        release
            .interface_hash
            .map_or(Ok(()), |hash| differs("interface hash", hash.to_string(), inspected.interface_hash.to_string()))
    }

    fn consent(&self, planned: &Planned) -> ConsentRequest {
        let before: Option<EmbeddedPack> = planned
            .previous
            .as_ref()
            .and_then(|locked| super::load_pack(&self.installer.home, locked).ok().map(|(_, embedded)| embedded));
        let moved = planned.previous.as_ref().and_then(|locked| locked.origin.as_ref());
        let moved = moved.filter(|origin| planned.origin.is_some() && planned.origin.as_ref() != Some(*origin));
        let installed = planned.previous.as_ref().map(|locked| consent::Installed {
            version: &locked.version,
            granted: &locked.granted,
            pack: before.as_ref(),
            tools_text: locked.tools_hash != Some(planned.inspected.tools_hash),
            moved_from: moved,
        });
        let context = consent::Context {
            source: &planned.source,
            origin: planned.origin.as_ref(),
            publisher: planned.publisher.as_ref(),
            publisher_is_new: planned.publisher().is_some_and(|known| !self.project.lock().publishers.contains(&known)),
            looks_like: if planned.action == Action::Install { self.looks_like(planned) } else { Vec::new() },
            config: self.project.config(),
            installed,
        };
        consent::request(&planned.inspected, &context)
    }

    /// Packs whose names are easily taken for this one's: those of the project, and those of other publishers in the index.
    fn looks_like(&self, planned: &Planned) -> Vec<String> {
        let id = planned.id();
        let installed = self.project.lock().packs.keys().filter(|other| lookalike::close(id, other));
        let mut all: Vec<String> = installed.map(|other| format!("`{other}`, which is installed")).collect();
        let packs = self.index.iter().filter(|_| planned.origin.is_some()).flat_map(|loaded| &loaded.index.packs);
        for (other, pack) in packs.filter(|(other, _)| lookalike::close(id, other)) {
            let name = |publisher: &Publisher| (publisher.name.clone(), publisher.key.clone());
            let same = pack.publisher.as_ref().map(name) == planned.publisher.as_ref().map(name);
            if !same && !self.project.lock().packs.contains_key(other) {
                let of = pack.publisher.as_ref().map(|publisher| format!(" of {}", words::plain(&publisher.name)));
                all.push(format!("`{other}`{}", of.unwrap_or_else(|| ", which is in the same index".into())));
            }
        }
        all
    }
}

fn other_bytes(pack: &PackId, version: &Version, locked: Sha256, offered: Sha256, place: &str) -> InstallError {
    let place = if place.is_empty() { "what was named" } else { place }.to_owned();
    InstallError::OtherBytes { pack: pack.clone(), version: version.clone(), locked, offered, place }
}
