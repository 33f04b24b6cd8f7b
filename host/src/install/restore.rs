//! `rig install` without names: the store gets exactly what `rig.lock` says, or the command fails. The lock decides; the index only
//! helps to find bytes with the hash that the lock names.

use std::{collections::BTreeMap, path::Path};

use rig_specs::{
    PackId, Sha256,
    lock::{LockedPack, Runtime},
};
use semver::Version;
use url::Url;

use super::{
    InspectError, InstallError, Installer, LoadError, Options, Progress, StoreError,
    fetch::{self, Expected, FetchError},
    inspect,
    installed::{cross_check, load_pack},
    plan::artifacts,
    source, store,
};
use crate::project::{Change, Project};

/// What was done for a pack of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// The store had it.
    Present,
    /// It was fetched.
    Fetched,
    /// The store's file had been changed, and was fetched again.
    Repaired,
}

/// A pack of the lock that is in the store now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredPack {
    /// The pack.
    pub id: PackId,
    /// Its version.
    pub version: Version,
    /// Of its bytes.
    pub integrity: Sha256,
    /// What was done.
    pub restored: Restored,
}

impl Installer<'_> {
    /// Makes sure that the store has what the lock names and that each entry is true. A lock without a digest, which a person
    /// edited or merged, gets one when every entry has been checked; otherwise the project does not change.
    ///
    /// # Errors
    /// When a pack cannot be had or is not what the lock says.
    pub async fn restore(
        &self,
        project: &Project,
        options: &Options,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<RestoredPack>, InstallError> {
        if let Some(pack) = project.config().packs.iter().find(|id| project.locked(id).is_none()) {
            return Err(InstallError::NotLocked { pack: pack.clone() });
        }
        let all = self.ensure(project, &project.lock().packs, options, progress).await?;
        if project.has_lock() && project.lock().digest.is_none() {
            seal(project)?;
        }
        Ok(all)
    }

    /// Makes sure that the store has what lock entries name and that each entry is true.
    pub(super) async fn ensure(
        &self,
        project: &Project,
        packs: &BTreeMap<PackId, LockedPack>,
        options: &Options,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<RestoredPack>, InstallError> {
        store::used_by(&self.home, project.root())?;
        let mut all = Vec::new();
        for (id, locked) in packs {
            let restored = match load_pack(&self.home, locked) {
                Ok(_) => Restored::Present,
                Err(LoadError::Store { error, .. }) if error.is_repairable() => {
                    self.refetch(project, locked, options, progress).await?;
                    if matches!(error, StoreError::Corrupt { .. }) { Restored::Repaired } else { Restored::Fetched }
                }
                Err(error) => return Err(error.into()),
            };
            let integrity = locked.integrity.ok_or_else(|| LoadError::NoHash { pack: id.clone() })?;
            all.push(RestoredPack { id: id.clone(), version: locked.version.clone(), integrity, restored });
        }
        Ok(all)
    }

    async fn refetch(
        &self,
        project: &Project,
        locked: &LockedPack,
        options: &Options,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(), InstallError> {
        let id = &locked.pack_id;
        let sha256 = locked.integrity.ok_or_else(|| LoadError::NoHash { pack: id.clone() })?;
        let expected = Expected { sha256, size: locked.size };
        let report = |received, total| progress(Progress { what: id.as_str(), received, total });
        let fetch = async |urls: &[Url]| {
            fetch::fetch(self.downloader, &self.home, urls, expected, options.offline(), &report).await
        };
        let from_source: Vec<Url> =
            locked.source.as_deref().and_then(|source| source_url(project, source)).into_iter().collect();
        let first = fetch(&from_source).await;
        let fetched = match first {
            // The index is asked only when the place in the lock does not help.
            Err(error) if !matches!(error, FetchError::Store(_)) => {
                let urls = self.places(project, locked, sha256, options).await;
                match fetch(&urls).await {
                    // Where the index knows no place either, what happened at the first place is what counts.
                    Err(FetchError::NoPlace) => Err(error),
                    other => other,
                }
            }
            other => other,
        };
        let (staged, _) = fetched.map_err(|error| InstallError::Fetch { what: id.to_string(), error })?;
        let fail = |error: InspectError| InstallError::Inspect { what: id.to_string(), error };
        let bytes = std::fs::read(staged.file.path())
            .map_err(|error| InstallError::File { path: staged.file.path().to_path_buf(), why: error.to_string() })?;
        let inspected = inspect::inspect(&bytes, &self.rig).map_err(fail)?;
        if inspected.sha256 != sha256 {
            let (path, found) = (staged.file.path().to_path_buf(), inspected.sha256);
            return Err(StoreError::Corrupt { path, expected: sha256, found }.into());
        }
        cross_check(locked, &inspected.pack, inspected.size)?;
        store::put(&self.home, staged)?;
        Ok(())
    }

    /// Where the index says that bytes with this hash are. An index that cannot be read knows no place.
    async fn places(&self, project: &Project, locked: &LockedPack, sha256: Sha256, options: &Options) -> Vec<Url> {
        let Ok(loaded) = self.index(project, options).await else { return Vec::new() };
        let releases = loaded.index.packs.get(&locked.pack_id).and_then(|pack| pack.wasm.as_ref());
        let versions = releases.into_iter().flat_map(|releases| releases.versions.values());
        let same = versions.filter(|release| release.sha256 == sha256);
        same.filter_map(|release| artifacts(&loaded.base, release).ok()).flatten().collect()
    }
}

/// The URL of a `source` in the lock, which is a URL or a path relative to the project.
pub(super) fn source_url(project: &Project, text: &str) -> Option<Url> {
    if text.contains("://") {
        return source::artifact_url(text).ok();
    }
    let path = std::path::absolute(project.root().join(Path::new(text))).ok()?;
    Url::from_file_path(path).ok()
}

fn seal(project: &Project) -> Result<(), InstallError> {
    let (current, guard) = Project::lock_for_change(project.root(), &mut |_| {})?;
    // Only what was checked gets a digest. Locks of older rigs that hold other runtimes stay as they are.
    let checked = current.lock() == project.lock() && current.lock().packs.values().all(|p| p.runtime == Runtime::Wasm);
    if checked {
        let mut lock = current.lock().clone();
        lock.digest = Some(lock.compute_digest());
        let config = current.config();
        guard.commit(&current, &config.packs, &config.pack_metadata, &lock, &Change::default())?;
    }
    Ok(())
}
