//! From what a person named to a plan: every pack resolved, fetched to staging, verified and inspected. The project is read only.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::Write as _,
    path::Path,
};

use rig_specs::{
    PackId, Sha256,
    index::{Index, Publisher, WasmRelease},
    lock::{LockedPack, Runtime},
    manifest::EmbeddedPack,
};
use semver::{Version, VersionReq};
use url::Url;

use super::{
    ConsentRequest, InstallError, Installer, LoadedIndex, Options, Progress, consent,
    fetch::{self, Expected, FetchError},
    index::{self, IndexError, Mode},
    inspect::{self, Inspected},
    net::NetError,
    source::{Request, Wanted},
    store::{self, MAX_COMPONENT, Staged},
};
use crate::project::{Project, nearest};

/// How many names are offered for a misspelt one.
const MAX_NEAREST: usize = 3;

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
            .map_err(|error| InstallError::Inspect { what: consent::plain(&what), error })?;
        if let Request::Named { id, version } = &task.request {
            self.check_named(id, version.as_ref(), &inspected, found.from_index)?;
        }
        let info = &inspected.pack.manifest.pack;
        let previous = self.project.locked(&info.id).cloned();
        let action = match &previous {
            None => Action::Install,
            Some(locked) if locked.integrity == Some(inspected.sha256) && locked.version == info.version => {
                Action::Keep
            }
            Some(locked) => {
                if let Some(hash) =
                    locked.integrity.filter(|_| locked.version == info.version && locked.runtime == Runtime::Wasm)
                {
                    return Err(other_bytes(&info.id, &info.version, hash, inspected.sha256, &found.source));
                }
                Action::Replace { from: locked.version.clone() }
            }
        };
        Ok(Planned {
            action,
            source: found.source,
            newer: found.newer,
            needed_by: task.needed_by,
            staged: found.staged,
            previous,
            from_index: found.from_index,
            dependencies: BTreeMap::new(),
            publisher: found.publisher,
            inspected,
        })
    }

    fn file(&self, path: &Path) -> Result<Found, InstallError> {
        let fail = |why: String| InstallError::File { path: path.to_path_buf(), why };
        let path = fs::canonicalize(path).map_err(|error| fail(error.to_string()))?;
        let metadata = fs::metadata(&path).map_err(|error| fail(error.to_string()))?;
        if !metadata.is_file() || metadata.len() > MAX_COMPONENT {
            return Err(fail(
                if metadata.is_file() { "it is too large for a component" } else { "it is not a file" }.into(),
            ));
        }
        let bytes = fs::read(&path).map_err(|error| fail(error.to_string()))?;
        // A path inside the project is noted relative to it, so that the lock means the same on every machine.
        let inside = fs::canonicalize(self.project.root())
            .ok()
            .and_then(|root| path.strip_prefix(root).ok().map(Path::to_path_buf));
        let source = match inside.as_deref().and_then(Path::to_str) {
            Some(inside) => format!("./{inside}"),
            None => Url::from_file_path(&path).map_err(|()| fail("it is no usable path".into()))?.into(),
        };
        let staged = self.stage(&bytes, &fail)?;
        Ok(Found { staged: Some(staged), bytes, source, publisher: None, newer: None, from_index: false })
    }

    fn stage(&self, bytes: &[u8], fail: &dyn Fn(String) -> InstallError) -> Result<Staged, InstallError> {
        let mut file = store::stage(&self.installer.home)?;
        file.write_all(bytes).map_err(|error| fail(error.to_string()))?;
        Ok(Staged { file, sha256: Sha256::of(bytes) })
    }

    async fn url(&self, url: &Url, sha256: Sha256) -> Result<Found, InstallError> {
        let expected = Expected { sha256, size: None };
        let (staged, bytes, place) = self.bytes(url.as_str(), std::slice::from_ref(url), expected).await?;
        let source = place.unwrap_or_else(|| url.clone()).into();
        Ok(Found { staged, bytes, source, publisher: None, newer: None, from_index: false })
    }

    /// The bytes with that hash: those of the store when they are sound, else fetched.
    async fn bytes(
        &self,
        what: &str,
        urls: &[Url],
        expected: Expected,
    ) -> Result<(Option<Staged>, Vec<u8>, Option<Url>), InstallError> {
        let home = &self.installer.home;
        if let Ok(bytes) = store::read(home, &expected.sha256) {
            return Ok((None, bytes, None));
        }
        let report = |received, total| (self.progress)(Progress { what, received, total });
        let fetched =
            fetch::fetch(self.installer.downloader, home, urls, expected, self.options.offline(), &report).await;
        let fail = |error| InstallError::Fetch { what: consent::plain(what), error };
        let (staged, place) = fetched.map_err(fail)?;
        let bytes = fs::read(staged.file.path())
            .map_err(|error| fail(FetchError::Write { url: place.clone(), why: error.to_string() }))?;
        // What is inspected is what was hashed, whatever happened to the file in between.
        let found = Sha256::of(&bytes);
        if found != staged.sha256 {
            return Err(fail(FetchError::Hash { url: place, expected: staged.sha256, found }));
        }
        Ok((Some(staged), bytes, Some(place)))
    }

    async fn index(&mut self) -> Result<&LoadedIndex, IndexError> {
        if self.index.is_none() {
            let loaded = self.installer.index(self.project, self.options).await?;
            self.warnings.extend(loaded.warning.clone());
            self.index = Some(loaded);
        }
        self.index.as_ref().ok_or(IndexError::NotConfigured)
    }

    async fn named(&mut self, id: &PackId, wanted: Option<&Wanted>) -> Result<Found, InstallError> {
        let locked = self.project.locked(id).filter(|locked| locked.runtime == Runtime::Wasm).cloned();
        // An installed pack that is named again stays what it is, unless another version is asked for.
        let kept = locked.filter(|locked| wanted.is_none_or(|wanted| wanted.matches(&locked.version)));
        let cached = self.options.mode == Mode::Cached;
        let loaded = match (self.index().await, &kept) {
            (Ok(_), _) => self.index.clone(),
            // Then the lock alone says what it is.
            (Err(IndexError::NotConfigured | IndexError::NoCopy { .. }), Some(_)) => None,
            (Err(IndexError::Net(NetError::Failed { .. })), Some(_)) if cached => None,
            (Err(error), _) => return Err(error.into()),
        };
        if let Some(kept) = kept {
            return self.keep(&kept, loaded.as_ref()).await;
        }
        let Some(loaded) = loaded else { return Err(IndexError::NotConfigured.into()) };
        let (version, release) = choose(&loaded.index, id, wanted)?;
        if let Some(needs) = release.min_rig.as_ref().filter(|needs| **needs > self.installer.rig) {
            let (needs, this) = (needs.clone(), self.installer.rig.clone());
            return Err(InstallError::NeedsNewerRig { pack: id.clone(), version: version.clone(), needs, this });
        }
        let urls = artifacts(&loaded.base, release)?;
        let expected = Expected { sha256: release.sha256, size: Some(release.size) };
        let (staged, bytes, place) = self.bytes(id.as_str(), &urls, expected).await?;
        let source = place.or_else(|| urls.first().cloned()).map(String::from).unwrap_or_default();
        let publisher = loaded.index.packs.get(id).and_then(|pack| pack.publisher.clone());
        Ok(Found { staged, bytes, source, publisher, newer: None, from_index: true })
    }

    /// An installed pack that was named again: the index must not disagree, and the store must have it.
    async fn keep(&self, locked: &LockedPack, loaded: Option<&LoadedIndex>) -> Result<Found, InstallError> {
        let id = &locked.pack_id;
        let hash = locked.integrity.ok_or_else(|| super::LoadError::NoHash { pack: id.clone() })?;
        let releases = loaded.and_then(|loaded| loaded.index.packs.get(id)?.wasm.as_ref());
        let release = releases.and_then(|releases| releases.versions.get(&locked.version));
        let mut urls = Vec::new();
        if let (Some(release), Some(loaded)) = (release, loaded) {
            if release.sha256 != hash {
                return Err(other_bytes(id, &locked.version, hash, release.sha256, &loaded.location));
            }
            urls = artifacts(&loaded.base, release)?;
        }
        urls.extend(locked.source.as_deref().and_then(|source| super::restore::source_url(self.project, source)));
        let newer = releases.and_then(|releases| releases.newest()).map(|(version, _)| version.clone());
        let newer = newer.filter(|newer| *newer > locked.version);
        let (staged, bytes, _) = self.bytes(id.as_str(), &urls, Expected { sha256: hash, size: locked.size }).await?;
        let source = locked.source.clone().unwrap_or_default();
        Ok(Found { staged, bytes, source, publisher: None, newer, from_index: false })
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
        let installed = planned.previous.as_ref().map(|locked| consent::Installed {
            version: &locked.version,
            granted: &locked.granted,
            pack: before.as_ref(),
            tools_text: locked.tools_hash != Some(planned.inspected.tools_hash),
        });
        let context = consent::Context {
            source: &planned.source,
            publisher: planned.publisher.as_ref(),
            publisher_is_new: planned.publisher.as_ref().is_some_and(|publisher| self.is_new(publisher)),
            config: self.project.config(),
            installed,
        };
        consent::request(&planned.inspected, &context)
    }

    /// Whether no installed pack is of this publisher, as far as the index says who publishes what.
    fn is_new(&self, publisher: &Publisher) -> bool {
        let packs = self.index.as_ref().map(|loaded| &loaded.index.packs);
        let publisher_of = |id| packs.and_then(|packs| packs.get(id)?.publisher.as_ref());
        let same = |other: &Publisher| other.name == publisher.name && other.key == publisher.key;
        !self.project.lock().packs.keys().filter_map(publisher_of).any(same)
    }
}

fn other_bytes(pack: &PackId, version: &Version, locked: Sha256, offered: Sha256, place: &str) -> InstallError {
    let place = if place.is_empty() { "what was named" } else { place }.to_owned();
    InstallError::OtherBytes { pack: pack.clone(), version: version.clone(), locked, offered, place }
}

/// The places of a release.
pub(super) fn artifacts(base: &Url, release: &WasmRelease) -> Result<Vec<Url>, IndexError> {
    release.urls.iter().map(|url| index::artifact(base, url)).collect()
}

/// The release that is meant: the exact version, the newest in a range, or the newest.
fn choose<'a>(
    index: &'a Index,
    id: &PackId,
    wanted: Option<&Wanted>,
) -> Result<(&'a Version, &'a WasmRelease), InstallError> {
    let Some(pack) = index.packs.get(id) else {
        return Err(InstallError::UnknownPack { pack: id.clone(), nearest: similar(index, id) });
    };
    let Some(releases) = &pack.wasm else {
        let legacy = [(Runtime::Python, &pack.python), (Runtime::Node, &pack.node)];
        let runtimes: Vec<Runtime> =
            legacy.into_iter().filter(|(_, package)| package.is_some()).map(|(r, _)| r).collect();
        if runtimes.is_empty() {
            return Err(InstallError::UnknownPack { pack: id.clone(), nearest: Vec::new() });
        }
        return Err(InstallError::OtherRuntime { what: format!("`{id}`"), runtimes });
    };
    let newest = || releases.newest().map(|(version, _)| version.clone());
    let found = match wanted {
        None => releases.newest(),
        Some(Wanted::Exact(exact)) => match releases.versions.get_key_value(exact) {
            Some((version, release)) if release.yanked => {
                return Err(InstallError::Yanked { pack: id.clone(), version: version.clone(), newest: newest() });
            }
            found => found,
        },
        Some(wanted) => {
            releases.versions.iter().rev().find(|(version, release)| !release.yanked && wanted.matches(version))
        }
    };
    found.ok_or_else(|| InstallError::NoVersion {
        pack: id.clone(),
        wanted: wanted.cloned().unwrap_or(Wanted::Range(VersionReq::STAR)),
        available: releases
            .versions
            .iter()
            .rev()
            .filter(|(_, release)| !release.yanked)
            .map(|(v, _)| v.clone())
            .collect(),
    })
}

fn similar(index: &Index, id: &PackId) -> Vec<String> {
    let mut similar: Vec<String> = Vec::new();
    let tagged = index.packs.iter().filter(|(_, pack)| pack.tags.iter().any(|tag| tag == id.as_str()));
    let containing = index.packs.iter().filter(|(other, _)| other.as_str().contains(id.as_str()));
    let near = nearest(id.as_str(), index.packs.keys().map(PackId::as_str)).map(str::to_owned);
    for name in near.into_iter().chain(containing.chain(tagged).map(|(other, _)| other.to_string())) {
        if !similar.contains(&name) && similar.len() < MAX_NEAREST {
            similar.push(name);
        }
    }
    similar
}
