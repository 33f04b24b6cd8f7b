//! The end of the flow: components into the store, then `rig.lock` and `rig.yaml` in one transition. The project is locked only
//! while the two files are read again, merged and written, so that two installs at once both succeed.

use std::{collections::BTreeMap, path::Path};

use rig_specs::{
    PackId, Sha256,
    config::PackMetadata,
    lock::{Lock, LockedPack, Runtime},
};
use semver::Version;

use super::{
    InstallError, index, legacy,
    plan::{Action, Plan, Planned},
    rig_version, store,
};
use crate::{
    home::Home,
    project::{Change, ChangeLock, Project, ProjectError, canary::Share},
    words::nearest,
};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Whether a file of the project changed.
    pub changed: bool,
    /// The packs of the plan, in its order.
    pub packs: Vec<Done>,
}

/// What was done with one pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The pack.
    pub id: PackId,
    /// Its version.
    pub version: Version,
    /// Of its bytes.
    pub integrity: Sha256,
    /// What became of it.
    pub action: Action,
    /// Whether `rig.yaml` offers its tools now.
    pub enabled: bool,
}

impl Plan {
    /// Installs what was planned, in the project that it was planned for. To be called only when [`Plan::consent`] was given.
    /// `on_wait` is told the lock file when another rig process holds it.
    ///
    /// # Errors
    /// When the store or the project cannot be written, or another rig changed one of the packs in the meantime. The project is
    /// as it was, then.
    pub fn commit(self, root: &Path, on_wait: &mut dyn FnMut(&Path)) -> Result<Committed, InstallError> {
        self.carry_out(root, on_wait, |guard, project, next, change| {
            guard.commit(project, &next.packs, &next.metadata, &next.lock, change)
        })
    }

    /// Puts the plan on trial in the project's gateways instead: `rig.lock` stays as it is, and a share of the calls runs on what it
    /// would be. To be called only when consent was given.
    ///
    /// # Errors
    /// As for [`Plan::commit`], and when something is on trial already.
    pub fn propose(self, root: &Path, share: Share, on_wait: &mut dyn FnMut(&Path)) -> Result<Committed, InstallError> {
        if let Some(pack) = self.packs.iter().find(|pack| pack.legacy.is_some()) {
            return Err(legacy::LegacyError::Trial(pack.id().clone()).into());
        }
        self.carry_out(root, on_wait, |guard, project, next, change| {
            guard.propose(project, &next.metadata, &next.lock, (change, share)).map(|()| true)
        })
    }

    fn carry_out(
        mut self,
        root: &Path,
        on_wait: &mut dyn FnMut(&Path),
        write: impl FnOnce(&ChangeLock, &Project, &Next, &Change) -> Result<bool, ProjectError>,
    ) -> Result<Committed, InstallError> {
        store::used_by(&self.home, root)?;
        // A component that nobody names does no harm, so the store comes before the lock that names it.
        let staged: Vec<_> = self.packs.iter_mut().filter_map(|pack| pack.staged.take()).collect();
        store::put_all(&self.home, staged)?;
        for legacy in self
            .packs
            .iter_mut()
            .filter_map(|pack| pack.legacy.as_mut().map(|legacy| (legacy, &pack.inspected.pack.tools)))
        {
            let (legacy, tools) = legacy;
            for (_, bytes) in std::mem::take(&mut legacy.files) {
                legacy::tools::keep_bytes(&self.home, &bytes)?;
            }
            legacy::tools::keep(&self.home, tools)?;
        }
        let (project, guard) = Project::lock_for_change(root, on_wait)?;
        let mut next = Next {
            lock: project.lock().clone(),
            packs: project.config().packs.clone(),
            metadata: project.config().pack_metadata.clone(),
        };
        let now = index::now().to_string();
        let mut done = Vec::new();
        for pack in &self.packs {
            let id = pack.id().clone();
            let found = project.locked(&id);
            let is_target = |locked: &LockedPack| {
                let moved = matches!(pack.action, Action::Move { .. }) && locked.origin != pack.origin;
                let legacy = pack.legacy.as_deref();
                let same = legacy.is_none_or(|l| l.granted == locked.granted && l.artifacts == locked.artifacts);
                locked.integrity == Some(pack.inspected.sha256) && locked.version == *pack.version() && !moved && same
            };
            let action = if found.is_some_and(is_target) {
                Action::Keep
            } else if found == pack.previous.as_ref() {
                let (locked, noted) = entry(pack, &now);
                next.lock.packs.insert(id.clone(), locked);
                next.lock.publishers.extend(pack.publisher());
                next.metadata.insert(id.clone(), noted);
                pack.action.clone()
            } else {
                return Err(InstallError::ChangedMeanwhile { pack: id });
            };
            let offer = if action == Action::Install { self.enable_new } else { self.enable };
            if offer && !next.packs.contains(&id) {
                next.packs.push(id.clone());
            }
            let enabled = next.packs.contains(&id);
            done.push(Done { id, version: pack.version().clone(), integrity: pack.inspected.sha256, action, enabled });
        }
        let named: Vec<&PackId> = self.packs.iter().filter(|p| p.needed_by.is_none()).map(Planned::id).collect();
        let change = Change::of(self.command, named);
        self.settle(&project, &mut next.lock)?;
        if next.lock.packs != project.lock().packs {
            if let Some((location, generated_at)) = self.index {
                (next.lock.index_url, next.lock.index_generated_at) = (Some(location), Some(generated_at));
            }
            stamp(&mut next.lock, now);
        }
        let before = project.lock();
        let fit = |locks| legacy::environment::apply(&self.home, &self.machine, &project, locks, false);
        if let Err(error) = fit((before, &next.lock)) {
            // As far as it came it is taken back; what cannot be is found by `rig verify`.
            let _ = fit((&next.lock, before));
            return Err(error.into());
        }
        let changed = write(&guard, &project, &next, &change).inspect_err(|_| {
            let _ = fit((&next.lock, before));
        })?;
        Ok(Committed { changed, packs: done })
    }
}

/// What a project would say.
struct Next {
    lock: Lock,
    packs: Vec<PackId>,
    metadata: BTreeMap<PackId, PackMetadata>,
}

impl Plan {
    /// What other packs need may have moved: their entries name the versions that are installed now. What was planned with must still be
    /// there.
    fn settle(&self, project: &Project, lock: &mut Lock) -> Result<(), InstallError> {
        let changed = |id: &PackId| InstallError::ChangedMeanwhile { pack: id.clone() };
        for pack in self.packs.iter().filter(|pack| pack.action != Action::Keep) {
            for (id, range) in &pack.inspected.pack.manifest.dependencies {
                let fits = lock.packs.get(id).is_some_and(|locked| range.matches(&locked.version));
                if !fits {
                    return Err(changed(id));
                }
            }
            // Who came to need it since was not asked which versions fit.
            for (id, locked) in &project.lock().packs {
                let planned = self.packs.iter().any(|other| other.id() == id);
                if !planned && locked.dependencies.contains_key(pack.id()) && self.seen.get(id) != Some(&locked.version)
                {
                    return Err(changed(id));
                }
            }
        }
        let versions: BTreeMap<PackId, String> =
            lock.packs.iter().map(|(id, locked)| (id.clone(), locked.version.to_string())).collect();
        let moved = |id: &PackId| self.packs.iter().any(|pack| pack.id() == id && pack.action != Action::Keep);
        for locked in lock.packs.values_mut() {
            for (id, version) in locked.dependencies.iter_mut().filter(|(id, _)| moved(id)) {
                if let Some(now) = versions.get(id) {
                    version.clone_from(now);
                }
            }
        }
        Ok(())
    }
}

fn entry(pack: &Planned, now: &str) -> (LockedPack, PackMetadata) {
    let (inspected, id) = (&pack.inspected, pack.id().clone());
    let noted =
        PackMetadata { version: pack.version().to_string(), source: pack.source.clone(), installed_at: now.to_owned() };
    let legacy = pack.legacy.as_deref();
    let locked = LockedPack {
        package: legacy.map_or_else(|| id.to_string(), |legacy| legacy.package.clone()),
        pack_id: id,
        version: pack.version().clone(),
        runtime: legacy.map_or(Runtime::Wasm, |legacy| legacy.runtime),
        integrity: Some(inspected.sha256),
        installed_at: now.to_owned(),
        source: Some(pack.source.clone()),
        size: Some(inspected.size),
        interface_hash: Some(inspected.interface_hash),
        tools_hash: Some(inspected.tools_hash),
        granted: inspected.pack.manifest.capabilities(),
        dependencies: pack.dependencies.clone(),
        artifacts: legacy.map(|legacy| legacy.artifacts.clone()).unwrap_or_default(),
        npm: legacy.and_then(|legacy| legacy.npm.clone()),
        origin: pack.origin.clone(),
    };
    (locked, noted)
}

fn stamp(lock: &mut Lock, now: String) {
    lock.rig_version = rig_version().to_string();
    if lock.created_at.is_empty() {
        lock.created_at.clone_from(&now);
    }
    lock.updated_at = now;
}

/// Takes packs out of a project. Their components stay in the store, where other projects may use them. Packages of other ecosystems stay
/// in the environment, unless `remove` says that what no other pack needs goes. Returns the ids.
///
/// # Errors
/// When one is not installed, or is needed by a pack that stays.
pub fn uninstall(
    root: &Path,
    ids: &[PackId],
    remove: Option<(&Home, &legacy::Machine)>,
    on_wait: &mut dyn FnMut(&Path),
) -> Result<Vec<PackId>, InstallError> {
    let (project, guard) = Project::lock_for_change(root, on_wait)?;
    let mut lock = project.lock().clone();
    for id in ids {
        if !lock.packs.contains_key(id) && !project.is_enabled(id) {
            let nearest = nearest(id.as_str(), lock.packs.keys().map(PackId::as_str)).map(str::to_owned);
            return Err(InstallError::NotInstalled { pack: id.clone(), nearest });
        }
        let needs =
            |(other, locked): &(&PackId, &LockedPack)| !ids.contains(*other) && locked.dependencies.contains_key(id);
        let by: Vec<PackId> = lock.packs.iter().filter(needs).map(|(other, _)| other.clone()).collect();
        if !by.is_empty() {
            return Err(InstallError::Needed { pack: id.clone(), by });
        }
    }
    lock.packs.retain(|id, _| !ids.contains(id));
    if lock.packs != project.lock().packs {
        stamp(&mut lock, index::now().to_string());
    }
    let mut packs = project.config().packs.clone();
    packs.retain(|id| !ids.contains(id));
    let mut metadata = project.config().pack_metadata.clone();
    metadata.retain(|id, _| !ids.contains(id));
    guard.commit(&project, &packs, &metadata, &lock, &Change::of("uninstall", ids))?;
    if let Some((home, machine)) = remove {
        legacy::environment::apply(home, machine, &project, (project.lock(), &lock), true)?;
    }
    Ok(ids.to_vec())
}
