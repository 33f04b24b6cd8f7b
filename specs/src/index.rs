//! The pack index: maps short pack names to artifacts. Keys that this version does not know are ignored, so that an index can
//! serve older and newer clients at once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::{PackId, Sha256};

/// An index file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Index {
    /// The version of the format; 1.
    pub api_version: u32,
    /// When the index was made (RFC 3339).
    pub generated_at: String,
    /// The packs by id.
    pub packs: BTreeMap<PackId, IndexPack>,
}

/// The version of the index format that this code reads and writes.
pub const API_VERSION: u32 = 1;

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
