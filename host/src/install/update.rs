//! Bringing installed packs up to date: what moves, what is different then, and what of it must be accepted by name.
//!
//! What is named may move to the newest version that fits, what it needs may move with it, all others stay. Nothing goes back to an
//! older version unless that version is named. What an update changes in tools and reach is shown from the two components themselves.

use std::collections::{BTreeMap, BTreeSet};

use rig_specs::{
    PackId,
    lock::{LockedPack, Runtime},
};
use semver::Version;
use serde::Serialize;

use super::{
    Action, InstallError, Installer, Options, Plan, Progress, consent, fetch, load_pack,
    oci::Reference,
    plan::{Planned, Planner, Successor, of_registry, other_bytes, releases},
    shape::{self, ToolChange},
    solve::{Barred, Root},
    source::Wanted,
};
use crate::{project::Project, words::nearest};

/// Which packs are brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// These; the second part says to which version.
    Named(Vec<PackId>, Option<Wanted>),
    /// All that come from the project's index.
    All,
}

/// What an update would do.
#[derive(Debug)]
pub struct Update {
    /// To be committed.
    pub plan: Plan,
    /// One for each installed pack that moves.
    pub reviews: Vec<Review>,
    /// Named packs that stay although there is a newer version, with the reason.
    pub held: Vec<Held>,
    /// Named packs that are the newest there is.
    pub current: Vec<(PackId, Version)>,
    /// Packs that were left out of `--all`, because they do not come from this index.
    pub foreign: Vec<PackId>,
}

/// What moving a pack to another version changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Review {
    /// The pack.
    pub pack: PackId,
    /// The installed version.
    pub from: Version,
    /// The new one.
    pub to: Version,
    /// Whether it must be accepted by name.
    pub breaking: bool,
    /// What is different in its tools.
    pub tools: Vec<ToolChange>,
    /// What it may reach and might not before, one line each.
    pub reach_added: Vec<String>,
    /// What it may not reach any more.
    pub reach_removed: Vec<String>,
}

/// A pack that does not get the newest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The pack.
    pub pack: PackId,
    /// The version that it has after the update.
    pub version: Version,
    /// The newest there is.
    pub newest: Version,
    /// Why not: one sentence each.
    pub why: Vec<String>,
}

/// A line of `rig outdated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outdated {
    /// The pack.
    pub pack: PackId,
    /// The installed version.
    pub installed: Version,
    /// The version that `rig update` would bring, when it is another one.
    pub update: Option<Version>,
    /// The newest that this rig runs.
    pub newest: Version,
    /// Whether the publisher withdrew the installed version.
    pub withdrawn: bool,
    /// Why `update` is not `newest`, one sentence each.
    pub held_by: Vec<String>,
}

impl Installer<'_> {
    /// Plans an update. Nothing in the project changes.
    ///
    /// # Errors
    /// When a pack is not installed or does not come from the index, no versions fit, or something cannot be had.
    pub async fn plan_update(
        &self,
        project: &Project,
        targets: &Targets,
        options: &Options,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Update, InstallError> {
        let mut planner = Planner::new(self, project, options, progress);
        let (ids, wanted) = match targets {
            Targets::Named(ids, wanted) => (ids.clone(), wanted.clone()),
            Targets::All => (project.lock().packs.keys().cloned().collect(), None),
        };
        let is_package = |id: &PackId| project.locked(id).is_some_and(|locked| locked.runtime != Runtime::Wasm);
        let (packages, ids): (Vec<_>, Vec<_>) = ids.into_iter().partition(is_package);
        let (of_registries, ids): (Vec<_>, Vec<_>) =
            ids.into_iter().map(|id| (id.clone(), planner.registry(&id))).partition(|(_, at)| at.is_some());
        // A project whose packs all come from registries needs no index.
        if (of_registries.is_empty() && packages.is_empty()) || !ids.is_empty() {
            planner.index().await?;
        }
        let (mut moving, mut foreign) = (Vec::new(), Vec::new());
        for (id, _) in ids {
            match (planner.of_index(&id), targets) {
                (Ok(()), _) => moving.push(id),
                (Err(_), Targets::All) => foreign.push(id),
                (Err(error), Targets::Named(..)) => return Err(error),
            }
        }
        if let (Some(wanted), [id]) = (&wanted, moving.as_slice()) {
            planner.check_wanted(id, wanted)?;
        }
        let (mut given, mut current) = (Vec::new(), Vec::new());
        let of_registries: Vec<_> =
            of_registries.into_iter().filter_map(|(id, at)| Some((project.locked(&id)?, at?, id))).collect();
        let successors = of_registries.iter().map(|(locked, at, _)| planner.successor(locked, at, wanted.as_ref()));
        let successors = fetch::all(successors).await?;
        for ((locked, _, id), successor) in of_registries.into_iter().zip(successors) {
            match successor {
                Successor::Found(_, component) => given.push((id, *component)),
                Successor::Refused(why) => planner.warn(format!("{id}: {why}")),
                Successor::None => current.push((id, locked.version.clone())),
            }
        }
        let (from_registries, given): (Vec<_>, Vec<_>) = given.into_iter().unzip();
        let all: Vec<PackId> = moving.iter().cloned().chain(from_registries).collect();
        let (mut packs, chosen) = planner.update(&all, wanted.as_ref(), given).await?;
        for id in packages {
            let Some(locked) = project.locked(&id) else { continue };
            match planner.newer_package(locked, wanted.as_ref(), &packs).await? {
                Some(newer) => packs.push(newer),
                None => current.push((id, locked.version.clone())),
            }
        }
        let reviews = packs.iter().filter_map(|pack| self.review(project, pack).transpose());
        let reviews = reviews.collect::<Result<Vec<_>, _>>()?;
        let mut held = Vec::new();
        for id in &moving {
            let Some(version) = chosen.get(id) else { continue };
            match planner.held(id, version).await {
                Some(one) if wanted.is_none() => held.push(one),
                _ if project.locked(id).is_some_and(|locked| locked.version == *version) => {
                    current.push((id.clone(), version.clone()));
                }
                _ => {}
            }
        }
        Ok(Update { plan: planner.plan(packs, "update"), reviews, held, current, foreign })
    }

    /// The packs of the project that are not the newest, or are withdrawn. Reads nothing but the project, the index, and what the
    /// store holds.
    ///
    /// # Errors
    /// When there is no index.
    pub async fn outdated(&self, project: &Project, options: &Options) -> Result<Vec<Outdated>, InstallError> {
        let mut planner = Planner::new(self, project, options, &|_| {});
        let packs = &project.lock().packs;
        let elsewhere = |locked: &LockedPack| locked.runtime != Runtime::Wasm || of_registry(locked).is_some();
        if packs.is_empty() || !packs.values().all(elsewhere) {
            planner.index().await?;
        }
        let mut found = Vec::new();
        for (id, locked) in packs {
            if locked.runtime != Runtime::Wasm {
                found.extend(planner.outdated_package(locked).await);
                continue;
            }
            if let Some(at) = of_registry(locked) {
                found.extend(planner.outdated_in(locked, &at).await);
                continue;
            }
            if planner.of_index(id).is_err() {
                continue;
            }
            let chosen = planner.would_choose(std::slice::from_ref(id)).await;
            let version = chosen.as_ref().and_then(|chosen| chosen.get(id)).unwrap_or(&locked.version).clone();
            let held = planner.held(id, &version).await;
            let withdrawn = planner.withdrawn(id, &locked.version);
            if held.is_none() && version == locked.version && !withdrawn {
                continue;
            }
            let (newest, held_by) = held.map_or((version.clone(), Vec::new()), |held| (held.newest, held.why));
            let installed = locked.version.clone();
            let update = Some(version).filter(|version| *version != installed);
            found.push(Outdated { pack: id.clone(), installed, update, newest, withdrawn, held_by });
        }
        Ok(found)
    }

    fn review(&self, project: &Project, pack: &Planned) -> Result<Option<Review>, InstallError> {
        let (Action::Replace { from }, Some(locked)) = (&pack.action, project.locked(pack.id())) else {
            return Ok(None);
        };
        let (_, old) = load_pack(&self.home, locked)?;
        let asked = pack.inspected.pack.manifest.capabilities();
        let tools = shape::differences(&old, &pack.inspected.pack);
        let widens = !asked.is_within(&locked.granted);
        let (reach_added, reach_removed) = consent::moved(&locked.granted, &asked);
        let breaking = widens || tools.iter().any(|change| change.breaking);
        let (id, from, to) = (pack.id().clone(), from.clone(), pack.version().clone());
        Ok(Some(Review { pack: id, from, to, breaking, tools, reach_added, reach_removed }))
    }
}

impl Planner<'_> {
    /// Where an installed pack came from, if that is a registry.
    fn registry(&self, id: &PackId) -> Option<Reference> {
        self.project.locked(id).and_then(of_registry)
    }

    /// As [`Self::outdated_in`], for a pack from PyPI or npm. To learn of a newer one is to fetch it.
    async fn outdated_package(&mut self, locked: &LockedPack) -> Option<Outdated> {
        let newer = self.newer_package(locked, None, &[]).await;
        let (pack, installed) = (locked.pack_id.clone(), locked.version.clone());
        let (update, held_by) = match newer {
            Ok(newer) => (Some(newer?.version().clone()), Vec::new()),
            Err(error) => (None, vec![error.to_string()]),
        };
        let newest = update.clone().unwrap_or_else(|| installed.clone());
        Some(Outdated { pack, installed, update, newest, withdrawn: false, held_by })
    }

    /// As a line of `rig outdated`, when there is something to say. A registry that does not answer is something.
    async fn outdated_in(&self, locked: &LockedPack, at: &Reference) -> Option<Outdated> {
        let installed = locked.version.clone();
        let line = |update: Option<Version>, held_by| Outdated {
            pack: locked.pack_id.clone(),
            newest: update.clone().unwrap_or_else(|| installed.clone()),
            installed: installed.clone(),
            update,
            withdrawn: false,
            held_by,
        };
        match self.successor(locked, at, None).await {
            Ok(Successor::None) => None,
            Ok(Successor::Found(version, _)) => Some(line(Some(version), Vec::new())),
            Ok(Successor::Refused(why)) => Some(line(None, vec![why])),
            Err(error) => Some(line(None, vec![error.to_string()])),
        }
    }

    /// Whether an installed pack is a release of the project's index: another index may have another pack of that name.
    fn of_index(&self, id: &PackId) -> Result<(), InstallError> {
        let Some(locked) = self.project.locked(id) else {
            let ids = self.project.lock().packs.keys().map(PackId::as_str);
            return Err(InstallError::NotInstalled {
                pack: id.clone(),
                nearest: nearest(id.as_str(), ids).map(str::to_owned),
            });
        };
        let Some(loaded) = &self.index else { return Ok(()) };
        let release = releases(&loaded.index, id)?.get(&locked.version);
        match (release.map(|release| release.sha256), locked.integrity) {
            (Some(offered), Some(hash)) if offered == hash => Ok(()),
            (Some(offered), Some(hash)) => Err(other_bytes(id, &locked.version, hash, offered, &loaded.location)),
            _ => Err(InstallError::NotOfIndex {
                pack: id.clone(),
                version: locked.version.clone(),
                index: loaded.location.clone(),
            }),
        }
    }

    fn withdrawn(&self, id: &PackId, version: &Version) -> bool {
        let all = self.index.as_ref().and_then(|loaded| releases(&loaded.index, id).ok());
        all.and_then(|all| all.get(version)).is_some_and(|release| release.yanked)
    }

    /// Why a pack does not get the newest version, when it does not.
    async fn held(&mut self, id: &PackId, version: &Version) -> Option<Held> {
        let loaded = self.index.as_ref()?;
        let all = releases(&loaded.index, id).ok()?;
        let offered = all.iter().rev().filter(|(other, release)| {
            !release.yanked && *other > version && (other.pre.is_empty() || !version.pre.is_empty())
        });
        let (newest, release) = offered.max_by(|a, b| a.0.cmp(b.0))?;
        let newest = newest.clone();
        let why = match release.min_rig.clone().filter(|needs| *needs > self.installer.rig) {
            Some(needs) => {
                vec![format!("`{id}` {newest} {}, and this is rig {}", Barred::NeedsRig(needs), self.installer.rig)]
            }
            None => self.why_not(id, &newest).await,
        };
        Some(Held { pack: id.clone(), version: version.clone(), newest, why })
    }
}

/// What is asked for when packs are updated, on top of what stays.
pub(super) fn roots(
    installed: &BTreeMap<PackId, LockedPack>,
    ids: &[PackId],
    wanted: Option<&Wanted>,
) -> BTreeMap<PackId, Root> {
    let mut roots = BTreeMap::new();
    let (mut queue, mut seen) = (ids.to_vec(), BTreeSet::new());
    while let Some(id) = queue.pop() {
        let Some(pack) = installed.get(&id).filter(|_| seen.insert(id.clone())) else { continue };
        queue.extend(pack.dependencies.keys().cloned());
        if pack.runtime == Runtime::Wasm {
            roots.insert(id, Root::Movable);
        }
    }
    for id in ids {
        if let Some(pack) = installed.get(id).filter(|pack| pack.runtime == Runtime::Wasm) {
            let root = wanted.map_or_else(|| Root::Updated(pack.version.clone()), |w| Root::Named(Some(w.clone())));
            roots.insert(id.clone(), root);
        }
    }
    roots
}
