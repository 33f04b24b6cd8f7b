//! From a request to the bytes of a component: out of a file, a URL, the index, or the store when it has them already.

use std::{fs, io::Write as _, path::Path};

use rig_specs::{
    PackId, Sha256,
    index::Publisher,
    lock::{LockedPack, Origin},
};
use semver::Version;
use url::Url;

use super::{
    Planner,
    choose::{artifacts, releases},
    other_bytes,
};
use crate::{
    home::Home,
    install::{
        InstallError, Installer, LoadError, LoadedIndex, Progress,
        fetch::{self, Event, Expected, Fetcher},
        index::IndexError,
        restore::source_url,
        source::Wanted,
        store::{self, MAX_COMPONENT, Staged, StoreError},
    },
};

/// A component that is wanted: where it may be, and what was said about it.
pub(super) struct Sought {
    /// How a person would name it.
    what: String,
    urls: Vec<Url>,
    expected: Expected,
    /// As it will stand in the lock; nothing for the place that turns out to have it.
    source: Option<String>,
    publisher: Option<Publisher>,
    newer: Option<Version>,
    origin: Option<Origin>,
    from_index: bool,
}

/// A component to be inspected, and what was said about it.
pub(super) struct Component {
    /// How a person would name it.
    pub(super) what: String,
    pub(super) staged: Option<Staged>,
    pub(super) sha256: Sha256,
    pub(super) source: String,
    pub(super) publisher: Option<Publisher>,
    pub(super) newer: Option<Version>,
    pub(super) origin: Option<Origin>,
    pub(super) from_index: bool,
}

impl Component {
    /// Its bytes. What is inspected is what was hashed, whatever happened to the file in between.
    pub(super) fn bytes(&self, home: &Home) -> Result<Vec<u8>, StoreError> {
        self.staged.as_ref().map_or_else(|| store::read(home, &self.sha256), Staged::read)
    }
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
            what,
            sha256: staged.sha256,
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

    /// The components with those hashes: those of the store when they are sound, all others fetched at once. None is held in memory.
    pub(super) async fn obtain(&self, sought: Vec<Sought>) -> Result<Vec<Component>, InstallError> {
        let Installer { home, downloader, .. } = self.installer;
        let (offline, progress) = (self.options.offline(), self.progress);
        let fetcher = &Fetcher { downloader: *downloader, home, offline, progress };
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
            let brought = brought.map_err(|error| InstallError::Fetch { what: crate::words::plain(what), error })?;
            let (staged, place) = brought.unzip();
            let place = place.or_else(|| urls.first().cloned()).map(String::from);
            Ok(Component {
                what: sought.what,
                staged,
                sha256: sought.expected.sha256,
                source: sought.source.or(place).unwrap_or_default(),
                publisher: sought.publisher,
                newer: sought.newer,
                origin: sought.origin,
                from_index: sought.from_index,
            })
        };
        fetch::all(sought.into_iter().map(obtain)).await
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
