//! Returning to an earlier lock: its components are made sure of first, then `rig.lock` and what `rig.yaml` says of packs become what
//! they were, in one transition. What cannot be had leaves the project as it is.

use std::path::Path;

use rig_specs::{
    PackId, Sha256,
    lock::{LockedPack, Runtime},
};
use semver::Version;
use serde::Serialize;

use super::{
    InstallError, Installer, Options, Progress,
    legacy::{self, Machine},
};
use crate::home::Home;
use crate::project::{
    Change, Project, Snapshot,
    snapshots::{self, before_present, differences},
};

/// What a rollback would do.
#[derive(Debug)]
pub struct Rollback {
    /// What it returns to.
    pub snapshot: Snapshot,
    /// What is different then, by pack.
    pub changes: Vec<Moved>,
    /// Of the components that are not installed now.
    pub components: Vec<Sha256>,
    /// The lock that was planned from.
    present: rig_specs::lock::Lock,
    home: Home,
    machine: Machine,
}

/// A pack that a rollback changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The pack.
    pub pack: PackId,
    /// The installed version; nothing when it is not installed.
    pub from: Option<Version>,
    /// The version afterwards; nothing when it is not installed then.
    pub to: Option<Version>,
}

/// Every earlier state that is kept, newest first. Those that cannot be read stand as errors beside their number.
#[must_use]
pub fn history(root: &Path) -> Vec<(u32, Result<Snapshot, crate::project::ProjectError>)> {
    let numbers = snapshots::numbers(root);
    numbers.into_iter().rev().map(|id| (id, snapshots::read(root, id))).collect()
}

impl Installer<'_> {
    /// Plans the return to a snapshot; without a number, to the state before the present one. The components of that state are
    /// in the store afterwards; nothing in the project changes.
    ///
    /// # Errors
    /// When there is no such state, or a component of it cannot be had.
    pub async fn plan_rollback(
        &self,
        project: &Project,
        id: Option<u32>,
        options: &Options,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Rollback, InstallError> {
        let root = project.root();
        let there = snapshots::numbers(root);
        let id = if let Some(id) = id {
            if !there.contains(&id) {
                return Err(InstallError::NoSnapshot { id, there });
            }
            id
        } else {
            let all = there.into_iter().map(|id| Ok((id, snapshots::read(root, id)?.returned_to)));
            let all = all.collect::<Result<Vec<_>, InstallError>>()?;
            before_present(&all).ok_or(InstallError::NothingEarlier)?
        };
        let snapshot = snapshots::read(root, id)?;
        self.ensure(project, &snapshot.lock.packs, options, progress).await?;
        let different = differences(&project.lock().packs, &snapshot.lock.packs);
        let version = |locked: Option<&LockedPack>| locked.map(|locked| locked.version.clone());
        let moved = |&(id, from, to): &(&PackId, Option<&LockedPack>, Option<&LockedPack>)| Moved {
            pack: id.clone(),
            from: version(from),
            to: version(to),
        };
        let changes: Vec<Moved> = different.iter().map(moved).collect();
        let new = different.iter().filter_map(|(_, _, to)| to.filter(|to| to.runtime == Runtime::Wasm)?.integrity);
        let components = new.collect();
        Ok(Rollback {
            snapshot,
            changes,
            components,
            present: project.lock().clone(),
            home: self.home.clone(),
            machine: options.machine.clone(),
        })
    }
}

impl Rollback {
    /// Makes the project what it was. Says whether a file changed.
    ///
    /// # Errors
    /// When another rig changed the packs in the meantime, or a file cannot be written. The project is as it was, then.
    pub fn commit(self, root: &Path, on_wait: &mut dyn FnMut(&Path)) -> Result<bool, InstallError> {
        let (project, guard) = Project::lock_for_change(root, on_wait)?;
        if project.lock().packs != self.present.packs {
            return Err(InstallError::LockChanged);
        }
        let Snapshot { id, packs, pack_metadata, mut lock, .. } = self.snapshot;
        // The same packs: nothing to return to, whatever the times in the two locks say.
        if lock.packs == project.lock().packs {
            lock = project.lock().clone();
        }
        let fit = |locks| legacy::environment::apply(&self.home, &self.machine, &project, locks, false);
        if let Err(error) = fit((project.lock(), &lock)) {
            let _ = fit((&lock, project.lock()));
            return Err(error.into());
        }
        let change = Change { why: format!("rollback {id}"), returned_to: Some(id) };
        Ok(guard.commit(&project, &packs, &pack_metadata, &lock, &change)?)
    }
}
