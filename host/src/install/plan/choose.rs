//! Which release of the index is meant. Pure.

use std::collections::BTreeMap;

use rig_specs::{
    PackId,
    index::{Index, WasmRelease, WasmReleases},
    lock::Runtime,
};
use semver::{Version, VersionReq};
use url::Url;

use crate::{
    install::{
        InstallError,
        index::{self, IndexError},
        source::Wanted,
    },
    words::nearest,
};

/// How many names are offered for a misspelt one.
const MAX_NEAREST: usize = 3;

/// The places of a release.
pub(in crate::install) fn artifacts(base: &Url, release: &WasmRelease) -> Result<Vec<Url>, IndexError> {
    release.urls.iter().map(|url| index::artifact(base, url)).collect()
}

/// The components of a pack by version.
///
/// # Errors
/// When the index has no such pack, or not as a component.
pub(in crate::install) fn releases<'a>(
    index: &'a Index,
    id: &PackId,
) -> Result<&'a BTreeMap<Version, WasmRelease>, InstallError> {
    wasm(index, id).map(|releases| &releases.versions)
}

fn wasm<'a>(index: &'a Index, id: &PackId) -> Result<&'a WasmReleases, InstallError> {
    let Some(pack) = index.packs.get(id) else {
        return Err(InstallError::UnknownPack { pack: id.clone(), nearest: similar(index, id) });
    };
    pack.wasm.as_ref().ok_or_else(|| {
        let legacy = [(Runtime::Python, &pack.python), (Runtime::Node, &pack.node)];
        let runtimes: Vec<Runtime> =
            legacy.into_iter().filter(|(_, package)| package.is_some()).map(|(r, _)| r).collect();
        if runtimes.is_empty() {
            return InstallError::UnknownPack { pack: id.clone(), nearest: Vec::new() };
        }
        InstallError::OtherRuntime { what: format!("`{id}`"), runtimes }
    })
}

/// The release that is meant: the exact version, the newest in a range, or the newest.
pub(super) fn choose<'a>(
    index: &'a Index,
    id: &PackId,
    wanted: Option<&Wanted>,
) -> Result<(&'a Version, &'a WasmRelease), InstallError> {
    let releases = wasm(index, id)?;
    let newest = || releases.newest().map(|(version, _)| version.clone());
    let found = match wanted {
        None => releases.newest(),
        Some(Wanted::Exact(exact)) => match releases.versions.get_key_value(exact) {
            Some((version, release)) if release.yanked => {
                return Err(InstallError::Yanked { pack: id.clone(), version: version.clone(), newest: newest() });
            }
            found => found,
        },
        Some(wanted) => {
            releases.versions.iter().rev().find(|(version, release)| !release.yanked && wanted.matches(version))
        }
    };
    found.ok_or_else(|| InstallError::NoVersion {
        pack: id.clone(),
        wanted: wanted.cloned().unwrap_or(Wanted::Range(VersionReq::STAR)),
        available: releases
            .versions
            .iter()
            .rev()
            .filter(|(_, release)| !release.yanked)
            .map(|(v, _)| v.clone())
            .collect(),
    })
}

/// Names of the index that a misspelt or unknown one may have been meant for, best first.
#[must_use]
pub fn similar(index: &Index, id: &PackId) -> Vec<String> {
    let mut similar: Vec<String> = Vec::new();
    let tagged = index.packs.iter().filter(|(_, pack)| pack.tags.iter().any(|tag| tag == id.as_str()));
    let containing = index.packs.iter().filter(|(other, _)| other.as_str().contains(id.as_str()));
    let near = nearest(id.as_str(), index.packs.keys().map(PackId::as_str)).map(str::to_owned);
    for name in near.into_iter().chain(containing.chain(tagged).map(|(other, _)| other.to_string())) {
        if !similar.contains(&name) && similar.len() < MAX_NEAREST {
            similar.push(name);
        }
    }
    similar
}
