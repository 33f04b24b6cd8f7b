//! `rig install` without names: the store gets exactly what `rig.lock` says, or the command fails. The lock decides; the index only
//! helps to find bytes with the hash that the lock names.

use std::{collections::BTreeMap, path::Path};

use rig_specs::{
    PackId, Sha256,
    lock::{LockedPack, Runtime},
};
use semver::Version;
use tokio::sync::OnceCell;
use url::Url;

use super::{
    InstallError, Installer, LoadError, LoadedIndex, Options, Progress, StoreError,
    fetch::{self, Event, Expected, FetchError, Fetcher},
    inspect,
    installed::{cross_check, load_pack},
    legacy,
    plan::artifacts,
    source,
    store::{self, Staged},
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
        legacy::environment::apply(&self.home, &options.machine, project, (project.lock(), project.lock()), false)?;
        if project.has_lock() && project.lock().digest.is_none() {
            seal(project)?;
        }
        Ok(all)
    }

    /// Makes sure that the store has what lock entries name and that each entry is true. What is missing is fetched at once.
    pub(super) async fn ensure(
        &self,
        project: &Project,
        packs: &BTreeMap<PackId, LockedPack>,
        options: &Options,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<RestoredPack>, InstallError> {
        store::used_by(&self.home, project.root())?;
        let (mut all, mut missing) = (Vec::new(), Vec::new());
        for (id, locked) in packs {
            let integrity = locked.integrity.ok_or_else(|| LoadError::NoHash { pack: id.clone() })?;
            let restored = match load_pack(&self.home, locked) {
                _ if locked.runtime != Runtime::Wasm => self.ensure_package(project, locked, options).await?,
                Ok(_) => Restored::Present,
                Err(LoadError::Store { error, .. }) if error.is_repairable() => {
                    missing.push((locked, integrity));
                    if matches!(error, StoreError::Corrupt { .. }) { Restored::Repaired } else { Restored::Fetched }
                }
                Err(error) => return Err(error.into()),
            };
            all.push(RestoredPack { id: id.clone(), version: locked.version.clone(), integrity, restored });
        }
        for (locked, _) in &missing {
            progress(Progress { what: locked.pack_id.as_str(), event: Event::Planned(locked.size) });
        }
        let (downloader, home, offline) = (self.downloader, &self.home, options.offline());
        let fetcher = &Fetcher { downloader, home, offline, progress };
        let index = &OnceCell::new();
        let refetch = |&(locked, sha256): &(_, _)| async move {
            let refetched = self.refetch(project, (locked, sha256), options, fetcher, index).await;
            let what = || locked.pack_id.to_string();
            refetched.map_err(|error| InstallError::Fetch { what: what(), error })
        };
        let brought = fetch::all(missing.iter().map(refetch)).await?;
        for ((locked, sha256), staged) in missing.iter().zip(&brought) {
            let fail = |error| InstallError::Inspect { what: locked.pack_id.to_string(), error };
            let inspected = inspect::inspect(&staged.read()?, &self.rig).map_err(fail)?;
            if inspected.sha256 != *sha256 {
                let (path, found) = (staged.file.path().to_path_buf(), inspected.sha256);
                return Err(StoreError::Corrupt { path, expected: *sha256, found }.into());
            }
            cross_check(locked, &inspected.pack, inspected.size)?;
        }
        store::put_all(&self.home, brought)?;
        Ok(all)
    }

    async fn refetch(
        &self,
        project: &Project,
        (locked, sha256): (&LockedPack, Sha256),
        options: &Options,
        fetcher: &Fetcher<'_>,
        index: &OnceCell<Option<LoadedIndex>>,
    ) -> Result<Staged, FetchError> {
        let (what, expected) = (locked.pack_id.as_str(), Expected { sha256, size: locked.size });
        let source = locked.source.as_deref().and_then(|source| source_url(project, source));
        let first = match fetcher.fetch(what, source.as_slice(), expected).await {
            Ok((staged, _)) => return Ok(staged),
            Err(error) if error.is_of_this_machine() => return Err(error),
            Err(error) => error,
        };
        // The index is asked only when the place in the lock does not help. One that cannot be read knows no place.
        let loaded = index.get_or_init(|| async { self.index(project, options).await.ok() }).await;
        let mut urls = loaded.as_ref().map(|loaded| places(loaded, locked, sha256)).unwrap_or_default();
        // The same place, however its path is spelt.
        let spelt = |url: &Url| Url::parse(url.as_str()).ok();
        urls.retain(|url| source.as_ref().and_then(spelt) != spelt(url));
        if let Some(next) = urls.first() {
            (fetcher.progress)(Progress { what, event: Event::NextPlace { error: &first, next } });
        }
        match fetcher.fetch(what, &urls, expected).await {
            Ok((staged, _)) => Ok(staged),
            Err(error) if error.is_of_this_machine() => Err(error),
            Err(error) => Err(FetchError::all_of([first, error])),
        }
    }
}

/// Where an index says that bytes with this hash are.
fn places(loaded: &LoadedIndex, locked: &LockedPack, sha256: Sha256) -> Vec<Url> {
    let releases = loaded.index.packs.get(&locked.pack_id).and_then(|pack| pack.wasm.as_ref());
    let versions = releases.into_iter().flat_map(|releases| releases.versions.values());
    let same = versions.filter(|release| release.sha256 == sha256);
    same.filter_map(|release| artifacts(&loaded.base, release).ok()).flatten().collect()
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
    // Only what was checked gets a digest.
    let checked = current.lock() == project.lock();
    if checked {
        let mut lock = current.lock().clone();
        lock.digest = Some(lock.compute_digest());
        let config = current.config();
        guard.commit(&current, &config.packs, &config.pack_metadata, &lock, &Change::default())?;
    }
    Ok(())
}
