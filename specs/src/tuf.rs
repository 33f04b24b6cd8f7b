//! The metadata of a signed index, as The Update Framework (specification 1.0) has it: root, timestamp, snapshot and targets, each
//! in an envelope with signatures over its canonical JSON.
//!
//! Here are the shapes and what can be checked on a value alone. Who signed what, which version may follow which, and when something
//! has expired is decided in the host. Keys that this version does not know stay in what is signed. There are no delegations: all of
//! an index is signed by its own maintainers.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::Sha256;

mod canonical;

pub use canonical::{NotCanonical, canonical};

/// The specification that metadata written here follows. Any `1.*` is read.
pub const SPEC_VERSION: &str = "1.0.31";
/// The folder of an index that holds its metadata.
pub const METADATA: &str = "metadata";
/// The folder of an index that holds its targets, each named by its digest and its name.
pub const TARGETS: &str = "targets";

/// The top-level roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Says which keys sign for which role.
    Root,
    /// Says which snapshot is the newest; signed often, so that nobody can hide a newer one for long.
    Timestamp,
    /// Says which targets belong together.
    Snapshot,
    /// Says which files there are, with their digests.
    Targets,
}

impl RoleName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];

    /// As it is written in every format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// The name of its file in the metadata folder. All but the timestamp carry their version, so that no file is ever overwritten
    /// while somebody reads the ones that belong to it.
    #[must_use]
    pub fn file(self, version: u64) -> String {
        match self {
            Self::Timestamp => "timestamp.json".into(),
            other => format!("{version}.{}.json", other.as_str()),
        }
    }

    /// The name under which other roles speak of it.
    #[must_use]
    pub fn plain_file(self) -> String {
        format!("{}.json", self.as_str())
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A file of metadata: what is said, and who signed it. What is said stays the value that was read, because the signatures are over
/// all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The signatures over the canonical JSON of `signed`.
    pub signatures: Vec<Signature>,
    /// A root, timestamp, snapshot or targets document.
    pub signed: Value,
}

impl Envelope {
    /// Wraps a document that nobody signed yet.
    ///
    /// # Errors
    /// Never for the documents of this module.
    pub fn new<T: Serialize>(document: &T) -> Result<Self, serde_json::Error> {
        Ok(Self { signatures: Vec::new(), signed: serde_json::to_value(document)? })
    }

    /// Reads the document. It must say that it is of the wanted kind.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn read<T: DeserializeOwned>(&self, role: RoleName) -> Result<T, String> {
        let kind = self.signed.get("_type").and_then(Value::as_str);
        if kind != Some(role.as_str()) {
            return Err(format!("its `_type` is not `{role}`"));
        }
        let version = self.signed.get("spec_version").and_then(Value::as_str).unwrap_or_default();
        if version.split('.').next() != Some("1") {
            return Err(format!("it follows another specification than 1.*: `{}`", version.escape_debug()));
        }
        T::deserialize(&self.signed).map_err(|error| error.to_string())
    }

    /// The bytes that are signed.
    ///
    /// # Errors
    /// When the document holds what has no canonical form.
    pub fn message(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical(&self.signed)
    }

    /// As the text of a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Plain data with texts as keys, which cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The id of the key.
    pub keyid: String,
    /// In hex.
    pub sig: String,
}

/// Which keys sign for which role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Root {
    #[serde(rename = "_type")]
    kind: RoleName,
    spec_version: String,
    /// Grows by one with each root.
    pub version: u64,
    /// RFC 3339, UTC.
    pub expires: String,
    /// Whether files are named by version or digest; rig writes and reads nothing else.
    pub consistent_snapshot: bool,
    /// By id.
    pub keys: BTreeMap<String, Key>,
    /// The four top-level roles.
    pub roles: BTreeMap<RoleName, Role>,
    /// What this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Root {
    /// A root without keys.
    #[must_use]
    pub fn empty(version: u64, expires: String) -> Self {
        let nobody = Role { keyids: Vec::new(), threshold: 1 };
        Self {
            kind: RoleName::Root,
            spec_version: SPEC_VERSION.into(),
            version,
            expires,
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: RoleName::ALL.into_iter().map(|role| (role, nobody.clone())).collect(),
            other: Map::new(),
        }
    }

    /// The public keys of a role. A key that is listed under two ids is one key.
    #[must_use]
    pub fn keys_of(&self, role: RoleName) -> Vec<PublicKey> {
        let ids = self.roles.get(&role).map(|role| role.keyids.as_slice()).unwrap_or_default();
        let mut keys: Vec<PublicKey> = ids.iter().filter_map(|id| self.keys.get(id)?.public()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// How many of its keys must sign for a role.
    #[must_use]
    pub fn threshold(&self, role: RoleName) -> u32 {
        self.roles.get(&role).map_or(u32::MAX, |role| role.threshold)
    }

    /// What is wrong with the document itself, as a sentence.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if !self.consistent_snapshot {
            return Some("it does not have `consistent_snapshot`, without which files change under readers".into());
        }
        if let Some((id, _)) = self.keys.iter().find(|(id, key)| key.id() != **id) {
            return Some(format!("the id of the key `{}` is not that of the key", id.escape_debug()));
        }
        RoleName::ALL.into_iter().find_map(|role| {
            let Some(said) = self.roles.get(&role) else { return Some(format!("it names no keys for `{role}`")) };
            let there = self.keys_of(role).len();
            let fits = said.threshold >= 1 && usize::try_from(said.threshold).is_ok_and(|needed| needed <= there);
            let (needed, role) = (said.threshold, role.as_str());
            (!fits).then(|| format!("`{role}` needs {needed} signatures and has {there} keys that can sign"))
        })
    }
}

/// The keys of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The ids of the keys.
    pub keyids: Vec<String>,
    /// How many different ones must sign.
    pub threshold: u32,
}

/// A public key as metadata has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// `ed25519`; keys of other types are carried and never counted.
    pub keytype: String,
    /// `ed25519`.
    pub scheme: String,
    /// The key itself.
    pub keyval: BTreeMap<String, Value>,
    /// What this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Key {
    /// The id: the sha256 of the canonical JSON.
    #[must_use]
    pub fn id(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        canonical(&value).map(|bytes| Sha256::of(&bytes).hex()).unwrap_or_default()
    }

    /// The key, when it is one that rig can check signatures with.
    #[must_use]
    pub fn public(&self) -> Option<PublicKey> {
        let known = self.keytype == "ed25519" && self.scheme == "ed25519";
        let text = self.keyval.get("public").and_then(Value::as_str).filter(|_| known)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(PublicKey(bytes))
    }
}

/// An Ed25519 public key. Written as `ed25519:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// A text that is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a public key: expected `ed25519:` and 64 lower-case hex digits")]
pub struct PublicKeyError(String);

impl PublicKey {
    /// A key from its raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As metadata has it.
    #[must_use]
    pub fn key(&self) -> Key {
        Key {
            keytype: "ed25519".into(),
            scheme: "ed25519".into(),
            keyval: [("public".to_owned(), json!(hex::encode(self.0)))].into(),
            other: Map::new(),
        }
    }

    /// The id that metadata has it by.
    #[must_use]
    pub fn id(&self) -> String {
        self.key().id()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("ed25519:").filter(|digits| !digits.bytes().any(|b| b.is_ascii_uppercase()));
        match digits.map(|digits| hex::decode_to_slice(digits, &mut bytes)) {
            Some(Ok(())) => Ok(Self(bytes)),
            _ => Err(PublicKeyError(text.escape_debug().take(100).collect())),
        }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(text: String) -> Result<Self, PublicKeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// Timestamp and snapshot: which files of metadata are the current ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    #[serde(rename = "_type")]
    kind: RoleName,
    spec_version: String,
    /// Grows with each one.
    pub version: u64,
    /// RFC 3339, UTC.
    pub expires: String,
    /// By name: `snapshot.json` in a timestamp, `targets.json` in a snapshot.
    pub meta: BTreeMap<String, MetaFile>,
    /// What this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Listing {
    /// A timestamp or a snapshot.
    #[must_use]
    pub fn new(kind: RoleName, version: u64, expires: String, meta: BTreeMap<String, MetaFile>) -> Self {
        Self { kind, spec_version: SPEC_VERSION.into(), version, expires, meta, other: Map::new() }
    }
}

/// A file of metadata, named by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaFile {
    /// Its version.
    pub version: u64,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
}

/// Which files there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    #[serde(rename = "_type")]
    kind: RoleName,
    spec_version: String,
    /// Grows with each one.
    pub version: u64,
    /// RFC 3339, UTC.
    pub expires: String,
    /// By path.
    pub targets: BTreeMap<String, TargetFile>,
    /// What this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Targets {
    /// A list of files.
    #[must_use]
    pub fn new(version: u64, expires: String, targets: BTreeMap<String, TargetFile>) -> Self {
        Self {
            kind: RoleName::Targets,
            spec_version: SPEC_VERSION.into(),
            version,
            expires,
            targets,
            other: Map::new(),
        }
    }
}

/// A file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetFile {
    /// In bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: Hashes,
    /// What this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl TargetFile {
    /// The entry for some bytes.
    #[must_use]
    pub fn new(sha256: Sha256, length: u64) -> Self {
        Self { length, hashes: Hashes::of(sha256), other: Map::new() }
    }
}

/// Digests of a file; sha256 is the one that counts here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// Hex digits.
    #[serde(with = "bare")]
    pub sha256: Sha256,
    /// Others, not looked at.
    #[serde(flatten)]
    pub other: BTreeMap<String, String>,
}

impl Hashes {
    /// That one digest.
    #[must_use]
    pub fn of(sha256: Sha256) -> Self {
        Self { sha256, other: BTreeMap::new() }
    }
}

/// A digest as the framework writes it: hex digits without a prefix.
mod bare {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::Sha256;

    pub(super) fn serialize<S: Serializer>(digest: &Sha256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
