//! From what a person named to a plan: every pack resolved, fetched to staging, verified and inspected. The project is read only.

use std::collections::BTreeMap;

use rig_specs::{
    PackId, Sha256,
    index::Publisher,
    lock::{KnownPublisher, LockedPack, Origin, Runtime},
    manifest::EmbeddedPack,
};
use semver::Version;

use super::{
    ConsentRequest, InstallError, Installer, LoadedIndex, Options, Progress, consent,
    inspect::Inspected,
    legacy::{Legacy, Machine},
    lookalike,
    source::Request,
    store::{self, Staged},
};
use crate::{home::Home, project::Project, words};

mod advice;
mod choose;
mod find;
mod known;
mod oci;
mod resolve;

pub use choose::similar;
pub(super) use choose::{artifacts, releases};
use find::Component;
pub use oci::is_of_registry;
pub(super) use oci::{Successor, of_registry};

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
    pub(super) publisher: Option<Publisher>,
    /// Of packs that are no components.
    pub(super) legacy: Option<Box<Legacy>>,
}

impl Planned {
    /// A package of another ecosystem as a part of a plan.
    pub(super) fn of_package(
        inspected: Inspected,
        action: Action,
        previous: Option<LockedPack>,
        legacy: Legacy,
    ) -> Self {
        Self {
            inspected,
            action,
            source: String::new(),
            newer: None,
            needed_by: None,
            staged: None,
            previous,
            from_index: false,
            dependencies: BTreeMap::new(),
            origin: None,
            publisher: None,
            legacy: Some(Box::new(legacy)),
        }
    }

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
    /// Whether all packs of the plan are offered then, or those that are new to the project: an update leaves alone what a person
    /// took out of `packs`, but what it brings in must be there to be called.
    pub(super) enable: bool,
    pub(super) enable_new: bool,
    /// The index that was used: its place, and when it was made.
    pub(super) index: Option<(String, String)>,
    pub(super) home: Home,
    pub(super) machine: Machine,
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

    /// The components that are new to the project, by their digests, for those who compile them before the plan is committed. Each is read
    /// when it is asked for, so that no more than one need be in memory; it is an error then when it was changed since it was fetched.
    pub fn components(&self) -> impl Iterator<Item = (Sha256, impl Fn() -> Result<Vec<u8>, store::StoreError>)> {
        let new = self.packs.iter().filter(|pack| pack.action != Action::Keep && pack.legacy.is_none());
        new.map(move |pack| {
            let digest = pack.inspected.sha256;
            let read = move || pack.staged.as_ref().map_or_else(|| store::read(&self.home, &digest), Staged::read);
            (digest, read)
        })
    }
}

pub(super) struct Planner<'a> {
    pub(super) installer: &'a Installer<'a>,
    pub(super) project: &'a Project,
    pub(super) options: &'a Options,
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

    pub(super) fn warn(&mut self, sentence: String) {
        self.warnings.push(sentence);
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
            machine: planner.options.machine.clone(),
            command,
            seen,
            consent,
        }
    }

    /// A component as a part of the plan.
    fn planned(&self, found: Component) -> Result<Planned, InstallError> {
        let info = &found.inspected.pack.manifest.pack;
        let previous = self.project.locked(&info.id).cloned();
        let action = self.action(&found, previous.as_ref())?;
        Ok(Planned {
            action,
            source: found.source,
            newer: found.newer,
            needed_by: None,
            staged: found.staged,
            previous,
            from_index: found.from_index,
            dependencies: BTreeMap::new(),
            origin: found.origin,
            publisher: found.publisher,
            legacy: None,
            inspected: found.inspected,
        })
    }

    /// What committing does with a component, beside what is installed.
    fn action(&self, found: &Component, previous: Option<&LockedPack>) -> Result<Action, InstallError> {
        let Inspected { sha256, pack, .. } = &found.inspected;
        let (id, version, sha256) = (&pack.manifest.pack.id, &pack.manifest.pack.version, *sha256);
        let Some(locked) = previous else { return Ok(Action::Install) };
        let other = locked.origin.as_ref().filter(|origin| match (&self.index, &found.origin) {
            (Some(loaded), _) if found.from_index => !loaded.is_origin(self.project, origin),
            (_, Some(named)) if !found.from_index => named != *origin,
            _ => false,
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
