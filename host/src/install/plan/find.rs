//! From a request to the bytes of a component: out of a file, a URL, the index, or the store when it has them already.

use std::{fs, io::Write as _, num::NonZero, panic::resume_unwind, path::Path, thread::available_parallelism};

use rig_specs::{
    PackId, Sha256,
    index::Publisher,
    lock::{LockedPack, Origin},
};
use semver::Version;
use tokio::{sync::Semaphore, task::spawn_blocking};
use url::Url;

use super::{
    Planner,
    choose::{artifacts, releases},
    oci::plainly,
    other_bytes,
};
use crate::{
    install::{
        InstallError, Installer, LoadError, LoadedIndex, Progress,
        fetch::{self, Event, Expected, Fetcher},
        index::IndexError,
        inspect::{self, Inspected},
        restore::source_url,
        source::Wanted,
        store::{self, MAX_COMPONENT, Staged},
    },
    words::plain,
};

/// How many components are inspected beside each other, at most.
const INSPECTING: usize = 4;

/// A component that is wanted: where it may be, and what was said about it.
pub(super) struct Sought {
    /// How a person would name it.
    pub(super) what: String,
    pub(super) urls: Vec<Url>,
    pub(super) expected: Expected,
    /// As it will stand in the lock; nothing for the place that turns out to have it.
    pub(super) source: Option<String>,
    pub(super) publisher: Option<Publisher>,
    pub(super) newer: Option<Version>,
    pub(super) origin: Option<Origin>,
    pub(super) from_index: bool,
}

/// A component that is here, and what was said about it.
pub(in crate::install) struct Component {
    pub(super) staged: Option<Staged>,
    /// What it says about itself.
    pub(super) inspected: Inspected,
    pub(super) source: String,
    pub(super) publisher: Option<Publisher>,
    pub(super) newer: Option<Version>,
    pub(super) origin: Option<Origin>,
    pub(super) from_index: bool,
}

fn inspect(what: &str, bytes: &[u8], rig: &Version) -> Result<Inspected, InstallError> {
    inspect::inspect(bytes, rig).map_err(|error| InstallError::Inspect { what: plain(what), error })
}

impl Planner<'_> {
    pub(super) fn file(&self, path: &Path) -> Result<Component, InstallError> {
        let fail = |why: String| InstallError::File { path: path.to_path_buf(), why };
        let what = path.display().to_string();
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
        Ok(Component {
            inspected: inspect(&what, &bytes, &self.installer.rig)?,
            staged: Some(staged),
            source,
            publisher: None,
            newer: None,
            origin: None,
            from_index: false,
        })
    }

    fn stage(&self, bytes: &[u8], fail: &dyn Fn(String) -> InstallError) -> Result<Staged, InstallError> {
        let mut file = store::stage(&self.installer.home)?;
        file.write_all(bytes).map_err(|error| fail(error.to_string()))?;
        Ok(Staged { file, sha256: Sha256::of(bytes) })
    }

    /// What a URL names.
    pub(super) fn url(url: &Url, sha256: Sha256) -> Sought {
        Sought {
            what: url.to_string(),
            urls: vec![url.clone()],
            expected: Expected { sha256, size: None },
            source: None,
            publisher: None,
            newer: None,
            origin: None,
            from_index: false,
        }
    }

    /// The components with those hashes, inspected: those of the store when they are sound, all others fetched at once.
    pub(super) async fn obtain(&self, sought: Vec<Sought>) -> Result<Vec<Component>, InstallError> {
        let Installer { home, downloader, .. } = self.installer;
        let (offline, progress) = (self.options.offline(), self.progress);
        let fetcher = &Fetcher { downloader: *downloader, home, offline, progress };
        // One is in memory for each that is inspected.
        let cores = &Semaphore::new(available_parallelism().map_or(1, NonZero::get).min(INSPECTING));
        let there = |sought: Sought| {
            let there = store::read(home, &sought.expected.sha256).is_ok();
            if !there {
                progress(Progress { what: &sought.what, event: Event::Planned(sought.expected.size) });
            }
            (sought, there)
        };
        let sought: Vec<(Sought, bool)> = sought.into_iter().map(there).collect();
        let obtain = |(sought, there): (Sought, bool)| async move {
            let Sought { what, urls, expected, .. } = &sought;
            let brought = if there { None } else { Some(fetcher.fetch(what, urls, *expected).await) };
            let brought = brought.transpose();
            let brought = brought.map_err(|error| plainly(InstallError::Fetch { what: plain(what), error }))?;
            let (staged, place) = brought.unzip();
            let place = place.or_else(|| urls.first().cloned()).map(String::from);
            let _core = cores.acquire().await;
            let (staged, inspected) = self.inspected(what, expected.sha256, staged).await;
            Ok(Component {
                staged,
                inspected: inspected?,
                source: sought.source.or(place).unwrap_or_default(),
                publisher: sought.publisher,
                newer: sought.newer,
                origin: sought.origin,
                from_index: sought.from_index,
            })
        };
        fetch::all(sought.into_iter().map(obtain)).await
    }

    /// Inspects a component on a thread of its own, while others are on their way. What is inspected is what was hashed, whatever happened
    /// to the file in between.
    async fn inspected(
        &self,
        what: &str,
        sha256: Sha256,
        staged: Option<Staged>,
    ) -> (Option<Staged>, Result<Inspected, InstallError>) {
        let (home, rig, what) = (self.installer.home.clone(), self.installer.rig.clone(), what.to_owned());
        let look = move || {
            let bytes = staged.as_ref().map_or_else(|| store::read(&home, &sha256), Staged::read);
            let inspected = bytes.map_err(InstallError::from).and_then(|bytes| inspect(&what, &bytes, &rig));
            (staged, inspected)
        };
        spawn_blocking(look).await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }

    pub(in crate::install) async fn index(&mut self) -> Result<&LoadedIndex, IndexError> {
        if self.index.is_none() {
            let loaded = self.installer.index(self.project, self.options).await?;
            self.warnings.extend(loaded.warning.clone());
            self.index = Some(loaded);
        }
        self.index.as_ref().ok_or(IndexError::NotConfigured)
    }

    /// A release of the index.
    pub(super) fn release(&self, id: &PackId, version: &Version) -> Result<Sought, InstallError> {
        let Some(loaded) = &self.index else { return Err(IndexError::NotConfigured.into()) };
        let release = releases(&loaded.index, id)?.get(version);
        let none = || InstallError::NoVersion {
            pack: id.clone(),
            wanted: Wanted::Exact(version.clone()),
            available: Vec::new(),
        };
        let release = release.ok_or_else(none)?;
        let urls = artifacts(&loaded.base, release)?;
        let expected = Expected { sha256: release.sha256, size: Some(release.size) };
        let publisher = loaded.index.packs.get(id).and_then(|pack| pack.publisher.clone());
        let origin = Some(loaded.origin());
        let what = id.to_string();
        Ok(Sought { what, urls, expected, source: None, publisher, newer: None, origin, from_index: true })
    }

    /// An installed pack that was named again: the index must not disagree, and the store must have it.
    pub(super) fn keep(&self, locked: &LockedPack) -> Result<Sought, InstallError> {
        let (id, loaded) = (&locked.pack_id, self.index.as_ref());
        let hash = locked.integrity.ok_or_else(|| LoadError::NoHash { pack: id.clone() })?;
        let releases = loaded.and_then(|loaded| loaded.index.packs.get(id)?.wasm.as_ref());
        let release = releases.and_then(|releases| releases.versions.get(&locked.version));
        let mut urls = Vec::new();
        if let (Some(release), Some(loaded)) = (release, loaded) {
            if release.sha256 != hash {
                return Err(other_bytes(id, &locked.version, hash, release.sha256, &loaded.location));
            }
            urls = artifacts(&loaded.base, release)?;
        }
        urls.extend(locked.source.as_deref().and_then(|source| source_url(self.project, source)));
        let newer = releases.and_then(|releases| releases.newest()).map(|(version, _)| version.clone());
        let newer = newer.filter(|newer| *newer > locked.version);
        let (what, expected) = (id.to_string(), Expected { sha256: hash, size: locked.size });
        let (source, origin) = (Some(locked.source.clone().unwrap_or_default()), locked.origin.clone());
        Ok(Sought { what, urls, expected, source, publisher: None, newer, origin, from_index: false })
    }
}
