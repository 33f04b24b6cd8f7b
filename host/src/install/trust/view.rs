//! The rules of The Update Framework for one index: which file is accepted after which. No I/O, and no clock of its own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rig_specs::{
    Sha256,
    tuf::{Envelope, Listing, MetaFile, PublicKey, RoleName, Root, TargetFile, Targets},
};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::de::DeserializeOwned;

use super::{Fault, time};
use crate::words::plain;

/// Signatures that are looked at in one file. Nobody has so many keys; whoever sends more wants to keep rig busy.
const MAX_SIGNATURES: usize = 64;

/// What has been seen of an index.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) envelope: Envelope,
    pub(crate) root: Root,
    pub(super) seen: Seen,
}

/// The newest versions that were accepted; no older one ever is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Seen {
    pub(super) timestamp: u64,
    pub(super) snapshot: u64,
    pub(super) targets: u64,
}

/// An accepted list of files.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) targets: BTreeMap<String, TargetFile>,
    /// The earliest time at which one of the four files expires.
    pub(crate) expires: Timestamp,
}

impl View {
    /// Begins with a root that is trusted for another reason than its signatures. It must still be sound, and signed by itself.
    pub(crate) fn new(envelope: Envelope, file: &str) -> Result<Self, Fault> {
        let root = read_root(&envelope, file)?;
        signed(&envelope, &root, RoleName::Root, file)?;
        Ok(Self { envelope, root, seen: Seen::default() })
    }

    /// Begins with a root that enough of the trusted keys signed: at least half of them, so that one stolen key of several is not
    /// enough, and not all, so that the loss of one is not the end.
    pub(crate) fn anchored(envelope: Envelope, file: &str, trusted: &[PublicKey]) -> Result<Self, Fault> {
        let ids = trusted.iter().map(|key| (key.id(), *key)).collect();
        let found = signers(&envelope, &ids, file)?.len();
        let needed = trusted.len().div_ceil(2).max(1);
        if found < needed {
            return Err(Fault::WrongKeys { trusted: trusted.to_vec(), found, needed });
        }
        Self::new(envelope, file)
    }

    /// Accepts the next root: signed by the keys of the one before and by its own. When the keys of timestamp or snapshot change,
    /// what was seen of them is forgotten: whoever had a stolen key may have signed a version that no honest one ever reaches.
    pub(crate) fn next_root(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let expected = self.root.version.saturating_add(1);
        let file = RoleName::Root.file(expected);
        let envelope = parse(bytes, &file)?;
        let root = read_root(&envelope, &file)?;
        signed(&envelope, &self.root, RoleName::Root, &file)?;
        signed(&envelope, &root, RoleName::Root, &file)?;
        if root.version != expected {
            return Err(Fault::Version { file, expected, found: root.version });
        }
        if [RoleName::Timestamp, RoleName::Snapshot].iter().any(|role| root.keys_of(*role) != self.root.keys_of(*role))
        {
            self.seen = Seen::default();
        }
        (self.envelope, self.root) = (envelope, root);
        Ok(())
    }

    /// Whether the root itself is still good.
    pub(crate) fn root_expires(&self, now: Timestamp) -> Result<Timestamp, Fault> {
        fresh(&RoleName::Root.file(self.root.version), &self.root.expires, now)
    }

    /// Accepts a timestamp. Returns what it says of the snapshot, and when it expires.
    pub(crate) fn timestamp(&mut self, bytes: &[u8], now: Timestamp) -> Result<(MetaFile, Timestamp), Fault> {
        let file = RoleName::Timestamp.file(0);
        let found: Listing = self.accept(bytes, RoleName::Timestamp, &file)?;
        not_older(RoleName::Timestamp, found.version, self.seen.timestamp)?;
        let expires = fresh(&file, &found.expires, now)?;
        let snapshot = named(&found, RoleName::Snapshot, &file)?;
        not_older(RoleName::Snapshot, snapshot.version, self.seen.snapshot)?;
        (self.seen.timestamp, self.seen.snapshot) = (found.version, snapshot.version);
        Ok((snapshot, expires))
    }

    /// Accepts the snapshot that a timestamp names. Returns what it says of the targets.
    pub(crate) fn snapshot(
        &mut self,
        bytes: &[u8],
        expected: &MetaFile,
        now: Timestamp,
    ) -> Result<(MetaFile, Timestamp), Fault> {
        let file = RoleName::Snapshot.file(expected.version);
        described(bytes, expected, &file)?;
        let found: Listing = self.accept(bytes, RoleName::Snapshot, &file)?;
        same_version(&file, expected.version, found.version)?;
        let targets = named(&found, RoleName::Targets, &file)?;
        not_older(RoleName::Targets, targets.version, self.seen.targets)?;
        let expires = fresh(&file, &found.expires, now)?;
        self.seen.targets = targets.version;
        Ok((targets, expires))
    }

    /// Accepts the targets that a snapshot names.
    pub(crate) fn targets(&self, bytes: &[u8], expected: &MetaFile, now: Timestamp) -> Result<Accepted, Fault> {
        let file = RoleName::Targets.file(expected.version);
        described(bytes, expected, &file)?;
        let found: Targets = self.accept(bytes, RoleName::Targets, &file)?;
        same_version(&file, expected.version, found.version)?;
        let expires = fresh(&file, &found.expires, now)?;
        Ok(Accepted { targets: found.targets, expires })
    }

    fn accept<T: DeserializeOwned>(&self, bytes: &[u8], role: RoleName, file: &str) -> Result<T, Fault> {
        let envelope = parse(bytes, file)?;
        signed(&envelope, &self.root, role, file)?;
        envelope.read(role).map_err(|why| Fault::Malformed { file: file.to_owned(), why: plain(&why) })
    }
}

/// Reads an envelope.
pub(crate) fn parse(bytes: &[u8], file: &str) -> Result<Envelope, Fault> {
    let malformed = |why: String| Fault::Malformed { file: file.to_owned(), why };
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| malformed(plain(&error.to_string())))?;
    if envelope.signatures.len() > MAX_SIGNATURES {
        return Err(malformed(format!("it has more than {MAX_SIGNATURES} signatures")));
    }
    Ok(envelope)
}

fn read_root(envelope: &Envelope, file: &str) -> Result<Root, Fault> {
    let malformed = |why: String| Fault::Malformed { file: file.to_owned(), why: plain(&why) };
    let root: Root = envelope.read(RoleName::Root).map_err(malformed)?;
    root.problem().map_or(Ok(root), |why| Err(malformed(why)))
}

/// The different keys, of those with an id, that signed a file.
pub(crate) fn signers(
    envelope: &Envelope,
    ids: &BTreeMap<String, PublicKey>,
    file: &str,
) -> Result<BTreeSet<PublicKey>, Fault> {
    let message =
        envelope.message().map_err(|error| Fault::Malformed { file: file.to_owned(), why: error.to_string() })?;
    let valid = envelope.signatures.iter().filter_map(|signature| {
        let key = ids.get(&signature.keyid)?;
        let bytes = hex::decode(&signature.sig).ok()?;
        UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(&message, &bytes).ok()?;
        Some(*key)
    });
    Ok(valid.collect())
}

/// Whether enough keys of a role signed a file.
pub(crate) fn signed(envelope: &Envelope, root: &Root, role: RoleName, file: &str) -> Result<(), Fault> {
    let role_ids = root.roles.get(&role).map(|role| role.keyids.as_slice()).unwrap_or_default();
    let ids = role_ids.iter().filter_map(|id| Some((id.clone(), root.keys.get(id)?.public()?))).collect();
    let found = signers(envelope, &ids, file)?.len();
    let needed = root.threshold(role);
    if usize::try_from(needed).is_ok_and(|needed| found >= needed && needed > 0) {
        return Ok(());
    }
    Err(Fault::Signatures { file: file.to_owned(), found, needed })
}

fn named(listing: &Listing, role: RoleName, file: &str) -> Result<MetaFile, Fault> {
    let name = role.plain_file();
    let missing = || Fault::Malformed { file: file.to_owned(), why: format!("it does not name `{name}`") };
    listing.meta.get(&name).cloned().ok_or_else(missing)
}

fn not_older(role: RoleName, found: u64, seen: u64) -> Result<(), Fault> {
    if found < seen { Err(Fault::Rollback { role, found, seen }) } else { Ok(()) }
}

fn same_version(file: &str, expected: u64, found: u64) -> Result<(), Fault> {
    if expected == found { Ok(()) } else { Err(Fault::Version { file: file.to_owned(), expected, found }) }
}

/// Whether bytes are those that another file describes, as far as it does.
fn described(bytes: &[u8], expected: &MetaFile, file: &str) -> Result<(), Fault> {
    let found = bytes.len() as u64;
    if let Some(expected) = expected.length.filter(|expected| *expected != found) {
        return Err(Fault::Length { file: file.to_owned(), expected, found });
    }
    let Some(expected) = expected.hashes.as_ref().map(|hashes| hashes.sha256) else { return Ok(()) };
    let found = Sha256::of(bytes);
    if expected == found { Ok(()) } else { Err(Fault::Hash { file: file.to_owned(), expected, found }) }
}

fn fresh(file: &str, expires: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    let at = time(file, expires)?;
    if at <= now { Err(Fault::Expired { file: file.to_owned(), at }) } else { Ok(at) }
}
