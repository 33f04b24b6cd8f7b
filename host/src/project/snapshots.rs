//! The history of `rig.lock`: each change of the installed packs keeps the lock that it replaced in `.rig/snapshots/`, with what
//! `rig.yaml` said of packs then. A snapshot is written in the same transition as the lock ([`commit`](super::commit)); its number is
//! one more than the last, and is never given again while a later one is there.
//!
//! Which state a plain `rig rollback` returns to is decided here too ([`before_present`]).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rig_specs::{
    PackId,
    config::PackMetadata,
    lock::{Lock, LockedPack},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ProjectError, commit, lockfile};

/// The folder, relative to the project.
pub(super) const FOLDER: &str = ".rig/snapshots";
/// How many are kept. A lock of twenty packs takes some 20 KiB, so this stays below one MiB, and nobody looks further back than
/// fifty changes: older locks are in version control.
pub const KEEP: usize = 50;
const VERSION: u32 = 1;

/// Why the packs of a project change, as the history notes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The command in short: `update stripe`.
    pub why: String,
    /// The snapshot that a rollback returns to.
    pub returned_to: Option<u32>,
}

impl Change {
    /// A change by a command that names packs.
    #[must_use]
    pub fn of<'a>(command: &str, packs: impl IntoIterator<Item = &'a PackId>) -> Self {
        let mut why = command.to_owned();
        for pack in packs {
            why.push(' ');
            why.push_str(pack.as_str());
        }
        Self { why, returned_to: None }
    }
}

/// What was installed before a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its number.
    pub id: u32,
    /// When the lock was replaced (RFC 3339, UTC).
    pub taken_at: String,
    /// The change that replaced it.
    pub why: String,
    /// When that change was a rollback: the snapshot that it returned to.
    pub returned_to: Option<u32>,
    /// `packs` of `rig.yaml`.
    pub packs: Vec<PackId>,
    /// `pack_metadata` of `rig.yaml`.
    pub pack_metadata: BTreeMap<PackId, PackMetadata>,
    /// The lock.
    pub lock: Lock,
}

/// A snapshot as a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    taken_at: String,
    why: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    returned_to: Option<u32>,
    packs: Vec<PackId>,
    pack_metadata: BTreeMap<PackId, PackMetadata>,
    /// As it was written, so that its own digest covers it here too.
    lock: Value,
}

/// The number of a file, when its name is that of a snapshot.
pub(super) fn number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".json")?;
    let plain = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// The numbers of the snapshots of a project, oldest first.
#[must_use]
pub fn numbers(root: &Path) -> Vec<u32> {
    let entries = fs::read_dir(root.join(FOLDER)).into_iter().flatten().flatten();
    let mut found: Vec<u32> = entries.filter_map(|entry| number(entry.file_name().to_str()?)).collect();
    found.sort_unstable();
    found
}

fn name(id: u32) -> String {
    format!("{FOLDER}/{id:06}.json")
}

/// A new snapshot: its path in the project, and its text.
pub(super) fn file(
    root: &Path,
    change: &Change,
    (packs, metadata): (&[PackId], &BTreeMap<PackId, PackMetadata>),
    lock_text: &str,
) -> Result<(String, String), serde_json::Error> {
    let stored = Stored {
        version: VERSION,
        taken_at: crate::install::now(),
        why: change.why.clone(),
        returned_to: change.returned_to,
        packs: packs.to_vec(),
        pack_metadata: metadata.clone(),
        lock: serde_json::from_str(lock_text)?,
    };
    let mut text = serde_json::to_string_pretty(&stored)?;
    text.push('\n');
    Ok((name(numbers(root).last().map_or(1, |last| last.saturating_add(1))), text))
}

/// Reads a snapshot, with every check that is made on a `rig.lock`.
///
/// # Errors
/// When it is not there, or not as rig wrote it.
pub fn read(root: &Path, id: u32) -> Result<Snapshot, ProjectError> {
    let path = root.join(name(id));
    let bad = |why: String| ProjectError::Snapshot { path: path.clone(), why };
    let text = commit::read(&path)?.ok_or_else(|| bad("it is not there".into()))?;
    let stored: Stored = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if stored.version != VERSION {
        return Err(bad(format!("it has version {}, and this rig reads {VERSION}", stored.version)));
    }
    let lock = lockfile::parse(&stored.lock.to_string(), &path)?;
    let Stored { taken_at, why, returned_to, packs, pack_metadata, .. } = stored;
    Ok(Snapshot { id, taken_at, why, returned_to, packs, pack_metadata, lock })
}

/// The folder with the snapshots of a project.
pub(crate) fn folder(root: &Path) -> PathBuf {
    root.join(FOLDER)
}

/// The files of all but so many of the newest ones.
pub(crate) fn beyond(root: &Path, keep: usize) -> Vec<PathBuf> {
    let numbers = numbers(root);
    numbers.iter().take(numbers.len().saturating_sub(keep)).map(|id| root.join(name(*id))).collect()
}

/// Removes one, so that it is gone from the disk.
pub(crate) fn remove(path: &Path) -> Result<(), ProjectError> {
    commit::remove(path)
}

/// Removes the oldest ones beyond [`KEEP`]. One that cannot be removed is no reason to fail: the change has been made.
pub(super) fn prune(root: &Path) {
    for path in beyond(root, KEEP) {
        let _ = fs::remove_file(path);
    }
}

/// Removes what a crash left half written.
pub(super) fn sweep(root: &Path) -> Result<(), ProjectError> {
    let entries = fs::read_dir(root.join(FOLDER)).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let of_snapshot = |name: &str| name.strip_suffix(".rig-new").and_then(number).is_some();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(of_snapshot) {
            commit::remove(&path)?;
        }
    }
    Ok(())
}

/// The snapshot of the state before the present one, of `(number, returned to)`, oldest first.
///
/// The newest snapshot is the state that the last change replaced. When that change was a rollback to snapshot `k`, the present state is
/// that of `k` again, and the state before it is what came before `k`: so one rollback after the other goes back step by step, and not
/// to and fro.
#[must_use]
pub fn before_present(snapshots: &[(u32, Option<u32>)]) -> Option<u32> {
    let mut at = snapshots.last()?;
    while let Some(returned) = at.1 {
        at = snapshots.iter().rev().find(|(id, _)| *id < returned)?;
    }
    Some(at.0)
}

/// What is different between two locks, one pack each.
#[must_use]
pub fn differences<'a>(
    from: &'a BTreeMap<PackId, LockedPack>,
    to: &'a BTreeMap<PackId, LockedPack>,
) -> Vec<(&'a PackId, Option<&'a LockedPack>, Option<&'a LockedPack>)> {
    let mut ids: Vec<&PackId> = from.keys().chain(to.keys()).collect();
    ids.sort();
    ids.dedup();
    let differs = |id: &&PackId| {
        let bytes = |packs: &BTreeMap<PackId, LockedPack>| {
            packs.get(*id).map(|pack| (pack.version.clone(), pack.integrity, pack.granted.clone()))
        };
        bytes(from) != bytes(to)
    };
    ids.into_iter().filter(differs).map(|id| (id, from.get(id), to.get(id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rollback_after_the_other_goes_back_step_by_step() {
        type Kept = &'static [(u32, Option<u32>)];
        let cases: [(Kept, Option<u32>); 8] = [
            (&[], None),
            (&[(1, None)], Some(1)),
            (&[(1, None), (2, None)], Some(2)),
            // Back to 2, then to 1, then there is nothing before.
            (&[(1, None), (2, None), (3, Some(2))], Some(1)),
            (&[(1, None), (2, None), (3, Some(2)), (4, Some(1))], None),
            // After a new change it is the way back to what that replaced.
            (&[(1, None), (2, None), (3, Some(2)), (4, None)], Some(4)),
            // Back to 4, whose state was that of 2: before it was 1.
            (&[(1, None), (2, None), (3, Some(2)), (4, None), (5, Some(4))], Some(1)),
            // What was pruned away is not returned to.
            (&[(7, None), (8, Some(7))], None),
        ];
        for (snapshots, expected) in cases {
            assert_eq!(before_present(snapshots), expected, "{snapshots:?}");
        }
    }

    #[test]
    fn only_names_of_snapshots_are_snapshots() {
        for (name, expected) in [
            ("000001.json", Some(1)),
            ("1234567.json", Some(1_234_567)),
            ("1.json", None),
            ("+00001.json", None),
            ("000001.json.rig-new", None),
            ("x00001.json", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }
}
