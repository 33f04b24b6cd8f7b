//! A candidate: the lock that an update would write, on trial. It lies in `.rig/canary/` beside the lock that holds; a gateway runs a
//! share of the calls on it, and `rig.lock` stays as it is until the candidate is promoted. What the gateway makes of it is decided
//! in [`gateway`](crate::gateway).
//!
//! A candidate is made against one text of `rig.lock`. When that changes, the candidate does not fit any more and is over.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use rig_specs::{PackId, Sha256, config::PackMetadata, lock::Lock};
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Change, ChangeLock, Project, ProjectError, commit, lockfile};

/// The folder, relative to the project. Of its own, so that a gateway can watch it without hearing of every row of the audit log.
pub(crate) const FOLDER: &str = ".rig/canary";
/// The candidate in it.
pub(crate) const CANDIDATE: &str = "candidate.json";
/// How the last one ended.
const LAST: &str = "last.json";
const VERSION: u32 = 1;

/// The share of calls that run on a candidate: at least 0.01 %, at most 50 %, because there is nothing to compare with otherwise. A
/// number in JSON, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share {
    /// Of ten thousand calls: adding up never drifts.
    parts: u16,
}

impl Share {
    const MAX: u16 = 5000;

    /// How many of so many calls.
    #[must_use]
    pub fn of(self, calls: u64) -> u64 {
        u64::try_from(u128::from(calls) * u128::from(self.parts) / 10_000).unwrap_or(u64::MAX)
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        Self::from(share.parts) / 100.0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(percent: f64) -> Result<Self, String> {
        let nearest = (1..=Self::MAX).find(|parts| (f64::from(*parts) / 100.0 - percent).abs() <= 0.005);
        let parts =
            nearest.ok_or("a share is from 0.01 % to 50 % of the calls: the rest is what it is compared with")?;
        Ok(Self { parts })
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        number.parse::<f64>().map_err(|_| format!("`{text}` is not a share such as `10%`"))?.try_into()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(*self))
    }
}

/// A pack that is another one in the candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The pack.
    pub pack: PackId,
    /// The version of `rig.lock`.
    pub from: Version,
    /// The candidate's.
    pub to: Version,
}

/// What is on trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The share of the calls.
    pub share: Share,
    /// Since when (RFC 3339, UTC).
    pub begun_at: String,
    /// The digest of the text of `rig.lock` that it would replace.
    pub base: Sha256,
    /// The command in short: `update stripe`.
    pub why: String,
    /// The packs that differ.
    pub moved: Vec<Moved>,
    /// What `rig.yaml` would note about the packs.
    pub pack_metadata: BTreeMap<PackId, PackMetadata>,
    /// The lock.
    pub lock: Lock,
    /// Of the file, to tell one from another.
    pub digest: Sha256,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// `promoted`, `withdrawn`, `rolled_back` or `superseded`.
    pub how: String,
    /// In a sentence.
    pub reason: String,
    /// When (RFC 3339, UTC).
    pub at: String,
    /// The packs that were on trial.
    pub moved: Vec<Moved>,
}

/// A candidate as a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    share: Share,
    begun_at: String,
    base: Sha256,
    why: String,
    moved: Vec<Moved>,
    pack_metadata: BTreeMap<PackId, PackMetadata>,
    /// As it would be written, so that its own digest covers it here too.
    lock: Value,
}

#[derive(Serialize, Deserialize)]
struct StoredEnd {
    version: u32,
    #[serde(flatten)]
    ended: Ended,
}

fn path(root: &Path, name: &str) -> PathBuf {
    root.join(FOLDER).join(name)
}

fn bad(path: &Path, why: impl fmt::Display) -> ProjectError {
    ProjectError::Canary { path: path.to_owned(), why: why.to_string() }
}

/// The candidate of a project, if there is one, with every check that is made on a `rig.lock`.
///
/// # Errors
/// When the file cannot be read or is not as rig wrote it.
pub fn read(root: &Path) -> Result<Option<Candidate>, ProjectError> {
    let path = path(root, CANDIDATE);
    let Some(text) = commit::read(&path)? else { return Ok(None) };
    let stored: Stored = serde_json::from_str(&text).map_err(|error| bad(&path, error))?;
    if stored.version != VERSION {
        return Err(bad(&path, format!("it has version {}, and this rig reads {VERSION}", stored.version)));
    }
    let lock = lockfile::parse(&stored.lock.to_string(), &path)?;
    let Stored { share, begun_at, base, why, moved, pack_metadata, .. } = stored;
    let digest = Sha256::of(text.as_bytes());
    Ok(Some(Candidate { share, begun_at, base, why, moved, pack_metadata, lock, digest }))
}

/// How the last trial ended, if there was one.
///
/// # Errors
/// When the file cannot be read or is not as rig wrote it.
pub fn last(root: &Path) -> Result<Option<Ended>, ProjectError> {
    let path = path(root, LAST);
    let Some(text) = commit::read(&path)? else { return Ok(None) };
    let stored: StoredEnd = serde_json::from_str(&text).map_err(|error| bad(&path, error))?;
    Ok(Some(stored.ended))
}

/// Ends the trial of a candidate: notes how, and takes the file away. Answers false when another is on trial by now, or none.
///
/// # Errors
/// When the files cannot be written.
pub fn end(root: &Path, candidate: &Candidate, how: &str, reason: &str) -> Result<bool, ProjectError> {
    let _lock = commit::exclusive(root, &mut |_| {})?;
    end_locked(root, candidate, how, reason)
}

fn end_locked(root: &Path, candidate: &Candidate, how: &str, reason: &str) -> Result<bool, ProjectError> {
    let file = path(root, CANDIDATE);
    if commit::read(&file)?.is_none_or(|text| Sha256::of(text.as_bytes()) != candidate.digest) {
        return Ok(false);
    }
    let ended = Ended {
        how: how.to_owned(),
        reason: reason.to_owned(),
        at: crate::install::now(),
        moved: candidate.moved.clone(),
    };
    write(&path(root, LAST), &StoredEnd { version: VERSION, ended })?;
    commit::remove(&file)?;
    Ok(true)
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), ProjectError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| bad(path, error))?;
    text.push('\n');
    let folder = path.parent().unwrap_or(path);
    commit::refuse_symlink(folder)?;
    fs::create_dir_all(folder).map_err(|error| ProjectError::io("make", folder, error))?;
    commit::replace_file(path, &text)
}

impl Project {
    /// The digest of the text of `rig.lock`.
    #[must_use]
    pub fn lock_digest(&self) -> Sha256 {
        Sha256::of(self.lock_text.as_deref().unwrap_or_default().as_bytes())
    }

    /// The same project with a candidate's packs.
    pub(crate) fn with_candidate(&self, candidate: &Candidate) -> Self {
        let mut project = self.clone();
        project.lock = candidate.lock.clone();
        project
    }
}

impl ChangeLock {
    /// Puts a lock on trial instead of writing it. `metadata` is what `rig.yaml` would note about the packs.
    ///
    /// # Errors
    /// When another candidate is on trial, or the file cannot be written.
    pub fn propose(
        &self,
        project: &Project,
        metadata: &BTreeMap<PackId, PackMetadata>,
        lock: &Lock,
        (change, share): (&Change, Share),
    ) -> Result<(), ProjectError> {
        let file = path(&project.root, CANDIDATE);
        if let Some(present) = read(&project.root)?.filter(|candidate| candidate.base == project.lock_digest()) {
            return Err(bad(&file, format!("`{}` is on trial already", present.why)));
        }
        let lock_value = serde_json::from_str(&lock.to_text()).map_err(|error| bad(&file, error))?;
        let moved = super::snapshots::differences(&project.lock.packs, &lock.packs);
        let moved = moved.into_iter().filter_map(|(id, from, to)| {
            Some(Moved { pack: id.clone(), from: from?.version.clone(), to: to?.version.clone() })
        });
        let stored = Stored {
            version: VERSION,
            share,
            begun_at: crate::install::now(),
            base: project.lock_digest(),
            why: change.why.clone(),
            moved: moved.collect(),
            pack_metadata: metadata.clone(),
            lock: lock_value,
        };
        write(&file, &stored)
    }

    /// Writes the candidate's lock: from then on it is what is installed.
    ///
    /// # Errors
    /// When `rig.lock` is not the one that the candidate was made for, or something cannot be written.
    pub fn promote(&self, project: &Project, candidate: &Candidate) -> Result<(), ProjectError> {
        if candidate.base != project.lock_digest() {
            return Err(bad(&path(&project.root, CANDIDATE), "rig.lock has changed since the trial began"));
        }
        let Candidate { pack_metadata, lock, why, .. } = candidate;
        let change = Change { why: format!("{why} --canary"), returned_to: None };
        // What rig.yaml offers is as it is now: the trial was about versions.
        self.commit(project, &project.config.packs, pack_metadata, lock, &change)?;
        end_locked(&project.root, candidate, "promoted", "somebody promoted it").map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        for (text, calls, expected) in [
            ("10%", 1000, 100),
            ("10", 9, 0),
            ("10 %", 10, 1),
            ("0.01%", 10_000, 1),
            ("50%", 3, 1),
            ("33.33%", 10_000, 3333),
        ] {
            assert_eq!(text.parse::<Share>().unwrap().of(calls), expected, "{text}");
        }
        for text in ["0%", "51%", "-1", "nan", "ten", "", "100%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
