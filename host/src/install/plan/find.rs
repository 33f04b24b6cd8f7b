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
use crate::install::{
    InstallError, LoadError, LoadedIndex, Progress,
    fetch::{self, Expected, FetchError},
    index::IndexError,
    restore::source_url,
    source::Wanted,
    store::{self, MAX_COMPONENT, Staged},
};

/// A component to be inspected, and what was said about it.
pub(in crate::install) struct Component {
    /// How a person would name it.
    pub(super) what: String,
    pub(super) staged: Option<Staged>,
    pub(super) bytes: Vec<u8>,
    pub(super) source: String,
    pub(super) publisher: Option<Publisher>,
    pub(super) newer: Option<Version>,
    pub(super) origin: Option<Origin>,
    pub(super) from_index: bool,
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
            staged: Some(staged),
            bytes,
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

    pub(super) async fn url(&self, url: &Url, sha256: Sha256) -> Result<Component, InstallError> {
        let expected = Expected { sha256, size: None };
        let (staged, bytes, place) = self.bytes(url.as_str(), std::slice::from_ref(url), expected).await?;
        let source = place.unwrap_or_else(|| url.clone()).into();
        let what = url.to_string();
        Ok(Component { what, staged, bytes, source, publisher: None, newer: None, origin: None, from_index: false })
    }

    /// The bytes with that hash: those of the store when they are sound, else fetched.
    pub(super) async fn bytes(
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
        let fail = |error| InstallError::Fetch { what: crate::words::plain(what), error };
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

    pub(in crate::install) async fn index(&mut self) -> Result<&LoadedIndex, IndexError> {
        if self.index.is_none() {
            let loaded = self.installer.index(self.project, self.options).await?;
            self.warnings.extend(loaded.warning.clone());
            self.index = Some(loaded);
        }
        self.index.as_ref().ok_or(IndexError::NotConfigured)
    }

    /// A release of the index.
    pub(super) async fn release(&self, id: &PackId, version: &Version) -> Result<Component, InstallError> {
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
        let (staged, bytes, place) = self.bytes(id.as_str(), &urls, expected).await?;
        let source = place.or_else(|| urls.first().cloned()).map(String::from).unwrap_or_default();
        let publisher = loaded.index.packs.get(id).and_then(|pack| pack.publisher.clone());
        let origin = Some(loaded.origin());
        Ok(Component { what: id.to_string(), staged, bytes, source, publisher, newer: None, origin, from_index: true })
    }

    /// An installed pack that was named again: the index must not disagree, and the store must have it.
    pub(super) async fn keep(&self, locked: &LockedPack) -> Result<Component, InstallError> {
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
        let (staged, bytes, _) = self.bytes(id.as_str(), &urls, Expected { sha256: hash, size: locked.size }).await?;
        let source = locked.source.clone().unwrap_or_default();
        let origin = locked.origin.clone();
        Ok(Component { what: id.to_string(), staged, bytes, source, publisher: None, newer, origin, from_index: false })
    }
}
