//! From what a person named to a plan: every pack resolved, fetched to staging, verified and inspected. The project is read only.

use std::collections::BTreeMap;

use rig_specs::{
    PackId, Sha256,
    index::Publisher,
    lock::{LockedPack, Runtime},
    manifest::EmbeddedPack,
};
use semver::Version;

use super::{
    ConsentRequest, InstallError, Installer, LoadedIndex, Options, Progress, consent,
    inspect::{self, Inspected},
    source::Request,
    store::{self, Staged},
};
use crate::{project::Project, words};

mod advice;
mod choose;
mod find;
mod known;
mod resolve;

pub use choose::similar;
pub(super) use choose::{artifacts, releases};
use find::Component;

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
    /// Whether all packs of the plan are offered then, or those that are new to the project: an update leaves alone what a person
    /// took out of `packs`, but what it brings in must be there to be called.
    pub(super) enable: bool,
    pub(super) enable_new: bool,
    /// The index that was used: its place, and when it was made.
    pub(super) index: Option<(String, String)>,
    pub(super) home: crate::home::Home,
    /// `install` or `update`, for the history.
    pub(super) command: &'static str,
    /// The versions that were installed when the plan was made.
    pub(super) seen: BTreeMap<PackId, Version>,
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

pub(super) struct Planner<'a> {
    pub(super) installer: &'a Installer<'a>,
    pub(super) project: &'a Project,
    options: &'a Options,
    progress: &'a (dyn Fn(Progress<'_>) + Sync),
    pub(super) index: Option<LoadedIndex>,
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
        let mut planner = Planner::new(self, project, options, progress);
        let packs = planner.install(requests).await?;
        Ok(planner.plan(packs, "install"))
    }
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        installer: &'a Installer<'a>,
        project: &'a Project,
        options: &'a Options,
        progress: &'a (dyn Fn(Progress<'_>) + Sync),
    ) -> Self {
        Self { installer, project, options, progress, index: None, warnings: Vec::new() }
    }

    pub(super) fn plan(self, packs: Vec<Planned>, command: &'static str) -> Plan {
        let planner = self;
        let consent = packs.iter().filter(|pack| pack.action != Action::Keep);
        let consent = consent.map(|pack| planner.consent(pack)).collect();
        let used_index = packs.iter().any(|pack| pack.from_index);
        let index = planner.index.filter(|_| used_index).map(|index| (index.location, index.index.generated_at));
        let seen = planner.project.lock().packs.iter();
        let seen = seen.map(|(id, locked)| (id.clone(), locked.version.clone())).collect();
        Plan {
            packs,
            warnings: planner.warnings,
            enable: planner.options.enable,
            enable_new: planner.options.enable || command == "update",
            index,
            home: planner.installer.home.clone(),
            command,
            seen,
            consent,
        }
    }

    /// A component as a part of the plan.
    fn planned(&self, found: Component) -> Result<Planned, InstallError> {
        let inspected = inspect::inspect(&found.bytes, &self.installer.rig)
            .map_err(|error| InstallError::Inspect { what: words::plain(&found.what), error })?;
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
            needed_by: None,
            staged: found.staged,
            previous,
            from_index: found.from_index,
            dependencies: BTreeMap::new(),
            publisher: found.publisher,
            inspected,
        })
    }

    /// The component must be what the index said, or the lock.
    fn check_named(&self, id: &PackId, version: &Version, planned: &Planned) -> Result<(), InstallError> {
        let inspected = &planned.inspected;
        let info = &inspected.pack.manifest.pack;
        let differs = |field, expected: String, found: String| {
            if expected == found {
                return Ok(());
            }
            Err(InstallError::NotAsIndexed { pack: id.clone(), field, expected, found })
        };
        differs("id", id.to_string(), info.id.to_string())?;
        differs("version", version.to_string(), info.version.to_string())?;
        let Some(loaded) = self.index.as_ref().filter(|_| planned.from_index) else { return Ok(()) };
        let release = choose::releases(&loaded.index, id)?.get(version);
        let hash = release.and_then(|release| release.interface_hash);
        hash.map_or(Ok(()), |hash| differs("interface hash", hash.to_string(), inspected.interface_hash.to_string()))
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

pub(super) fn other_bytes(
    pack: &PackId,
    version: &Version,
    locked: Sha256,
    offered: Sha256,
    place: &str,
) -> InstallError {
    let place = if place.is_empty() { "what was named" } else { place }.to_owned();
    InstallError::OtherBytes { pack: pack.clone(), version: version.clone(), locked, offered, place }
}
