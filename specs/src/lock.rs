//! `rig.lock`: exactly what is installed and what it may reach.
//!
//! Policy for changes: keys are only ever added, with a default that keeps older files loading; a file of a higher `version` is
//! refused. The text is sorted, indented by two spaces and ends with a newline, and an unchanged lock is not rewritten.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{PackId, Sha256, manifest::Capabilities};

/// The version of the format that this code reads and writes.
pub const VERSION: u32 = 1;

/// The lock file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// The version of the format; 1.
    pub version: u32,
    /// The rig that wrote the file.
    #[serde(default)]
    pub rig_version: String,
    /// The index that packs were last resolved in.
    #[serde(default)]
    pub index_url: Option<String>,
    /// When that index was made.
    #[serde(default)]
    pub index_generated_at: Option<String>,
    /// When the file was first written (RFC 3339, UTC).
    #[serde(default)]
    pub created_at: String,
    /// When the file was last changed (RFC 3339, UTC).
    #[serde(default)]
    pub updated_at: String,
    /// Of the canonical JSON of everything else here: shows a damaged or hand-edited file. Absent in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sha256>,
    /// The packs by id.
    #[serde(default)]
    pub packs: BTreeMap<PackId, LockedPack>,
    /// The publishers whose packs a person agreed to, also of packs that are gone again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub publishers: BTreeSet<KnownPublisher>,
}

/// A publisher of whom a pack was installed. The same name in another index is another publisher.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct KnownPublisher {
    /// The index that says so.
    pub index: String,
    /// The name in it.
    pub name: String,
    /// The key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The index that a pack came from. The same id in another index is another pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// The index, as written in `rig.yaml`; of a registry `oci://registry/repository`.
    pub index: String,
    /// Who vouched for it.
    pub standing: Standing,
}

/// Who vouches for an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its maintainers signed it.
    Signed,
    /// Nobody.
    Unsigned,
    /// The program carries it.
    Bundled,
}

impl Standing {
    /// As it is written in every format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Unsigned => "unsigned",
            Self::Bundled => "bundled",
        }
    }
}

/// One installed pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockedPack {
    /// The id, as in the key.
    pub pack_id: PackId,
    /// The name of the package in its ecosystem; the id for components.
    pub package: String,
    /// The installed version.
    #[schemars(with = "String")]
    pub version: Version,
    /// How the pack runs.
    #[serde(default)]
    pub runtime: Runtime,
    /// Of the exact bytes. Absent in older files for packages that were not hashed.
    #[serde(default)]
    pub integrity: Option<Sha256>,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub installed_at: String,
    /// Where the bytes came from. Of an OCI registry, with the digest of the manifest.
    #[serde(default)]
    pub source: Option<String>,
    /// In bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// The hash of the tools' shapes.
    #[serde(default)]
    pub interface_hash: Option<Sha256>,
    /// The hash of all that a model reads.
    #[serde(default)]
    pub tools_hash: Option<Sha256>,
    /// What was consented to.
    #[serde(default)]
    pub granted: Capabilities,
    /// Other packs that it needs, with the versions chosen.
    #[serde(default)]
    pub dependencies: BTreeMap<PackId, String>,
    /// For python and node: every file of the closure.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// The index that it came from, or the repository of an OCI registry. Absent in older files, and for packs that were named by a file or
    /// an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// How a pack runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// A component in the sandbox.
    Wasm,
    /// A package from PyPI in an isolated runner. Older lock files name no runtime and hold only these.
    #[default]
    Python,
    /// A package from npm in an isolated runner.
    Node,
}

impl Runtime {
    /// The runtime as it is written in every format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Python => "python",
            Self::Node => "node",
        }
    }
}

/// One file of a package's closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// The name of the file.
    pub file: String,
    /// Of its bytes.
    pub integrity: Sha256,
}

impl Lock {
    /// The digest of everything but the digest.
    ///
    /// # Panics
    /// Never: the types here always have a JSON form.
    #[must_use]
    pub fn compute_digest(&self) -> Sha256 {
        let bare = Self { digest: None, ..self.clone() };
        let value = serde_json::to_value(&bare).unwrap_or(Value::Null);
        Sha256::of_json(&value)
    }

    /// The text of the file, with a fresh digest.
    #[must_use]
    pub fn to_text(&self) -> String {
        let sealed = Self { digest: Some(self.compute_digest()), ..self.clone() };
        let value = serde_json::to_value(&sealed).unwrap_or(Value::Null);
        // Through `Value`, whose objects are sorted, so that the order of fields in this file does not matter.
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_lock_loads() {
        let text = r#"{ "version": 1, "packs": { "stripe": { "pack_id": "stripe", "package": "rig-pack-stripe", "version": "1.2.0" } } }"#;
        let lock: Lock = serde_json::from_str(text).unwrap();
        let pack = &lock.packs[&"stripe".parse().unwrap()];
        assert_eq!((pack.runtime, pack.integrity, lock.digest), (Runtime::Python, None, None));
    }

    #[test]
    fn the_text_is_sorted_and_sealed() {
        let lock: Lock = serde_json::from_str(r#"{ "version": 1, "updated_at": "t" }"#).unwrap();
        let text = lock.to_text();
        assert!(text.ends_with("}\n") && text.find("created_at") < text.find("\"digest\""), "{text}");
        let again: Lock = serde_json::from_str(&text).unwrap();
        assert_eq!(again.digest, Some(again.compute_digest()));
        assert_eq!(again.to_text(), text);
    }
}
