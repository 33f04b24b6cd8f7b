//! Begins a signed index, and signs what changed in it. Files that readers hold on to are written first and under new names, the
//! timestamp that leads to them last: whoever reads meanwhile sees all of the old or all of the new.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rig_specs::{
    Sha256,
    index::Index,
    tuf::{Envelope, Hashes, Listing, MetaFile, PublicKey, RoleName, Root, TARGETS, TargetFile, Targets},
};
use serde::Serialize;

use super::{SignError, folder::Folder, get, keys, keys::Keys, put};
use crate::{
    author::publish,
    install::trust::{
        Fault,
        view::{self, View},
    },
};

/// How long a root is good: it is changed by people, with keys that lie in a drawer.
pub(super) const ROOT_DAYS: i64 = 365;
/// How long targets and snapshot are good.
const TARGETS_DAYS: i64 = 180;
/// How long a timestamp is good when nothing else is said: the longest that somebody can hide a newer index from readers.
pub const TIMESTAMP_DAYS: u16 = 14;
/// The longest that may be said.
pub const MAX_TIMESTAMP_DAYS: u16 = 365;
/// What signing came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedIndex {
    /// The version of the root that readers get.
    pub root: u64,
    /// The root that waits for signatures: its version, how many it has and how many it needs of its own keys.
    pub pending: Option<Pending>,
    /// The versions of the other files; nothing while the first root waits.
    pub versions: Option<Versions>,
    /// The keys to publish: what readers put into `index.trusted_keys`.
    pub root_keys: Vec<PublicKey>,
    /// How many of them sign a root.
    pub threshold: u32,
}

/// A root that waits for signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Its version.
    pub version: u64,
    /// How many keys signed.
    pub found: usize,
    /// How many must.
    pub needed: u32,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// Of the timestamp.
    pub timestamp: u64,
    /// Of the snapshot.
    pub snapshot: u64,
    /// Of the targets.
    pub targets: u64,
    /// How many files are signed.
    pub files: usize,
    /// When the timestamp expires.
    pub expires: String,
}

/// How to begin.
#[derive(Debug, Clone, Default)]
pub struct Init {
    /// Root keys that were made elsewhere; one is made when there is none.
    pub root_keys: Vec<PublicKey>,
    /// How many of them must sign; more than half when absent.
    pub threshold: Option<u32>,
    /// Of the timestamp.
    pub days: Option<u16>,
}

/// Begins a signed index in a folder: makes the keys that are missing, the first root, and signs what is there.
///
/// # Errors
/// When it is signed already, or something cannot be written.
pub fn init(path: &Path, keys_folder: &Path, init: &Init) -> Result<SignedIndex, SignError> {
    let folder = Folder::at(path);
    if folder.metadata(&RoleName::Root.plain_file()).exists() {
        return Err(SignError::Signed(path.to_owned()));
    }
    if let Some(pending) = folder.pending()? {
        return Err(SignError::Pending(pending.0));
    }
    let _held = publish::hold(path)?;
    if let (file, None) = publish::read(path)? {
        put(&file, Index::empty(crate::install::index::now().to_string()).to_text().as_bytes())?;
    }
    let mut root = Root::empty(1, folder.expires(ROOT_DAYS));
    for role in RoleName::ALL {
        let own = || {
            let file = keys_folder.join(format!("{role}.pem"));
            if file.exists() { keys::public(&file) } else { keys::generate(&file) }
        };
        let keys = match role {
            RoleName::Root if !init.root_keys.is_empty() => init.root_keys.clone(),
            _ => vec![own()?],
        };
        let half = u32::try_from(keys.len() / 2 + 1).unwrap_or(1);
        let threshold = if role == RoleName::Root { init.threshold.unwrap_or(half) } else { 1 };
        set_keys(&mut root, role, &keys, threshold);
    }
    if let Some(why) = root.problem() {
        return Err(SignError::BadRoot(why));
    }
    folder.offer(&root)?;
    folder.sign(&Keys::load(&[keys_folder.to_owned()])?, init.days)
}

/// Signs what changed: adds signatures to a root that waits for them, and brings all else up to date. The timestamp is always new.
///
/// # Errors
/// When keys are missing, or a component is not what the index says. Readers see what they saw before, then.
pub fn sign(path: &Path, keys: &Keys, days: Option<u16>) -> Result<SignedIndex, SignError> {
    let folder = Folder::at(path);
    let _held = publish::hold(path)?;
    folder.sign(keys, days)
}

/// Replaces the keys of a role in a root. Keys that nobody has any more go.
pub(super) fn set_keys(root: &mut Root, role: RoleName, keys: &[PublicKey], threshold: u32) {
    let mut ids: Vec<String> = keys.iter().map(PublicKey::id).collect();
    ids.sort();
    ids.dedup();
    root.roles.insert(role, rig_specs::tuf::Role { keyids: ids, threshold });
    root.keys.extend(keys.iter().map(|key| (key.id(), key.key())));
    let used: BTreeSet<&String> = root.roles.values().flat_map(|role| &role.keyids).collect();
    root.keys.retain(|id, _| used.contains(id));
}

impl Folder<'_> {
    /// Everything, with the lock held.
    pub(super) fn sign(&self, keys: &Keys, days: Option<u16>) -> Result<SignedIndex, SignError> {
        let current = self.root()?;
        let (root, waiting) = match self.pending()? {
            Some((_, path, envelope)) => self.sign_root(keys, current, &path, envelope)?,
            None => (current, None),
        };
        let Some(view) = root else {
            let Some((pending, keys)) = waiting else { return Err(SignError::NotSigned(self.path.to_owned())) };
            let (threshold, pending) = (pending.needed, Some(pending));
            return Ok(SignedIndex { root: 0, pending, versions: None, root_keys: keys, threshold });
        };
        let ready = self.prepare(keys, &view.root, days)?;
        // The root first: what follows may be signed by keys that only it names. Nothing is asked for by its number before.
        let file = RoleName::Root.file(view.root.version);
        if get(&self.metadata(&file))?.is_none() {
            let text = view.envelope.to_text();
            put(&self.metadata(&file), text.as_bytes())?;
            put(&self.metadata(&RoleName::Root.plain_file()), text.as_bytes())?;
            let _ = fs::remove_file(self.metadata(&format!("{file}.pending")));
        }
        let versions = self.publish(ready)?;
        Ok(SignedIndex {
            root: view.root.version,
            pending: waiting.map(|(pending, _)| pending),
            versions: Some(versions),
            root_keys: view.root.keys_of(RoleName::Root),
            threshold: view.root.threshold(RoleName::Root),
        })
    }

    /// Adds signatures to a root that waits. Returns the root that is in force then, and what the other one still waits for.
    #[allow(clippy::type_complexity, reason = "the two halves of one answer")]
    fn sign_root(
        &self,
        keys: &Keys,
        current: Option<View>,
        path: &Path,
        mut envelope: Envelope,
    ) -> Result<(Option<View>, Option<(Pending, Vec<PublicKey>)>), SignError> {
        let file = RoleName::Root.plain_file();
        let malformed = |why| self.fault(Fault::Malformed { file: file.clone(), why });
        let root: Root = envelope.read(RoleName::Root).map_err(malformed)?;
        let mut signers = root.keys_of(RoleName::Root);
        signers.extend(current.iter().flat_map(|view| view.root.keys_of(RoleName::Root)));
        if keys.sign(&mut envelope, &signers)? {
            put(path, envelope.to_text().as_bytes())?;
        }
        let (next, found) = match &current {
            None => (View::new(envelope.clone(), &file), &root),
            Some(view) => {
                let mut next = view.clone();
                let accepted = next.next_root(envelope.to_text().as_bytes());
                (accepted.map(|()| next), &view.root)
            }
        };
        if let Ok(next) = next {
            return Ok((Some(next), None));
        }
        // Which of the two sets lacks a signature: its own, or that of the root before.
        let count = |root: &Root| {
            let ids = root.keys_of(RoleName::Root).iter().map(|key| (key.id(), *key)).collect();
            view::signers(&envelope, &ids, &file).map_or(0, |found| found.len())
        };
        let own = (count(&root), root.threshold(RoleName::Root));
        let before = (count(found), found.threshold(RoleName::Root));
        let lacks = |(found, needed): (usize, u32)| usize::try_from(needed).is_ok_and(|needed| found < needed);
        let (found, needed) = if lacks(own) { own } else { before };
        let pending = Pending { version: root.version, found, needed };
        Ok((current, Some((pending, root.keys_of(RoleName::Root)))))
    }

    /// Everything that is to be written, signed, before any of it is.
    fn prepare(&self, keys: &Keys, root: &Root, days: Option<u16>) -> Result<Ready, SignError> {
        let files = self.files()?;
        let targets: BTreeMap<String, TargetFile> =
            files.iter().map(|(name, (sha256, length))| (name.clone(), TargetFile::new(*sha256, *length))).collect();
        let (old_timestamp, _) = self.listing(RoleName::Timestamp, 0, root)?;
        let snapshot_version = named(old_timestamp.as_ref(), RoleName::Snapshot);
        let (old_snapshot, snapshot_good) = self.listing(RoleName::Snapshot, snapshot_version, root)?;
        let targets_version = named(old_snapshot.as_ref(), RoleName::Targets);
        let old_targets = self.old::<Targets>(RoleName::Targets, targets_version)?;
        let before = old_targets.as_ref().map(|(_, targets)| targets.targets.clone()).unwrap_or_default();

        let same = old_targets.filter(|(envelope, old)| {
            old.targets == targets && self.good(envelope, root, RoleName::Targets, &old.expires)
        });
        let (targets_meta, new_targets) = if let Some((envelope, old)) = &same {
            (describe(old.version, envelope), None)
        } else {
            let version = targets_version.saturating_add(1);
            let envelope =
                seal(keys, root, RoleName::Targets, &Targets::new(version, self.expires(TARGETS_DAYS), targets))?;
            (describe(version, &envelope), Some((version, envelope)))
        };
        let same = old_snapshot.filter(|_| snapshot_good && new_targets.is_none());
        let (snapshot_meta, new_snapshot) = if let Some(old) = same {
            let file = self.metadata(&RoleName::Snapshot.file(old.version));
            let bytes = get(&file)?.unwrap_or_default();
            (described(old.version, &bytes), None)
        } else {
            let version = snapshot_version.saturating_add(1);
            let meta = [(RoleName::Targets.plain_file(), targets_meta)].into();
            let document = Listing::new(RoleName::Snapshot, version, self.expires(TARGETS_DAYS), meta);
            let envelope = seal(keys, root, RoleName::Snapshot, &document)?;
            (describe(version, &envelope), Some((version, envelope)))
        };
        let version = old_timestamp.map_or(0, |old| old.version).saturating_add(1);
        let expires = self.expires(i64::from(days.unwrap_or(TIMESTAMP_DAYS)));
        let meta = [(RoleName::Snapshot.plain_file(), snapshot_meta.clone())].into();
        let document = Listing::new(RoleName::Timestamp, version, expires.clone(), meta);
        let timestamp = seal(keys, root, RoleName::Timestamp, &document)?;
        let targets = new_targets.as_ref().map_or(targets_version, |(version, _)| *version);
        let versions =
            Versions { timestamp: version, snapshot: snapshot_meta.version, targets, files: files.len(), expires };
        Ok(Ready { files, before, targets: new_targets, snapshot: new_snapshot, timestamp, versions })
    }

    fn publish(&self, ready: Ready) -> Result<Versions, SignError> {
        let folder = self.path.join(TARGETS);
        fs::create_dir_all(&folder).map_err(|error| SignError::io(&folder, "written", error))?;
        let mut kept = BTreeSet::new();
        for (name, (sha256, _)) in &ready.files {
            let hashed = format!("{}.{name}", sha256.hex());
            let path = folder.join(&hashed);
            if get(&path)?.is_none_or(|bytes| Sha256::of(&bytes) != *sha256) {
                let from = self.path.join(name);
                let bytes = get(&from)?.unwrap_or_default();
                put(&path, &bytes)?;
            }
            kept.insert(hashed);
        }
        for (role, new) in [(RoleName::Targets, &ready.targets), (RoleName::Snapshot, &ready.snapshot)] {
            if let Some((version, envelope)) = new {
                put(&self.metadata(&role.file(*version)), envelope.to_text().as_bytes())?;
            }
        }
        put(&self.metadata(&RoleName::Timestamp.file(0)), ready.timestamp.to_text().as_bytes())?;
        // Who began to read before still finds what was there then; what is older goes.
        kept.extend(ready.before.iter().map(|(name, file)| format!("{}.{name}", file.hashes.sha256.hex())));
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| !kept.contains(name)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(ready.versions)
    }
}

/// What is about to be written.
struct Ready {
    files: BTreeMap<String, (Sha256, u64)>,
    before: BTreeMap<String, TargetFile>,
    targets: Option<(u64, Envelope)>,
    snapshot: Option<(u64, Envelope)>,
    timestamp: Envelope,
    versions: Versions,
}

fn named(listing: Option<&Listing>, role: RoleName) -> u64 {
    listing.and_then(|listing| listing.meta.get(&role.plain_file())).map_or(0, |meta| meta.version)
}

fn describe(version: u64, envelope: &Envelope) -> MetaFile {
    described(version, envelope.to_text().as_bytes())
}

fn described(version: u64, bytes: &[u8]) -> MetaFile {
    MetaFile { version, length: Some(bytes.len() as u64), hashes: Some(Hashes::of(Sha256::of(bytes))) }
}

fn seal<T: Serialize>(keys: &Keys, root: &Root, role: RoleName, document: &T) -> Result<Envelope, SignError> {
    let mut envelope = Envelope::new(document).map_err(|error| SignError::BadRoot(error.to_string()))?;
    let of_role = root.keys_of(role);
    keys.sign(&mut envelope, &of_role)?;
    if view::signed(&envelope, root, role, role.as_str()).is_err() {
        return Err(SignError::MissingKeys { role, needed: root.threshold(role), found: keys.count(&of_role) });
    }
    Ok(envelope)
}
