//! The pack index: maps short pack names to artifacts. Keys that this version does not know are ignored, so that an index can
//! serve older and newer clients at once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::{PackId, Sha256, manifest::EmbeddedPack, rtp::interface_hash};

/// An index file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Index {
    /// The version of the format; 1.
    pub api_version: u32,
    /// When the index was made (RFC 3339).
    pub generated_at: String,
    /// The packs by id.
    pub packs: BTreeMap<PackId, IndexPack>,
    /// Releases that were taken out, with the digests that they had: what was released never gets other bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<PackId, BTreeMap<String, Sha256>>")]
    pub removed: BTreeMap<PackId, BTreeMap<Version, Sha256>>,
}

/// The version of the index format that this code reads and writes.
pub const API_VERSION: u32 = 1;

/// The name of the file in a folder that is an index.
pub const FILE: &str = "pack_index.json";

/// A component to be put into an index.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// What it says about itself.
    pub pack: &'a EmbeddedPack,
    /// Of its bytes.
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
    /// Where the bytes are.
    pub url: &'a str,
    /// Who answers for the pack; what the index says already when absent.
    pub publisher: Option<&'a Publisher>,
}

/// A version that an index has with other bytes. What is released never changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pack} {version} is in the index already, with other bytes ({found})")]
pub struct OtherBytes {
    /// The pack.
    pub pack: PackId,
    /// The version.
    pub version: Version,
    /// Of the bytes that the index names.
    pub found: Sha256,
}

impl Index {
    /// An index without packs.
    #[must_use]
    pub fn empty(generated_at: String) -> Self {
        Self { api_version: API_VERSION, generated_at, packs: BTreeMap::new(), removed: BTreeMap::new() }
    }

    /// Adds a release. What the index says about the pack as a whole comes from its newest version. Other packs and versions stay.
    ///
    /// # Errors
    /// [`OtherBytes`].
    pub fn add(&mut self, release: &Release<'_>) -> Result<(), OtherBytes> {
        let manifest = &release.pack.manifest;
        let info = &manifest.pack;
        let gone = self.removed.get(&info.id).and_then(|versions| versions.get(&info.version));
        if let Some(found) = gone.filter(|found| **found != release.sha256) {
            return Err(OtherBytes { pack: info.id.clone(), version: info.version.clone(), found: *found });
        }
        let entry = self.packs.entry(info.id.clone()).or_insert_with(|| IndexPack {
            display_name: info.display_name.clone(),
            description: info.description.clone(),
            homepage: info.homepage.clone(),
            tags: info.tags.clone(),
            publisher: None,
            wasm: None,
            python: None,
            node: None,
            slots: Vec::new(),
        });
        let versions = &mut entry.wasm.get_or_insert_with(|| WasmReleases { versions: BTreeMap::new() }).versions;
        match versions.get(&info.version).map(|known| known.sha256) {
            Some(found) if found != release.sha256 => {
                return Err(OtherBytes { pack: info.id.clone(), version: info.version.clone(), found });
            }
            // Perhaps withdrawn since: that stays.
            Some(_) => {}
            None => {
                let new = WasmRelease {
                    sha256: release.sha256,
                    size: release.size,
                    urls: vec![release.url.to_owned()],
                    min_rig: info.min_rig.clone(),
                    yanked: false,
                    dependencies: manifest.dependencies.clone(),
                    interface_hash: Some(interface_hash(release.pack.tools.iter().map(|tool| &tool.def))),
                };
                versions.insert(info.version.clone(), new);
            }
        }
        if versions.last_key_value().is_some_and(|(newest, _)| *newest == info.version) {
            entry.display_name.clone_from(&info.display_name);
            entry.description.clone_from(&info.description);
            entry.homepage.clone_from(&info.homepage);
            entry.tags.clone_from(&info.tags);
        }
        if let Some(publisher) = release.publisher {
            entry.publisher = Some(publisher.clone());
        }
        Ok(())
    }

    /// Takes a version, or all of a pack, out; returns what was taken. The digests stay noted.
    pub fn remove(&mut self, id: &PackId, version: Option<&Version>) -> BTreeMap<Version, WasmRelease> {
        let Some(pack) = self.packs.get_mut(id) else { return BTreeMap::new() };
        let mut gone = BTreeMap::new();
        if let Some(wasm) = &mut pack.wasm {
            let wanted = |known: &Version| version.is_none_or(|version| version == known);
            let (taken, stay) = std::mem::take(&mut wasm.versions).into_iter().partition(|(known, _)| wanted(known));
            (gone, wasm.versions) = (taken, stay);
            if wasm.versions.is_empty() {
                pack.wasm = None;
            }
        }
        if pack.wasm.is_none() && pack.python.is_none() && pack.node.is_none() {
            self.packs.remove(id);
        }
        let noted = self.removed.entry(id.clone()).or_default();
        noted.extend(gone.iter().map(|(version, release)| (version.clone(), release.sha256)));
        if noted.is_empty() {
            self.removed.remove(id);
        }
        gone
    }

    /// As the text of a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Its keys are texts and its values plain data, which cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// One pack in an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IndexPack {
    /// The name shown to people.
    pub display_name: String,
    /// What the pack is for.
    pub description: String,
    /// A page about the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Words to find the pack by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Who answers for the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<Publisher>,
    /// The pack as a component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasm: Option<WasmReleases>,
    /// The pack on PyPI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<LegacyPackage>,
    /// The pack on npm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<LegacyPackage>,
    /// The secrets that the packages of `python` and `node` need. A component names its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<String>,
}

/// Who answers for a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Publisher {
    /// The name shown to people.
    pub name: String,
    /// A page about the publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The publisher's public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A package of another ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LegacyPackage {
    /// The name in that ecosystem's registry.
    pub package: String,
    /// The oldest rig that can run the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub min_rig: Option<Version>,
    /// The hosts that the pack talks to, each `HOST` or `HOST:PORT`; the port is 443 when absent. A host may be `*.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<String>,
}

/// The released components of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WasmReleases {
    /// By version (semver).
    #[schemars(with = "BTreeMap<String, WasmRelease>")]
    pub versions: BTreeMap<Version, WasmRelease>,
}

/// One released component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WasmRelease {
    /// Of the exact bytes.
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
    /// Where the bytes are, tried in order. May be relative to the index.
    pub urls: Vec<String>,
    /// The oldest rig that can run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub min_rig: Option<Version>,
    /// Withdrawn: never chosen, installed only when the lock already names it.
    #[serde(default)]
    pub yanked: bool,
    /// Other packs that it needs, with semver ranges.
    #[serde(default)]
    #[schemars(with = "BTreeMap<PackId, String>")]
    pub dependencies: BTreeMap<PackId, VersionReq>,
    /// The hash of its tools' shapes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_hash: Option<Sha256>,
}

impl WasmReleases {
    /// The newest version that is not withdrawn; a pre-release only when there is nothing else.
    #[must_use]
    pub fn newest(&self) -> Option<(&Version, &WasmRelease)> {
        let offered = || self.versions.iter().rev().filter(|(_, release)| !release.yanked);
        offered().find(|(version, _)| version.pre.is_empty()).or_else(|| offered().next())
    }
}
